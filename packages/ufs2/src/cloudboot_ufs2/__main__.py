"""``python -m cloudboot_ufs2``: make, list, read and check UFS2 file systems."""

from __future__ import annotations

import argparse
import dataclasses
import gc
import os
import stat
import sys
import time
from typing import TYPE_CHECKING, BinaryIO

from cloudboot_layout import command

from .builder import Built, Source, build, newfs
from .check import check
from .options import Options
from .reader import UFS2

if TYPE_CHECKING:
    from collections.abc import Sequence

_PROGRAM = "cloudboot_ufs2"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit codes are those of :mod:`cloudboot_layout.command`."""
    options = _parser().parse_args(arguments)
    return command.run(_PROGRAM, options.run, options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m {_PROGRAM}", description="UFS2 file systems.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_build(commands.add_parser("build", help="make a file system that holds a folder or a tar archive"))
    making = commands.add_parser("newfs", help="make an empty file system")
    _add_layout(making)
    making.add_argument("--no-snap", action="store_true", help="no .snap directory (newfs -n)")
    making.set_defaults(run=_newfs)
    for name, run, text, path in (
        ("ls", _ls, "list a directory", "/"),
        ("cat", _cat, "write a file to stdout", None),
        ("info", _info, "describe a file system", None),
        ("check", _check, "check a file system; exit code 1 if anything is wrong", None),
    ):
        reading = commands.add_parser(name, help=text)
        reading.add_argument("image", help="the image, or the disk that holds it")
        if name in ("ls", "cat"):
            reading.add_argument("path", nargs="?" if path else None, default=path, help="a path in the file system")
        if name == "ls":
            reading.add_argument("-R", "--recursive", action="store_true", help="everything below, too")
        _add_place(reading)
        command.add_common_arguments(reading)
        reading.set_defaults(run=run)
    return parser


def _add_place(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--offset", type=command.size_argument, default=0, metavar="BYTES", help="where it starts")
    parser.add_argument("--size", type=command.size_argument, metavar="BYTES", help="how long it is")


def _add_build(parser: argparse.ArgumentParser) -> None:
    _add_layout(parser)
    parser.add_argument("source", help="a folder, a tar archive (gzip, xz, bzip2 or plain), or - for one on stdin")
    parser.add_argument("--owner", type=_owner, metavar="UID:GID", help="the owner of everything")
    parser.add_argument(
        "--times", choices=("keep", "clamp", "set"), default="keep", help="what --timestamp does to the source's times"
    )
    parser.set_defaults(run=_build)


def _add_layout(parser: argparse.ArgumentParser) -> None:
    size = command.size_argument
    parser.add_argument("image", help="the file to make, or with --offset the disk to write into")
    _add_place(parser)
    parser.add_argument("-b", "--block-size", type=size, default=32768, metavar="BYTES", help="4096 to 65536")
    parser.add_argument("-f", "--fragment-size", type=size, metavar="BYTES", help="an eighth of a block to a block")
    parser.add_argument("-i", "--density", type=size, metavar="BYTES", help="bytes per inode")
    parser.add_argument("-L", "--label", default="", help="volume label")
    parser.add_argument("-m", "--minfree", type=int, default=8, metavar="PERCENT", help="space kept for root")
    parser.add_argument("-o", "--optimize", choices=("time", "space"))
    parser.add_argument("-U", "--soft-updates", action="store_true")
    parser.add_argument("-t", "--trim", action="store_true")
    parser.add_argument("--timestamp", type=int, metavar="SECONDS", help="the time of the volume")
    parser.add_argument("--no-check-hash", action="store_true", help="leave the check-hashes out")
    parser.add_argument("--big-endian", action="store_true")
    parser.add_argument("--force", action="store_true", help="replace an existing file, or write into a disk")
    command.add_common_arguments(parser)


def _owner(text: str) -> tuple[int, int]:
    user, colon, group = text.partition(":")
    if not (colon and user.isdigit() and group.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} is not an owner; write 0:0")
    return int(user), int(group)


def _options(options: argparse.Namespace) -> Options:
    return Options(
        block_size=options.block_size,
        fragment_size=options.fragment_size,
        density=options.density,
        label=options.label,
        minfree=options.minfree,
        optimize=options.optimize,
        soft_updates=options.soft_updates,
        trim=options.trim,
        timestamp=options.timestamp,
        check_hash=not options.no_check_hash,
        byteorder="big" if options.big_endian else "little",
    )


def _build(options: argparse.Namespace) -> int:
    source: Source = sys.stdin.buffer if options.source == "-" else options.source
    progress = command.Progress("writing")
    try:
        built = build(
            options.image,
            source,
            _options(options),
            size=options.size,
            offset=options.offset,
            owner=options.owner,
            times=options.times,
            force=options.force,
            progress=progress,
        )
    finally:
        progress.close()
    return _report(options, built)


def _newfs(options: argparse.Namespace) -> int:
    layout = dataclasses.replace(_options(options), snap_directory=not options.no_snap)
    return _report(options, newfs(options.image, layout, size=options.size, offset=options.offset, force=options.force))


def _report(options: argparse.Namespace, built: Built) -> int:
    geometry = built.geometry
    facts = {
        "image": options.image,
        "offset": options.offset,
        "size": built.size,
        "block_size": geometry.block_size,
        "fragment_size": geometry.fragment_size,
        "groups": geometry.group_count,
        "inodes": geometry.inode_count,
        "directories": built.directories,
        "files": built.files,
        "id": list(built.superblock.fs_id),
    }
    if options.json:
        command.print_json(facts)
    else:
        print(
            f"{options.image}: {built.size} bytes, blocks of {geometry.block_size}/{geometry.fragment_size}, "
            f"{geometry.group_count} groups, {built.directories} directories, {built.files} files"
        )
    return command.OK


def _open(options: argparse.Namespace) -> UFS2:
    return UFS2.open(options.image, offset=options.offset, size=options.size)


def _ls(options: argparse.Namespace) -> int:
    rows: list[dict[str, object]] = []
    with _open(options) as volume:
        start = volume.find(options.path)
        if not stat.S_ISDIR(volume.stat_inode(start).st_mode):
            rows.append(_row(volume, options.path, start))
        elif options.recursive:
            for _, directories, others in volume.walk(options.path):
                rows.extend(_row(volume, entry.path, entry.inode) for entry in [*directories, *others])
            rows.sort(key=lambda row: str(row["path"]))
        else:
            rows.extend(_row(volume, entry.name, entry.inode) for entry in volume.iterdir(options.path))
    if options.json:
        command.print_json(rows)
        return command.OK
    for row in rows:
        target = f" -> {row['target']}" if "target" in row else ""
        when = time.strftime("%Y-%m-%d %H:%M", time.gmtime(int(str(row["mtime_ns"])) // 1_000_000_000))
        print(_printable(
            f"{row['mode']} {row['links']:>3} {row['uid']:>5} {row['gid']:>5} {row['size']:>12} {when} "
            f"{row['path']}{target}"
        ))  # fmt: skip
    return command.OK


def _row(volume: UFS2, path: str, inode: int) -> dict[str, object]:
    status = volume.stat_inode(inode)
    row: dict[str, object] = {
        "path": _printable(path),
        "inode": inode,
        "mode": stat.filemode(status.st_mode),
        "links": status.st_nlink,
        "uid": status.st_uid,
        "gid": status.st_gid,
        "size": status.st_size,
        "mtime_ns": status.st_mtime_ns,
    }
    if stat.S_ISLNK(status.st_mode):
        row["target"] = _printable(volume.link_target(inode).decode("utf-8", "surrogateescape"))
    return row


def _printable(text: str) -> str:
    """``text`` without bytes that no terminal and no JSON reader takes."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _cat(options: argparse.Namespace) -> int:
    with _open(options) as volume, volume.open_file(options.path) as file:
        if options.json:
            extents = [{"offset": offset, "length": length} for offset, length in volume.extents(options.path)]
            command.print_json({"path": options.path, "inode": file.inode, "size": file.size, "extents": extents})
            return command.OK
        output: BinaryIO = sys.stdout.buffer
        buffer = memoryview(bytearray(1 << 20))
        while count := file.readinto(buffer):
            output.write(buffer[:count])
        output.flush()
    return command.OK


def _info(options: argparse.Namespace) -> int:
    with _open(options) as volume:
        fs, geometry = volume.superblock, volume.geometry
        total = fs.fs_cstotal
        facts: dict[str, object] = {
            "label": volume.label,
            "id": f"{fs.fs_id[0] & 0xFFFFFFFF:08x}{fs.fs_id[1] & 0xFFFFFFFF:08x}",
            "byte_order": volume.byteorder,
            "size": volume.size,
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


def _check(options: argparse.Namespace) -> int:
    findings = check(options.image, offset=options.offset, size=options.size)
    if options.json:
        command.print_json([finding.as_dict() for finding in findings])
    else:
        for finding in findings:
            print(_printable(str(finding)))
        if not findings:
            print(f"{os.fspath(options.image)}: clean")
    return command.CHECK_FAILED if findings else command.OK


if __name__ == "__main__":
    # One command makes hundreds of thousands of objects and no cycles; the collector would only walk them.
    gc.disable()
    sys.exit(main())
