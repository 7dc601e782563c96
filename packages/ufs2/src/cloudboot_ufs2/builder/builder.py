"""Making a file system: empty as newfs does, or with a tree in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudboot_base.lightdata import replace
from cloudboot_ufs2.errors import OptionError
from cloudboot_ufs2.layout.options import Options

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence

    from cloudboot_base import WritableStorage

    from .built import Built, Source, Times

# Each function imports what does its work when it is called: that takes 4 ms, which a reader is spared.

_MOST_FREE = 90  # per cent


def format(  # noqa: A001 -- the usual word for it
    target: str | os.PathLike[str] | WritableStorage,
    options: Options | None = None,
    *,
    size: int | None = None,
    offset: int = 0,
    force: bool = False,
    erase: bool = False,
    dry_run: bool = False,
) -> Built:
    """Make an empty file system, as FreeBSD's newfs does.

    The arguments are those of :func:`build`.

    Raises:
        NoSpaceError: the volume is too small.
        OptionError: a new file without a size.
    """
    from .volume import Volume, empty_tree

    options = options or Options()
    volume = Volume(empty_tree(options), options, as_newfs=True)
    built = volume.make(target, size, offset=offset, force=force, erase=erase, dry_run=dry_run)
    return replace(built, notices=tuple(options.notices))


def build(
    target: str | os.PathLike[str] | WritableStorage,
    source: Source,
    options: Options | None = None,
    *,
    size: int | None = None,
    free: int = 0,
    offset: int = 0,
    owner: tuple[int, int] | None = None,
    times: Times = "keep",
    force: bool = False,
    erase: bool = False,
    dry_run: bool = False,
    exclude: Sequence[str] = (),
    skip_special: bool = False,
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
        free: without a size, the percentage of the data space that stays free besides what minfree keeps, 0 to 90.
        offset: where the volume starts in the file ``target``, which must exist then, and be overwritten by ``force``.
        owner: the user and group of everything, instead of the source's own.
        times: ``keep`` the source's, ``clamp`` later ones to the timestamp, or ``set`` all to it.
        force: replace an existing file.
        erase: write zeros over what the volume held before, from the superblock on; a new file has nothing to erase.
        dry_run: place everything and say what would be made, but write nothing.
        exclude: patterns of what to leave out: of a name, or with a slash of a whole path; a directory goes with what
            it holds.
        skip_special: leave out devices, pipes and sockets, which are stored otherwise.
        progress: called with the bytes of files written so far.
        processes: with 2, a fork of this process, if it has one thread, helps to write tens of megabytes or more;
            ``progress`` is then called there, and here once at the end.

    Raises:
        NoSpaceError: the tree does not fit; ``needed`` says what would do.
        SourceError: a member that cannot be stored, named.
        OSError: the host refused.
    """
    from cloudboot_vfs.notices import Notices

    from .source import prune
    from .volume import Volume, normalise, opened_source

    options = options or Options()
    if not 0 <= free <= _MOST_FREE:
        raise OptionError("out of range", field="free", expected=f"0 to {_MOST_FREE}", actual=free)
    notices = Notices()
    with opened_source(source, notices) as root:
        if exclude or skip_special:
            prune(root, exclude, notices, skip_special=skip_special)
        options = normalise(root, options, owner=owner, times=times)
        volume = Volume(root, options, processes=processes, free=free)
        built = volume.make(
            target, size, offset=offset, force=force, erase=erase, dry_run=dry_run, fitting=True, progress=progress
        )
        return replace(built, notices=(*options.notices, *notices.lines()))


def required_size(source: Source, options: Options | None = None, *, keep_free: int = 0) -> int:
    """A size in bytes, close to the smallest, of a file system that takes ``source``.

    ``keep_free`` per cent of the data space stay free. The answer has been tried: everything was placed in it.

    Raises:
        NoSpaceError: no size is sufficient: the block size is too small.
        SourceError: a member that cannot be stored, named.
    """
    from .volume import Volume, normalise, opened_source

    with opened_source(source) as root:
        options = normalise(root, options or Options(), owner=None, times="keep")
        return Volume(root, options).fit(keep_free=keep_free).size
