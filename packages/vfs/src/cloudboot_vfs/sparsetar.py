"""Files with large holes in pax archives: GNU tar's sparse format 1.0, which GNU tar and libarchive extract.

GNU tar's manual, "PAX Format, Version 1.0": the data of the member begin with a map, decimal numbers on lines of their
own (how many parts there are, then the offset and the length of each), padded to a whole block; the parts follow. The
real name and size are in the extended header.
"""

from __future__ import annotations

import io
import itertools
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import tarfile
    from collections.abc import Iterator, Sequence

    from typing_extensions import Buffer

    from .protocol import OpenFile

_BLOCK = 512
#: Bytes of holes from which on a file is stored so; readers that do not know the format are not troubled for less.
WORTH = 1 << 20


@runtime_checkable
class SparseFile(Protocol):
    """An open file that knows its holes."""

    def data_parts(self) -> list[tuple[int, int]]:
        """``(offset, length)`` of what is stored, in order and apart; everything else is zeros."""


def content_of(member: tarfile.TarInfo, file: OpenFile) -> io.RawIOBase:
    """What an archive holds for ``file``: its bytes, or, if it has large holes, the map and the parts of it.

    ``member``, whose name is that of the file, is changed accordingly: its size, and for a sparse member also its name
    and its records.
    """
    member.size = file.size
    parts = [(0, file.size)]
    if file.size >= WORTH and isinstance(file, SparseFile):
        parts = file.data_parts()
    stored = sum(length for _, length in parts)
    if file.size - stored < WORTH:
        return _Pieces(_parts(file, [(0, file.size)]))
    if not parts or sum(parts[-1]) < file.size:
        parts = [*parts, (file.size, 0)]  # so that the file ends where it does
    text = b"%d\n" % len(parts) + b"".join(b"%d\n%d\n" % part for part in parts)
    head = text.ljust(-(-len(text) // _BLOCK) * _BLOCK, b"\0")
    folder, slash, base = member.name.rpartition("/")
    records = {"major": "1", "minor": "0", "name": member.name, "realsize": str(file.size)}
    member.pax_headers = {**member.pax_headers, **{f"GNU.sparse.{key}": value for key, value in records.items()}}
    member.name = f"{folder}{slash}GNUSparseFile.0/{base}"
    member.size = len(head) + stored
    return _Pieces(itertools.chain([head], _parts(file, parts)))


def _parts(file: OpenFile, parts: Sequence[tuple[int, int]]) -> Iterator[bytes]:
    for offset, length in parts:
        for at in range(offset, offset + length, WORTH):
            yield file.read_at(at, min(WORTH, offset + length - at))


class _Pieces(io.RawIOBase):
    """Pieces of bytes, one behind the other, as a file."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._rest = pieces, memoryview(b"")

    def readable(self) -> bool:
        """Always true."""
        return True

    def readinto(self, buffer: Buffer, /) -> int:
        """Read as much as fits of one piece; 0 at the end."""
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = memoryview(piece)
        view = memoryview(buffer).cast("B")
        count = min(len(view), len(self._rest))
        view[:count], self._rest = self._rest[:count], self._rest[count:]
        return count
