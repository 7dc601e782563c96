"""Open files of a volume, as :class:`cloudboot_vfs.OpenFile` has them."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

from cloudboot_base import StorageFile

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from cloudboot_base import Storage

    from .volume import Node, WritableFatVolume


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


class LiveFile(FatFile):
    """The bytes of a file, as they are now. Each call is one step: threads share a file as they share the volume."""

    def __init__(self, volume: WritableFatVolume, node: Node, *, readable: bool, writable: bool, append: bool) -> None:
        self._volume, self._node = volume, node
        self._readable, self._append = readable, append
        super().__init__(volume.content_of(node))
        self._writable = writable
        self._seen = volume.changes
        if append:
            self._position = self._storage.size

    def __del__(self) -> None:
        """Nothing: :class:`io.IOBase` would close, and a buffer that is collected with this could not be emptied."""

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

    def readable(self) -> bool:
        """Whether the mode allows reading."""
        return self._readable

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

    def write(self, data: Buffer, /) -> int:
        """Write all of ``data`` at the position, or at the end if the file was opened to append."""
        count = memoryview(data).nbytes
        with self._volume.lock:
            self._require_writable()
            start = None if self._append else self._position
            if self._volume.busy:
                # A buffer that the garbage collector empties in the middle of an operation waits for its end.
                kept = bytes(data)
                self._volume.when_idle(lambda: self._volume.write_node(self._node, start, kept))
                self._position += count
            else:
                self._position = self._volume.write_node(self._node, start, data)
        return count

    def truncate(self, size: int | None = None, /) -> int:
        """Let the file have ``size`` bytes, by default as many as the position says; the position stays."""
        with self._volume.lock:
            self._require_writable()
            size = self._position if size is None else size
            self._volume.truncate_node(self._node, size)
        return size

    def _require_writable(self) -> None:
        if not self._writable:
            raise io.UnsupportedOperation("the file is not open for writing")
        if self.closed:
            raise ValueError("the file is closed")
