"""The commands that change a volume in place."""

from __future__ import annotations

import contextlib
import os
import stat
import time
from typing import TYPE_CHECKING

from cloudboot_base.command import OK, source_date_epoch
from cloudboot_ntfs import errors
from cloudboot_ntfs.editor import WritableNTFS
from cloudboot_ntfs.editor.shared import open_place

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator


@contextlib.contextmanager
def _writable(options: argparse.Namespace) -> Iterator[WritableNTFS]:
    moment = options.timestamp if options.timestamp is not None else source_date_epoch()
    place = open_place(
        options.image, writable=True, offset=options.offset, size=options.size, partition=options.partition
    )
    with (
        place as storage,
        WritableNTFS(
            storage,
            timestamp_ns=time.time_ns() if moment is None else moment * 10**9,
            windows_names=options.windows_names,
            short_names=options.short_names,
        ) as volume,
        volume.transaction(),
    ):
        yield volume


def _into(volume: WritableNTFS, path: str, name: str) -> str:
    """Where a file called ``name`` goes: ``path``, or into it if it is a directory or ends with a slash."""
    target = "/" + path.strip("/")
    if path.endswith("/") or (volume.exists(target) and stat.S_ISDIR(volume.stat(target).st_mode)):
        return f"{target.rstrip('/')}/{name}"
    return target


def put(options: argparse.Namespace) -> int:
    """``put``."""
    with _writable(options) as volume:
        target = "/" + options.path.strip("/")
        if not os.path.isdir(options.source) or os.path.islink(options.source):
            target = _into(volume, options.path, os.path.basename(options.source))
        pending = [(options.source, target)]
        while pending:
            source, path = pending.pop()
            status = os.lstat(source)
            there = volume.exists(path)
            if stat.S_ISDIR(status.st_mode):
                if not there:
                    volume.mkdir(path)
                pending += [
                    (os.path.join(source, name), f"{path}/{name}") for name in sorted(os.listdir(source), reverse=True)
                ]
                continue
            if there and not options.force:
                raise errors.FileExistsError(f"{path}: the file exists; --force replaces it")
            if stat.S_ISLNK(status.st_mode):
                if there:
                    volume.unlink(path)
                volume.symlink(os.readlink(source), path, is_directory=os.path.isdir(source))
            elif stat.S_ISREG(status.st_mode):
                with open(source, "rb") as file:
                    volume.write_file(path, file)
                volume.utime(path, mtime_ns=status.st_mtime_ns)
            else:
                raise errors.SourceError("not a file, folder or link", member=source)
    return OK


def mkdir(options: argparse.Namespace) -> int:
    """``mkdir``."""
    with _writable(options) as volume:
        volume.makedirs(options.path, exist_ok=True)
    return OK


def rm(options: argparse.Namespace) -> int:
    """``rm``."""
    with _writable(options) as volume:
        number = volume.find(options.path, follow_symlinks=False)
        if not options.recursive or not stat.S_ISDIR(volume.stat_inode(number).st_mode):
            if stat.S_ISDIR(volume.stat_inode(number).st_mode):
                volume.rmdir(options.path)
            else:
                volume.unlink(options.path)
            return OK
        folders = []
        for folder, _, others in volume.walk(options.path):
            folders.append(folder)
            for entry in others:
                volume.unlink(entry.path)
        for folder in reversed(folders):
            volume.rmdir(folder)
    return OK


def mv(options: argparse.Namespace) -> int:
    """``mv``."""
    with _writable(options) as volume:
        target = options.target
        other = not volume.exists(target) or volume.find(target) != volume.find(options.path, follow_symlinks=False)
        if other:  # a name that differs only in case is the file's own
            target = _into(volume, target, options.path.strip("/").rpartition("/")[2])
        volume.rename(options.path, target)
    return OK


def ln(options: argparse.Namespace) -> int:
    """``ln``."""
    with _writable(options) as volume:
        if options.symbolic:
            volume.symlink(options.target, options.path)
        else:
            volume.link(options.target, options.path)
    return OK
