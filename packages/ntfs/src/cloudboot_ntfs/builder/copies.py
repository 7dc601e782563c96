"""Copying the content of files to its places; small files that stand side by side are written at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cloudboot_base.lightdata import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cloudboot_base import WritableStorage

    from .content import Content

#: Bytes of a file that is read and written together with its neighbours, and of all of them.
_SMALL: Final = 1 << 14
_TOGETHER: Final = 1 << 20
_PAGE: Final = 4096


class Piece(NamedTuple):
    """Content that goes to one place: ``size`` bytes of it, from ``start`` on, to ``offset`` of the volume."""

    offset: int
    size: int
    content: Content
    start: int


class Copy(NamedTuple):
    """Pieces in clusters that follow one another."""

    pieces: list[Piece]
    cluster_size: int
    clear: bool  #: write zeros behind the last, up to the end of its cluster

    @property
    def offset(self) -> int:
        """Where they start in the volume."""
        return self.pieces[0].offset

    @property
    def size(self) -> int:
        """Bytes of content."""
        return sum([piece.size for piece in self.pieces])

    def write(self, storage: WritableStorage) -> None:
        """Write them.

        Raises:
            SourceChangedError: a file of the host changed since it was looked at.
            OSError: the host refuses.
        """
        last = self.pieces[-1]
        if len(self.pieces) == 1:
            last.content.copy_to(storage, last.offset, last.start, last.size)
        else:
            read = [piece.content.read() for piece in self.pieces]
            data = [each.ljust(-(-len(each) // self.cluster_size) * self.cluster_size, b"\0") for each in read[:-1]]
            storage.write_at(self.offset, b"".join([*data, read[-1]]))
        if self.clear and last.size % self.cluster_size:
            storage.write_at(last.offset + last.size, bytes(self.cluster_size - last.size % self.cluster_size))


def gather(pieces: Iterable[Piece], cluster_size: int, *, clear: bool) -> Iterator[Copy]:
    """What copies ``pieces``, in the order of their offsets: small ones that follow one another together."""
    together: list[Piece] = []
    size = end = 0
    for piece in sorted(pieces, key=lambda each: each.offset):
        whole = -(-piece.size // cluster_size) * cluster_size
        # What follows a file in its last cluster is written, too: that must not be much.
        is_small = piece.size == piece.content.size and whole <= _SMALL and whole - piece.size < _PAGE
        if together and (not is_small or piece.offset != end or size + whole > _TOGETHER):
            yield Copy(together, cluster_size, clear)
            together, size = [], 0
        if is_small:
            together.append(piece)
            size, end = size + whole, piece.offset + whole
        else:
            yield Copy([piece], cluster_size, clear)
    if together:
        yield Copy(together, cluster_size, clear)
