"""What an open file of a volume that is being changed does when it is written to."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from threading import RLock

    from typing_extensions import Buffer


class Changing(Protocol):
    """A volume that is being changed, as far as its open files look at it."""

    @property
    def lock(self) -> RLock:
        """Held during every operation."""

    @property
    def busy(self) -> bool:
        """Whether an operation is under way in this thread; ask while holding the lock."""

    def when_idle(self, action: Callable[[], object]) -> None:
        """Call ``action`` at once, or at the end of the operation under way."""


class LiveWriting(io.RawIOBase):
    """The writing half of an open file; a package's class of open files has it beside its reading half.

    Each call is one step: threads share a file as they share the volume. The reading half keeps ``_position``.
    """

    _volume: Changing
    _position: int
    _readable: bool
    _writable: bool
    _append: bool

    def _store(self, offset: int | None, data: Buffer) -> int:
        """Write at ``offset``, at the end for ``None``; gives the position behind what was written."""
        raise NotImplementedError

    def _resize(self, size: int) -> None:
        """Let the file have ``size`` bytes."""
        raise NotImplementedError

    def __del__(self) -> None:
        """Nothing: :class:`io.IOBase` would close, and a buffer that is collected with this could not be emptied."""

    def readable(self) -> bool:
        """Whether the mode allows reading."""
        return self._readable

    def writable(self) -> bool:
        """Whether the mode allows writing."""
        return self._writable

    def write(self, data: Buffer, /) -> int:
        """Write all of ``data`` at the position, or at the end if the file was opened to append."""
        count = memoryview(data).nbytes
        with self._volume.lock:
            self._require_writable()
            start = None if self._append else self._position
            if self._volume.busy:
                # A buffer that the garbage collector empties in the middle of an operation waits for its end.
                kept = bytes(data)
                self._volume.when_idle(lambda: self._store(start, kept))
                self._position += count
            else:
                self._position = self._store(start, data)
        return count

    def truncate(self, size: int | None = None, /) -> int:
        """Let the file have ``size`` bytes, by default as many as the position says; the position stays."""
        with self._volume.lock:
            self._require_writable()
            size = self._position if size is None else size
            self._resize(size)
        return size

    def _require_writable(self) -> None:
        if not self._writable:
            raise io.UnsupportedOperation("the file is not open for writing")
        if self.closed:
            raise ValueError("the file is closed")
