"""A virtual disk whose bytes are scattered over a file: what qcow2 and VHD have in common."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING

from cloudboot_base import TruncatedError

if TYPE_CHECKING:
    from typing_extensions import Buffer


class MappedDisk(abc.ABC):
    """Read-only storage of ``size`` bytes that a subclass fills piece by piece."""

    def __init__(self, size: int) -> None:
        self._size = size

    @property
    def size(self) -> int:
        """Size of the virtual disk, in bytes."""
        return self._size

    def read_at(self, offset: int, size: int) -> bytes:
        """Exactly ``size`` bytes from ``offset``."""
        self._check(offset, size)
        data = bytearray(size)
        self._read(offset, memoryview(data))
        return bytes(data)

    def readinto_at(self, offset: int, buffer: Buffer) -> None:
        """Fill ``buffer`` from ``offset``."""
        view = memoryview(buffer).cast("B")
        self._check(offset, len(view))
        self._read(offset, view)

    def _read(self, offset: int, view: memoryview) -> None:
        done = 0
        while done < len(view):
            done += self._piece(offset + done, view[done:])

    @abc.abstractmethod
    def _piece(self, offset: int, view: memoryview) -> int:
        """Fill the start of ``view`` with bytes from ``offset`` on that are stored alike; how many they are."""

    def _check(self, offset: int, size: int) -> None:
        if offset < 0 or size < 0 or offset + size > self._size:
            raise TruncatedError(
                "the read passes the end", offset=offset, expected=size, actual=max(0, self._size - offset)
            )
