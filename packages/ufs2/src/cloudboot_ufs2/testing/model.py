"""A model of a file system that knows POSIX and nothing of UFS, for tests: what is done to both has to look the same.

The same operations serve a state machine, which shrinks what fails, and :func:`random_operations`, whose result is
the same wherever it runs, so that another program can be asked what it sees.
"""

from __future__ import annotations

import contextlib
import os
import stat
from typing import TYPE_CHECKING, TypeAlias

from cloudboot_ufs2.builder.mapping import Directory, File, HardLink, Member, Symlink
from cloudboot_ufs2.errors import NoSpaceError
from cloudboot_ufs2.testing import pattern

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator, Mapping

    from cloudboot_ufs2.editor.edit import WritableUFS2
    from cloudboot_ufs2.reader.reader import UFS2

    Opener: TypeAlias = Callable[[Callable[[], int]], WritableUFS2]

_STEP = 1_000_000_007  # nanoseconds between operations
_SHORT_NAMES = ("a", "b", "c", "d", "n" * 255, "m" * 200, "caf\u00e9")
_BLOCKS = (512, 4096, 8192, 65536)
_COUNTS = (1, 2, 7, 11, 12, 13, 20)


class Node:
    """What the model knows of an inode."""

    def __init__(self, mode: int, now: int, data: bytes = b"", *, uid: int = 0, gid: int = 0) -> None:
        """An inode of type and permissions ``mode``, all of whose times are ``now``."""
        self.mode, self.uid, self.gid, self.links = mode, uid, gid, 2 if stat.S_ISDIR(mode) else 1
        self.atime = self.mtime = self.ctime = self.birth = now
        self.data = bytearray(data)
        self.children: dict[str, Node] = {}
        self.attributes: dict[str, bytes] = {}

    @property
    def is_dir(self) -> bool:
        """Whether it is a directory."""
        return stat.S_ISDIR(self.mode)

    def modified(self, now: int) -> None:
        """The content changed."""
        self.mtime = self.ctime = now

    def status(self) -> tuple[int, ...]:
        """What :func:`status_of` should say."""
        size = -1 if self.is_dir else len(self.data)
        links = self.links
        return (self.mode, self.uid, self.gid, links, size, self.atime, self.mtime, self.ctime, self.birth)


def status_of(volume: UFS2, path: str) -> tuple[int, ...]:
    """Mode, owner, group, links, size (of a directory -1) and the four times of ``path`` itself."""
    found = volume.stat(path, follow_symlinks=False)
    size = -1 if stat.S_ISDIR(found.st_mode) else found.st_size
    return (
        found.st_mode, found.st_uid, found.st_gid, found.st_nlink, size,
        found.st_atime_ns, found.st_mtime_ns, found.st_ctime_ns, found.st_birthtime_ns,
    )  # fmt: skip


def walk(node: Node, path: str = "") -> dict[str, Node]:
    """Everything below ``node``, by path."""
    found = {}
    for name, child in node.children.items():
        found[f"{path}/{name}"] = child
        found.update(walk(child, f"{path}/{name}"))
    return found


@contextlib.contextmanager
def refused(*errors: type[Exception]) -> Iterator[None]:
    """The block must raise one of ``errors``.

    Raises:
        AssertionError: it does not.
    """
    try:
        yield
    except errors:
        return
    raise AssertionError(f"nothing was raised of {errors}")


