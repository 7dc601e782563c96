"""LZX in chunks of 32 KiB, as Windows compresses system files with (WOF; MS-PATCH 2, with the changes of WIM files)."""

from __future__ import annotations

import struct
from typing import Final

from cloudboot_ntfs.errors import CompressionError

WINDOW: Final = 32768
#: The size that x86 call targets are translated for, a constant in this use (MS-PATCH 2.3, E8 translation).
_TRANSLATION_SIZE: Final = 12_000_000
_MAIN: Final = 256 + 8 * 30
_LENGTHS: Final = 249
_VERBATIM, _ALIGNED, _STORED = 1, 2, 3


def _slots() -> tuple[tuple[int, ...], tuple[int, ...]]:
    bases, extra, base = [], [], 0
    for slot in range(30):
        bits = 0 if slot < 4 else (slot >> 1) - 1
        bases.append(base)
        extra.append(bits)
        base += 1 << bits
    return tuple(bases), tuple(extra)


_BASES, _EXTRA = _slots()


class _Bits:
    """Bits of 16-bit little-endian words, the highest first."""

    __slots__ = ("available", "bits", "data", "position")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0
        self.bits = 0
        self.available = 0

    def need(self, count: int) -> None:
        while self.available < count:
            if self.position > len(self.data) + 8:
                raise CompressionError("the data ends early", structure="LZX", offset=self.position)
            word = int.from_bytes(self.data[self.position : self.position + 2], "little")
            self.bits = (self.bits << 16 | word) & 0xFFFFFFFFFFFF
            self.position += 2
            self.available += 16

    def take(self, count: int) -> int:
        if not count:
            return 0
        self.need(count)
        self.available -= count
        return self.bits >> self.available & (1 << count) - 1

    def symbol(self, code: tuple[list[int], int]) -> int:
        table, width = code
        self.need(width)
        entry = table[self.bits >> self.available - width & (1 << width) - 1]
        self.available -= entry & 31
        return entry >> 5


def _code(lengths: list[int]) -> tuple[list[int], int]:
    """A table for as many bits as the longest code has: ``symbol << 5 | length``."""
    width = max(lengths)
    if not width:
        return [], 0
    table: list[int] = []
    for length in range(1, width + 1):
        repeat = 1 << width - length
        for symbol, own in enumerate(lengths):
            if own == length:
                table += [symbol << 5 | length] * repeat
        if len(table) > 1 << width:
            break
    if len(table) != 1 << width:
        raise CompressionError("the code lengths are not those of a Huffman code", structure="LZX", actual=len(table))
    return table, width


def _read_lengths(bits: _Bits, lengths: list[int], first: int, last: int) -> None:
    pre = _code([bits.take(4) for _ in range(20)])
    if not pre[1]:
        raise CompressionError("a code without symbols", structure="LZX", offset=bits.position)
    index = first
    while index < last:
        symbol = bits.symbol(pre)
        if symbol < 17:
            lengths[index] = (lengths[index] - symbol) % 17
            index += 1
            continue
        if symbol == 17:
            count, value = bits.take(4) + 4, 0
        elif symbol == 18:
            count, value = bits.take(5) + 20, 0
        else:
            count = bits.take(1) + 4
            symbol = bits.symbol(pre)
            if symbol > 16:
                raise CompressionError("a length that cannot be", structure="LZX", actual=symbol)
            value = (lengths[index] - symbol) % 17
        if index + count > last:
            raise CompressionError(
                "more code lengths than symbols", structure="LZX", expected=last, actual=index + count
            )
        lengths[index : index + count] = [value] * count
        index += count


def decompress(data: bytes, size: int) -> bytes:
    """The ``size`` bytes (at most 32 KiB) of one chunk.

    Raises:
        CompressionError: the data ends early, or breaks the format.
    """
    if size > WINDOW:
        raise CompressionError("a chunk holds at most 32 KiB", structure="LZX", expected=WINDOW, actual=size)
    bits = _Bits(data)
    out = bytearray()
    main, lengths = [0] * _MAIN, [0] * _LENGTHS
    recent = [1, 1, 1]
    while len(out) < size:
        kind = bits.take(3)
        count = WINDOW if bits.take(1) else bits.take(16)
        if kind not in (_VERBATIM, _ALIGNED, _STORED) or not count or len(out) + count > size:
            raise CompressionError("a block that cannot be", structure="LZX", expected=size - len(out), actual=count)
        if kind == _STORED:
            _stored(bits, out, count, recent)
            continue
        aligned = _code([bits.take(3) for _ in range(8)]) if kind == _ALIGNED else None
        _read_lengths(bits, main, 0, 256)
        _read_lengths(bits, main, 256, _MAIN)
        _read_lengths(bits, lengths, 0, _LENGTHS)
        _block(bits, out, len(out) + count, (_code(main), _code(lengths), aligned), recent)
    return _translate(out)


