"""``put``, ``mkdir``, ``rm``, ``ln`` and ``mv``: a file system changed where it lies."""

from __future__ import annotations

import contextlib
import os
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING

from cloudboot_base import command
from cloudboot_ufs2 import errors
from cloudboot_ufs2.edit import WritableUFS2
from cloudboot_ufs2.shared import open_shared

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from . import Commands


def add(commands: Commands) -> None:
    """Add these subcommands to a parser."""
    putting = _parser(commands, "put", "copy a file, or a folder with all it holds, into the file system", _put)
    putting.add_argument("source", help="a file or folder of the host")
    putting.add_argument("path", help="what it is to be called in the file system")
    putting.add_argument("--force", action="store_true", help="replace existing files")
    making = _parser(commands, "mkdir", "make a directory", _mkdir)
    making.add_argument("path", help="a path in the file system")
    making.add_argument("-p", "--parents", action="store_true", help="and those above it; it may be there already")
    removing = _parser(commands, "rm", "remove a file, a link or an empty directory", _rm)
    removing.add_argument("path", help="a path in the file system")
    removing.add_argument("-r", "--recursive", action="store_true", help="with all that is below it")
    linking = _parser(commands, "ln", "give a file another name", _ln)
    linking.add_argument("target", help="the file that is there, or with --symbolic any text")
    linking.add_argument("path", help="the new name")
    linking.add_argument("-s", "--symbolic", action="store_true", help="make a symbolic link")
    moving = _parser(commands, "mv", "rename, by POSIX's rules", _mv)
    moving.add_argument("source", help="the name that is there")
    moving.add_argument("target", help="the new name; a file of that name is replaced only with --force")
    moving.add_argument("--force", action="store_true", help="replace an existing file")


def _parser(commands: Commands, name: str, text: str, run: object) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=text)
    parser.add_argument("image", help="a raw disk or volume, changed in place")
    size = command.size_argument
    parser.add_argument("--offset", type=size, metavar="BYTES", help="where it starts; by default it is looked for")
    parser.add_argument("--size", type=size, metavar="BYTES", help="how long it is")
    parser.add_argument("--partition", type=int, metavar="NUMBER", help="the partition, instead of the first with UFS")
    parser.add_argument("--timestamp", type=int, metavar="SECONDS", help="the time of the change; by default now")
    command.add_common_arguments(parser)
    parser.set_defaults(run=run)
    return parser


@contextlib.contextmanager
def _writable(options: argparse.Namespace) -> Iterator[WritableUFS2]:
    moment = options.timestamp
    clock = time.time_ns if moment is None else lambda: int(moment) * 10**9
    with contextlib.closing(
        open_shared(
            options.image,
            writable=True,
            offset=options.offset,
            size=options.size,
            partition=options.partition,
            clock=clock,
        )
    ) as mounted:
        volume = mounted.volume
        if not isinstance(volume, WritableUFS2):  # open_shared() has seen to it; this tells the type checker
            raise TypeError("the file system is read-only")
        yield volume


def _done(options: argparse.Namespace, **facts: object) -> int:
    if options.json:
        command.print_json({"image": options.image, **facts})
    return command.OK


def _put(options: argparse.Namespace) -> int:
    files = 0
    with _writable(options) as volume:
        if not os.path.isdir(options.source):
            _put_file(volume, options.source, options.path, force=options.force)
            files = 1
        else:
            for folder, folders, names in os.walk(options.source):
                below = os.path.relpath(folder, options.source)
                target = options.path if below == "." else f"{options.path.rstrip('/')}/{below}"
                volume.makedirs(target, exist_ok=True)
                for name in [each for each in folders if os.path.islink(os.path.join(folder, each))] + names:
                    _put_file(volume, os.path.join(folder, name), f"{target.rstrip('/')}/{name}", force=options.force)
                    files += 1
    return _done(options, path=options.path, files=files)


def _put_file(volume: WritableUFS2, source: str, path: str, *, force: bool) -> None:
    taken = _is_there(volume, path)
    if taken and not force:
        raise errors.FileExistsError("the name is taken", field=path, hint="--force replaces it")
    status = os.stat(source, follow_symlinks=False)
    if stat.S_ISLNK(status.st_mode):
        if taken:
            volume.unlink(path)
        volume.symlink(os.readlink(source), path)
        return
    if not stat.S_ISREG(status.st_mode):  # opening a pipe would wait for whoever writes to it
        raise errors.SourceError("not a regular file, a folder or a symbolic link", member=source)
    volume.write_file(path, Path(source), sparse=True)
    volume.chmod(path, status.st_mode & 0o7777)


def _mkdir(options: argparse.Namespace) -> int:
    with _writable(options) as volume:
        if options.parents:
            volume.makedirs(options.path, exist_ok=True)
        else:
            volume.mkdir(options.path)
    return _done(options, path=options.path)


def _rm(options: argparse.Namespace) -> int:
    removed = 0
    with _writable(options) as volume:
        if _is_directory(volume, options.path):
            if not options.recursive and volume.listdir(options.path):
                raise errors.DirectoryNotEmptyError("the directory is not empty", field=options.path, hint="rm -r")
            below = list(volume.walk(options.path)) if options.recursive else []
            for path, directories, others in reversed(below):
                links = [entry for entry in directories if entry.is_symlink()]
                for entry in (*links, *others):
                    volume.unlink(entry.path)
                    removed += 1
                if path != options.path:
                    volume.rmdir(path)
                    removed += 1
            volume.rmdir(options.path)
        else:
            volume.unlink(options.path)
        removed += 1
    return _done(options, path=options.path, removed=removed)


def _is_there(volume: WritableUFS2, path: str) -> bool:
    """Whether the name is taken, be it by a link that leads nowhere."""
    try:
        volume.stat(path, follow_symlinks=False)
    except errors.FileNotFoundError:
        return False
    return True


def _is_directory(volume: WritableUFS2, path: str) -> bool:
    return stat.S_ISDIR(volume.stat(path, follow_symlinks=False).st_mode)


def _ln(options: argparse.Namespace) -> int:
    with _writable(options) as volume:
        if options.symbolic:
            volume.symlink(options.target, options.path)
        else:
            volume.link(options.target, options.path)
    return _done(options, path=options.path, target=options.target)


def _mv(options: argparse.Namespace) -> int:
    with _writable(options) as volume:
        taken = _is_there(volume, options.target) and not _is_directory(volume, options.target)
        if taken and not options.force:
            raise errors.FileExistsError("the name is taken", field=options.target, hint="--force replaces it")
        volume.rename(options.source, options.target)
    return _done(options, source=options.source, target=options.target)
