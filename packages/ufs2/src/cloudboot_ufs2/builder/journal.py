"""The journal of soft updates: a file of zeros in the root directory that FreeBSD finds by its name.

newfs leaves it to tunefs(8) (``journal_alloc``). A mount writes to its blocks directly, so it has no holes and ends
with a whole block, and flags keep everybody else from touching it.
"""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from cloudboot_ufs2.errors import SourceError
from cloudboot_ufs2.layout.constants import SF_IMMUTABLE, SF_NOUNLINK, SUJ_FILE, SUJ_MAX, SUJ_MIN, UF_NODUMP
from cloudboot_ufs2.layout.geometry import roundup
from cloudboot_vfs.notices import shown

from .node import Node
from .source import finish

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloudboot_ufs2.layout.geometry import Geometry
    from cloudboot_ufs2.layout.options import Options

    from .content import Target


class Zeros:
    """Content that is all zeros, and written."""

    def ranges(self, size: int) -> list[tuple[int, int]]:
        """All of it: a journal has no holes."""
        return [(0, size)]

    def read(self, size: int) -> bytes:
        """``size`` zeros."""
        return bytes(size)

    def copy(self, pieces: Sequence[tuple[int, int, int]], size: int, target: Target) -> None:  # noqa: ARG002 -- protocol
        """Write each piece."""
        for _, length, offset in pieces:
            target.zero(offset, length)


def journal_size(geometry: Geometry, wanted: int | None = None) -> int:
    """Bytes of the journal: ``wanted``, or what tunefs takes for a file system of this size; whole blocks."""
    size = wanted
    if size is None:
        # tunefs multiplies fragments by the size of a block, and means a 1024th of the file system by it.
        size = min(SUJ_MAX, geometry.size * geometry.block_size // 1024)
        size = max(SUJ_MIN, min(size, geometry.group_fragments * geometry.fragment_size))
    return roundup(size, geometry.block_size)


def add_journal(root: Node, options: Options, size: int) -> Node:
    """Put a journal of ``size`` bytes, which can be changed until it is placed, into a finished tree.

    Raises:
        SourceError: the tree has a file of that name.
    """
    children = root.children if root.children is not None else {}
    if SUJ_FILE in children:
        raise SourceError("the journal has this name; leave the file out of the source", member=shown(b"/" + SUJ_FILE))
    flags = SF_IMMUTABLE | SF_NOUNLINK | UF_NODUMP
    node = Node(stat.S_IFREG | 0o400, 0, 0, options.time * 1_000_000_000, size, Zeros(), flags=flags)
    children[SUJ_FILE] = node
    finish(root)
    return node
