"""``build`` and ``newfs``."""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
from typing import TYPE_CHECKING

from cloudboot_layout import command
from cloudboot_ufs2.builder import build, newfs
from cloudboot_ufs2.options import Options

if TYPE_CHECKING:
    from cloudboot_ufs2.builder import Built, Source

    from . import Commands


def add(commands: Commands) -> None:
    """Add these subcommands to a parser."""
    _add_build(commands.add_parser("build", help="make a file system that holds a folder or a tar archive"))
    making = commands.add_parser("newfs", help="make an empty file system")
    _add_layout(making)
    making.add_argument("--no-snap", action="store_true", help="no .snap directory (newfs -n)")
    making.set_defaults(run=_newfs)


def _add_build(parser: argparse.ArgumentParser) -> None:
    _add_layout(parser)
    parser.add_argument("source", help="a folder, a tar archive (gzip, xz, bzip2 or plain), or - for one on stdin")
    parser.add_argument("--owner", type=_owner, metavar="UID:GID", help="the owner of everything")
    parser.add_argument(
        "--times", choices=("keep", "clamp", "set"), default="keep", help="what --timestamp does to the source's times"
    )
    parser.set_defaults(run=_build)


def _add_layout(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("image", help="the file to make, or with --offset the disk to write into")
    size = command.size_argument
    parser.add_argument("--offset", type=size, default=0, metavar="BYTES", help="where it starts")
    parser.add_argument("--size", type=size, metavar="BYTES", help="how long it is")
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
            processes=len(os.sched_getaffinity(0)),
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
