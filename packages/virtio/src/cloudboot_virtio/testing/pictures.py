"""Screendumps."""

from __future__ import annotations

import re

_HEADER = re.compile(rb"P6\s+(\d+)\s+(\d+)\s+255\s")


def ppm_pixels(picture: bytes) -> tuple[int, int, bytes]:
    """Width, height and RGB bytes of a binary PPM with 8 bits a sample.

    Raises:
        ValueError: it is not one, or not whole.
    """
    found = _HEADER.match(picture)
    if found is None:
        raise ValueError("not a binary PPM with 8 bits a sample")
    width, height = int(found[1]), int(found[2])
    pixels = picture[found.end() :]
    if len(pixels) != 3 * width * height:
        raise ValueError(f"a PPM of {width}x{height} with {len(pixels)} bytes of pixels")
    return width, height, pixels
