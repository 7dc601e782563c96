"""What a tree becomes: a record for each file, the entries of each directory, clusters for what is large."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from cloudboot_base.lightdata import NamedTuple, dataclass, field
from cloudboot_ntfs.errors import SourceError
from cloudboot_ntfs.layout import filename
from cloudboot_ntfs.layout.constants import (
    Collation,
    FileAttribute,
    Namespace,
    Number,
    RecordFlag,
    Type,
    reference,
)
from cloudboot_ntfs.layout.filename import namespace_of
from cloudboot_ntfs.layout.index import pack_entry, pack_root
from cloudboot_ntfs.layout.records import StandardInformation
from cloudboot_ntfs.layout.runlist import Run
from cloudboot_ntfs.reader.reparse import MAX_SIZE as MAX_REPARSE
from cloudboot_ntfs.reader.reparse import symlink_data
from cloudboot_ntfs.upcase import units, upcase

from . import btree
from .content import Content, MemoryContent
from .placement import ALIGNED_SIZE, Allocator, Placed, alignment, contiguous, place, resident, resident_size
from .record import Packed, capacity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloudboot_ntfs.layout.boot import Geometry
    from cloudboot_ntfs.layout.filename import Name

    from .options import Options
    from .secure import Descriptors
    from .source import Node

#: The first record of a file from the tree; those before are kept for what Windows puts into $Extend.
FIRST_RECORD: Final = 64
_MAX_LINKS: Final = 1024
_STANDARD_INFORMATION: Final = StandardInformation.LAYOUT.struct()
#: Bytes of the bitmap of an index that stands in the record at most.
_RESIDENT_BITMAP: Final = 128
#: Bytes that everything beside a reparse point needs in a record.
_BESIDE_REPARSE: Final = 300

#: What goes into clusters: the first, and the pieces that are written from there on.
Blocks = tuple[int, list[bytes]]


_EMPTY: Final = MemoryContent(b"")
#: As numbers: operators of enum.Flag are slow, and files are many.
_DIRECTORY, _ARCHIVE = int(FileAttribute.DIRECTORY), int(FileAttribute.ARCHIVE)
_SPARSE, _REPARSE_POINT = int(FileAttribute.SPARSE), int(FileAttribute.REPARSE_POINT)
_FILE_FLAGS, _DIRECTORY_FLAGS = int(RecordFlag.IN_USE), int(RecordFlag.IN_USE | RecordFlag.DIRECTORY)


class Place(NamedTuple):
    """A name of a file: in which directory, and of which kind."""

    parent: int  #: record
    parent_sequence: int
    name: str
    namespace: Namespace


@dataclass(slots=True, eq=False)
class Item:
    """A file or directory with its record."""

    number: int
    node: Node
    sequence: int = 1
    names: list[Place] = field(default_factory=list)
    keys: Sequence[bytes] = ()  #: the names, each as $FILE_NAME; indexes have them too
    reparse: bytes = b""
    reparse_placed: Placed | None = None  #: a reparse point that does not fit the record
    value: bytes | None = None  #: content that stands in the record
    placed: Placed | None = None
    streams: Sequence[tuple[str, bytes | None, Placed | None]] = ()
    index: Sequence[Packed] = ()
    blocks: Sequence[Blocks] = ()

    @property
    def attributes(self) -> int:
        """File attributes, as $STANDARD_INFORMATION has them."""
        node = self.node
        found = node.attributes & ~_DIRECTORY
        if self.placed is not None and self.placed.is_sparse:
            found |= _SPARSE
        if self.reparse:
            found |= _REPARSE_POINT
        return found if node.is_directory else found | _ARCHIVE

    @property
    def flags(self) -> int:
        """Flags of the record."""
        return _DIRECTORY_FLAGS if self.node.is_directory else _FILE_FLAGS

    def name_files(self) -> None:
        """Pack the names, with what directories repeat."""
        size = allocated = 0
        if self.value is not None:
            size, allocated = len(self.value), -(-len(self.value) // 8) * 8
        elif self.placed is not None:
            size = self.placed.size
            allocated = self.placed.stored if self.placed.is_sparse else self.placed.clusters * self.placed.cluster_size
        attributes = self.attributes | (_DIRECTORY if self.node.is_directory else 0)
        tag = int.from_bytes(self.reparse[:4], "little") if self.reparse else 0
        times, sizes = self.node.times, (allocated, size)
        self.keys = [
            filename.pack(reference(parent, sequence), times, sizes, attributes, tag, namespace, name)
            for parent, sequence, name, namespace in self.names
        ]


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
        self._room = capacity(geometry.record_size)
        itself = Place(Number.ROOT, Number.ROOT, ".", Namespace.WIN32_AND_DOS)
        self.root = Item(Number.ROOT, root, sequence=Number.ROOT, names=[itself])
        self.items: list[Item] = []
        #: every directory, with what it holds: a file, and which of its names
        self._directories: list[tuple[Item, list[tuple[Item, int]]]] = []
        self._number()
        self._give_kinds()
        self.next_record = FIRST_RECORD + len(self.items)

    def _number(self) -> None:
        """A record for each node: directories level by level, names in order."""
        known: dict[int, Item] = {}
        pending = [self.root]
        items = self.items
        for parent in pending:
            children: list[tuple[Item, int]] = []
            node, where = parent.node, (parent.number, parent.sequence)
            short_names = node.short_names or {}
            for name, child in (node.children or {}).items():
                short = short_names.get(name)
                own = Place(*where, name, namespace_of(name) if short is None else Namespace.WIN32)
                item = known.get(id(child)) if child.link_count > 1 else None
                if item is None:
                    children.append((item := Item(FIRST_RECORD + len(items), child, names=[own]), 0))
                    items.append(item)
                    if child.link_count > 1:
                        known[id(child)] = item
                    if child.children is not None:
                        pending.append(item)
                else:
                    children.append((item, len(item.names)))
                    item.names.append(own)
                if short is not None:
                    children.append((item, len(item.names)))
                    item.names.append(Place(*where, short, Namespace.DOS))
                if len(item.names) > _MAX_LINKS:
                    raise SourceError("more names than a file of NTFS can have", member=name, expected=_MAX_LINKS)
            self._directories.append((parent, children))

    def _give_kinds(self) -> None:
        """Let files with several names have one for DOS at most: that of a pair, or else the first."""
        for item in self.items:
            if len(item.names) == 1:
                continue
            pairs = [own for own in item.names if own.namespace == Namespace.DOS]
            if len(pairs) > 1:
                raise SourceError("a file has one 8.3 name", member=pairs[0].name, actual=pairs[1].name)
            has_one = bool(pairs)
            for index, own in enumerate(item.names):
                if own.namespace == Namespace.WIN32_AND_DOS:
                    if has_one:
                        item.names[index] = own._replace(namespace=Namespace.POSIX)
                    has_one = True

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
        cluster_size = self._geometry.cluster_size
        streams: dict[tuple[int, str], Placed] = {}
        for item, name, content in pending:
            placed = place(content, files, cluster_size)
            if name:
                streams[item.number, name] = placed
            else:
                item.placed = placed
        for item in [self.root, *self.items]:
            if item.streams:
                item.streams = [(name, value, streams.get((item.number, name))) for name, value, _ in item.streams]
            if len(item.reparse) > self._reparse_room:
                item.reparse_placed = place(MemoryContent(item.reparse), files, cluster_size)
        for item in [self.root, *self.items]:
            item.name_files()
        for item, children in self._directories[1:]:
            self._index(item, children, (), allocator)
        if any(content.size >= ALIGNED_SIZE for _, _, content in pending):
            allocator.align(alignment(cluster_size))
        first = allocator.take_all(files)
        for item in [self.root, *self.items]:
            for own in (item.placed, item.reparse_placed, *(each[2] for each in item.streams)):
                if own is not None:
                    _move(own, first)

    def place_root(self, system_names: Sequence[tuple[int, Name]], allocator: Allocator) -> None:
        """Make the index of the root: what the tree has there, and files of the volume as ``(reference, name)``."""
        self._index(self.root, self._directories[0][1], system_names, allocator)

    @property
    def _reparse_room(self) -> int:
        """Bytes of a reparse point that stands in the record at most."""
        return self._room - _BESIDE_REPARSE

    def _place_reparse(self, item: Item) -> None:
        node = item.node
        if node.link is not None:
            item.reparse = symlink_data(node.link)
        elif node.reparse:
            item.reparse = node.reparse
        if len(item.reparse) > MAX_REPARSE:
            raise SourceError(
                "the reparse point, or the target of the link, is too long", member=item.names[0].name,
                expected=f"at most {MAX_REPARSE} bytes",
            )  # fmt: skip

    def _residents(self, item: Item, pending: list[tuple[Item, str, Content]]) -> None:
        """Keep content in the record where it fits beside everything else; note the rest."""
        node = item.node
        used = 24 + StandardInformation.SIZE + _names_size(item)
        used += resident_size(min(len(item.reparse), _RESIDENT_BITMAP)) if item.reparse else 0
        if not node.is_directory:
            content = node.content if node.content is not None else _EMPTY
            room = self._room - used - (80 * len(node.streams))
            size = resident_size(content.size)
            if not content.size or size <= room:
                item.value = content.read()
                used += size
            else:
                pending.append((item, "", content))
                used += 80
        if node.streams:
            self._streams(item, pending, used)

    def _streams(self, item: Item, pending: list[tuple[Item, str, Content]], used: int) -> None:
        room = self._room - (300 if item.node.is_directory else 0)
        found: list[tuple[str, bytes | None, Placed | None]] = []
        for name, content in sorted(item.node.streams.items(), key=lambda each: upcase(each[0])):
            size = resident_size(content.size, name)
            if not content.size or used + size <= room:
                found.append((name, content.read(), None))
                used += size
            else:
                found.append((name, None, None))
                pending.append((item, name, content))
                used += 96
        item.streams = found

    def _index(
        self,
        item: Item,
        children: list[tuple[Item, int]],
        system_names: Sequence[tuple[int, Name]],
        allocator: Allocator,
    ) -> None:
        entries = []
        for child, index in children:
            name = child.names[index].name
            where = reference(child.number, child.sequence)
            entries.append((upcase(name), name, where, child.keys[index]))
        entries += [(upcase(each.name), each.name, where, each.pack()) for where, each in system_names]
        entries.sort(key=lambda each: each[:2])
        packed = [pack_entry(key, reference=where) for _, _, where, key in entries]
        streams = sum(resident_size(len(value or b""), name) + 96 for name, value, _ in item.streams)
        # $STANDARD_INFORMATION, and the heads of $INDEX_ROOT and its node.
        room = self._room - 96 - _names_size(item) - streams - 64
        item.index, item.blocks = make_index(packed, "$I30", self._geometry, room, allocator)

    def security_of(self, item: Item) -> int:
        """The id of the security descriptor of a file."""
        return self._descriptors.id_of(item.node.security or self._options.security)

    def attributes(self, item: Item) -> list[Packed]:
        """The attributes of a file, in order."""
        node = item.node
        security = self.security_of(item)
        found = [standard_information(node.times, item.attributes, security)]
        found += [resident(Type.FILE_NAME, name, indexed=True) for name in item.keys]
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
        if item.reparse_placed is not None:
            found += item.reparse_placed.attributes(Type.REPARSE_POINT)
        elif item.reparse:
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
    return sum([resident_size(66 + 2 * len(units(own.name))) for own in item.names])


def _move(placed: Placed, by: int) -> None:
    placed.runs = [run if run.lcn is None else run._replace(lcn=run.lcn + by) for run in placed.runs]
    placed.pieces = [(lcn + by, start, count) for lcn, start, count in placed.pieces]


def standard_information(times: int | tuple[int, int, int, int], attributes: int, security_id: int) -> Packed:
    """$STANDARD_INFORMATION: when the file was made, modified, changed and read, or one time for all."""
    stated = times if isinstance(times, tuple) else (times,) * 4
    value = _STANDARD_INFORMATION.pack(*stated, attributes & 0xFFFF, 0, 0, 0, 0, security_id, 0, 0)
    return resident(Type.STANDARD_INFORMATION, value)


def make_index(  # noqa: PLR0917 -- what an index is made of, in the order of its attributes
    entries: list[bytes], name: str, geometry: Geometry, room: int, allocator: Allocator, collation: int | None = None
) -> tuple[list[Packed], list[Blocks]]:
    """The attributes of an index, and its blocks with the cluster they start at; a large bitmap is one more."""
    is_names = name == "$I30"
    tree = btree.build(entries, room=room, block_size=geometry.index_size, vcn_size=geometry.index_vcn_size)
    order = Collation.FILE_NAME if collation is None else collation
    per_block = geometry.index_size // geometry.index_vcn_size
    root = pack_root(
        Type.FILE_NAME if is_names else 0, order, geometry.index_size, per_block, tree.root, large=tree.is_large
    )
    found = [resident(Type.INDEX_ROOT, root, name)]
    if not tree.is_large:
        return found, []
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
    blocks = [(lcn, tree.blocks)]
    if len(data) <= _RESIDENT_BITMAP:
        found.append(resident(Type.BITMAP, data, name))
    else:
        clusters = -(-len(data) // geometry.cluster_size)
        at = allocator.take(clusters)
        blocks.append((at, [data.ljust(clusters * geometry.cluster_size, b"\0")]))
        found += contiguous(Type.BITMAP, at, len(data), geometry.cluster_size, name)
    return found, blocks
