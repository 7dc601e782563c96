"""An open file of a file system that is being changed."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Protocol

from cloudboot_ufs2.reader.file import UFS2File
from cloudboot_vfs.livefile import Changing, LiveWriting

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from cloudboot_base import Storage
    from cloudboot_ufs2.layout.geometry import Geometry
    from cloudboot_ufs2.layout.records import Ufs2Dinode
    from cloudboot_ufs2.reader.blocks import BlockMap


class Volume(Changing, Protocol):
    """What an open file needs of the file system that it is in, :class:`.edit.WritableUFS2`."""

    @property
    def geometry(self) -> Geometry:
        """Where everything is."""

    @property
    def changes(self) -> int:
        """How many operations there have been."""

    def read_inode(self, number: int) -> Ufs2Dinode:
        """An inode as it is now."""

    def current_inode(self, number: int, generation: int) -> Ufs2Dinode:
        """An inode that is still of the same file."""

    def write_inode(
        self, number: int, offset: int | None, data: Buffer, generation: int | None = None, *, replacing: bool = False
    ) -> int:
        """Write to a file, in one operation."""

    def truncate_inode(self, number: int, size: int) -> None:
        """Give a file another size, in one operation."""


class LiveFile(LiveWriting, UFS2File):
    """The bytes of a file, as they are now. Each call is one step: threads share a file as they share the volume."""

    _volume: Volume

    def __init__(
        self,
        volume: Volume,
        storage: Storage,
        blocks: BlockMap,
        number: int,
        *,
        readable: bool = True,
        writable: bool = False,
        append: bool = False,
        replacing: bool = False,
    ) -> None:
        inode = volume.read_inode(number)
        super().__init__(storage, volume.geometry, blocks, inode, number)
        self._volume = volume
        self._generation = inode.di_gen
        self._seen = volume.changes
        self._readable, self._writable, self._append, self._replacing = readable, writable, append, replacing
        if append:
            self._position = inode.di_size

    @property
    def size(self) -> int:
        """Size in bytes.

        Raises:
            StaleFileError: the file has been removed.
        """
        with self._volume.lock:
            self._refresh()
            return self._size

    def _refresh(self) -> None:
        if self._seen != self._volume.changes:
            self._inode = self._volume.current_inode(self._number, self._generation)
            self._size = self._inode.di_size
            self._forget_runs()
            self._seen = self._volume.changes

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Move to ``offset``; the same rules as :meth:`io.IOBase.seek`."""
        with self._volume.lock:
            self._refresh()
            return super().seek(offset, whence)

    def readinto(self, buffer: Buffer, /) -> int:
        """Read as much as fits and is there; 0 at the end."""
        with self._volume.lock:
            return super().readinto(buffer)

    def read_at(self, offset: int, size: int) -> bytes:
        """Up to ``size`` bytes from ``offset``; fewer at the end."""
        with self._volume.lock:
            self._refresh()
            return super().read_at(offset, size)

    def readinto_at(self, offset: int, buffer: Buffer) -> int:
        """Fill ``buffer`` from ``offset`` up to the end of the file, and return the number of bytes.

        Raises:
            io.UnsupportedOperation: the file is not open for reading.
        """
        if not self._readable:
            raise io.UnsupportedOperation("the file is not open for reading")
        with self._volume.lock:
            self._refresh()
            return super().readinto_at(offset, buffer)

    def write_at(self, offset: int, data: Buffer) -> None:
        """Write all of ``data`` at ``offset`` without moving the position.

        Raises:
            ValueError: ``offset`` is negative.
            io.UnsupportedOperation: the file is not open for writing.
        """
        if offset < 0:
            raise ValueError(f"negative offset {offset}")
        with self._volume.lock:
            self._require_writable()
            self._store(offset, data)

    def _store(self, offset: int | None, data: Buffer) -> int:
        return self._volume.write_inode(self._number, offset, data, self._generation, replacing=self._replacing)

    def _resize(self, size: int) -> None:
        self._refresh()
        self._volume.truncate_inode(self._number, size)
