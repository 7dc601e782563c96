"""PNG and animated PNG of RGB pictures (PNG specification, third edition)."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_RGB: Final = 2


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _head(picture: NDArray[np.uint8]) -> bytes:
    height, width, _ = picture.shape
    return _SIGNATURE + _chunk(b"IHDR", struct.pack(">2I5B", width, height, 8, _RGB, 0, 0, 0))


def _pixels(picture: NDArray[np.uint8]) -> bytes:
    height, width, _ = picture.shape
    rows = np.zeros((height, 1 + 3 * width), np.uint8)  # filter type 0 in front of each row
    rows[:, 1:] = picture.reshape(height, -1)
    return zlib.compress(rows.tobytes(), 9)


def difference(ours: NDArray[np.uint8], theirs: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A picture that is white where two pictures of one size differ, and black elsewhere."""
    differs = (ours != theirs).any(axis=2)
    return np.repeat(np.where(differs, 255, 0).astype(np.uint8)[:, :, None], 3, axis=2)


def png(picture: NDArray[np.uint8]) -> bytes:
    """A picture of shape (height, width, 3)."""
    return _head(picture) + _chunk(b"IDAT", _pixels(picture)) + _chunk(b"IEND", b"")


def animated_png(pictures: Sequence[NDArray[np.uint8]], seconds: float = 1.0) -> bytes:
    """Pictures of one size, each shown for ``seconds``, over and over."""
    first = pictures[0]
    height, width, _ = first.shape
    parts = [_head(first), _chunk(b"acTL", struct.pack(">2I", len(pictures), 0))]
    sequence = 0
    for index, picture in enumerate(pictures):
        control = struct.pack(">5I2H2B", sequence, width, height, 0, 0, round(seconds * 1000), 1000, 0, 0)
        parts.append(_chunk(b"fcTL", control))
        sequence += 1
        if index == 0:
            parts.append(_chunk(b"IDAT", _pixels(picture)))
        else:
            parts.append(_chunk(b"fdAT", struct.pack(">I", sequence) + _pixels(picture)))
            sequence += 1
    return b"".join([*parts, _chunk(b"IEND", b"")])
