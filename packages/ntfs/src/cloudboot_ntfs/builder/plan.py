"""What a tree becomes: a record for each file, the entries of each directory, clusters for what is large."""

from __future__ import annotations

import dataclasses
import struct
from typing import TYPE_CHECKING, Final

from cloudboot_ntfs.errors import SourceError
from cloudboot_ntfs.layout.constants import (
    Collation,
    FileAttribute,
    Namespace,
    Number,
    RecordFlag,
    Type,
    reference,
)
from cloudboot_ntfs.layout.filename import Name, namespace_of
from cloudboot_ntfs.layout.index import pack_entry, pack_root
from cloudboot_ntfs.layout.records import StandardInformation
from cloudboot_ntfs.layout.runlist import Run
from cloudboot_ntfs.reader.reparse import symlink_data
from cloudboot_ntfs.upcase import units, upcase

from . import btree
from .content import Content, MemoryContent
from .placing import Allocator, Placed, place, resident, resident_size
from .record import Packed, capacity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloudboot_ntfs.layout.boot import Geometry

    from .members import Node
    from .options import Options
    from .secure import Descriptors

#: The first record of a file from the tree; those before are kept for what Windows puts into $Extend.
FIRST_RECORD: Final = 64
_MAX_LINKS: Final = 1024


@dataclasses.dataclass(slots=True, eq=False)
class Item:
    """A file or directory with its record. ``names`` are ``(record of the directory, name)``."""

    number: int
    node: Node
    sequence: int = 1
    names: list[tuple[int, int, str]] = dataclasses.field(default_factory=list)
    reparse: bytes = b""
    value: bytes | None = None  #: content that stands in the record
    placed: Placed | None = None
    streams: list[tuple[str, bytes | None, Placed | None]] = dataclasses.field(default_factory=list)
    index: list[Packed] = dataclasses.field(default_factory=list)
    blocks: tuple[int, list[bytes]] | None = None

    @property
    def attributes(self) -> int:
        """File attributes, as $STANDARD_INFORMATION has them."""
        found = self.node.attributes & ~FileAttribute.DIRECTORY
        if self.placed is not None and self.placed.is_sparse:
            found |= FileAttribute.SPARSE
        if self.reparse:
            found |= FileAttribute.REPARSE_POINT
        if self.node.children is None and not self.node.is_directory:
            found |= FileAttribute.ARCHIVE
        return int(found)

    @property
    def flags(self) -> int:
        """Flags of the record."""
        return int(RecordFlag.IN_USE | (RecordFlag.DIRECTORY if self.node.is_directory else 0))

    def name(self, parent: int, parent_sequence: int, name: str) -> Name:
        """One of the names, with what directories repeat."""
        size = allocated = 0
        if self.value is not None:
            size, allocated = len(self.value), -(-len(self.value) // 8) * 8
        elif self.placed is not None:
            size = self.placed.size
            allocated = self.placed.stored if self.placed.is_sparse else self.placed.clusters * self.placed.cluster_size
        attributes = self.attributes | (FileAttribute.DIRECTORY if self.node.is_directory else 0)
        time = self.node.modified
        tag = int.from_bytes(self.reparse[:4], "little")
        where = reference(parent, parent_sequence)
        kind = Namespace.WIN32_AND_DOS if self.number == Number.ROOT else namespace_of(name)
        return Name(where, time, time, time, time, allocated, size, int(attributes), tag, kind, name)


class Plan:
    """Records and clusters for a tree."""

    def __init__(
        self,
        root: Node,
        options: Options,
        geometry: Geometry,
        descriptors: Descriptors,
    ) -> None:
        self._options, self._geometry, self._descriptors = options, geometry, descriptors
        self.root = Item(Number.ROOT, root, sequence=Number.ROOT, names=[(Number.ROOT, Number.ROOT, ".")])
        self.items: list[Item] = []
        self._directories: list[tuple[Item, list[tuple[str, Item]]]] = []
        self._number()
        self.next_record = FIRST_RECORD + len(self.items)

    def _number(self) -> None:
        """A record for each node: directories level by level, names in order."""
        known: dict[int, Item] = {}
        pending = [self.root]
        for parent in pending:
            children: list[tuple[str, Item]] = []
            node = parent.node
            for name, child in (node.children or {}).items():
                item = known.get(id(child)) if child.link_count > 1 else None
                if item is None:
                    item = Item(FIRST_RECORD + len(self.items), child)
                    self.items.append(item)
                    if child.link_count > 1:
                        known[id(child)] = item
                    if child.children is not None:
                        pending.append(item)
                item.names.append((parent.number, parent.sequence, name))
                if len(item.names) > _MAX_LINKS:
                    raise SourceError("more names than a file of NTFS can have", member=name, expected=_MAX_LINKS)
                children.append((name, item))
            self._directories.append((parent, children))

    def place(self, allocator: Allocator) -> None:
        """Decide what stands in records, and take clusters for the rest: directories first, then files.

        The root is placed by :meth:`place_root`, when the sizes of the files of the volume are known.
        """
        for item in self.items:
            self._place_reparse(item)
        pending: list[tuple[Item, str, Content]] = []
        for item in self.items:
            self._residents(item, pending)
        self._streams(self.root, pending, 0)
        # Sizes and sparseness are known before directories repeat them; holes are only asked for once.
        files = Allocator()
        for item, name, content in pending:
            placed = place(content, files, self._geometry.cluster_size)
            if name:
                item.streams = [(own, value, placed if own == name else other) for own, value, other in item.streams]
            else:
                item.placed = placed
        for item, children in self._directories[1:]:
            self._index(item, children, (), allocator)
        first = allocator.take(files.next)
        for item in [self.root, *self.items]:
            for own in (item.placed, *(each[2] for each in item.streams)):
                if own is not None:
                    _move(own, first)

    def place_root(self, system_names: Sequence[tuple[int, Name]], allocator: Allocator) -> None:
        """Make the index of the root: what the tree has there, and files of the volume as ``(reference, name)``."""
        self._index(self.root, self._directories[0][1], system_names, allocator)

    def _place_reparse(self, item: Item) -> None:
        node = item.node
        if node.link is not None:
            item.reparse = symlink_data(node.link)
            if len(item.reparse) > capacity(self._geometry.record_size) - 300:
                raise SourceError("the target of the link is too long", member=item.names[0][2], actual=len(node.link))
        elif node.reparse:
            item.reparse = node.reparse

    def _residents(self, item: Item, pending: list[tuple[Item, str, Content]]) -> None:
        """Keep content in the record where it fits beside everything else; note the rest."""
        node = item.node
        used = 24 + StandardInformation.SIZE + _names_size(item)
        used += resident_size(len(item.reparse)) if item.reparse else 0
        if not node.is_directory:
            content = node.content if node.content is not None else MemoryContent(b"")
            room = capacity(self._geometry.record_size) - used - (80 * len(node.streams))
            if not content.size or resident_size(content.size) <= room:
                item.value = content.read()
                used += resident_size(content.size)
            else:
                pending.append((item, "", content))
                used += 80
        self._streams(item, pending, used)

    def _streams(self, item: Item, pending: list[tuple[Item, str, Content]], used: int) -> None:
        for name, data in sorted(item.node.streams.items(), key=lambda each: upcase(each[0])):
            size = resident_size(len(data), name)
            if not data or used + size <= capacity(self._geometry.record_size) - (300 if item.node.is_directory else 0):
                item.streams.append((name, data, None))
                used += size
            else:
                item.streams.append((name, None, None))
                pending.append((item, name, MemoryContent(data)))
                used += 96

    def _index(
        self,
        item: Item,
        children: list[tuple[str, Item]],
        system_names: Sequence[tuple[int, Name]],
        allocator: Allocator,
    ) -> None:
        entries = [
            (
                upcase(name),
                name,
                reference(child.number, child.sequence),
                child.name(item.number, item.sequence, name).pack(),
            )
            for name, child in children
        ]
        entries += [(upcase(each.name), each.name, where, each.pack()) for where, each in system_names]
        entries.sort(key=lambda each: each[:2])
        packed = [pack_entry(key, reference=where) for _, _, where, key in entries]
        streams = sum(resident_size(len(value or b""), name) + 96 for name, value, _ in item.streams)
        # $STANDARD_INFORMATION, and the heads of $INDEX_ROOT and its node.
        room = capacity(self._geometry.record_size) - 96 - _names_size(item) - streams - 64
        item.index, item.blocks = make_index(packed, "$I30", self._geometry, room, allocator)

    def attributes(self, item: Item) -> list[Packed]:
        """The attributes of a file, in order."""
        node = item.node
        security = self._descriptors.id_of(node.security or self._options.security)
        found = [standard_information(node.modified, item.attributes, security)]
        names = [item.name(parent, sequence, name).pack() for parent, sequence, name in item.names]
        found += [resident(Type.FILE_NAME, name, indexed=True) for name in names]
        if item.value is not None:
            found.append(resident(Type.DATA, item.value))
        elif item.placed is not None:
            found += item.placed.attributes(Type.DATA)
        for name, value, placed in item.streams:
            if value is not None:
                found.append(resident(Type.DATA, value, name))
            elif placed is not None:
                found += placed.attributes(Type.DATA, name)
        found += item.index
        if not item.index and node.is_directory:  # a link to a directory, or a junction
            found += make_index([], "$I30", self._geometry, 1 << 10, Allocator())[0]
        if item.reparse:
            found.append(resident(Type.REPARSE_POINT, item.reparse))
        return found

    def reparse_keys(self) -> list[bytes]:
        """The entries of $Reparse:$R, in order: tag, then record."""
        keys = sorted(
            (int.from_bytes(item.reparse[:4], "little"), reference(item.number, item.sequence))
            for item in self.items
            if item.reparse
        )
        ordered = sorted(keys, key=lambda key: (key[0], key[1] & 0xFFFFFFFF, key[1] >> 32))
        return [pack_entry(struct.pack("<IQ", tag, where)) for tag, where in ordered]


def _names_size(item: Item) -> int:
    """Bytes that the names of a file take in its record."""
    return sum(resident_size(66 + 2 * len(units(name))) for _, _, name in item.names)


def _move(placed: Placed, by: int) -> None:
    placed.runs = [run if run.lcn is None else run._replace(lcn=run.lcn + by) for run in placed.runs]
    placed.pieces = [(lcn + by, start, count) for lcn, start, count in placed.pieces]


def standard_information(time: int, attributes: int, security_id: int) -> Packed:
    """$STANDARD_INFORMATION with all four times the same."""
    value = StandardInformation(time, time, time, time, attributes & 0xFFFF, security_id=security_id)
    return resident(Type.STANDARD_INFORMATION, value.pack())


def make_index(  # noqa: PLR0917 -- what an index is made of, in the order of its attributes
    entries: list[bytes], name: str, geometry: Geometry, room: int, allocator: Allocator, collation: int | None = None
) -> tuple[list[Packed], tuple[int, list[bytes]] | None]:
    """The attributes of an index, and its blocks with the cluster they start at."""
    is_names = name == "$I30"
    tree = btree.build(entries, room=room, block_size=geometry.index_size, vcn_size=geometry.index_vcn_size)
    order = Collation.FILE_NAME if collation is None else collation
    per_block = geometry.index_size // geometry.index_vcn_size
    root = pack_root(
        Type.FILE_NAME if is_names else 0, order, geometry.index_size, per_block, tree.root, large=tree.is_large
    )
    found = [resident(Type.INDEX_ROOT, root, name)]
    if not tree.is_large:
        return found, None
    size = len(tree.blocks) * geometry.index_size
    clusters = -(-size // geometry.cluster_size)
    lcn = allocator.take(clusters)
    # The allocation ends where its clusters do; blocks that are not used yet are free in the bitmap.
    whole = clusters * geometry.cluster_size
    found += Placed(size, clusters, geometry.cluster_size, [Run(0, clusters, lcn)], []).attributes(
        Type.INDEX_ALLOCATION, name
    )
    bits = (1 << len(tree.blocks)) - 1
    data = bits.to_bytes(-(-(whole // geometry.index_size) // 64) * 8, "little")
    found.append(resident(Type.BITMAP, data, name))
    return found, (lcn, tree.blocks)
