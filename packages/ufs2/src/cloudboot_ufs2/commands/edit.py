"""``put``, ``mkdir``, ``rm``, ``ln``, ``mv``, ``chmod``, ``chown``, ``touch``: a file system changed where it lies."""

from __future__ import annotations

import contextlib
import stat
import time
from typing import TYPE_CHECKING

from cloudboot_base import command
from cloudboot_ufs2 import errors
from cloudboot_ufs2.editor.copyin import copy_in
from cloudboot_ufs2.editor.edit import WritableUFS2
from cloudboot_ufs2.editor.modes import changed_mode

from .common import add_freebsd, add_writable_image, owner_argument, owner_change

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from cloudboot_base.parser import CommandParser, Main


_PATH = "A path in the file system."


def put(parser: CommandParser) -> Main:
    """Declare ``put``."""
    _add_common(parser)
    parser.add_argument("source", metavar="SOURCE", help="A file or folder of the host.")
    parser.add_argument("path", metavar="PATH", help="The path in the file system, or the directory for a file.")
    parser.add_argument(
        "--force",
        action="store_true",
        help="Replace existing files; the old content is kept until the new is complete.",
    )
    parser.add_argument(
        "--in-place", action="store_true",
        help="Overwrite existing files under all of their names. This needs no space beside "
        "the old content, which is lost if anything fails.",
    )  # fmt: skip
    _add_owner(parser)
    return _put


def mkdir(parser: CommandParser) -> Main:
    """Declare ``mkdir``."""
    _add_common(parser)
    parser.add_argument("path", metavar="PATH", help=_PATH)
    parser.add_argument(
        "-p", "--parents", action="store_true", help="Also make missing parents; the directory may exist."
    )
    _add_owner(parser)
    return _mkdir


def rm(parser: CommandParser) -> Main:
    """Declare ``rm``."""
    _add_common(parser)
    parser.add_argument("path", metavar="PATH", help=_PATH)
    parser.add_argument("-r", "--recursive", action="store_true", help="Remove the whole tree.")
    return _rm


def ln(parser: CommandParser) -> Main:
    """Declare ``ln``."""
    _add_common(parser)
    parser.add_argument("target", metavar="TARGET", help="An existing file, or with --symbolic any text.")
    parser.add_argument("path", metavar="PATH", help="The new name.")
    parser.add_argument("-s", "--symbolic", action="store_true", help="Make a symbolic link.")
    _add_owner(parser)
    return _ln


def mv(parser: CommandParser) -> Main:
    """Declare ``mv``."""
    _add_common(parser)
    parser.add_argument("path", metavar="PATH", help="The current path.")
    parser.add_argument(
        "target", metavar="TARGET", help="The new path; an existing file is replaced only with --force."
    )
    parser.add_argument("--force", action="store_true", help="Replace a file that exists.")
    return _mv


def chmod(parser: CommandParser) -> Main:
    """Declare ``chmod``."""
    _add_common(parser)
    parser.add_argument("mode", metavar="MODE", help="A mode as for chmod(1): 644, 1777, u+x,go-w.")
    _add_paths(parser)
    return _chmod


def chown(parser: CommandParser) -> Main:
    """Declare ``chown``."""
    _add_common(parser)
    parser.add_argument("owner", type=owner_change, metavar="[UID][:GID]", help="Numeric ids: 0:0, 1001, :5.")
    _add_paths(parser)
    parser.add_argument("--no-dereference", action="store_true", help="Change symbolic links, not their targets.")
    return _chown


def touch(parser: CommandParser) -> Main:
    """Declare ``touch``."""
    _add_common(parser)
    parser.add_argument("paths", nargs="+", metavar="PATH", help=_PATH)
    parser.add_argument("-c", "--no-create", action="store_true", help="Do not create files.")
    return _touch


def _add_paths(parser: CommandParser) -> None:
    parser.add_argument("paths", nargs="+", metavar="PATH", help=_PATH)
    parser.add_argument("-R", "--recursive", action="store_true", help="Change the whole tree.")


def _add_owner(parser: CommandParser) -> None:
    parser.add_argument(
        "--owner",
        type=owner_argument,
        metavar="UID:GID",
        help="The owner of new files (default: that of SOURCE, or 0:0).",
    )


