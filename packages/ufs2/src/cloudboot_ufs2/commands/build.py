"""``build`` and ``format``."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from cloudboot_base import command
from cloudboot_base.lightdata import replace
from cloudboot_ufs2.builder.builder import build as build_volume
from cloudboot_ufs2.builder.builder import format as make_empty
from cloudboot_ufs2.layout.constants import DEV_BSIZE

from . import PROGRAM
from .common import owner_argument
from .layout import add_layout, layout_of

if TYPE_CHECKING:
    import argparse

    from cloudboot_base.parser import CommandParser, Main
    from cloudboot_ufs2.builder.built import Built, Source

_IMAGE = "The file to make, or with --offset the disk to write into."


def build(parser: CommandParser) -> Main:
    """Declare ``build``."""
    parser.add_argument("image", type=command.new_image_argument, metavar="IMAGE", help=_IMAGE)
    parser.add_argument(
        "source",
        metavar="SOURCE",
        help="A folder, a tar archive (plain, gzip, xz or bzip2), or - for an archive on stdin.",
    )
    parser.add_argument(
        "--size",
        type=command.size_argument,
        metavar="SIZE",
        help="Size of the file system, such as 1G (default: what the tree needs).",
    )
    parser.add_argument(
        "--free", type=int, default=0, metavar="PERCENT",
        help="Without --size, the share of free space in addition to minfree (default: 0).",
    )  # fmt: skip
    parser.add_argument(
        "--owner", type=owner_argument, metavar="UID:GID", help="The owner of every file (default: as in SOURCE)."
    )
    parser.add_argument(
        "--exclude", action="append", default=[], metavar="GLOB",
        help="Omit matching files: a pattern of a name, or of a path from the root. Can be repeated.",
    )  # fmt: skip
    parser.add_argument("--skip-special", action="store_true", help="Omit devices, pipes and sockets.")
    parser.add_argument(
        "--times",
        choices=("keep", "clamp", "set"),
        default="keep",
        help="Keep the times of SOURCE, clamp them to --timestamp, or set all of them to it (default: keep).",
    )
    add_layout(parser)
    return _build


def format(parser: CommandParser) -> Main:  # noqa: A001 -- the command's name
    """Declare ``format``."""
    parser.add_argument("image", metavar="IMAGE", help=_IMAGE)
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--size", type=command.size_argument, metavar="SIZE", help="Size of the file system, such as 1G.")
    size.add_argument(
        "-s", dest="sectors", type=int, metavar="SECTORS", help="Size of the file system in sectors of -S."
    )
    parser.add_argument("-n", "--no-snap", action="store_true", help="Do not make the directory .snap.")
    add_layout(parser)
    return _format


def _build(options: argparse.Namespace) -> int:
    source: Source = sys.stdin.buffer if options.source == "-" else options.source
    progress = command.Progress("writing")
    try:
        built = build_volume(
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


def _format(options: argparse.Namespace) -> int:
    layout = replace(layout_of(options), snap_directory=not options.no_snap)
    size = options.size if options.sectors is None else options.sectors * layout.sector_size
    built = make_empty(
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
        command.notice(PROGRAM, notice)
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
            print(f"backup superblocks (for fsck_ffs -b) in sectors {sectors}")
    return command.OK
