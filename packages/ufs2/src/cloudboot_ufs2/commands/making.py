"""``build`` and ``newfs``."""

from __future__ import annotations

import dataclasses
import os
import sys
from typing import TYPE_CHECKING

from cloudboot_base import command
from cloudboot_ufs2.builder.builder import build, newfs
from cloudboot_ufs2.layout.constants import DEV_BSIZE

from .common import owner_argument
from .layout import add_layout, layout_of

if TYPE_CHECKING:
    import argparse

    from cloudboot_ufs2.builder.builder import Built, Source

    from . import Commands

_IMAGE = "the file to make, or with --offset the disk to write into"


def add(commands: Commands) -> None:
    """Add these subcommands to a parser."""
    # newfs(8) has another use for -h.
    _add_build(
        commands.add_parser("build", help="make a file system that holds a folder or a tar archive", add_help=False)
    )
    _add_newfs(commands.add_parser("newfs", help="make an empty file system", add_help=False))


def _add_build(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("image", help=_IMAGE)
    parser.add_argument("source", help="a folder, a tar archive (gzip, xz, bzip2 or plain), or - for one on stdin")
    parser.add_argument(
        "--size", type=command.size_argument, metavar="BYTES", help="how long it is; by default what it needs"
    )
    parser.add_argument(
        "--free", type=int, default=0, metavar="PERCENT", help="without a size, what stays free besides minfree's share"
    )
    parser.add_argument("--owner", type=owner_argument, metavar="UID:GID", help="the owner of everything")
    parser.add_argument(
        "--exclude",
        action="append",
        default=[],
        metavar="GLOB",
        help="what to leave out: a name, or a path from the root",
    )
    parser.add_argument("--skip-special", action="store_true", help="leave out devices, pipes and sockets")
    parser.add_argument(
        "--times", choices=("keep", "clamp", "set"), default="keep", help="what --timestamp does to the source's times"
    )
    add_layout(parser)
    parser.set_defaults(run=_build)


def _add_newfs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("image", help=_IMAGE)
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--size", type=command.size_argument, metavar="BYTES", help="how long it is")
    size.add_argument("-s", dest="sectors", type=int, metavar="SECTORS", help="how long it is, in sectors as -S says")
    parser.add_argument("-n", "--no-snap", action="store_true", help="no .snap directory")
    add_layout(parser)
    parser.set_defaults(run=_newfs)


def _build(options: argparse.Namespace) -> int:
    source: Source = sys.stdin.buffer if options.source == "-" else options.source
    progress = command.Progress("writing")
    try:
        built = build(
            options.image,
            source,
            layout_of(options),
            size=options.size,
            free=options.free,
            offset=options.offset,
            owner=options.owner,
            times=options.times,
            force=options.force,
            erase=options.erase,
            dry_run=options.dry_run,
            exclude=options.exclude,
            skip_special=options.skip_special,
            progress=progress,
            processes=len(os.sched_getaffinity(0)),
        )
    finally:
        progress.close()
    return _report(options, built)


def _newfs(options: argparse.Namespace) -> int:
    layout = dataclasses.replace(layout_of(options), snap_directory=not options.no_snap)
    size = options.size if options.sectors is None else options.sectors * layout.sector_size
    built = newfs(
        options.image,
        layout,
        size=size,
        offset=options.offset,
        force=options.force,
        erase=options.erase,
        dry_run=options.dry_run,
    )
    return _report(options, built)


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
        "backups": built.backups,
        "written": not options.dry_run,
        "id": list(built.superblock.fs_id),
        "notices": list(built.notices),
    }
    for notice in built.notices:
        print(f"note: {command.printable(notice)}", file=sys.stderr)
    if options.json:
        command.print_json(facts)
    else:
        print(
            f"{options.image}: {'would have ' if options.dry_run else ''}{built.size} bytes, "
            f"blocks of {geometry.block_size}/{geometry.fragment_size}, "
            f"{command.counted(geometry.group_count, 'group')}, "
            f"{command.counted(built.directories, 'directory', 'directories')}, {command.counted(built.files, 'file')}"
        )
        if options.verbose:
            sectors = ", ".join(str(offset // DEV_BSIZE) for offset in built.backups)
            print(f"super-block backups (for fsck_ffs -b #) at: {sectors}")
    return command.OK