def _add_common(parser: CommandParser) -> None:
    add_writable_image(parser)
    add_freebsd(parser)
    parser.add_argument(
        "--timestamp", type=int, metavar="SECONDS",
        help="Time of the change, since 1970 (default: SOURCE_DATE_EPOCH if that is set, or else now).",
    )  # fmt: skip
    parser.add_argument("--use-reserve", action="store_true", help="Use the minfree reserve.")


def _moment(options: argparse.Namespace) -> int | None:
    """The time of the change in seconds since 1970: the option, or ``SOURCE_DATE_EPOCH``; ``None`` means now."""
    given: int | None = options.timestamp
    return command.source_date_epoch() if given is None else given


@contextlib.contextmanager
def _writable(options: argparse.Namespace) -> Iterator[WritableUFS2]:
    from cloudboot_ufs2.editor.shared import open_shared  # help and wrong usage do without it

    moment = _moment(options)
    clock = time.time_ns if moment is None else lambda: int(moment) * 10**9
    with contextlib.closing(
        open_shared(
            options.image,
            writable=True,
            offset=options.offset,
            size=options.size,
            partition=options.partition,
            clock=clock,
            use_reserve=options.use_reserve,
            freebsd=options.freebsd,
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
    with _writable(options) as volume:
        done = copy_in(
            volume,
            options.source,
            options.path,
            force=options.force or options.in_place,
            in_place=options.in_place,
            owner=options.owner,
        )
    return _done(options, path=options.path, files=done.files, size=done.size)


def _mkdir(options: argparse.Namespace) -> int:
    with _writable(options) as volume:
        uid, gid = options.owner or (0, 0)
        if options.parents:
            volume.makedirs(options.path, exist_ok=True, uid=uid, gid=gid)
        else:
            volume.mkdir(options.path, uid=uid, gid=gid)
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
            uid, gid = options.owner or (0, 0)
            volume.symlink(options.target, options.path, uid=uid, gid=gid)
        else:
            if options.owner:
                raise errors.OptionError("a hard link has the owner of its file", field="owner")
            volume.link(options.target, options.path)
    return _done(options, path=options.path, target=options.target)


def _mv(options: argparse.Namespace) -> int:
    with _writable(options) as volume:
        taken = _is_there(volume, options.target) and not _is_directory(volume, options.target)
        if taken and not options.force:
            raise errors.FileExistsError("the name is taken", field=options.target, hint="--force replaces it")
        volume.rename(options.path, options.target)
    return _done(options, path=options.path, target=options.target)


def _below(volume: WritableUFS2, options: argparse.Namespace) -> Iterator[str]:
    """The paths that are named, and all below them if that was asked for; links below are not followed."""
    for path in options.paths:
        yield path
        if options.recursive and _is_directory(volume, path):
            for _, directories, others in list(volume.walk(path)):
                yield from (entry.path for entry in (*directories, *others))


def _chmod(options: argparse.Namespace) -> int:
    with _writable(options) as volume:
        for path in list(_below(volume, options)):
            if path in options.paths or not _is_link(volume, path):
                volume.chmod(path, changed_mode(volume.stat(path).st_mode, options.mode))
    return _done(options, paths=options.paths)


def _chown(options: argparse.Namespace) -> int:
    uid, gid = options.owner
    with _writable(options) as volume:
        for path in list(_below(volume, options)):
            follow = path in options.paths and not options.no_dereference
            volume.chown(path, uid, gid, follow_symlinks=follow)
    return _done(options, paths=options.paths)


def _touch(options: argparse.Namespace) -> int:
    with _writable(options) as volume:
        moment = _moment(options)
        now = time.time_ns() if moment is None else moment * 10**9
        for path in options.paths:
            if not volume.exists(path):
                if options.no_create:
                    continue
                volume.open_file(path, "ab").close()
            volume.utime(path, atime_ns=now, mtime_ns=now)
    return _done(options, paths=options.paths)


def _is_link(volume: WritableUFS2, path: str) -> bool:
    return stat.S_ISLNK(volume.stat(path, follow_symlinks=False).st_mode)
