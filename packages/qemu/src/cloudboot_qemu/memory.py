"""A machine's RAM, seen from outside: a memfd that QEMU and this process share."""

from __future__ import annotations

import mmap
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .architectures import Architecture

_STEP = 1 << 20


class GuestMemory:
    """The RAM of a machine with ``shared_memory``, readable at any moment, running or not.

    Offsets are in the RAM as such; :meth:`offset_of` gives the one of a guest physical address. Nothing here allocates
    what the guest has never touched.
    """

    def __init__(self, fd: int, size: int, architecture: Architecture) -> None:
        self._fd = fd
        self.size = size
        """Bytes."""
        self._places = architecture.ram(size) if architecture.ram is not None else []

    def read(self, offset: int, size: int) -> bytes:
        """``size`` bytes from ``offset`` on, fewer at the end of the RAM; pages that were never written read as zeros.

        Raises:
            ValueError: ``offset`` or ``size`` is negative.
        """
        if offset < 0 or size < 0:
            raise ValueError(f"no bytes are at {offset} with the length {size}")
        return os.pread(self._fd, min(size, max(self.size - offset, 0)), offset)

    def map(self) -> mmap.mmap:
        """All of it as a mapping that can be written; the caller closes it."""
        return mmap.mmap(self._fd, self.size)

    def offset_of(self, address: int) -> int | None:
        """Where the RAM has the guest's physical ``address``; ``None`` where there is no RAM."""
        for base, start, length in self._places:
            if base <= address < base + length:
                return start + address - base
        return None

    def addresses(self, offset: int, end: int) -> Iterator[tuple[int, int]]:
        """``(first, end)`` of the guest physical addresses of the RAM from ``offset`` to ``end``."""
        for base, start, length in self._places:
            low, high = max(offset, start), min(end, start + length)
            if low < high:
                yield base + low - start, base + high - start

    def used(self) -> Iterator[tuple[int, int]]:
        """``(offset, end)`` of each run of pages that was ever touched, in order."""
        end = 0
        while end < self.size:
            try:
                start = os.lseek(self._fd, end, os.SEEK_DATA)
            except OSError:  # ENXIO: nothing but holes from here on
                return
            end = os.lseek(self._fd, start, os.SEEK_HOLE)
            yield start, min(end, self.size)

    def find(self, wanted: bytes) -> Iterator[int]:
        """The offsets at which ``wanted`` stands, in order.

        Raises:
            ValueError: ``wanted`` is empty.
        """
        if not wanted:
            raise ValueError("an empty text is everywhere")
        for start, end in self.used():
            position, rest = start, b""
            while position < end:
                piece = self.read(position, min(_STEP, end - position))
                window, base = rest + piece, position - len(rest)
                at = window.find(wanted)
                while at >= 0:
                    yield base + at
                    at = window.find(wanted, at + 1)
                position += len(piece)
                rest = window[-(len(wanted) - 1) :] if len(wanted) > 1 else b""
