"""A model of a file system that knows POSIX and nothing of UFS, for tests: what is done to both has to look the same.

The same operations serve a state machine, which shrinks what fails, and :func:`random_operations`, whose result is
the same wherever it runs, so that another program can be asked what it sees.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, TypeAlias

from cloudboot_ufs2.builder.members import Directory, File, HardLink, Member, Symlink
from cloudboot_vfs.testing import Model as TreeModel
from cloudboot_vfs.testing import Node as TreeNode
from cloudboot_vfs.testing import pattern, refused, require_equal, walk

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Mapping

    from cloudboot_ufs2.editor.edit import WritableUFS2
    from cloudboot_ufs2.reader.reader import UFS2

    Opener: TypeAlias = Callable[[Callable[[], int]], WritableUFS2]

_STEP = 1_000_000_007  # nanoseconds between operations
_SHORT_NAMES = ("a", "b", "c", "d", "n" * 255, "m" * 200, "caf\u00e9")
_BLOCKS = (512, 4096, 8192, 65536)
_COUNTS = (1, 2, 7, 11, 12, 13, 20)


def status_of(volume: UFS2, path: str) -> tuple[int, ...]:
    """Mode, owner, group, links, size (of a directory -1) and the four times of ``path`` itself."""
    found = volume.stat(path, follow_symlinks=False)
    size = -1 if stat.S_ISDIR(found.st_mode) else found.st_size
    return (
        found.st_mode, found.st_uid, found.st_gid, found.st_nlink, size,
        found.st_atime_ns, found.st_mtime_ns, found.st_ctime_ns, found.st_birthtime_ns,
    )  # fmt: skip


class Node(TreeNode):
    """What the model knows of an inode."""

    def __init__(self, mode: int, now: int, data: bytes = b"", *, uid: int = 0, gid: int = 0) -> None:
        """An inode of type and permissions ``mode``, all of whose times are ``now``."""
        super().__init__(mode, now, data, uid=uid, gid=gid)
        self.attributes: dict[str, bytes] = {}

    def status(self) -> tuple[int, ...]:
        """What :func:`status_of` should say."""
        size = -1 if self.is_dir else len(self.data)
        links = self.links
        return (self.mode, self.uid, self.gid, links, size, self.atime, self.mtime, self.ctime, self.birth)


class Model(TreeModel[Node]):
    """A volume and its model, with the owners, permissions and extended attributes of UFS."""

    node_type = Node
    volume: WritableUFS2

    def __init__(self, opener: Opener, now: int, members: Mapping[str, Member] | None = None) -> None:
        """Open the volume with ``opener``, which is given the clock; ``members`` are what was built into it.

        Every directory of ``members`` must be stated.
        """
        super().__init__(opener, now)
        self.root.atime = self.root.mtime = self.root.ctime = self.root.birth = self.volume.stat("/").st_mtime_ns
        for path, member in (members or {}).items():
            if not isinstance(member, HardLink):
                self._plant(path, _node_of(member))
        for path, member in (members or {}).items():
            if isinstance(member, HardLink):
                node = walk(self.root)[f"/{os.fsdecode(member.path)}"]
                node.links += 1
                self._plant(path, node)

    def members(self) -> dict[str, Member]:
        """The tree as :func:`.build` would take it, its root included."""
        found: dict[str, Member] = {".": _member_of(self.root)}
        first: dict[int, str] = {}
        for path, node in walk(self.root).items():
            name = path[1:]
            kept = first.setdefault(id(node), name)
            if kept != name:
                found[name] = HardLink(kept)
            else:
                found[name] = _member_of(node)
        return found

    def assert_same(self, volume: UFS2) -> None:
        """Compare ``volume`` with the model, every byte and every field.

        Raises:
            AssertionError: they differ.
        """
        nodes = walk(self.root)
        seen = {entry.path for _, directories, files in volume.walk() for entry in [*directories, *files]}
        require_equal("/", seen, set(nodes))
        require_equal("/", status_of(volume, "/"), self.root.status())
        inodes: dict[int, int] = {}
        for path, node in nodes.items():
            require_equal(path, status_of(volume, path), node.status())
            number = volume.find(path, follow_symlinks=False)
            require_equal(path, number, inodes.setdefault(id(node), number))
            if stat.S_ISREG(node.mode):
                require_equal(path, volume.read_file(path), bytes(node.data))
            elif stat.S_ISLNK(node.mode):
                require_equal(path, volume.readlink(path).encode(), bytes(node.data))
            attributes = volume.attributes(path, follow_symlinks=False)
            require_equal(path, {each.full_name: each.value for each in attributes}, node.attributes)
        require_equal("/", len(set(inodes.values())), len(inodes))

    # Inodes

    def chmod_chown(self, index: int, mode: int, uid: int, gid: int) -> None:
        """Change permissions and owner."""
        found = self.pick(index)
        if found is None:
            return
        path, node = found
        self.now += _STEP
        self.volume.chmod(path, mode, follow_symlinks=False)
        self.volume.chown(path, uid, gid, follow_symlinks=False)
        node.mode, node.uid, node.gid = stat.S_IFMT(node.mode) | mode, uid, gid
        node.ctime = self.now

    def utime(self, index: int, atime: int, mtime: int) -> None:
        """Change times."""
        found = self.pick(index)
        if found is None:
            return
        path, node = found
        self.now += _STEP
        self.volume.utime(path, atime_ns=atime, mtime_ns=mtime, follow_symlinks=False)
        node.atime, node.mtime, node.ctime = atime, mtime, self.now
        node.birth = min(node.birth, mtime)

    def setxattr(self, index: int, number: int, size: int) -> None:
        """Set one of a few extended attributes, or with a negative size remove it."""
        found = self.pick(index)
        if found is None:
            return
        path, node = found
        name = f"{'system' if number % 3 else 'user'}.attribute-{number}{'x' * (number * 7)}"
        self.now += _STEP
        done: list[bool] = []
        if size < 0:
            if name not in node.attributes:
                with refused(OSError):
                    self.volume.removexattr(path, name, follow_symlinks=False)
                return
            with self._room(done):
                self.volume.removexattr(path, name, follow_symlinks=False)
        else:
            with self._room(done):
                self.volume.setxattr(path, name, pattern(size, number), follow_symlinks=False)
        if done:
            node.ctime = self.now
            node.attributes.pop(name, None)
            if size >= 0:
                node.attributes[name] = pattern(size, number)


def _member_of(node: Node) -> Member:
    mode, data = node.mode & 0o7777, bytes(node.data)
    uid, gid, mtime_ns, xattrs = node.uid, node.gid, node.mtime, dict(node.attributes)
    if node.is_dir:
        return Directory(mode, uid=uid, gid=gid, mtime_ns=mtime_ns, xattrs=xattrs)
    if stat.S_ISLNK(node.mode):
        return Symlink(data, mode, uid=uid, gid=gid, mtime_ns=mtime_ns, xattrs=xattrs)
    return File(data, mode, uid=uid, gid=gid, mtime_ns=mtime_ns, xattrs=xattrs)


def _node_of(member: Member) -> Node:
    if isinstance(member, bytes):
        return Node(stat.S_IFREG | 0o644, 0, member)
    match member:
        case File(data=bytes(data)):
            kind = stat.S_IFREG
        case Directory():
            kind, data = stat.S_IFDIR, b""
        case Symlink():
            kind, data = stat.S_IFLNK, os.fsencode(member.target)
        case _:
            raise TypeError(f"{type(member).__name__} is not a member that a model can hold")
    node = Node(kind | member.mode, member.mtime_ns, data, uid=member.uid, gid=member.gid)
    node.attributes.update(member.xattrs)
    return node


def random_operations(model: Model, chance: random.Random, count: int) -> None:
    """``count`` operations, chosen by ``chance`` and weighted so that the tree neither explodes nor withers."""

    def number() -> int:
        return chance.randrange(1 << 16)

    def name() -> str:
        return chance.choice(_SHORT_NAMES)

    def size() -> int:
        if chance.random() < 0.5:
            return chance.randrange(5000)
        return max(0, chance.choice(_BLOCKS) * chance.choice(_COUNTS) + chance.randrange(-1, 2))

    def moment() -> int:
        return chance.randrange(-(1 << 60), 1 << 60)

    operations: list[tuple[int, Callable[[], None]]] = [
        (5, lambda: model.write_file(number(), name(), size(), chance.randrange(10))),
        (5, lambda: model.write_at(number(), size(), size(), append=chance.random() < 0.5)),
        (3, lambda: model.truncate(number(), size())),
        (3, lambda: model.mkdir(number(), name(), chance.randrange(0o10000))),
        (1, lambda: model.fill_directory(number(), chance.randrange(40), chance.randrange(1, 60))),
        (1, lambda: model.empty_directory(number(), chance.randrange(5))),
        (2, lambda: model.unlink_or_rmdir(number())),
        (2, lambda: model.link(number(), number(), name())),
        (2, lambda: model.symlink(number(), name(), chance.choice((1, 50, 119, 120, 121, 1000)))),
        (4, lambda: model.rename(number(), number(), name())),
        (2, lambda: model.chmod_chown(number(), chance.randrange(0o10000), number() << 16, number())),
        (2, lambda: model.utime(number(), moment(), moment())),
        (2, lambda: model.setxattr(number(), chance.randrange(6), chance.randrange(-300, 900))),
        (1, model.reopen),
    ]
    weights, calls = zip(*operations, strict=True)
    for _ in range(count):
        chance.choices(calls, weights)[0]()
