"""Building an index from its sorted entries: nodes as full as they can be, from the leaves up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudboot_base.lightdata import NamedTuple
from cloudboot_ntfs.layout.constants import ENTRY_HAS_CHILD
from cloudboot_ntfs.layout.index import block_start, pack_block, pack_last

if TYPE_CHECKING:
    from collections.abc import Sequence


class Tree(NamedTuple):
    """The entries of the root, the last included, and the blocks below it."""

    root: list[bytes]
    blocks: list[bytes]

    @property
    def is_large(self) -> bool:
        """Whether there are nodes below the root."""
        return bool(self.blocks)


def with_child(entry: bytes, child: int) -> bytes:
    """An entry with a node below it."""
    length = int.from_bytes(entry[8:10], "little") + 8
    flags = int.from_bytes(entry[12:14], "little") | ENTRY_HAS_CHILD
    return (
        entry[:8]
        + length.to_bytes(2, "little")
        + entry[10:12]
        + flags.to_bytes(2, "little")
        + entry[14:]
        + child.to_bytes(8, "little")
    )


def build(entries: Sequence[bytes], *, room: int, block_size: int, vcn_size: int) -> Tree:
    """The index of ``entries``, which are in order and have no nodes below them.

    Args:
        entries: as :func:`~cloudboot_ntfs.layout.index.pack_entry` makes them.
        room: bytes of entries that fit into the root where it holds all of them; a root with nodes below it takes
            no more than 24.
        block_size: of an index block, bytes.
        vcn_size: what VCNs of the index count, bytes.
    """
    if sum(map(len, entries)) + 16 <= room:
        return Tree([*entries, pack_last()], [])
    step = max(1, block_size // vcn_size)
    blocks: list[bytes] = []
    level: list[tuple[bytes, int | None]] = [(entry, None) for entry in entries]
    last: int | None = None
    while True:
        nodes, separators = _split(level, block_size - block_start(block_size) - (16 if last is None else 24))
        above: list[tuple[bytes, int | None]] = []
        for index, node in enumerate(nodes):
            child = separators[index][1] if index < len(separators) else last
            packed = [entry if below is None else with_child(entry, below) for entry, below in node]
            vcn = len(blocks) * step
            blocks.append(pack_block(vcn, block_size, [*packed, pack_last(child)], has_children=child is not None))
            if index < len(separators):
                above.append((separators[index][0], vcn))
            else:
                last = vcn
        if not above:
            return Tree([pack_last(last)], blocks)
        level = above


def _split(
    level: Sequence[tuple[bytes, int | None]], room: int
) -> tuple[list[list[tuple[bytes, int | None]]], list[tuple[bytes, int | None]]]:
    """Nodes of at most ``room`` bytes of entries, and the entries that separate them in the level above."""
    nodes: list[list[tuple[bytes, int | None]]] = [[]]
    separators: list[tuple[bytes, int | None]] = []
    used = 0
    for entry, child in level:
        size = len(entry) + (0 if child is None else 8)
        if used + size > room:
            separators.append((entry, child))
            nodes.append([])
            used = 0
        else:
            nodes[-1].append((entry, child))
            used += size
    if not nodes[-1] and separators:
        # The last node must not be empty: it takes its separator, and the node before gives the new one.
        nodes[-1].append(separators[-1])
        separators[-1] = nodes[-2].pop()
    return nodes, separators
