"""The B-tree of an index, changed node by node: a change reads and writes the nodes on its way, and no others."""

from __future__ import annotations

import bisect
import struct
from typing import TYPE_CHECKING, Final, Protocol

from cloudboot_ntfs.builder.btree import with_child
from cloudboot_ntfs.builder.placement import Placed, resident
from cloudboot_ntfs.builder.record import capacity
from cloudboot_ntfs.errors import IndexFormatError, NoSpaceError
from cloudboot_ntfs.layout import fixup
from cloudboot_ntfs.layout.constants import ENTRY_HAS_CHILD, SECTOR, Number, Type
from cloudboot_ntfs.layout.index import (
    BLOCK_HEADER,
    block_start,
    pack_block,
    pack_entry,
    pack_last,
    pack_root,
    parse_entries,
)
from cloudboot_ntfs.layout.records import FileName, IndexBlock, IndexEntry
from cloudboot_ntfs.layout.runlist import joined
from cloudboot_ntfs.reader.index import Index

from .draft import load, parsed, runs_of
from .stage import Layer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloudboot_ntfs.builder.record import Packed
    from cloudboot_ntfs.layout.filename import Name
    from cloudboot_ntfs.layout.index import Entry
    from cloudboot_ntfs.layout.runlist import Run
    from cloudboot_ntfs.reader.volume import NTFS

    from .draft import Draft
    from .space import Space

#: Levels that no index needs: one of them has a circle.
_MAX_DEPTH: Final = 32
#: Nodes of one index that are kept between operations.
_KEPT_NODES: Final = 8192
#: Blocks by which an index grows at most.
_MAX_GROWTH: Final = 16
#: Bytes of a bitmap up to which it stands in the record.
_RESIDENT_BITMAP: Final = 128
#: Bytes that a large index takes in its record beside the entries of its root.
_HEADS: Final = 64 + 64 + 80
#: Bytes that the root of a large index has for entries at least.
_LEAST_ROOM: Final = 112
_LAST: Final = pack_last()
_HEAD: Final = IndexEntry.SIZE
#: Where the length of a name stands in an entry of $I30, in UTF-16 code units, and where the name does.
_NAME_LENGTH: Final = _HEAD + FileName.LAYOUT.offsets["name_length"]
_NAME: Final = _HEAD + FileName.SIZE


class Item:
    """An entry, packed. What it is sorted by is worked out when it is first compared: most entries never are."""

    __slots__ = ("order", "packed")

    def __init__(self, packed: bytes, order: tuple[object, ...] | None = None) -> None:
        self.packed = packed  #: the entry without a node below it
        self.order = order

    @property
    def data(self) -> bytes:
        """The data of an entry that refers to no file."""
        start = int.from_bytes(self.packed[:2], "little")
        return self.packed[start : start + int.from_bytes(self.packed[2:4], "little")]

    @property
    def key(self) -> bytes:
        """The key."""
        return self.packed[_HEAD : _HEAD + int.from_bytes(self.packed[10:12], "little")]

    @property
    def reference(self) -> int:
        """Of the file that has the name."""
        return int.from_bytes(self.packed[:8], "little")


class Node:
    """A node: its entries, and the VCNs of the nodes before, between and after them; ``None`` in a leaf."""

    __slots__ = ("children", "items", "update", "vcn")

    def __init__(self, vcn: int | None, items: list[Item], children: list[int] | None, update: int = 0) -> None:
        self.vcn, self.items, self.children, self.update = vcn, items, children, update

    @property
    def size(self) -> int:
        """Bytes of its entries."""
        below = 8 * (len(self.items) + 1) if self.children is not None else 0
        return sum([len(item.packed) for item in self.items]) + 16 + below


