"""Walking an index: all its entries in order, each block at most once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudboot_ntfs.errors import FixupError, IndexFormatError
from cloudboot_ntfs.layout import fixup
from cloudboot_ntfs.layout.constants import INDEX_HAS_CHILDREN, SECTOR, Type
from cloudboot_ntfs.layout.index import BLOCK_HEADER, Entry, parse_entries
from cloudboot_ntfs.layout.records import IndexBlock, IndexHeader, IndexRoot

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .mft import Mft, Record
    from .stream import Stream


class Index:
    """The index ``name`` of a file.

    Raises:
        AttributeMissingError: the file has none.
        IndexFormatError: its root is too short.
    """

    def __init__(self, mft: Mft, record: Record, name: str) -> None:
        self._mft, self._record, self.name = mft, record, name
        root = mft.stream(record, Type.INDEX_ROOT, name)
        self.root = root.read_at(0, min(root.size, 1 << 16))
        if len(self.root) < IndexRoot.SIZE + IndexHeader.SIZE:
            raise IndexFormatError(
                "the index root is too short", structure="IndexRoot", expected=IndexRoot.SIZE + IndexHeader.SIZE,
                actual=len(self.root), where={"record": record.number},
            )  # fmt: skip
        head = IndexRoot.unpack_from(self.root)
        self.block_size, self.collation, self.type = head.block_size, head.collation, head.type
        if not 512 <= self.block_size <= 1 << 16 or self.block_size & (self.block_size - 1):
            raise IndexFormatError(
                "the size of the index blocks cannot be", structure="IndexRoot", field="block_size",
                expected="a power of two from 512 to 65536", actual=self.block_size, where={"record": record.number},
            )  # fmt: skip
        geometry = mft.geometry
        self.vcn_size = geometry.cluster_size if geometry.cluster_size <= self.block_size else SECTOR
        self._has_data = name != "$I30"
        self._blocks: Stream | None = None

    @property
    def is_large(self) -> bool:
        """Whether the root has nodes below it."""
        return bool(IndexHeader.unpack_from(self.root, IndexRoot.SIZE).flags & INDEX_HAS_CHILDREN)

    def root_entries(self) -> list[Entry]:
        """The entries of the root node."""
        return self._entries(self.root, IndexRoot.SIZE, "IndexRoot", None)

    def blocks(self) -> Stream:
        """$INDEX_ALLOCATION.

        Raises:
            AttributeMissingError: there is none.
        """
        if self._blocks is None:
            self._blocks = self._mft.stream(self._record, Type.INDEX_ALLOCATION, self.name)
        return self._blocks

    def block_entries(self, vcn: int) -> list[Entry]:
        """The entries of the index block at ``vcn``.

        Raises:
            IndexFormatError: not a block of the index.
            FixupError: it was not written whole.
        """
        stream = self.blocks()
        start = vcn * self.vcn_size
        raw = stream.read_at(start, self.block_size)
        where: dict[str, int | str] = {"record": self._record.number, "vcn": vcn}
        if len(raw) < self.block_size or raw[:4] != b"INDX":
            raise IndexFormatError(
                "not an index block",
                structure="IndexBlock",
                field="signature",
                expected=b"INDX",
                actual=raw[:4],
                where=where,
            )
        block = bytearray(raw)
        try:
            fixup.restore(block, "IndexBlock")
        except FixupError as error:
            error.where.update(where)
            raise
        own = IndexBlock.unpack_from(block).vcn
        if own != vcn:
            raise IndexFormatError(
                "an index block of another place",
                structure="IndexBlock",
                field="vcn",
                expected=vcn,
                actual=own,
                where=where,
            )
        return self._entries(block, BLOCK_HEADER, "IndexBlock", vcn)

    def _entries(self, node: bytes | bytearray, header: int, what: str, vcn: int | None) -> list[Entry]:
        try:
            return parse_entries(node, header, what=what, has_data=self._has_data)
        except IndexFormatError as error:
            error.where.update({"record": self._record.number} | ({} if vcn is None else {"vcn": vcn}))
            raise

    def entries(self) -> Iterator[Entry]:
        """Every entry with a key, in the order of the index.

        Raises:
            IndexFormatError: a node that stands in two places, or as :meth:`block_entries`.
        """
        seen: set[int] = set()
        pending = [iter(self.root_entries())]
        after: list[Entry | None] = [None]
        while pending:
            waiting = after[-1]
            if waiting is not None:
                after[-1] = None
                if not waiting.is_last:
                    yield waiting
            entry = next(pending[-1], None)
            if entry is None:
                pending.pop()
                after.pop()
                continue
            after[-1] = entry
            if entry.child is not None:
                if entry.child in seen:
                    raise IndexFormatError(
                        "an index block stands in two places", structure="IndexEntry", field="vcn", actual=entry.child,
                        where={"record": self._record.number},
                    )  # fmt: skip
                seen.add(entry.child)
                pending.append(iter(self.block_entries(entry.child)))
                after.append(None)
