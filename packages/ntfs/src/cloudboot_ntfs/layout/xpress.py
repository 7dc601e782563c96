"""XPRESS with Huffman codes (MS-XCA 2.2), which Windows compresses system files with (WOF)."""

from __future__ import annotations

from cloudboot_ntfs.errors import CompressionError

_SYMBOLS, _BITS = 512, 15


def _table(lengths: bytes) -> list[int]:
    """For every 15 bits: symbol and length of the code that begins them, as ``symbol << 4 | length``."""
    table: list[int] = []
    for length in range(1, _BITS + 1):
        repeat = 1 << _BITS - length
        for symbol, own in enumerate(lengths):
            if own == length:
                table += [symbol << 4 | length] * repeat
        if len(table) > 1 << _BITS:
            break
    if len(table) != 1 << _BITS:
        raise CompressionError(
            "the code lengths are not those of a Huffman code", structure="XPRESS", actual=len(table)
        )
    return table


def decompress(data: bytes, size: int) -> bytes:
    """The ``size`` bytes (at most 64 KiB) that ``data`` holds.

    Raises:
        CompressionError: the data ends early, or refers to before its start.
    """
    if len(data) < _SYMBOLS // 2 + 4:
        raise CompressionError("too short for the code lengths", structure="XPRESS", expected=260, actual=len(data))
    lengths = bytes(nibble for pair in data[: _SYMBOLS // 2] for nibble in (pair & 15, pair >> 4))
    table = _table(lengths)
    out = bytearray()
    position, end = _SYMBOLS // 2 + 4, len(data)
    bits = int.from_bytes(data[256:258], "little") << 16 | int.from_bytes(data[258:260], "little")
    available = 16  # beyond the 16 that are always there
    while len(out) < size:
        entry = table[bits >> 17 & 0x7FFF]
        length = entry & 15
        symbol = entry >> 4
        bits = bits << length & 0xFFFFFFFF
        available -= length
        if available < 0:
            bits, position, available = _refill(data, bits, position, available)
        if symbol < 256:
            out.append(symbol)
            continue
        symbol -= 256
        count, distance_bits = symbol & 15, symbol >> 4
        if count == 15:
            if position >= end:
                raise _early(position)
            count = data[position]
            position += 1
            if count == 255:
                count = int.from_bytes(data[position : position + 2], "little")
                position += 2
                if not count:
                    count = int.from_bytes(data[position : position + 4], "little")
                    position += 4
                if count < 15 or position > end:
                    raise _early(position)
                count -= 15
            count += 15
        count += 3
        distance = 1 << distance_bits | (bits >> 32 - distance_bits if distance_bits else 0)
        bits = bits << distance_bits & 0xFFFFFFFF
        available -= distance_bits
        if available < 0:
            bits, position, available = _refill(data, bits, position, available)
        start = len(out) - distance
        if start < 0 or len(out) + count > size:
            raise CompressionError(
                "a reference to what is not there", structure="XPRESS", expected=len(out), actual=distance
            )
        if distance >= count:
            out += out[start : start + count]
        else:
            out += (out[start:] * (count // distance + 1))[:count]
    return bytes(out)


def _refill(data: bytes, bits: int, position: int, available: int) -> tuple[int, int, int]:
    if position > len(data) + 2:
        raise _early(position)
    bits |= int.from_bytes(data[position : position + 2], "little") << -available
    return bits, position + 2, available + 16


def _early(position: int) -> CompressionError:
    return CompressionError("the data ends early", structure="XPRESS", offset=position)