class Clusters(Protocol):
    """What an index needs of what holds records and clusters, :class:`.table.Table`."""

    @property
    def space(self) -> Space:
        """The clusters that are free."""

    def read_runs(self, runs: list[Run], offset: int, size: int) -> bytes:
        """Bytes from an offset of what clusters hold."""

    def stage_runs(self, layer: Layer, runs: list[Run], offset: int, data: bytes, *, piece: int | None = None) -> None:
        """Write to clusters, with the operation; ``piece`` bytes at a time."""

    def zero(self, runs: list[Run]) -> None:
        """Fill clusters with zeros."""

    def store(self, draft: Draft) -> None:
        """Write the records of a file."""


class Tree:
    """An index of a file: ``$I30``, or one whose keys are sorted as numbers (``$R``, ``$O``)."""

    def __init__(self, volume: NTFS, table: Clusters, number: int, name: str) -> None:
        self._volume, self._table, self.number, self.name = volume, table, number, name
        draft = load(volume.mft, number)
        index = Index(volume.mft, volume.mft.file(number), name)
        self._block_size, self._vcn_size, self._collation = index.block_size, index.vcn_size, index.collation
        self._type = index.type
        self._layer = Layer.SECURE if number == Number.SECURE else Layer.BLOCK
        self._step = max(1, self._block_size // self._vcn_size)
        self._room = self._block_size - block_start(self._block_size)
        self._root_room = self._room_of_root(draft)
        self._runs = runs_of(draft.all(Type.INDEX_ALLOCATION, name), volume.geometry.clusters)
        bits = draft.all(Type.BITMAP, name)
        self._bitmap_runs = runs_of(bits, volume.geometry.clusters)
        self._bitmap = int.from_bytes(self._bits(bits), "little")
        self._blocks = 0
        if self._runs:
            self._blocks = index.blocks().size // self._block_size
        self._nodes: dict[int, Node] = {}
        self._root = self._made(None, index.root_entries(), index.root)
        self._head_changed = False
        self._changed: dict[Node, None] = {}  #: nodes other than the root that wait to be written, in order
        self._freed: dict[int, int] = {}  #: blocks that no longer hold anything, with their update sequence numbers

    def _bits(self, parts: list[Packed]) -> bytes:
        if not parts:
            return b""
        first = parsed(min(parts, key=lambda part: part.lowest_vcn))
        return first.value if first.resident else self._table.read_runs(self._bitmap_runs, 0, first.data_size)

    def _room_of_root(self, draft: Draft) -> int:
        own = (Type.INDEX_ROOT, Type.INDEX_ALLOCATION, Type.BITMAP)
        indexes = len(draft.all(Type.INDEX_ROOT))
        if indexes > 1:  # $Secure and $Quota have two, which share what the others leave
            others = sum(len(each.data) for each in draft.attributes if each.type not in own)
            return max(_LEAST_ROOM, (capacity(self._volume.geometry.record_size) - others) // indexes - _HEADS)
        others = sum(len(each.data) for each in draft.attributes if each.type not in own or each.name != self.name)
        limit = capacity(self._volume.geometry.record_size) - others
        # Heads of the attributes of a large index, and a little for names that come later.
        return max(200, limit - _HEADS - 40)

    # Reading

    def _order(self, packed: bytes) -> tuple[object, ...]:
        """What an entry is sorted by."""
        if self.name == "$I30":
            name = packed[_NAME : _NAME + 2 * packed[_NAME_LENGTH]].decode("utf-16-le", "surrogatepass")
            return self._volume.fold(name), name
        count = int.from_bytes(packed[10:12], "little") // 4
        return struct.unpack_from(f"<{count}I", packed, _HEAD)

    def _order_of(self, item: Item) -> tuple[object, ...]:
        order = item.order
        if order is None:
            order = item.order = self._order(item.packed)
        return order

    def _item(self, key: bytes, reference: int = 0, data: bytes = b"") -> Item:
        packed = pack_entry(key, reference=reference, data=data)
        return Item(packed, self._order(packed))

    def _made(self, vcn: int | None, entries: list[Entry], block: bytes | bytearray, update: int = 0) -> Node:
        if self.name == "$I30":
            items = [self._named(entry, block) for entry in entries if not entry.is_last]
        else:
            items = [self._numbered(entry, block) for entry in entries if not entry.is_last]
        children = [entry.child for entry in entries if entry.child is not None]
        if children and len(children) != len(entries):
            raise IndexFormatError(
                "some entries of a node have nodes below them and some have not", structure="IndexHeader",
                field="flags", where={"record": self.number},
            )  # fmt: skip
        return Node(vcn, items, children or None, update)

    def _named(self, entry: Entry, block: bytes | bytearray) -> Item:
        key = entry.key
        size = len(key)
        if size < FileName.SIZE or size < FileName.SIZE + 2 * key[_NAME_LENGTH - _HEAD]:
            raise IndexFormatError(
                "too short for a file name", structure="FileName", expected=FileName.SIZE, actual=size,
                where={"record": self.number},
            )  # fmt: skip
        if entry.child is None:
            packed = bytes(block[entry.offset : entry.offset + -(-(_HEAD + size) // 8) * 8])
            if packed[8:10] == len(packed).to_bytes(2, "little"):
                return Item(packed)  # as it is written here
        return Item(pack_entry(key, reference=entry.reference))

    def _numbered(self, entry: Entry, block: bytes | bytearray) -> Item:
        if not entry.data:
            return Item(pack_entry(entry.key))
        # What Windows pads it with stays.
        length = int.from_bytes(block[entry.offset + 8 : entry.offset + 10], "little")
        packed = bytearray(block[entry.offset : entry.offset + length - (0 if entry.child is None else 8)])
        packed[8:10] = len(packed).to_bytes(2, "little")
        packed[12:14] = (entry.flags & ~ENTRY_HAS_CHILD).to_bytes(2, "little")
        return Item(bytes(packed))

    def _node(self, vcn: int, depth: int = 0) -> Node:
        found = self._nodes.get(vcn)
        if depth > _MAX_DEPTH:
            raise IndexFormatError(
                "the index has a circle", structure="IndexEntry", field="vcn", actual=vcn, where={"record": self.number}
            )
        if found is None:
            found = self._nodes[vcn] = self._read(vcn)
        return found

    def _read(self, vcn: int) -> Node:
        data = self._table.read_runs(self._runs, vcn * self._vcn_size, self._block_size)
        where: dict[str, int | str] = {"record": self.number, "vcn": vcn}
        if len(data) < self._block_size or data[:4] != b"INDX":
            raise IndexFormatError(
                "not an index block", structure="IndexBlock", field="signature", expected=b"INDX", actual=data[:4],
                where=where,
            )  # fmt: skip
        block = bytearray(data)
        fixup.restore(block, "IndexBlock")
        head = IndexBlock.unpack_from(block)
        if head.vcn != vcn:
            raise IndexFormatError(
                "an index block of another place", structure="IndexBlock", field="vcn", expected=vcn, actual=head.vcn,
                where=where,
            )  # fmt: skip
        update = struct.unpack_from("<H", block, struct.unpack_from("<H", block, 4)[0])[0]
        entries = parse_entries(block, BLOCK_HEADER, what="IndexBlock", has_data=self.name != "$I30")
        return self._made(vcn, entries, block, update)

    @property
    def is_empty(self) -> bool:
        """Whether there is no entry."""
        return next(self.items(), None) is None

    def items(self) -> Iterator[Item]:
        """All entries, in order.

        Raises:
            IndexFormatError: a block stands in two places.
        """
        return self._after(None)

    def named(self, folded: str) -> Iterator[Item]:
        """The entries of a name in any case."""
        return self.beginning((folded,))

    def beginning(self, order: tuple[object, ...]) -> Iterator[Item]:
        """The entries whose order begins so."""
        for item in self._after(order):
            if self._order_of(item)[: len(order)] != order:
                return
            yield item

    def last(self) -> Item | None:
        """The last entry, or ``None``."""
        node, depth = self._root, 0
        while node.children is not None:
            depth += 1
            node = self._node(node.children[-1], depth)
        if node.items or node is self._root:
            return node.items[-1] if node.items else None
        return max(self.items(), key=self._order_of, default=None)  # an empty leaf, which only other programs leave

    def _after(self, order: tuple[object, ...] | None) -> Iterator[Item]:
        """The entries from ``order`` on."""
        seen: set[int] = set()
        stack: list[list[object]] = []

        def enter(node: Node, *, at_start: bool) -> None:
            while True:
                place = 0 if at_start or order is None else bisect.bisect_left(node.items, order, key=self._order_of)
                stack.append([node, place])
                if node.children is None:
                    return
                vcn = node.children[place]
                if vcn in seen:
                    raise IndexFormatError(
                        "an index block stands in two places", structure="IndexEntry", field="vcn", actual=vcn,
                        where={"record": self.number},
                    )  # fmt: skip
                seen.add(vcn)
                node = self._node(vcn, len(stack))

        enter(self._root, at_start=False)
        while stack:
            node, place = stack[-1]
            assert isinstance(node, Node) and isinstance(place, int)  # noqa: S101, PT018 -- for type checkers
            if place >= len(node.items):
                stack.pop()
                continue
            yield node.items[place]
            stack[-1][1] = place + 1
            if node.children is not None:
                vcn = node.children[place + 1]
                seen.add(vcn)
                enter(self._node(vcn, len(stack)), at_start=True)

    def _path(self, order: tuple[object, ...]) -> tuple[list[tuple[Node, int]], bool]:
        """The nodes from the root to where ``order`` is or belongs, each with the place in it."""
        path: list[tuple[Node, int]] = []
        node = self._root
        while True:
            place = bisect.bisect_left(node.items, order, key=self._order_of)
            path.append((node, place))
            if place < len(node.items) and self._order_of(node.items[place]) == order:
                return path, True
            if node.children is None:
                return path, False
            node = self._node(node.children[place], len(path))

    # Changing

    def _dirty(self, node: Node) -> None:
        if node is self._root:
            self._head_changed = True
        else:
            self._changed[node] = None

    def put(self, key: bytes, reference: int) -> None:
        """Add an entry, or let it take the place of the one of the same order."""
        self._put(self._item(key, reference))

    def put_packed(self, packed: bytes) -> None:
        """:meth:`put` an entry that is packed, without a node below it."""
        self._put(Item(packed, self._order(packed)))

    def _put(self, item: Item) -> None:
        path, found = self._path(self._order_of(item))
        node, place = path[-1]
        if found:
            if node.items[place].packed != item.packed:
                node.items[place] = item
                self._dirty(node)
            return
        node.items.insert(place, item)
        self._dirty(node)
        self._split(path)

    def put_name(self, name: Name, reference: int) -> None:
        """:meth:`put` a name."""
        self.put(name.pack(), reference)

    def remove(self, key: bytes) -> None:
        """Take an entry away, if it is there."""
        path, found = self._path(self._order_of(self._item(key)))
        if not found:
            return
        node, place = path[-1]
        if node.children is None:
            del node.items[place]
            self._dirty(node)
            self._drop_empty(path)
            return
        # What comes before it takes its place.
        while path[-1][0].children is not None:
            above, index = path[-1]
            assert above.children is not None  # noqa: S101 -- for type checkers
            below = self._node(above.children[index], len(path))
            path.append((below, len(below.items)))
        leaf = path[-1][0]
        last = leaf.items.pop()
        node.items[place] = last
        self._dirty(leaf)
        self._dirty(node)
        self._drop_empty(path)
        self._settle(self._order_of(last))

    def _settle(self, order: tuple[object, ...]) -> None:
        """Split the node that has the entry of this order, if it holds too much."""
        path, found = self._path(order)
        if found:
            self._split(path)

    def _limit(self, node: Node) -> int:
        return self._root_room if node is self._root else self._room

    def _split(self, path: list[tuple[Node, int]]) -> None:
        """Split nodes that hold too much, from the last of the path up."""
        while path:
            node, place = path.pop()
            if node.size <= self._limit(node):
                return
            if node is self._root:
                below = self._new_node(node.items, node.children)
                node.items, node.children = [], [below.vcn or 0]
                self._dirty(node)
                path = [(node, 0), (below, place)]
                continue
            above, index = path[-1]
            assert above.children is not None  # noqa: S101 -- a node that is not the root has one above it
            middle = self._middle(node, place)
            children = node.children
            right = self._new_node(node.items[middle + 1 :], None if children is None else children[middle + 1 :])
            above.items.insert(index, node.items[middle])
            above.children.insert(index + 1, right.vcn or 0)
            node.items = node.items[:middle]
            node.children = None if children is None else children[: middle + 1]
            self._dirty(node)
            self._dirty(above)

    def _middle(self, node: Node, place: int) -> int:
        """Which entry goes up; names that come in their order leave full nodes behind."""
        count = len(node.items)
        if place == count - 1 and count >= 3:
            return count - 2
        half, total = node.size // 2, 0
        for index, item in enumerate(node.items):
            total += len(item.packed)
            if total >= half:
                return min(max(1, index), count - 2)
        return count // 2

    def _drop_empty(self, path: list[tuple[Node, int]]) -> None:
        """Free the last node of the path if it is empty, and those above that become so.

        What separated it from its neighbour goes into the neighbour, with the node below it, if there is one.
        """
        while len(path) > 1:
            node, _ = path.pop()
            if node.items:
                break
            above, index = path[-1]
            assert above.children is not None  # noqa: S101 -- it has a node below it
            below = node.children[0] if node.children else None
            if not above.items:
                above.children = node.children
            else:
                is_last = index == len(above.items)
                neighbour = self._node(above.children[index - 1 if is_last else index + 1], len(path))
                if (neighbour.children is None) != (below is None):
                    raise IndexFormatError(
                        "the leaves of an index are not on one level", structure="IndexHeader", field="flags",
                        where={"record": self.number},
                    )  # fmt: skip
                separator = above.items.pop(index - 1 if is_last else index)
                above.children.pop(index)
                neighbour.items.insert(len(neighbour.items) if is_last else 0, separator)
                if below is not None and neighbour.children is not None:
                    neighbour.children.insert(len(neighbour.children) if is_last else 0, below)
                self._dirty(neighbour)
                self._free(node)
                self._dirty(above)
                self._settle(self._order_of(separator))
                continue
            self._free(node)
            self._dirty(above)
        self._pull_up()

    def _pull_up(self) -> None:
        """A root with nothing but one node below it takes that in, if it fits."""
        root = self._root
        while root.children is not None and not root.items:
            below = self._node(root.children[0], 1)
            if below.size > self._root_room - 100:  # not so tight that the next name pushes it down again
                return
            root.items, root.children = below.items, below.children
            self._free(below)
            self._dirty(root)

    # Blocks

    def _new_node(self, items: list[Item], children: list[int] | None) -> Node:
        free = (~self._bitmap & self._bitmap + 1).bit_length() - 1
        if free >= self._blocks:
            self._grow()
        self._bitmap |= 1 << free
        self._head_changed = True
        vcn = free * self._step
        node = self._nodes[vcn] = Node(vcn, items, children, self._freed.pop(vcn, 0))
        self._dirty(node)
        return node

    def _free(self, node: Node) -> None:
        if node.vcn is not None:
            self._bitmap &= ~(1 << node.vcn // self._step)
            self._nodes.pop(node.vcn, None)
            self._changed.pop(node, None)
            self._freed[node.vcn] = node.update
        self._head_changed = True

    def _grow(self) -> None:
        added = min(_MAX_GROWTH, max(1, self._blocks // 8))
        try:
            self._add_blocks(added)
        except NoSpaceError:
            if added == 1:
                raise
            self._add_blocks(1)

    def _add_blocks(self, added: int) -> None:
        cluster = self._volume.geometry.cluster_size
        have = sum(run.length for run in self._runs)
        need = -(-(self._blocks + added) * self._block_size // cluster)
        if need > have:
            last = self._runs[-1] if self._runs else None
            near = None if last is None or last.lcn is None else last.lcn + last.length
            more = self._table.space.allocate(need - have, vcn=have, near=near)
            self._table.zero(more)
            self._runs = joined(self._runs + more)
        self._blocks += added
        self._head_changed = True

    # Writing

    def write(self) -> None:
        """Put what changed into the stage: blocks, and the attributes of the index in its file's record."""
        if self._root.children is None and self._runs:
            self._table.space.release([*self._runs, *self._bitmap_runs])
            self._runs, self._bitmap_runs, self._blocks, self._bitmap = [], [], 0, 0
            self._nodes.clear()
            self._changed.clear()
            self._freed.clear()
        for vcn, update in self._freed.items():
            # Readers that look at every block, whatever the bitmap says, find no old names.
            self._write_block(Node(vcn, [], None, update))
        self._freed.clear()
        for node in self._changed:
            self._write_block(node)
        self._changed.clear()
        if self._head_changed:
            draft = load(self._volume.mft, self.number)
            self._put_head(draft)
            self._table.store(draft)
        self._head_changed = False
        if len(self._nodes) > _KEPT_NODES:
            for vcn in list(self._nodes)[: _KEPT_NODES // 4]:  # those that were read first
                del self._nodes[vcn]

    @property
    def has_changed(self) -> bool:
        """Whether there is anything to be written."""
        return self._head_changed or bool(self._changed)

    @property
    def kept(self) -> int:
        """How many nodes are kept in memory."""
        return len(self._nodes)

    def _packed(self, node: Node) -> list[bytes]:
        if node.children is None:
            return [*[item.packed for item in node.items], _LAST]
        packed = [with_child(item.packed, child) for item, child in zip(node.items, node.children, strict=False)]
        return [*packed, pack_last(node.children[-1])]

    def _write_block(self, node: Node) -> None:
        node.update = node.update + 1 & 0xFFFF or 1
        data = pack_block(
            node.vcn or 0, self._block_size, self._packed(node), has_children=node.children is not None,
            update=node.update,
        )  # fmt: skip
        self._table.stage_runs(self._layer, self._runs, (node.vcn or 0) * self._vcn_size, data)

    def _put_head(self, draft: Draft) -> None:
        for kind in (Type.INDEX_ROOT, Type.INDEX_ALLOCATION, Type.BITMAP):
            draft.remove(kind, self.name)
        root = pack_root(
            self._type, self._collation, self._block_size, self._step, self._packed(self._root),
            large=self._root.children is not None,
        )  # fmt: skip
        draft.attributes.append(resident(Type.INDEX_ROOT, root, self.name))
        if not self._runs:
            return
        cluster = self._volume.geometry.cluster_size
        count = sum(run.length for run in self._runs)
        placed = Placed(self._blocks * self._block_size, count, cluster, self._runs, [])
        draft.attributes += placed.attributes(Type.INDEX_ALLOCATION, self.name)
        self._put_bitmap(draft)

    def _put_bitmap(self, draft: Draft) -> None:
        size = -(-self._blocks // 64) * 8
        data = self._bitmap.to_bytes(size, "little")
        if size <= _RESIDENT_BITMAP and not self._bitmap_runs:
            draft.attributes.append(resident(Type.BITMAP, data, self.name))
            return
        cluster = self._volume.geometry.cluster_size
        have, need = sum(run.length for run in self._bitmap_runs), -(-size // cluster)
        if need > have:
            self._bitmap_runs = joined(self._bitmap_runs + self._table.space.allocate(need - have, vcn=have))
        self._table.stage_runs(
            self._layer, self._bitmap_runs, 0, data.ljust(max(need, have) * cluster, b"\0"), piece=SECTOR
        )
        placed = Placed(size, max(need, have), cluster, self._bitmap_runs, [])
        draft.attributes += placed.attributes(Type.BITMAP, self.name)
