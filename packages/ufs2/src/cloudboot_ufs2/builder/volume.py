"""A volume that is being made: its tree from any source, its place on the medium, and what is written there."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from cloudboot_base import Window, WritableStorage, followed, new_image, open_storage, refuse_existing
from cloudboot_base.lightdata import replace
from cloudboot_base.storage import is_block_device
from cloudboot_ufs2.errors import NoSpaceError, OptionError, ReadOnlyError, SourceError
from cloudboot_ufs2.layout.constants import MINCYLGRPS, SBLOCK_UFS2, SUJ_MIN
from cloudboot_ufs2.layout.geometry import Geometry, max_file_size, plan
from cloudboot_ufs2.layout.superblock import derived_id
from cloudboot_ufs2.reader.extattr import pack_attributes
from cloudboot_vfs.exclusive import claim

from .allocate import Allocator
from .built import Built
from .journal import add_journal, journal_size
from .node import Node, directories, nodes
from .paxattr import check_area
from .sizing import Fit, fit, forget, inode_density
from .source import check_links, finish, path_of, read_tree
from .writer import Writer, superblock_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cloudboot_ufs2.layout.options import Options
    from cloudboot_ufs2.layout.records import Fs
    from cloudboot_vfs.notices import Notices

    from .built import Source, Times

_OPERATOR = 5  # the group FreeBSD's newfs gives .snap to
_SECOND = 1_000_000_000
_ERASED_AT_ONCE = 1 << 20
_MOST_KEPT = 99  # per cent


def empty_tree(options: Options) -> Node:
    """The root of a file system that newfs makes."""
    root = Node(stat.S_IFDIR | 0o755, 0, 0, options.time * _SECOND, children={})
    if options.snap_directory and root.children is not None:
        root.children[b".snap"] = Node(stat.S_IFDIR | 0o775, 0, _OPERATOR, options.time * _SECOND, children={})
    finish(root)
    return root


@contextlib.contextmanager
def opened_source(source: Source, notices: Notices | None = None) -> Iterator[Node]:
    """The tree of any kind of source; its files can be read inside the block. ``notices`` is told what is left out."""
    if isinstance(source, Mapping):
        from .mapping import read_mapping

        yield read_mapping(source)
    elif isinstance(source, str | os.PathLike) and os.path.isdir(source):
        yield read_tree(source)
    else:
        # Archives bring tarfile and four decompressors, which folders can do without.
        from .archive import open_archive

        with open_archive(source, notices) as root:
            yield root


def normalise(root: Node, options: Options, *, owner: tuple[int, int] | None, times: Times) -> Options:
    """Apply what the caller wants of owners and times to the tree; the options with a timestamp.

    Raises:
        OptionError: times are to be set, but no timestamp says to what; or an owner that does not fit.
        SourceError: a file that is too large for the block size, or has too many links.
    """
    if owner is not None and not all(0 <= number < 1 << 32 for number in owner):
        raise OptionError("out of range", field="owner", expected="0 to 2**32 - 1", actual=f"{owner[0]}:{owner[1]}")
    check_links(root, options.link_max)
    everything = list(nodes(root))
    if options.timestamp is None:
        if times != "keep":
            raise OptionError("times cannot be changed without a timestamp", field="timestamp")
        options = replace(options, timestamp=max([node.mtime_ns for node in everything]) // _SECOND)
    largest = max_file_size(options.block_size)
    if max([node.size for node in everything]) > largest:
        node = next(node for node in everything if node.size > largest)
        limit = f"at most {largest}"
        member = path_of(root, node)
        raise SourceError("too large for this block size", member=member, expected=limit, actual=node.size)
    for node in everything:
        if node.attributes:
            check_area(node.attributes, options.block_size, path_of(root, node))
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
    elif offset or is_block_device(target):
        _require_force(target, force=force)
        with open_storage(target, writable=True) as opened, contextlib.ExitStack() as stack:
            claim(opened.storage, stack, ReadOnlyError)
            whole = cast("WritableStorage", opened.storage)
            with _opened(whole, size, offset=offset) as window:
                yield window
    elif size is None:
        raise OptionError("a new file needs a size", field="size")
    else:
        with new_image(target, size, force=force) as storage:
            yield storage


class Volume:
    """A tree and how it is to be laid out; ``as_newfs`` as :class:`.Allocator` has it."""

    def __init__(
        self, root: Node, options: Options, *, as_newfs: bool = False, processes: int = 1, free: int = 0
    ) -> None:
        self._keep_free = min(_MOST_KEPT, options.minfree + free)
        self._root, self._options, self._as_newfs, self._processes = root, options, as_newfs, processes
        least = options.journal_size or SUJ_MIN
        self._journal = add_journal(root, options, least) if options.soft_updates_journal else None

    def make(
        self,
        target: str | os.PathLike[str] | WritableStorage,
        size: int | None,
        *,
        offset: int,
        force: bool,
        erase: bool,
        dry_run: bool,
        fitting: bool = False,
        progress: Callable[[int], None] | None = None,
    ) -> Built:
        """Place the tree and write it; ``fitting`` finds the size of a new file for which none is given."""
        fitted = None
        if fitting and size is None and not offset and _is_new(target):
            fitted = self.fit(keep_free=self._keep_free, least_groups=MINCYLGRPS)
            size = fitted.size
        if dry_run:
            available = _available(target, size, offset=offset, force=force)
            allocator = fitted.allocator if fitted else self.place(available)
            options = self._identified(allocator.geometry)
            return self._built(superblock_of(allocator, options, available), allocator, available)
        with _opened(target, size, offset=offset, force=force) as storage:
            allocator = fitted.allocator if fitted else self.place(storage.size)
            if erase and (offset or not _is_new(target)):
                _erase(storage)
            options = self._identified(allocator.geometry)
            writer = Writer(storage, allocator.geometry, options, progress, processes=self._processes)
            return self._built(writer.write(allocator.groups), allocator, storage.size)

    def fit(self, *, keep_free: int = 0, least_groups: int = 1) -> Fit:
        """Place the tree in a file system close to the smallest that takes it."""
        while True:
            fitted = fit(self._root, self._options, keep_free=keep_free, least_groups=least_groups)
            if not self._enlarge_journal(fitted.allocator.geometry):
                return fitted
            forget(self._root)

    def place(self, size: int) -> Allocator:
        """Place the tree in a file system of ``size`` bytes."""
        root, options = self._root, self._options
        inodes = sum(1 for _ in nodes(root))
        try:
            geometry = plan(size, inode_density(options, size, inodes))
            self._enlarge_journal(geometry)
            allocator = Allocator(geometry, as_newfs=self._as_newfs)
            allocator.place(root)
        except NoSpaceError as error:
            forget(root)
            raise NoSpaceError(error.message, needed=self.fit().size, available=size) from error
        return allocator

    def _enlarge_journal(self, geometry: Geometry) -> bool:
        """Give the journal the size that a file system of this geometry has; whether that made it larger."""
        if self._journal is None:
            return False
        before = self._journal.size
        self._journal.size = max(before, journal_size(geometry, self._options.journal_size))
        return self._journal.size > before

    def _identified(self, geometry: Geometry) -> Options:
        if self._options.fs_id is not None:
            return self._options
        return replace(self._options, fs_id=derived_id(geometry, self._options, _digest(self._root)))

    def _built(self, fs: Fs, allocator: Allocator, size: int) -> Built:
        everything = sum(len(space.nodes) for space in allocator.groups)
        folders = fs.fs_cstotal.cs_ndir
        return Built(fs, allocator.geometry, size, folders, everything - folders)


def _available(target: str | os.PathLike[str] | WritableStorage, size: int | None, *, offset: int, force: bool) -> int:
    """The size of the volume that :func:`_opened` would open, which refuses what this refuses."""
    if isinstance(target, str | os.PathLike) and not offset and _is_new(target):
        if size is None:
            raise OptionError("a new file needs a size", field="size")
        refuse_existing(followed(target), force=force)
        return size
    if isinstance(target, str | os.PathLike):
        _require_force(target, force=force)
        with open_storage(target) as opened:
            whole = opened.storage.size
    else:
        whole = target.size
    if offset < 0 or offset + (size or 0) > whole:
        raise NoSpaceError("the volume does not fit its storage", needed=size, available=whole - offset)
    return whole - offset if size is None else size


def _is_new(target: str | os.PathLike[str] | WritableStorage) -> bool:
    """Whether a file is made; a device and a storage are there already."""
    return isinstance(target, str | os.PathLike) and not is_block_device(target)


def _require_force(target: str | os.PathLike[str], *, force: bool) -> None:
    if not force:
        raise FileExistsError(errno.EEXIST, "writing into an existing file needs --force", os.fspath(target))


def _erase(storage: WritableStorage) -> None:
    """Write zeros from the superblock on; what is before it may be a boot program."""
    zeros = bytes(_ERASED_AT_ONCE)
    for start in range(SBLOCK_UFS2, storage.size, _ERASED_AT_ONCE):
        storage.write_at(start, memoryview(zeros)[: storage.size - start])


def _digest(root: Node) -> int:
    """A digest of names and attributes, which with the options makes ``fs_id``."""
    digest = 0
    for directory in directories(root):
        children = directory.children or {}
        facts = []
        for node in children.values():
            facts.append(b"%d %d %d %d %d" % (node.mode, node.uid, node.gid, node.mtime_ns, node.size))
            if node.device:
                facts.append(b"%d" % node.device)
            if node.attributes:
                facts.append(pack_attributes(node.attributes, "little"))
        digest = zlib.crc32(b"".join([b"\0".join(children), *facts]), digest)
    return digest
