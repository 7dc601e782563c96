"""Where the bytes of a push come from: a path, a descriptor, a file object, a buffer, a block device."""

from __future__ import annotations

import contextlib
import io
import os
import stat
from collections.abc import Iterable
from typing import IO, TYPE_CHECKING, Protocol, TypeGuard, runtime_checkable

from cloudboot_oci_stream.errors import OciError, SourceChangedError
from cloudboot_oci_stream.inputs import open_input, read_pieces

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typing_extensions import Buffer

    from cloudboot_oci_stream.deadline import Deadline

CHUNK = 1 << 20


@runtime_checkable
class Source(Protocol):
    """Bytes of a known size, readable at any offset. Block devices and storages of other packages are sources."""

    @property
    def size(self) -> int:
        """Size in bytes."""

    def readinto_at(self, offset: int, buffer: Buffer) -> None:
        """Fill ``buffer`` from ``offset``."""


class _BinaryFile(Protocol):
    def read(self, size: int, /) -> bytes: ...
    def seek(self, offset: int, whence: int = 0, /) -> int: ...
    def tell(self) -> int: ...
    def fileno(self) -> int: ...


class _Descriptor:
    """Reads at offsets, so that the position of the caller's file does not move."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        # st_size is 0 for a block device.
        kind = os.fstat(fd)
        self.size = os.lseek(fd, 0, os.SEEK_END) if stat.S_ISBLK(kind.st_mode) else kind.st_size
        if not stat.S_ISREG(kind.st_mode) and not stat.S_ISBLK(kind.st_mode):
            raise OciError("not a file whose size is known", hint="write the stream to a file or a memfd first")

    def readinto_at(self, offset: int, buffer: Buffer) -> None:
        view = memoryview(buffer).cast("B")
        while view:
            count = os.preadv(self._fd, [view], offset)
            if count == 0:
                raise SourceChangedError("the file became shorter while it was read", offset=offset, expected=self.size)
            view, offset = view[count:], offset + count


class _Memory:
    def __init__(self, buffer: Buffer) -> None:
        self._view = memoryview(buffer).cast("B")
        self.size = len(self._view)

    def readinto_at(self, offset: int, buffer: Buffer) -> None:
        view = memoryview(buffer).cast("B")
        view[:] = self._view[offset : offset + len(view)]


class _Seekable:
    """A file object without a descriptor, such as :class:`io.BytesIO`; its position is put back at the end."""

    def __init__(self, file: _BinaryFile) -> None:
        self._file = file
        self.size = file.seek(0, os.SEEK_END)

    def readinto_at(self, offset: int, buffer: Buffer) -> None:
        view = memoryview(buffer).cast("B")
        self._file.seek(offset)
        done = 0
        while done < len(view):
            data = self._file.read(len(view) - done)
            if not data:
                raise SourceChangedError("the file ends early", offset=offset + done, expected=self.size)
            view[done : done + len(data)] = data
            done += len(data)


class Stream:
    """Bytes that can be read once, from an iterator; how many there are is not known before its end.

    A *window* of them is kept, so that the last few can be sent again.
    """

    def __init__(self, chunks: Iterable[Buffer]) -> None:
        self._chunks = iter(chunks)
        self._window = bytearray()
        self._start = 0

    @property
    def size(self) -> int:
        """Bytes seen so far."""
        return self._start + len(self._window)

    def reach(self, offset: int, count: int) -> int:
        """Move the window's start to ``offset``, and its end as far as ``count`` bytes take at least; where that is.

        Returns:
            ``offset + count``, or less at the end of the stream.

        Raises:
            OciError: ``offset`` has been passed, and the source cannot be read again.
        """
        if offset < self._start:
            raise OciError(
                "a stream cannot be sent again from its beginning",
                offset=offset,
                hint="push from a file, or try once more",
            )
        del self._window[: offset - self._start]
        self._start = offset
        while len(self._window) < count:
            try:
                self._window += memoryview(next(self._chunks)).cast("B")
            except StopIteration:
                break
        return offset + min(count, len(self._window))

    def readinto_at(self, offset: int, buffer: Buffer) -> None:
        """Fill ``buffer`` from ``offset``, inside the window."""
        view = memoryview(buffer).cast("B")
        at = offset - self._start
        with memoryview(self._window) as window:
            view[:] = window[at : at + len(view)]


@contextlib.contextmanager
def open_source(
    source: str | os.PathLike[str] | int | IO[bytes] | Buffer | Source | Iterable[Buffer],
    deadline: Deadline | None = None,
) -> Iterator[Source | Stream]:
    """Give ``source`` as a :class:`Source`: a path, a file descriptor, a binary file, a buffer, or one already.

    An iterator of buffers, and what is a pipe, become a :class:`Stream`; a pipe is waited for until the deadline. Only
    a path is opened and closed here; everything else stays its owner's.

    Raises:
        OSError: the path cannot be opened.
        OciError: a directory, or the path of something without a size.
    """
    if isinstance(source, str | os.PathLike):
        try:
            fd = open_input(source)
        except IsADirectoryError as error:
            raise OciError("a folder is not a disk image", actual=error.filename) from error
        try:
            yield _opened(fd, deadline)
        finally:
            os.close(fd)
    elif isinstance(source, int):
        yield _opened(source, deadline)
    elif isinstance(source, Source):
        yield source
    elif (view := _view(source)) is not None:
        yield _Memory(view)
    elif _is_file(source):
        try:
            fd = source.fileno()
        except io.UnsupportedOperation:
            position = source.tell()
            yield _Seekable(source)
            source.seek(position)
        else:
            yield _opened(fd, deadline)
    elif isinstance(source, Iterable):
        yield Stream(source)
    else:
        raise TypeError(f"cannot read an image from {type(source).__name__}")


def _is_file(source: object) -> TypeGuard[_BinaryFile]:
    # Not by isinstance: since Python 3.12 that does not see the methods a temporary file hands on.
    return all(callable(getattr(source, name, None)) for name in ("read", "seek", "tell", "fileno"))


def _opened(fd: int, deadline: Deadline | None) -> _Descriptor | Stream:
    kind = os.fstat(fd).st_mode
    if stat.S_ISFIFO(kind) or stat.S_ISSOCK(kind):
        return Stream(read_pieces(fd, CHUNK, deadline))
    return _Descriptor(fd)


def _view(source: object) -> memoryview | None:
    try:
        return memoryview(source)  # type: ignore[arg-type]  # asking is the only way to know, up to Python 3.11
    except TypeError:
        return None


def pieces(
    source: Source | Stream, start: int = 0, stop: int | None = None, *, scratch: bytearray
) -> Iterator[memoryview]:
    """The bytes of ``source`` in order, each piece valid until the next is asked for."""
    whole = memoryview(scratch)
    if stop is None and isinstance(source, Stream):
        while (end := source.reach(start, len(whole))) > start:
            piece = whole[: end - start]
            source.readinto_at(start, piece)
            yield piece
            start = end
        return
    end = source.size if stop is None else stop
    for offset in range(start, end, len(whole)):
        piece = whole[: min(len(whole), end - offset)]
        source.readinto_at(offset, piece)
        yield piece