def _stored(bits: _Bits, out: bytearray, count: int, recent: list[int]) -> None:
    # The bits up to the next word go; where there are none a whole word does.
    if not bits.available:
        bits.take(1)
    start = bits.position - 2 * (bits.available // 16)
    bits.available = bits.bits = 0
    if start + 12 + count > len(bits.data):
        raise CompressionError("the data ends early", structure="LZX", offset=start, expected=12 + count)
    recent[:] = struct.unpack_from("<3I", bits.data, start)
    out += bits.data[start + 12 : start + 12 + count]
    bits.position = start + 12 + count + count % 2


def _block(
    bits: _Bits,
    out: bytearray,
    end: int,
    codes: tuple[tuple[list[int], int], tuple[list[int], int], tuple[list[int], int] | None],
    recent: list[int],
) -> None:
    (table, width), length_code, aligned = codes
    if not width:
        raise CompressionError("a code without symbols", structure="LZX", offset=bits.position)
    mask = (1 << width) - 1
    data, append = bits.data, out.append
    # The state of the bits is kept in local names, and put back where others read on: this loop is most of the time.
    word, available, position = bits.bits, bits.available, bits.position
    limit = len(data) + 8
    length = len(out)
    while length < end:
        if available < width:
            if position > limit:
                raise CompressionError("the data ends early", structure="LZX", offset=position)
            word = (word << 16 | int.from_bytes(data[position : position + 2], "little")) & 0xFFFFFFFFFFFF
            position += 2
            available += 16
        entry = table[word >> available - width & mask]
        available -= entry & 31
        symbol = entry >> 5
        if symbol < 256:
            append(symbol)
            length += 1
            continue
        bits.bits, bits.available, bits.position = word, available, position
        symbol -= 256
        count, slot = symbol & 7, symbol >> 3
        if count == 7:
            if not length_code[1]:
                raise CompressionError("a code without symbols", structure="LZX", offset=bits.position)
            count += bits.symbol(length_code)
        count += 2
        distance = _distance(bits, slot, aligned, recent)
        word, available, position = bits.bits, bits.available, bits.position
        start = length - distance
        if start < 0 or length + count > end:
            raise CompressionError(
                "a reference to what is not there", structure="LZX", expected=length, actual=distance
            )
        if distance >= count:
            out += out[start : start + count]
        else:
            out += (out[start:] * (count // distance + 1))[:count]
        length += count
    bits.bits, bits.available, bits.position = word, available, position


def _distance(bits: _Bits, slot: int, aligned: tuple[list[int], int] | None, recent: list[int]) -> int:
    if slot < 3:
        distance = recent[slot]
        recent[slot], recent[0] = recent[0], distance
        return distance
    extra = _EXTRA[slot]
    if aligned is not None and extra >= 3:
        offset = bits.take(extra - 3) << 3
        if not aligned[1]:
            raise CompressionError("a code without symbols", structure="LZX", offset=bits.position)
        offset += bits.symbol(aligned)
    else:
        offset = bits.take(extra)
    distance = _BASES[slot] + offset - 2
    recent[:] = [distance, recent[0], recent[1]]
    return distance


def _translate(out: bytearray) -> bytes:
    """Undo the translation of the targets of x86 calls (opcode E8) from relative to absolute."""
    position, last = 0, len(out) - 10
    while (position := out.find(b"\xe8", position)) >= 0 and position < last:
        target = int.from_bytes(out[position + 1 : position + 5], "little", signed=True)
        if -position <= target < _TRANSLATION_SIZE:
            relative = target - position if target >= 0 else target + _TRANSLATION_SIZE
            out[position + 1 : position + 5] = (relative & 0xFFFFFFFF).to_bytes(4, "little")
        position += 5
    return bytes(out)
