"""Netpbm pictures as PNG, for a QEMU that was built without libpng."""

from __future__ import annotations

import re
import struct
import zlib

_HEADER = re.compile(rb"P6\s+(\d{1,6})\s+(\d{1,6})\s+255\s", re.ASCII)


def png_of_ppm(picture: bytes) -> bytes:
    """A binary PPM of 8 bits a channel (``P6``) as an RGB PNG without filters.

    Raises:
        ValueError: not such a picture.
    """
    header = _HEADER.match(picture)
    if header is None:
        raise ValueError("not a binary PPM of 8 bits a channel")
    width, height = int(header[1]), int(header[2])
    pixels = memoryview(picture)[header.end() :]
    if not width or not height or len(pixels) != 3 * width * height:
        raise ValueError(f"a PPM of {width}x{height} has {3 * width * height} bytes of pixels, not {len(pixels)}")
    stride = 3 * width
    rows = b"".join(b"\0" + bytes(pixels[row : row + stride]) for row in range(0, len(pixels), stride))
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
            _chunk(b"IDAT", zlib.compress(rows, 6)),
            _chunk(b"IEND", b""),
        ]
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
