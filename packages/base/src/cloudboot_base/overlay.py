"""A storage that keeps what is written to it in memory, so that a change is either made whole or not at all."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from .storage import descriptor_of

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from .storage import Storage, WritableStorage

_PAGE = 4096


class Overlay:
    """Pages over another storage."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._pages: dict[int, bytearray] = {}

    @property
    def size(self) -> int:
        """Bytes of the storage below."""
        return self._storage.size

    def read_at(self, offset: int, size: int) -> bytes:
        """``size`` bytes as they are now."""
        data = self._storage.read_at(offset, size)
        first, last = offset // _PAGE, (offset + size - 1) // _PAGE
        if not self._pages or (
            last - first < len(self._pages) and not any(p in self._pages for p in range(first, last + 1))
        ):
            return data
        changed = bytearray(data)
        for page in range(first, last + 1):
            if page in self._pages:
                start = max(offset, page * _PAGE)
                end = min(offset + size, (page + 1) * _PAGE)
                changed[start - offset : end - offset] = self._pages[page][start - page * _PAGE : end - page * _PAGE]
        return bytes(changed)

    def readinto_at(self, offset: int, buffer: Buffer) -> None:
        """Fill ``buffer`` from ``offset``."""
        view = memoryview(buffer).cast("B")
        view[:] = self.read_at(offset, len(view))

    def write_at(self, offset: int, data: Buffer) -> None:
        """Keep ``data``; the storage below stays as it is."""
        view = memoryview(data).cast("B")
        done = 0
        while done < len(view):
            page, within = divmod(offset + done, _PAGE)
            count = min(_PAGE - within, len(view) - done)
            if page not in self._pages:
                start = page * _PAGE
                length = min(_PAGE, self.size - start)
                self._pages[page] = bytearray(self._storage.read_at(start, length))
            self._pages[page][within : within + count] = view[done : done + count]
            done += count

    def changes(self) -> list[tuple[int, bytes]]:
        """The pages that differ from the storage below, with their offsets."""
        found = []
        for page, data in sorted(self._pages.items()):
            if self._storage.read_at(page * _PAGE, len(data)) != data:
                found.append((page * _PAGE, bytes(data)))
        return found


def flush(storage: WritableStorage, changes: list[tuple[int, bytes]]) -> None:
    """Write changes, and have the device keep them."""
    for offset, data in changes:
        storage.write_at(offset, data)
    place = descriptor_of(storage)
    if place is not None:
        os.fsync(place[0])
