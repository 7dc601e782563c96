"""What is to be stored: a tree of nodes, filled by a source and placed by the allocator."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from cloudboot_base.lightdata import NamedTuple, dataclass
from cloudboot_ufs2.layout.constants import MAXSYMLINKLEN

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cloudboot_ufs2.reader.extattr import Attribute

    from .content import Content


class Extent(NamedTuple):
    """Consecutive fragments that hold consecutive bytes of a file."""

    block: int  #: logical block number of the first byte
    address: int  #: first fragment
    fragments: int


@dataclass(slots=True, eq=False)
class Node:
    """A file, directory or symbolic link. A hard link is the same node under another name."""

    mode: int  #: type and permissions
    uid: int
    gid: int
    mtime_ns: int
    size: int = 0
    content: Content | None = None
    children: dict[bytes, Node] | None = None
    links: int = 1
    flags: int = 0  #: di_flags
    device: int = 0  #: di_rdev, of a device
    sparse: bool = False  #: whether its content has holes
    attributes: tuple[Attribute, ...] = ()  #: extended ones
    # Where it is placed:
    inode: int = 0
    parent: int = 0  #: inode number of a directory's parent
    depth: int = 0  #: levels below the root, of a directory
    extents: Sequence[Extent] = ()
    indirects: Sequence[tuple[int, int, int]] = ()  #: (level, index within the level, address)
    attribute_extents: Sequence[Extent] = ()

    @property
    def kind(self) -> int:
        """d_type."""
        return self.mode >> 12 & 15  # dir.h, IFTODT

    @property
    def inline(self) -> bool:
        """Whether it is a symbolic link short enough to be in its inode."""
        return self.size < MAXSYMLINKLEN and stat.S_ISLNK(self.mode)


def directories(root: Node) -> Iterator[Node]:
    """All directories below and with ``root``, parents first."""
    pending = [root]
    while pending:
        node = pending.pop()
        yield node
        if node.children:
            pending.extend(child for child in reversed(node.children.values()) if child.children is not None)


def nodes(root: Node) -> Iterator[Node]:
    """Every node once, hard links included only under their first name."""
    seen: set[int] = set()
    yield root
    for directory in directories(root):
        for child in (directory.children or {}).values():
            if child.links > 1 and child.children is None:
                if id(child) in seen:
                    continue
                seen.add(id(child))
            yield child


def device_number(major: int, minor: int) -> int:
    """The number of a device as FreeBSD has it since version 12 (sys/types.h, makedev)."""
    return (major & 0xFFFFFF00) << 32 | (major & 0xFF) << 8 | (minor & 0xFF00) << 24 | minor & 0xFFFF00FF
