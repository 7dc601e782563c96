"""The command that repairs a volume."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudboot_base.command import CHECK_FAILED, OK, print_json, printable
from cloudboot_ntfs.editor import repair
from cloudboot_ntfs.editor.shared import open_place
from cloudboot_ntfs.errors import RepairRefusedError

if TYPE_CHECKING:
    import argparse


def repair_command(options: argparse.Namespace) -> int:
    """``repair``."""
    place = open_place(
        options.image,
        writable=not options.dry_run,
        offset=options.offset,
        size=options.size,
        partition=options.partition,
    )
    try:
        with place as storage:
            done = repair(storage, dry_run=options.dry_run)
    except RepairRefusedError as error:
        for finding in error.findings if not options.json else ():
            print(printable(str(finding)))
        raise
    if options.json:
        facts = {"image": options.image, "written": 0 if options.dry_run else done.size, "actions": list(done.actions)}
        print_json({**facts, "findings": [finding.as_dict() for finding in done.findings]})
    else:
        for action in done.actions:
            print(f"{'would be done: ' if options.dry_run else ''}{printable(action)}")
        if not done.actions:
            print("clean")
    return CHECK_FAILED if options.dry_run and done.actions else OK