class Model:
    """A volume and its model. Every operation is done to both; one the volume has no room for, to neither.

    Operations name what they work on by number, which is taken modulo the count of what there is.
    """

    def __init__(self, opener: Opener, now: int, members: Mapping[str, Member] | None = None) -> None:
        """Open the volume with ``opener``, which is given the clock; ``members`` are what was built into it.

        Every directory of ``members`` must be stated.
        """
        self._opener = opener
        self.now = now
        self.volume = opener(self.clock)
        self.root = Node(stat.S_IFDIR | 0o755, self.volume.stat("/").st_mtime_ns)
        for path, member in (members or {}).items():
            if not isinstance(member, HardLink):
                self._plant(path, _node_of(member))
        for path, member in (members or {}).items():
            if isinstance(member, HardLink):
                node = walk(self.root)[f"/{os.fsdecode(member.path)}"]
                node.links += 1
                self._plant(path, node)
        #: called when an operation failed for want of space
        self.full: Callable[[], None] = lambda: None

    def _plant(self, path: str, node: Node) -> None:
        parent, _, name = path.rpartition("/")
        folder = walk(self.root)[f"/{parent}"] if parent else self.root
        folder.children[name] = node
        folder.links += node.is_dir

    def clock(self) -> int:
        """The time of the model."""
        return self.now

    def reopen(self) -> None:
        """Close the volume and open it again."""
        self.volume.close()
        self.volume = self._opener(self.clock)

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
        _equal("/", seen, set(nodes))
        _equal("/", status_of(volume, "/"), self.root.status())
        inodes: dict[int, int] = {}
        for path, node in nodes.items():
            _equal(path, status_of(volume, path), node.status())
            number = volume.find(path, follow_symlinks=False)
            _equal(path, number, inodes.setdefault(id(node), number))
            if stat.S_ISREG(node.mode):
                _equal(path, volume.read_file(path), bytes(node.data))
            elif stat.S_ISLNK(node.mode):
                _equal(path, volume.readlink(path).encode(), bytes(node.data))
            attributes = volume.attributes(path, follow_symlinks=False)
            _equal(path, {each.full_name: each.value for each in attributes}, node.attributes)
        _equal("/", len(set(inodes.values())), len(inodes))

    # What operations work on

    def pick(self, index: int, *, kind: int | None = None, root: bool = False) -> tuple[str, Node] | None:
        """One of the paths; of type ``kind`` if that is given, and perhaps the ``root``."""
        found = [("", self.root)] if root else []
        found += sorted(walk(self.root).items())
        suitable = [(path, node) for path, node in found if kind is None or stat.S_IFMT(node.mode) == kind]
        return suitable[index % len(suitable)] if suitable else None

    def folder(self, index: int) -> tuple[str, Node]:
        """One of the directories."""
        found = self.pick(index, kind=stat.S_IFDIR, root=True)
        return found if found is not None else ("", self.root)

    @contextlib.contextmanager
    def _room(self, done: list[bool]) -> Iterator[None]:
        """``done`` becomes true unless there is no room."""
        try:
            yield
            done.append(True)
        except NoSpaceError:
            self.full()

    # Contents

    def write_file(self, where: int, name: str, size: int, seed: int) -> None:
        """Make or replace a file."""
        path, folder = self.folder(where)
        node, target = folder.children.get(name), f"{path}/{name}"
        self.now += _STEP
        if node is not None and node.is_dir:
            with refused(IsADirectoryError):
                self.volume.open_file(target, "wb")
            return
        if node is not None and stat.S_ISLNK(node.mode):
            return
        with self._room([]), self.volume.open_file(target, "wb") as file:
            if node is None:
                node = folder.children[name] = Node(stat.S_IFREG | 0o644, self.now)
                folder.modified(self.now)
            elif node.data:
                node.data.clear()
                node.modified(self.now)
            data = pattern(size, seed)
            file.write(data)
            node.data[:] = data
            if data:
                node.modified(self.now)

    def write_at(self, index: int, offset: int, size: int, *, append: bool) -> None:
        """Write somewhere in a file, or at its end."""
        found = self.pick(index, kind=stat.S_IFREG)
        if found is None:
            return
        path, node = found
        self.now += _STEP
        data = pattern(size, 5)
        offset = len(node.data) if append else offset
        done: list[bool] = []
        with self._room(done), self.volume.open_file(path, "ab" if append else "r+b") as file:
            if not append:
                file.seek(offset)
            _equal(path, file.write(data), size)
            _equal(path, file.tell(), offset + size)
        if done and size:
            node.data.extend(bytes(max(0, offset - len(node.data))))
            node.data[offset : offset + size] = data
            node.modified(self.now)

    def truncate(self, index: int, size: int) -> None:
        """Cut a file, or let it grow by a hole."""
        found = self.pick(index, kind=stat.S_IFREG)
        if found is None:
            return
        path, node = found
        self.now += _STEP
        done: list[bool] = []
        with self._room(done):
            self.volume.truncate(path, size)
        if done:
            del node.data[size:]
            node.data.extend(bytes(size - len(node.data)))
            node.modified(self.now)

    # Directories

    def mkdir(self, where: int, name: str, mode: int) -> None:
        """Make a directory."""
        path, folder = self.folder(where)
        self.now += _STEP
        if name in folder.children:
            with refused(FileExistsError):
                self.volume.mkdir(f"{path}/{name}")
            return
        done: list[bool] = []
        with self._room(done):
            self.volume.mkdir(f"{path}/{name}", mode)
        if done:
            folder.children[name] = Node(stat.S_IFDIR | mode, self.now)
            folder.links += 1
            folder.modified(self.now)

    def fill_directory(self, where: int, first: int, count: int) -> None:
        """Put many names of all lengths into a directory."""
        path, folder = self.folder(where)
        self.now += _STEP
        for number in range(first, first + count):
            name = f"{number:03}" + "x" * (number * 7 % 90)
            if name in folder.children:
                continue
            done: list[bool] = []
            with self._room(done), self.volume.open_file(f"{path}/{name}", "xb"):
                pass
            if not done:
                return
            folder.children[name] = Node(stat.S_IFREG | 0o644, self.now)
            folder.modified(self.now)

    def empty_directory(self, where: int, keep: int) -> None:
        """Remove all files of a directory, or with ``keep`` all but each of so many."""
        path, folder = self.folder(where)
        self.now += _STEP
        for number, (name, child) in enumerate(list(folder.children.items())):
            if not child.is_dir and (not keep or number % keep):
                self._remove(path, folder, name)

    def _remove(self, path: str, folder: Node, name: str) -> None:
        self.volume.unlink(f"{path}/{name}")
        node = folder.children.pop(name)
        node.links -= 1
        node.ctime = self.now
        folder.modified(self.now)

    def unlink_or_rmdir(self, index: int) -> None:
        """Remove a name."""
        found = self.pick(index)
        if found is None:
            return
        path, node = found
        self.now += _STEP
        parent, _, name = path.rpartition("/")
        folder = walk(self.root).get(parent, self.root)
        if not node.is_dir:
            with refused(NotADirectoryError):
                self.volume.rmdir(path)
            self._remove(parent, folder, name)
            return
        with refused(IsADirectoryError):
            self.volume.unlink(path)
        if node.children:
            with refused(OSError):
                self.volume.rmdir(path)
            return
        self.volume.rmdir(path)
        del folder.children[name]
        folder.links -= 1
        folder.modified(self.now)

    # Names

    def link(self, index: int, where: int, name: str) -> None:
        """Give something another name."""
        found = self.pick(index)
        if found is None:
            return
        path, node = found
        parent, folder = self.folder(where)
        self.now += _STEP
        if node.is_dir or name in folder.children:
            with refused(IsADirectoryError, FileExistsError):
                self.volume.link(path, f"{parent}/{name}")
            return
        done: list[bool] = []
        with self._room(done):
            self.volume.link(path, f"{parent}/{name}")
        if done:
            folder.children[name] = node
            folder.modified(self.now)
            node.links += 1
            node.ctime = self.now

    def symlink(self, where: int, name: str, length: int) -> None:
        """Make a symbolic link to a target of ``length`` bytes."""
        path, folder = self.folder(where)
        self.now += _STEP
        if name in folder.children:
            return
        done: list[bool] = []
        with self._room(done):
            self.volume.symlink("t" * length, f"{path}/{name}")
        if done:
            folder.children[name] = Node(stat.S_IFLNK | 0o777, self.now, b"t" * length)
            folder.modified(self.now)

    def rename(self, index: int, where: int, name: str) -> None:
        """Move something, by POSIX's rules."""
        found = self.pick(index)
        if found is None:
            return
        path, node = found
        parent, folder = self.folder(where)
        target = f"{parent}/{name}"
        replaced = folder.children.get(name)
        self.now += _STEP
        if replaced is node:
            self.volume.rename(path, target)
            return
        error: type[Exception] | None = None
        if node.is_dir and f"{parent}/".startswith(path + "/"):
            error = ValueError
        elif replaced is not None and node.is_dir and not replaced.is_dir:
            error = NotADirectoryError
        elif replaced is not None and replaced.is_dir and not node.is_dir:
            error = IsADirectoryError
        elif replaced is not None and replaced.is_dir and replaced.children:
            error = OSError
        if error is not None:
            with refused(error):
                self.volume.rename(path, target)
            return
        done: list[bool] = []
        with self._room(done):
            self.volume.rename(path, target)
        if done:
            self._renamed(path, folder, name)

    def _renamed(self, path: str, folder: Node, name: str) -> None:
        old_parent, _, old_name = path.rpartition("/")
        old_folder = walk(self.root).get(old_parent, self.root)
        replaced = folder.children.get(name)
        node = old_folder.children.pop(old_name)
        folder.children[name] = node
        node.ctime = self.now
        for changed in (old_folder, folder):
            changed.modified(self.now)
        if replaced is not None:
            replaced.links -= 1
            replaced.ctime = self.now
        if node.is_dir:
            folder.links += 1 - (replaced is not None)
            old_folder.links -= 1

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


def _equal(path: str, actual: object, expected: object) -> None:
    if actual != expected:
        raise AssertionError(f"{path}: {actual!a:.200} is not {expected!a:.200}")


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
