"""An open data stream of a volume that is being changed."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING, Protocol

from cloudboot_ntfs.reader.file import NTFSFile
from cloudboot_vfs.livefile import Changing, LiveWriting

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from cloudboot_ntfs.reader.reparse import WofStream
    from cloudboot_ntfs.reader.stream import Stream


class Volume(Changing, Protocol):
    """What an open file needs of the volume that it is in, :class:`.volume.WritableNTFS`."""

    @property
    def changes(self) -> int:
        """How many operations there have been."""

    def current_stream(self, number: int, sequence: int | None, stream: str) -> tuple[Stream | WofStream, int]:
        """The content of an open file as it is now, and the sequence number of its record."""

    def write_inode(
        self, number: int, offset: int | None, data: Buffer, sequence: int | None = None, *, stream: str = ""
    ) -> int:
        """Write to a file, in one operation; where the bytes end then."""

    def truncate_inode(self, number: int, size: int, sequence: int | None = None, *, stream: str = "") -> None:
        """Give a file another size, in one operation."""


class LiveFile(LiveWriting, NTFSFile):
    """The bytes of a stream, as they are now. Each call is one step: threads share a file as they share the volume."""

    _volume: Volume

    def __init__(
        self,
        volume: Volume,
        number: int,
        stream: str = "",
        *,
        readable: bool = True,
        writable: bool = False,
        append: bool = False,
    ) -> None:
        content, self._sequence = volume.current_stream(number, None, stream)
        super().__init__(content, number)
        self._volume, self._name = volume, stream
        self._seen = volume.changes
        self._readable, self._writable, self._append = readable, writable, append
        if append:
            self._position = content.size

    def _refresh(self) -> None:
        """Look where the content stands now.

        Raises:
            StaleFileError: the file has been removed.
        """
        if self._seen != self._volume.changes:
            self._stream, _ = self._volume.current_stream(self.inode, self._sequence, self._name)
            self._seen = self._volume.changes

    @property
    def size(self) -> int:
        """Size in bytes.

        Raises:
            StaleFileError: the file has been removed.
        """
        with self._volume.lock:
            self._refresh()
            return self._stream.size

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Move to ``offset``; the same rules as :meth:`io.IOBase.seek`."""
        with self._volume.lock:
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
        return self._volume.write_inode(self.inode, offset, data, self._sequence, stream=self._name)

    def _resize(self, size: int) -> None:
        self._volume.truncate_inode(self.inode, size, self._sequence, stream=self._name)
