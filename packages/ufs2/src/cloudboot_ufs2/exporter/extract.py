"""From a file system to a tar archive: the same file system and the same selection give the same bytes."""

from __future__ import annotations

import contextlib
import os
import stat
from typing import IO, TYPE_CHECKING

from cloudboot_base import followed, new_file
from cloudboot_base.lightdata import dataclass
from cloudboot_ufs2 import errors
from cloudboot_ufs2.layout.constants import FS_SUJ, SF_SNAPSHOT

from .presets import LOADER_CONF, Chosen, Preset, loader_conf

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from cloudboot_ufs2.reader.reader import UFS2
    from cloudboot_vfs import Stat

_JOURNAL = "/.sujournal"
_EVERYTHING = Preset(("*",))
_LEFT_OUT = {
    stat.S_IFCHR: "a character device",
    stat.S_IFBLK: "a block device",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
}


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something that was not put into the archive."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Extraction:
    """What was put into an archive."""

    paths: tuple[str, ...]  #: without a leading slash, in the order of the archive
    size: int  #: bytes of the files, hard links once
    synthesised: tuple[str, ...]  #: those of ``paths`` that were not in the file system
    skipped: tuple[Skipped, ...]


def extract(
    volume: UFS2,
    target: str | os.PathLike[str] | IO[bytes],
    selection: Preset | Sequence[str] = _EVERYTHING,
    *,
    configuration: bytes | None = None,
    force: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Extraction:
    """Write a pax archive of what ``selection`` names, sorted by path, folders before what is in them.

    Modes, numeric owners, times in nanoseconds, symbolic and hard links, extended attributes are kept; a file of which
    a MiB or more is holes becomes a sparse member (GNU, format 1.0), other holes become zeros. Left out, and listed in
    the result, are devices, pipes, sockets, snapshots and the journal of soft updates.

    Args:
        volume: the file system.
        target: the archive to make, or a binary file to write to.
        selection: patterns of paths without a leading slash, or a preset; by default everything.
        configuration: the /boot/loader.conf to put in, instead of what is there or would be made.
        force: whether an existing archive is replaced.
        progress: told how many bytes of files have been written.

    Raises:
        FileNotFoundError: something that a preset requires is not there.
        Ufs2Error: the file system is damaged.
        FileExistsError: the archive exists, without ``force``.
    """
    from .pax import PaxArchive  # brings tarfile

    preset = selection if isinstance(selection, Preset) else Preset(tuple(selection))
    skipped: list[Skipped] = []
    chosen = {item.path: item for item in _choose(volume, preset, skipped)}
    for path in preset.required:
        if path not in chosen or not stat.S_ISREG(chosen[path].status.st_mode):
            raise errors.FileNotFoundError(f"/{path}: no such file, and it is required")
    made: dict[str, bytes] = {}
    if configuration is not None:
        made[LOADER_CONF] = configuration
    elif preset.loader_conf and LOADER_CONF not in chosen:
        made[LOADER_CONF] = loader_conf(chosen)
    with _output(target, force=force) as file:
        archive = PaxArchive(volume, file, progress)
        for path in sorted({*chosen, *made}, key=lambda name: name.split("/")):
            if path in made:
                archive.add_made(path, made[path])
            else:
                archive.add(chosen[path])
        archive.close()
    return Extraction(tuple(archive.paths), archive.size, tuple(sorted(made)), tuple(skipped))


def _choose(volume: UFS2, preset: Preset, skipped: list[Skipped]) -> Iterator[Chosen]:
    """What the preset wants, and the folders above it."""
    above: set[str] = set()
    for root in preset.roots():
        if not volume.exists(f"/{root}"):
            continue
        for _, directories, others in volume.walk(f"/{root}"):
            for entry in [*directories, *others]:
                path = entry.path.lstrip("/")
                if not preset.wants(path):
                    continue
                status = volume.stat_inode(entry.inode)
                reason = left_out(volume, entry.path, status)
                if reason is not None:
                    skipped.append(Skipped(entry.path, reason))
                    continue
                yield Chosen(path, entry.inode, status)
                parts = path.split("/")[:-1]
                above.update("/".join(parts[:count]) for count in range(1, len(parts) + 1))
    for path in above:
        inode = volume.find(f"/{path}")
        yield Chosen(path, inode, volume.stat_inode(inode))


def left_out(volume: UFS2, path: str, status: Stat) -> str | None:
    """Why something does not leave the file system; ``None`` where it does."""
    if status.st_flags & SF_SNAPSHOT:
        return "a snapshot"
    if path == _JOURNAL and volume.superblock.fs_flags & FS_SUJ:
        return "the journal of soft updates"
    kind = stat.S_IFMT(status.st_mode)
    if kind in (stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK):
        return None
    return _LEFT_OUT.get(kind, "of an unknown type")


@contextlib.contextmanager
def _output(target: str | os.PathLike[str] | IO[bytes], *, force: bool) -> Iterator[IO[bytes]]:
    if not isinstance(target, str | os.PathLike):
        yield target
        return
    with new_file(followed(target), force=force) as fd, open(fd, "wb", closefd=False) as file:
        yield file
