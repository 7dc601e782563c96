"""An open data stream of a volume that is being changed."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

from cloudboot_ntfs.reader.file import NTFSFile

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from .volume import WritableNTFS


class LiveFile(NTFSFile):
    """The bytes of a stream, as they are now. Each call is one step: threads share a file as they share the volume."""

    def __init__(
        self,
        volume: WritableNTFS,
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

    def __del__(self) -> None:
        """Nothing: :class:`io.IOBase` would close, and a buffer that is collected with this could not be emptied."""

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

    def readable(self) -> bool:
        """Whether the mode allows reading."""
        return self._readable

    def writable(self) -> bool:
        """Whether the mode allows writing."""
        return self._writable

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

    def write(self, data: Buffer, /) -> int:
        """Write all of ``data`` at the position, or at the end if the file was opened to append."""
        count = memoryview(data).nbytes
        with self._volume.lock:
            self._require_writable()
            start = None if self._append else self._position
            if self._volume.busy:
                # A buffer that the garbage collector empties in the middle of an operation waits for its end.
                kept = bytes(data)
                self._volume.when_idle(lambda: self._write(start, kept))
                self._position += count
            else:
                self._position = self._write(start, data)
        return count

    def _write(self, offset: int | None, data: Buffer) -> int:
        return self._volume.write_inode(self.inode, offset, data, self._sequence, stream=self._name)

    def truncate(self, size: int | None = None, /) -> int:
        """Let the file have ``size`` bytes, by default as many as the position says; the position stays."""
        with self._volume.lock:
            self._require_writable()
            size = self._position if size is None else size
            self._volume.truncate_inode(self.inode, size, self._sequence, stream=self._name)
        return size

    def _require_writable(self) -> None:
        if not self._writable:
            raise io.UnsupportedOperation("the file is not open for writing")
        if self.closed:
            raise ValueError("the file is closed")
        self._refresh()
