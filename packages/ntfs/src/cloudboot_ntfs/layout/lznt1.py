"""LZNT1, the compression of NTFS itself (MS-XCA 2.5)."""

from __future__ import annotations

from cloudboot_ntfs.errors import CompressionError

_CHUNK = 4096


def decompress(data: bytes, size: int) -> bytes:
    """The ``size`` bytes that ``data`` holds; what is missing at the end is zeros, as NTFS has it.

    Raises:
        CompressionError: a chunk that passes the end, or refers to before its own start.
    """
    out = bytearray()
    position = 0
    while position + 2 <= len(data) and len(out) < size:
        head = int.from_bytes(data[position : position + 2], "little")
        if not head:
            break
        position += 2
        end = position + (head & 0xFFF) + 1
        if end > len(data):
            raise CompressionError(
                "a chunk passes the end", structure="LZNT1", offset=position, expected=len(data), actual=end
            )
        if head & 0x8000:
            out += _chunk(data[position:end])
        else:
            out += data[position:end]
        # A chunk that is not the last holds 4,096 bytes; what it does not say is zeros.
        out += bytes(-len(out) % _CHUNK)
        position = end
    return bytes(out[:size]).ljust(size, b"\0")


def _chunk(data: bytes) -> bytearray:
    out = bytearray()
    position, end = 0, len(data)
    while position < end:
        flags = data[position]
        position += 1
        for bit in range(8):
            if position >= end:
                break
            if not flags >> bit & 1:
                out.append(data[position])
                position += 1
                continue
            if position + 2 > end or not out:
                raise CompressionError("a reference passes the end of its chunk", structure="LZNT1", offset=position)
            pair = data[position] | data[position + 1] << 8
            position += 2
            # The more has been written, the more bits the distance has.
            length_bits = 16 - max(4, (len(out) - 1).bit_length())
            length = (pair & (1 << length_bits) - 1) + 3
            distance = (pair >> length_bits) + 1
            if distance > len(out) or len(out) + length > _CHUNK:
                raise CompressionError(
                    "a reference to what is not in its chunk", structure="LZNT1", expected=len(out), actual=distance
                )
            start = len(out) - distance
            if distance >= length:
                out += out[start : start + length]
            else:
                out += (out[start:] * (length // distance + 1))[:length]
    return out
