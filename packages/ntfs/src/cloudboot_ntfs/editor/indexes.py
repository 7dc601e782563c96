"""Indexes as sorted lists in memory; what changed is written as a new tree when the operation is over."""

from __future__ import annotations

import bisect
import struct
from typing import TYPE_CHECKING, NamedTuple

from cloudboot_ntfs.builder import btree
from cloudboot_ntfs.builder.placing import Placed, resident
from cloudboot_ntfs.builder.record import capacity
from cloudboot_ntfs.layout import filename
from cloudboot_ntfs.layout.constants import Type
from cloudboot_ntfs.layout.index import pack_entry, pack_root
from cloudboot_ntfs.reader.index import Index

from .draft import runs_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloudboot_ntfs.layout.filename import Name
    from cloudboot_ntfs.reader.volume import NTFS

    from .draft import Draft
    from .space import Space


class Item(NamedTuple):
    """An entry. ``order`` is what it is sorted by."""

    order: tuple[object, ...]
    key: bytes
    reference: int


class IndexDraft:
    """The entries of ``$I30`` or ``$R`` of a file, in order."""

    def __init__(self, volume: NTFS, number: int, name: str) -> None:
        self._volume, self.number, self.name = volume, number, name
        index = Index(volume.mft, volume.mft.file(number), name)
        self._block_size, self._vcn_size, self._collation = index.block_size, index.vcn_size, index.collation
        self._type = index.type
        self.items = [Item(self._order(entry.key), entry.key, entry.reference) for entry in index.entries()]
        self.changed = False

    @property
    def is_empty(self) -> bool:
        """Whether there is no entry."""
        return not self.items

    def _order(self, key: bytes) -> tuple[object, ...]:
        if self.name == "$I30":
            name = filename.parse(key).name
            return self._volume.fold(name), name
        return struct.unpack("<III", key)

    def _place(self, order: tuple[object, ...]) -> int:
        return bisect.bisect_left(self.items, order, key=lambda item: item.order)

    def add(self, key: bytes, reference: int) -> None:
        """Add an entry."""
        order = self._order(key)
        self.items.insert(self._place(order), Item(order, key, reference))
        self.changed = True

    def remove(self, key: bytes) -> None:
        """Take an entry away, if it is there."""
        order = self._order(key)
        place = self._place(order)
        if place < len(self.items) and self.items[place].order == order:
            del self.items[place]
            self.changed = True

    def named(self, folded: str) -> Iterator[Item]:
        """The entries of a name in any case."""
        place = self._place((folded, ""))
        while place < len(self.items) and self.items[place].order[0] == folded:
            yield self.items[place]
            place += 1

    def put_name(self, name: Name, reference: int) -> None:
        """Put a name in place of the entry of that name."""
        key = name.pack()
        self.remove(key)
        self.add(key, reference)

    def write(self, draft: Draft, space: Space, record_size: int) -> None:
        """Put the tree of the entries into the draft of the file; old blocks are given back."""
        clusters = self._volume.geometry.clusters
        space.release(runs_of(draft.all(Type.INDEX_ALLOCATION, self.name), clusters))
        for kind in (Type.INDEX_ROOT, Type.INDEX_ALLOCATION, Type.BITMAP):
            draft.remove(kind, self.name)
        room = capacity(record_size) - sum(len(each.data) for each in draft.attributes) - 64
        packed = [
            pack_entry(item.key, reference=item.reference) if self.name == "$I30" else pack_entry(item.key)
            for item in self.items
        ]
        tree = btree.build(packed, room=room, block_size=self._block_size, vcn_size=self._vcn_size)
        root = pack_root(
            self._type, self._collation, self._block_size, max(1, self._block_size // self._vcn_size), tree.root,
            large=tree.is_large,
        )  # fmt: skip
        draft.attributes.append(resident(Type.INDEX_ROOT, root, self.name))
        if tree.is_large:
            data = b"".join(tree.blocks)
            runs = space.store(data)
            count = sum(run.length for run in runs)
            placed = Placed(len(data), count, space.cluster_size, runs, [])
            draft.attributes += placed.attributes(Type.INDEX_ALLOCATION, self.name)
            bits = ((1 << len(tree.blocks)) - 1).to_bytes(-(-len(tree.blocks) // 64) * 8, "little")
            draft.attributes.append(resident(Type.BITMAP, bits, self.name))
        self.changed = False
