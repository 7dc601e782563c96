"""``check``, and ``repair``, which does what ``fsck_ffs -p`` does."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from cloudboot_base import command, open_storage
from cloudboot_disk_image import installed_readers, stated_place, window
from cloudboot_ufs2.checker.check import check as check_volume
from cloudboot_ufs2.editor.preen import repair as repair_volume
from cloudboot_ufs2.errors import RepairRefusedError, SuperblockError
from cloudboot_ufs2.reader.backup import find_backup
from cloudboot_ufs2.reader.partition import find_volume

from .common import add_freebsd, add_image, add_superblock, add_writable_image, storage, superblock_of

if TYPE_CHECKING:
    import argparse

    from cloudboot_base.parser import CommandParser, Main


def check(parser: CommandParser) -> Main:
    """Declare ``check``."""
    add_image(parser)
    add_freebsd(parser)
    return _check


def repair(parser: CommandParser) -> Main:
    """Declare ``repair``."""
    add_writable_image(parser)
    add_superblock(parser)
    add_freebsd(parser)
    parser.add_argument(
        "-n",
        "--dry-run",
        action="store_true",
        help="Print what would be repaired; change nothing; exit 1 if there is anything.",
    )
    return _repair


def _check(options: argparse.Namespace) -> int:
    with storage(options, keep_free=True) as opened:
        findings = check_volume(opened, superblock=superblock_of(options), freebsd=options.freebsd)
        alone = len(findings) == 1 and findings[0].kind in ("superblock-magic", "unsupported")
        alone = alone and find_backup(opened) is None
    if alone:
        found = findings[0]
        raise SuperblockError(found.message, structure=found.structure, field=found.field, offset=found.offset)
    return command.print_findings(os.fspath(options.image), findings, as_json=options.json)


def _repair(options: argparse.Namespace) -> int:
    with contextlib.ExitStack() as stack:
        disk = stack.enter_context(open_storage(options.image, writable=not options.dry_run)).storage
        place = stated_place(options.offset, options.size, options.partition)
        place = place or find_volume(disk, partition=options.partition, readers=installed_readers())
        try:
            done = repair_volume(
                window(disk, place),
                superblock=superblock_of(options),
                dry_run=options.dry_run,
                freebsd=options.freebsd,
            )
        except RepairRefusedError as error:
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
