"""``ls``, ``cat``, ``get`` and ``info``."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import sys
import time
from functools import cache, lru_cache
from operator import itemgetter
from typing import TYPE_CHECKING, BinaryIO

from cloudboot_base import command
from cloudboot_base.lightdata import NamedTuple
from cloudboot_ufs2.exporter.copyout import copy_out

from .common import add_image, escaped, volume

if TYPE_CHECKING:
    import argparse

    from cloudboot_base.parser import CommandParser, Main
    from cloudboot_ufs2.reader.file import UFS2File
    from cloudboot_ufs2.reader.reader import UFS2
    from cloudboot_vfs import Stat

_PIPE = 1 << 20  # bytes in a pipe, so that reader and writer seldom wait for each other; Linux allows that to anybody
_PATH = "A path in the file system"


def ls(parser: CommandParser) -> Main:
    """Declare ``ls``."""
    add_image(parser)
    parser.add_argument("path", metavar="PATH", nargs="?", default="/", help=_PATH + " (default: /).")
    parser.add_argument("-R", "--recursive", action="store_true", help="List the whole tree.")
    return _ls


def cat(parser: CommandParser) -> Main:
    """Declare ``cat``."""
    add_image(parser)
    parser.add_argument("path", metavar="PATH", help=_PATH + ".")
    return _cat


def get(parser: CommandParser) -> Main:
    """Declare ``get``."""
    add_image(parser)
    parser.add_argument("path", metavar="PATH", help=_PATH + ".")
    parser.add_argument(
        "output",
        metavar="OUTPUT",
        nargs="?",
        help="File or folder of the host (default: the same name in the current folder).",
    )
    parser.add_argument("--force", action="store_true", help="Replace an existing file.")
    return _get


def info(parser: CommandParser) -> Main:
    """Declare ``info``."""
    add_image(parser)
    return _info


class _Row(NamedTuple):
    """A line of a listing."""

    path: str
    status: Stat
    target: str | None  #: of a symbolic link

    def as_dict(self) -> dict[str, object]:
        status = self.status
        row: dict[str, object] = {
            "path": self.path,
            "inode": status.st_ino,
            "mode": _mode(status.st_mode),
            "links": status.st_nlink,
            "uid": status.st_uid,
            "gid": status.st_gid,
            "size": status.st_size,
            "mtime_ns": status.st_mtime_ns,
        }
        return row if self.target is None else {**row, "target": self.target}

    def __str__(self) -> str:
        status = self.status
        target = "" if self.target is None else f" -> {self.target}"
        return (
            f"{_mode(status.st_mode)} {status.st_nlink:>3} {status.st_uid:>5} {status.st_gid:>5} {status.st_size:>12} "
            f"{_when(status.st_mtime_ns // 60_000_000_000)} {self.path}{target}"
        )


@cache
def _mode(mode: int) -> str:
    return stat.filemode(mode)


@lru_cache(maxsize=4096)
def _when(minutes: int) -> str:
    try:
        return time.strftime("%Y-%m-%d %H:%M", time.gmtime(minutes * 60))
    except (OverflowError, ValueError, OSError):  # an inode has 64 bits for seconds, a calendar has not
        return f"{minutes * 60} s"


def _ls(options: argparse.Namespace) -> int:
    with volume(options) as found:
        start = found.find(options.path)
        if not stat.S_ISDIR(found.stat_inode(start).st_mode):
            rows = [_row(found, options.path, start)]
        elif options.recursive:
            rows = [
                _row(found, entry.path, entry.inode)
                for _, directories, others in found.walk(options.path)
                for entries in (directories, others)
                for entry in entries
            ]
            rows.sort(key=itemgetter(0))
        else:
            rows = [_row(found, entry.name, entry.inode) for entry in found.iterdir(options.path)]
    if options.json:
        command.print_json([row.as_dict() for row in rows])
    else:
        sys.stdout.writelines([f"{command.printable(str(row))}\n" for row in rows])
    return command.OK


def _row(found: UFS2, path: str, inode: int) -> _Row:
    status = found.stat_inode(inode)
    target = None
    if stat.S_ISLNK(status.st_mode):
        target = escaped(found.link_target(inode).decode("utf-8", "surrogateescape"))
    return _Row(path if path.isascii() else escaped(path), status, target)


def _cat(options: argparse.Namespace) -> int:
    with volume(options) as found, found.open_file(options.path) as file:
        if options.json:
            extents = [{"offset": offset, "length": length} for offset, length in found.extents(options.path)]
            command.print_json({"path": options.path, "inode": file.inode, "size": file.size, "extents": extents})
            return command.OK
        _send(file)
    return command.OK


def _send(file: UFS2File) -> None:
    """Write a file to stdout: from the image to a pipe or file without passing through here, if stdout is one."""
    output: BinaryIO = sys.stdout.buffer
    output.flush()
    try:
        descriptor = output.fileno()
    except OSError:  # io.UnsupportedOperation: a program that runs this in its own process took stdout's place
        buffer = memoryview(bytearray(1 << 20))
        while count := file.readinto(buffer):
            output.write(buffer[:count])
        output.flush()
        return
    with contextlib.suppress(OSError):  # not a pipe, or the user has had his share of large ones
        fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, _PIPE)
    file.copy_to(descriptor)


def _get(options: argparse.Namespace) -> int:
    progress = command.Progress("writing")
    with volume(options) as found:
        target = options.output or os.path.basename(options.path.rstrip("/")) or "root"
        try:
            copied = copy_out(found, options.path, target, force=options.force, progress=progress)
        finally:
            progress.close()
    if options.json:
        command.print_json({
            "path": options.path, "target": target, "files": copied.files, "size": copied.size,
            "skipped": [{"path": escaped(each.path), "reason": each.reason} for each in copied.skipped],
        })  # fmt: skip
        return command.OK
    for each in copied.skipped:
        print(f"left out {command.printable(each.path)}: {each.reason}", file=sys.stderr)
    print(f"{target}: {command.counted(copied.files, 'file')}, {copied.size} bytes")
    return command.OK


def _info(options: argparse.Namespace) -> int:
    with volume(options) as found:
        fs, geometry = found.superblock, found.geometry
        total = fs.fs_cstotal
        facts: dict[str, object] = {
            "format": found.dialect.name,
            "label": found.label,
            "id": f"{fs.fs_id[0] & 0xFFFFFFFF:08x}{fs.fs_id[1] & 0xFFFFFFFF:08x}",
            "byte_order": found.byteorder,
            "size": found.size,
            "block_size": geometry.block_size,
            "fragment_size": geometry.fragment_size,
            "groups": geometry.group_count,
            "fragments_per_group": geometry.group_fragments,
            "inodes_per_group": geometry.group_inodes,
            "free_blocks": total.cs_nbfree,
            "free_fragments": total.cs_nffree,
            "free_inodes": total.cs_nifree,
            "directories": total.cs_ndir,
            "minfree": fs.fs_minfree,
            "optimization": "space" if fs.fs_optim else "time",
            "flags": f"{fs.fs_flags:#x}",
            "check_hashes": f"{fs.fs_metackhash:#x}",
            "clean": bool(fs.fs_clean),
            "time": fs.fs_time,
        }
    if options.json:
        command.print_json(facts)
    else:
        for name, value in facts.items():
            print(f"{name.replace('_', ' ')}: {value}")
    return command.OK
