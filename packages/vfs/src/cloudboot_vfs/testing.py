"""A model of a file system that knows POSIX and no format, for tests: what is done to both has to look the same.

The same operations serve a state machine of Hypothesis, which shrinks what fails, and loops that chance drives. A
file-system package derives its own model, which compares what its format records.
"""

from __future__ import annotations

import contextlib
import errno
import random
import stat
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .protocol import WritableFileSystem

    Opener = Callable[[Callable[[], int]], WritableFileSystem]

_STEP = 1_000_000_007  # nanoseconds between operations


def pattern(size: int, seed: int) -> bytes:
    """``size`` bytes that do not repeat soon, the same for the same seed."""
    return random.Random(seed).randbytes(size)  # noqa: S311 -- content of test files


class Node:
    """What a model knows of a file, a directory or a symbolic link, whose data is its target."""

    def __init__(self, mode: int, now: int, data: bytes = b"", *, uid: int = 0, gid: int = 0) -> None:
        """An inode of type and permissions ``mode``, all of whose times are ``now``."""
        self.mode, self.uid, self.gid, self.links = mode, uid, gid, 2 if stat.S_ISDIR(mode) else 1
        self.atime = self.mtime = self.ctime = self.birth = now
        self.data = bytearray(data)
        self.children: dict[str, Node] = {}

    @property
    def is_dir(self) -> bool:
        """Whether it is a directory."""
        return stat.S_ISDIR(self.mode)

    def modified(self, now: int) -> None:
        """The content changed."""
        self.mtime = self.ctime = now


NodeT = TypeVar("NodeT", bound=Node)


def walk(node: NodeT, path: str = "") -> dict[str, NodeT]:
    """Everything below ``node``, by path."""
    found: dict[str, NodeT] = {}
    for name, child in node.children.items():
        found[f"{path}/{name}"] = child  # type: ignore[assignment]  # a model has nodes of one type
        found.update(walk(child, f"{path}/{name}"))  # type: ignore[arg-type]  # likewise
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


class Model(Generic[NodeT]):
    """A volume and its model. Every operation is done to both; one the volume has no room for, to neither.

    Operations name what they work on by number, which is taken modulo the count of what there is.
    """

    node_type: ClassVar[type[Node]] = Node

    def __init__(self, opener: Opener, now: int) -> None:
        """Open an empty volume with ``opener``, which is given the clock."""
        self._opener = opener
        self.now = now
        self.volume = opener(self.clock)
        self.root: NodeT = self._made(stat.S_IFDIR | 0o755)
        #: called when an operation failed for want of space
        self.full: Callable[[], None] = lambda: None

    def _made(self, mode: int, data: bytes = b"") -> NodeT:
        return self.node_type(mode, self.now, data)  # type: ignore[return-value]  # the type that the class names

    def _plant(self, path: str, node: NodeT) -> None:
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

    # What operations work on

    def pick(self, index: int, *, kind: int | None = None, root: bool = False) -> tuple[str, NodeT] | None:
        """One of the paths; of type ``kind`` if that is given, and perhaps the ``root``."""
        found = [("", self.root)] if root else []
        found += sorted(walk(self.root).items())
        suitable = [(path, node) for path, node in found if kind is None or stat.S_IFMT(node.mode) == kind]
        return suitable[index % len(suitable)] if suitable else None

    def folder(self, index: int) -> tuple[str, NodeT]:
        """One of the directories."""
        found = self.pick(index, kind=stat.S_IFDIR, root=True)
        return found if found is not None else ("", self.root)

    @contextlib.contextmanager
    def _room(self, done: list[bool]) -> Iterator[None]:
        """``done`` becomes true unless there is no room."""
        try:
            yield
            done.append(True)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
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
                node = folder.children[name] = self._made(stat.S_IFREG | 0o644)
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
            require_equal(path, file.write(data), size)
            require_equal(path, file.tell(), offset + size)
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
            folder.children[name] = self._made(stat.S_IFDIR | mode)
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
            folder.children[name] = self._made(stat.S_IFREG | 0o644)
            folder.modified(self.now)

    def empty_directory(self, where: int, keep: int) -> None:
        """Remove all files of a directory, or with ``keep`` all but each of so many."""
        path, folder = self.folder(where)
        self.now += _STEP
        for number, (name, child) in enumerate(list(folder.children.items())):
            if not child.is_dir and (not keep or number % keep):
                self._remove(path, folder, name)

    def _remove(self, path: str, folder: NodeT, name: str) -> None:
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
            folder.children[name] = self._made(stat.S_IFLNK | 0o777, b"t" * length)
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

    def _renamed(self, path: str, folder: NodeT, name: str) -> None:
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


def require_equal(path: str, actual: object, expected: object) -> None:
    """Refuse what differs.

    Raises:
        AssertionError: it does.
    """
    if actual != expected:
        raise AssertionError(f"{path}: {actual!a:.200} is not {expected!a:.200}")
