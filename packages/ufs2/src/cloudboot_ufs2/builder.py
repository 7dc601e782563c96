"""Making a file system: empty as newfs does, or with a tree in it."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import stat
import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, BinaryIO, Literal

from cloudboot_layout import FileStorage, Window, WritableStorage, new_image

from .allocate import Allocator
from .constants import MINCYLGRPS
from .errors import NoSpaceError, OptionError, SourceError
from .geometry import Geometry, max_file_size, plan
from .node import Node, directories, nodes
from .options import Options
from .sizing import fit, forget, inode_density
from .source import finish, path_of, read_tree
from .superblock import derived_id
from .writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .members import Member
    from .records import Fs

    Source = str | os.PathLike[str] | BinaryIO | Mapping[str, Member]

Times = Literal["keep", "clamp", "set"]

_OPERATOR = 5  # the group FreeBSD's newfs gives .snap to
_SECOND = 1_000_000_000


@dataclasses.dataclass(frozen=True, slots=True)
class Built:
    """What was made: its superblock, the numbers it follows from, and what it holds (the root included)."""

    superblock: Fs
    geometry: Geometry
    size: int  #: bytes of the volume
    directories: int
    files: int  #: regular files and symbolic links, a hard link counted once


def newfs(
    target: str | os.PathLike[str] | WritableStorage,
    options: Options | None = None,
    *,
    size: int | None = None,
    offset: int = 0,
    force: bool = False,
) -> Built:
    """Make an empty file system, as FreeBSD's newfs does.

    The arguments are those of :func:`build`.

    Raises:
        NoSpaceError: the volume is too small.
        OptionError: a new file without a size.
    """
    options = options or Options()
    root = Node(stat.S_IFDIR | 0o755, 0, 0, options.time * _SECOND, children={})
    if options.snap_directory and root.children is not None:
        root.children[b".snap"] = Node(stat.S_IFDIR | 0o775, 0, _OPERATOR, options.time * _SECOND, children={})
    finish(root)
    with _opened(target, size, offset=offset, force=force) as storage:
        return _write(storage, root, _place(root, options, storage.size), options, None)


def build(
    target: str | os.PathLike[str] | WritableStorage,
    source: Source,
    options: Options | None = None,
    *,
    size: int | None = None,
    offset: int = 0,
    owner: tuple[int, int] | None = None,
    times: Times = "keep",
    force: bool = False,
    progress: Callable[[int], None] | None = None,
    processes: int = 1,
) -> Built:
    """Make a file system that holds a tree.

    Args:
        target: a storage (a window of a disk, say), or a path. A new file appears under the path when it is whole.
        source: a folder, a tar archive (path or binary file, compressed or not), or a mapping of paths to members.
        options: how the file system is laid out. Without a ``timestamp`` the newest time in the tree is taken, and
            without a ``density`` there are at least as many inodes as the tree needs.
        size: bytes of the volume; without it, and without a storage, as much as the tree needs and minfree keeps, but
            enough for four cylinder groups.
        offset: where the volume starts in the file ``target``, which must exist then, and be overwritten by ``force``.
        owner: the user and group of everything, instead of the source's own.
        times: ``keep`` the source's, ``clamp`` later ones to the timestamp, or ``set`` all to it.
        force: replace an existing file.
        progress: called with the bytes of files written so far.
        processes: with 2, a fork of this process, if it has one thread, helps to write tens of megabytes or more;
            ``progress`` is then called there, and here once at the end.

    Raises:
        NoSpaceError: the tree does not fit; ``needed`` says what would do.
        SourceError: a member that cannot be stored, named.
        OSError: the host refused.
    """
    options = options or Options()
    with opened_source(source) as root:
        options = normalise(root, options, owner=owner, times=times)
        fitted = None
        if size is None and isinstance(target, str | os.PathLike) and not offset:
            fitted = fit(root, options, keep_free=options.minfree, least_groups=MINCYLGRPS)
            size = fitted.size
        with _opened(target, size, offset=offset, force=force) as storage:
            allocator = fitted.allocator if fitted else _place(root, options, storage.size)
            return _write(storage, root, allocator, options, progress, processes=processes)


def required_size(source: Source, options: Options | None = None, *, keep_free: int = 0) -> int:
    """A size in bytes, close to the smallest, of a file system that takes ``source``.

    ``keep_free`` per cent of the data space stay free. The answer has been tried: everything was placed in it.

    Raises:
        NoSpaceError: no size will do: the block size is too small.
        SourceError: a member that cannot be stored, named.
    """
    with opened_source(source) as root:
        options = normalise(root, options or Options(), owner=None, times="keep")
        return fit(root, options, keep_free=keep_free).size


@contextlib.contextmanager
def opened_source(source: Source) -> Iterator[Node]:
    """The tree of any kind of source; its files can be read inside the block."""
    if isinstance(source, Mapping):
        from .members import read_mapping

        yield read_mapping(source)
    elif isinstance(source, str | os.PathLike) and os.path.isdir(source):
        yield read_tree(source)
    else:
        # Archives bring tarfile and four decompressors, which folders can do without.
        from .archive import open_archive

        with open_archive(source) as root:
            yield root


def normalise(root: Node, options: Options, *, owner: tuple[int, int] | None, times: Times) -> Options:
    """Apply what the caller wants of owners and times to the tree; the options with a timestamp.

    Raises:
        OptionError: times are to be set, but no timestamp says to what; or an owner that does not fit.
        SourceError: a file that is too large for the block size.
    """
    if owner is not None and not all(0 <= number < 1 << 32 for number in owner):
        raise OptionError("out of range", field="owner", expected="0 to 2**32 - 1", actual=f"{owner[0]}:{owner[1]}")
    everything = list(nodes(root))
    if options.timestamp is None:
        if times != "keep":
            raise OptionError("times cannot be changed without a timestamp", field="timestamp")
        options = dataclasses.replace(options, timestamp=max([node.mtime_ns for node in everything]) // _SECOND)
    largest = max_file_size(options.block_size)
    if max([node.size for node in everything]) > largest:
        node = next(node for node in everything if node.size > largest)
        limit = f"at most {largest}"
        member = path_of(root, node)
        raise SourceError("too large for this block size", member=member, expected=limit, actual=node.size)
    if owner is not None:
        for node in everything:
            node.uid, node.gid = owner
    if times != "keep":
        latest = options.time * _SECOND
        for node in everything:
            node.mtime_ns = latest if times == "set" else min(node.mtime_ns, latest)
    return options


@contextlib.contextmanager
def _opened(
    target: str | os.PathLike[str] | WritableStorage, size: int | None, *, offset: int = 0, force: bool = False
) -> Iterator[WritableStorage]:
    """The storage to write to: a new file, a part of an existing one, or what was given."""
    if not isinstance(target, str | os.PathLike):
        available = target.size - offset
        if offset < 0 or (size or 0) > available:
            raise NoSpaceError("the volume does not fit its storage", needed=size, available=available)
        yield Window(target, offset, available if size is None else size)
    elif offset:
        if not force:
            raise FileExistsError(17, "writing into an existing file needs --force", os.fspath(target))
        fd = os.open(target, os.O_RDWR | os.O_CLOEXEC)
        try:
            with _opened(FileStorage(fd), size, offset=offset) as window:
                yield window
        finally:
            os.close(fd)
    elif size is None:
        raise OptionError("a new file needs a size", field="size")
    else:
        with new_image(target, size, force=force) as storage:
            yield storage


def _write(
    storage: WritableStorage,
    root: Node,
    allocator: Allocator,
    options: Options,
    progress: Callable[[int], None] | None,
    *,
    processes: int = 1,
) -> Built:
    geometry = allocator.geometry
    if options.fs_id is None:
        options = dataclasses.replace(options, fs_id=derived_id(geometry, options, _digest(root)))
    fs = Writer(storage, geometry, options, progress, processes=processes).write(allocator.groups)
    everything = sum(len(space.nodes) for space in allocator.groups)
    folders = fs.fs_cstotal.cs_ndir
    return Built(fs, geometry, storage.size, folders, everything - folders)


def _place(root: Node, options: Options, size: int) -> Allocator:
    inodes = sum(1 for _ in nodes(root))
    try:
        allocator = Allocator(plan(size, inode_density(options, size, inodes)))
        allocator.place(root)
    except NoSpaceError as error:
        forget(root)
        raise NoSpaceError(error.message, needed=fit(root, options).size, available=size) from error
    return allocator


def _digest(root: Node) -> int:
    """A digest of names and attributes, which with the options makes ``fs_id``."""
    digest = 0
    for directory in directories(root):
        children = directory.children or {}
        facts = [
            b"%d %d %d %d %d" % (node.mode, node.uid, node.gid, node.mtime_ns, node.size) for node in children.values()
        ]
        digest = zlib.crc32(b"".join([b"\0".join(children), *facts]), digest)
    return digest
