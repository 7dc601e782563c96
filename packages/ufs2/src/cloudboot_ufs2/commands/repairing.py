"""``repair``: what ``fsck_ffs -p`` does."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from cloudboot_base import command, open_storage
from cloudboot_disk_image import Place, installed_readers, window
from cloudboot_ufs2.errors import RepairRefusedError
from cloudboot_ufs2.layout.constants import DEV_BSIZE
from cloudboot_ufs2.reader.partition import find_volume

if TYPE_CHECKING:
    import argparse

    from . import Commands


def add(commands: Commands) -> None:
    """Add this subcommand to a parser."""
    parser = commands.add_parser("repair", help="repair what fsck_ffs -p repairs, and nothing else; all of it or none")
    parser.add_argument("image", help="a raw disk or volume, changed in place")
    size = command.size_argument
    parser.add_argument("--offset", type=size, metavar="BYTES", help="where it starts; by default it is looked for")
    parser.add_argument("--size", type=size, metavar="BYTES", help="how long it is")
    parser.add_argument("--partition", metavar="PARTITION", help="the partition, instead of the first with UFS")
    parser.add_argument("--superblock", type=int, metavar="SECTOR", help="the backup superblock to use, as fsck_ffs -b")
    parser.add_argument(
        "--freebsd", type=int, default=14, metavar="VERSION", help="the oldest FreeBSD that is to read it"
    )
    parser.add_argument("-n", "--dry-run", action="store_true", help="say what would be done; exit code 1 if anything")
    command.add_common_arguments(parser)
    parser.set_defaults(run=_repair)


def _repair(options: argparse.Namespace) -> int:
    from cloudboot_ufs2.editor.preen import repair  # which needs numpy; help does without

    with contextlib.ExitStack() as stack:
        disk = stack.enter_context(open_storage(options.image, writable=not options.dry_run)).storage
        if options.offset is None and options.size is None:
            place = find_volume(disk, partition=options.partition, readers=installed_readers())
        else:
            place = Place(options.offset or 0, options.size)
        try:
            done = repair(
                window(disk, place),
                superblock=None if options.superblock is None else options.superblock * DEV_BSIZE,
                dry_run=options.dry_run,
                freebsd=options.freebsd,
            )
        except RepairRefusedError as error:
            if options.json:
                command.print_json([finding.as_dict() for finding in error.findings])
            for finding in error.findings if not options.json else ():
                print(command.printable(str(finding)))
            raise
    if options.json:
        facts = {"image": options.image, "written": 0 if options.dry_run else done.size, "actions": list(done.actions)}
        command.print_json({**facts, "findings": [finding.as_dict() for finding in done.findings]})
    else:
        for action in done.actions:
            print(f"{'would be done: ' if options.dry_run else ''}{command.printable(action)}")
        if not done.actions:
            print(f"{options.image}: no problems found")
    return command.CHECK_FAILED if options.dry_run and done.actions else command.OK
