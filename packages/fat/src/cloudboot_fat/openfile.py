"""Open files of a volume, as :class:`cloudboot_vfs.OpenFile` has them."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING, Protocol

from cloudboot_base import StorageFile
from cloudboot_vfs.livefile import Changing, LiveWriting

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from cloudboot_base import Storage

    from .filesystem import Slot


class Node:
    """A file that is open; ``slot`` is where its entry stands, ``None`` once it is removed."""

    __slots__ = ("__weakref__", "slot")

    def __init__(self, slot: Slot) -> None:
        self.slot: Slot | None = slot


class ChangingVolume(Changing, Protocol):
    """The volume of open files, which follows a node wherever its entry moves."""

    @property
    def changes(self) -> int:
        """Grows with every operation."""

    def content_of(self, node: Node) -> Storage:
        """The bytes of an open file as they are now."""

    def write_node(self, node: Node, offset: int | None, data: Buffer) -> int:
        """Write into an open file, at its end for ``None``; gives the position behind what was written."""

    def truncate_node(self, node: Node, size: int) -> None:
        """Let an open file have ``size`` bytes."""


class FatFile(StorageFile):
    """The bytes of a file; :meth:`read_at` leaves the position alone."""

    @property
    def size(self) -> int:
        """Size in bytes."""
        return self._storage.size

    def read_at(self, offset: int, size: int) -> bytes:
        """Up to ``size`` bytes from ``offset``; fewer at the end."""
        if offset < 0:
            raise ValueError(f"negative offset {offset}")
        return self._storage.read_at(offset, count) if (count := min(size, self._storage.size - offset)) > 0 else b""


class LiveFile(LiveWriting, FatFile):
    """The bytes of a file, as they are now. Each call is one step: threads share a file as they share the volume."""

    _volume: ChangingVolume

    def __init__(self, volume: ChangingVolume, node: Node, *, readable: bool, writable: bool, append: bool) -> None:
        self._volume, self._node = volume, node
        self._readable, self._append = readable, append
        super().__init__(volume.content_of(node))
        self._writable = writable
        self._seen = volume.changes
        if append:
            self._position = self._storage.size

    def _refresh(self) -> None:
        """Look where the content stands now.

        Raises:
            StaleFileError: the file was removed.
        """
        if self._seen != self._volume.changes:
            self._storage: Storage = self._volume.content_of(self._node)
            self._seen = self._volume.changes

    @property
    def size(self) -> int:
        """Size in bytes.

        Raises:
            StaleFileError: the file was removed.
        """
        with self._volume.lock:
            self._refresh()
            return super().size

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Move to ``offset``; the same rules as :meth:`io.IOBase.seek`."""
        with self._volume.lock:
            self._refresh()
            return super().seek(offset, whence)

    def read_at(self, offset: int, size: int) -> bytes:
        """Up to ``size`` bytes from ``offset``; fewer at the end."""
        with self._volume.lock:
            self._refresh()
            return super().read_at(offset, size)

    def readinto(self, buffer: Buffer, /) -> int:
        """Read as much as fits and is there; 0 at the end."""
        if not self._readable:
            raise io.UnsupportedOperation("the file is not open for reading")
        with self._volume.lock:
            self._refresh()
            return super().readinto(buffer)

    def _store(self, offset: int | None, data: Buffer) -> int:
        return self._volume.write_node(self._node, offset, data)

    def _resize(self, size: int) -> None:
        self._volume.truncate_node(self._node, size)
