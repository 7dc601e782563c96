"""A screenshot with its colours as a palette: a third of the bytes, for the same picture (PNG, ISO/IEC 15948)."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_MOST_PIXELS = 8 << 20
_RGB8 = (8, 2, 0, 0, 0)  # bit depth, colour type, compression, filter, interlace


def with_palette(png: bytes) -> bytes:
    """The same picture with a palette, or ``png`` itself where it is of another kind or has more than 256 colours."""
    chunks = dict(_chunks(png))
    if b"IHDR" not in chunks or len(chunks[b"IHDR"]) != 13:
        return png
    width, height, *kind = struct.unpack(">II5B", chunks[b"IHDR"])
    if tuple(kind) != _RGB8 or not 0 < width * height <= _MOST_PIXELS:
        return png
    try:
        rows = list(_rows(chunks[b"IDAT"], width, height))
    except (zlib.error, ValueError):
        return png
    colours = sorted({row[at : at + 3] for row in set(rows) for at in range(0, 3 * width, 3)})
    if len(colours) > 256:
        return png
    depth = next(bits for bits in (1, 2, 4, 8) if len(colours) <= 1 << bits)
    index = {colour: number for number, colour in enumerate(colours)}
    packed: dict[bytes, bytes] = {row: _pack(row, index, depth) for row in set(rows)}
    data = b"".join(b"\0" + packed[row] for row in rows)
    made = [
        (b"IHDR", struct.pack(">II5B", width, height, depth, 3, 0, 0, 0)),
        (b"PLTE", b"".join(colours)),
        (b"IDAT", zlib.compress(data, 9)),
        (b"IEND", b""),
    ]
    small = _SIGNATURE + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in made
    )
    return small if len(small) < len(png) else png


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Every chunk's name and body; the parts of ``IDAT`` joined."""
    data = bytearray()
    at = len(_SIGNATURE)
    if not png.startswith(_SIGNATURE):
        return
    while at + 12 <= len(png):
        length = int.from_bytes(png[at : at + 4], "big")
        name, body = png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        if name == b"IDAT":
            data += body
        else:
            yield name, body
        at += 12 + length
    yield b"IDAT", bytes(data)


def _rows(compressed: bytes, width: int, height: int) -> Iterator[bytes]:
    """The rows of an RGB picture, unfiltered.

    Raises:
        ValueError: the data are too short, or have a filter that does not exist.
        zlib.error: the data are damaged.
    """
    stride = 3 * width
    data = zlib.decompressobj().decompress(compressed, height * (stride + 1))
    if len(data) != height * (stride + 1):
        raise ValueError("the picture is too short")
    before = bytes(stride)
    for start in range(0, len(data), stride + 1):
        before = _unfiltered(data[start], data[start + 1 : start + 1 + stride], before)
        yield before


def _unfiltered(kind: int, row: bytes, above: bytes) -> bytes:
    if kind == 0:
        return row
    if kind == 2:
        return above if not any(row) else bytes((a + b) & 0xFF for a, b in zip(row, above, strict=True))
    if kind not in (1, 3, 4):
        raise ValueError("no such filter")
    found = bytearray(row)
    for at in range(len(row)):
        left = found[at - 3] if at >= 3 else 0
        up = above[at]
        if kind == 1:
            guess = left
        elif kind == 3:
            guess = (left + up) >> 1
        else:
            corner = above[at - 3] if at >= 3 else 0
            to_left, to_up = abs(up - corner), abs(left - corner)
            to_corner = abs(left + up - 2 * corner)
            guess = left if to_left <= to_up and to_left <= to_corner else up if to_up <= to_corner else corner
        found[at] = (row[at] + guess) & 0xFF
    return bytes(found)


def _pack(row: bytes, index: dict[bytes, int], depth: int) -> bytes:
    numbers = [index[row[at : at + 3]] for at in range(0, len(row), 3)]
    if depth == 8:
        return bytes(numbers)
    each = 8 // depth
    numbers += [0] * (-len(numbers) % each)
    packed = bytearray()
    for at in range(0, len(numbers), each):
        value = 0
        for number in numbers[at : at + each]:
            value = value << depth | number
        packed.append(value)
    return bytes(packed)
