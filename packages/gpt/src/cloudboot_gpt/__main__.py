"""``python -m cloudboot_gpt``: show, check, create and repair partition tables, and extract partitions."""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, get_args

from cloudboot_base import FileStorage, Storage, new_image, open_storage
from cloudboot_base.command import (
    CHECK_FAILED,
    OK,
    USAGE,
    add_common_arguments,
    parse_size,
    print_json,
    printable,
    report,
    run,
    size_argument,
)
from cloudboot_base.copying import copy_from_file
from cloudboot_base.storage import descriptor_of

from . import partition_types
from .check import check
from .errors import DiskTooSmallError, SpecificationError
from .mbr import MBRPolicy
from .planner import PartitionSpec, plan
from .reader import BackupPolicy, read
from .repair import repair
from .table import SECTOR_SIZES, Partition, Table
from .writer import create

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PROGRAM = "python -m cloudboot_gpt"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=PROGRAM, description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, main: Callable[[argparse.Namespace], int], purpose: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=purpose, description=purpose)
        added.set_defaults(main=main)
        added.add_argument("image", metavar="IMAGE", help="disk image or block device")
        added.add_argument("--sector-size", type=int, choices=SECTOR_SIZES, help="logical block size in bytes")
        add_common_arguments(added)
        return added

    _add_reading(command("show", _show, "print the partition table"))
    command("check", _check, "list everything wrong with both copies and the MBR; exit 1 if there is anything")
    added = command("repair", _repair, "rebuild what is damaged from the other copy")
    added.add_argument("--dry-run", action="store_true", help="say what would be written and write nothing")
    added = command("extract", _extract, "copy one partition into a file")
    added.add_argument("partition", metavar="PARTITION", help="its number, type (an alias or a GUID) or unique GUID")
    added.add_argument("output", metavar="OUTPUT", help="file to write")
    added.add_argument("--force", action="store_true", help="replace OUTPUT if it exists")
    _add_reading(added)
    _add_creating(command("create", _create, "make a disk image with a new table"))
    return parser


def _add_reading(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--backup",
        choices=get_args(BackupPolicy),
        default="ignore",
        help="read the backup: never, if the primary is damaged, always, or demand that both agree (default: ignore)",
    )
    parser.add_argument(
        "--mbr",
        choices=get_args(MBRPolicy),
        default="protective",
        help="what LBA 0 has to be (default: protective)",
    )


def _add_creating(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--partition",
        action="append",
        default=[],
        metavar="TYPE:SIZE[:NAME[:FILE]]",
        help="a partition: type alias or GUID; size as 64K, 16M or 2G, empty for the FILE's or, with --size, the rest; "
        "FILE is copied into it. May be repeated.",
    )
    parser.add_argument("--size", type=size_argument, metavar="SIZE", help="size of the disk (default: the smallest)")
    parser.add_argument("--entries", type=int, default=128, metavar="N", help="entries of the table (default: 128)")
    parser.add_argument("--seed", help="derive the GUIDs from this text and not from the content")
    parser.add_argument("--force", action="store_true", help="replace IMAGE if it exists")
    parser.add_argument("--dry-run", action="store_true", help="print the table and write nothing")


def _show(options: argparse.Namespace) -> int:
    table = read(options.image, sector_size=options.sector_size, backup=options.backup, mbr=options.mbr)
    _print_table(options, table)
    return OK


def _check(options: argparse.Namespace) -> int:
    findings = check(options.image, sector_size=options.sector_size)
    if options.json:
        print_json([finding.as_dict() for finding in findings])
    else:
        for finding in findings:
            print(printable(str(finding)))
        print(f"{options.image}: {len(findings) or 'no'} problem{'' if len(findings) == 1 else 's'} found")
    return CHECK_FAILED if findings else OK


def _repair(options: argparse.Namespace) -> int:
    actions = repair(options.image, sector_size=options.sector_size, dry_run=options.dry_run)
    if options.json:
        print_json({"dry_run": options.dry_run, "actions": actions})
    else:
        print("\n".join(actions) or f"{options.image}: nothing to repair")
    return OK


def _extract(options: argparse.Namespace) -> int:
    with open_storage(options.image) as opened:
        table = read(opened.storage, sector_size=options.sector_size, backup=options.backup, mbr=options.mbr)
        partition = _select(table, options.partition)
        window = partition.window(opened.storage)
        with new_image(options.output, partition.size, force=options.force) as output:
            _copy(window, output, 0)
    if options.json:
        print_json(partition.as_dict() | {"output": options.output})
    else:
        print(f"{options.output}: partition {partition.number}, {_amount(partition.size)}")
    return OK


def _create(options: argparse.Namespace) -> int:
    with ExitStack() as stack:
        wanted = [_parse_partition(text, stack) for text in options.partition]
        table = plan(
            [spec for spec, _ in wanted],
            sector_size=options.sector_size or 512,
            disk_size=options.size,
            entry_count=options.entries,
            seed=options.seed,
            content=[content for _, content in wanted],
        )
        if not options.dry_run:
            with new_image(options.image, table.size, force=options.force) as image:
                for partition, (_, content) in zip(table.partitions, wanted, strict=True):
                    if content is not None:
                        _copy(content, image, partition.offset)
                create(image, table)
    _print_table(options, table)
    return OK


def _parse_partition(text: str, stack: ExitStack) -> tuple[PartitionSpec, Storage | None]:
    """``TYPE:SIZE[:NAME[:FILE]]`` as a specification and its content; the file stays open as long as ``stack``."""
    words = text.split(":", 3)
    if len(words) < 2:
        raise SpecificationError("a partition is TYPE:SIZE[:NAME[:FILE]]", actual=text)
    content = stack.enter_context(open_storage(words[3])).storage if len(words) == 4 else None
    try:
        size = parse_size(words[1]) if words[1] else None
    except ValueError as error:
        raise SpecificationError(str(error)) from None
    if size is None and content is not None:
        size = content.size
    name = words[2] if len(words) > 2 else ""
    return PartitionSpec(partition_types.parse(words[0]), size, name), content


def _select(table: Table, text: str) -> Partition:
    """The partition a person means.

    Raises:
        SpecificationError: there is none.
    """
    found = table.partition(int(text)) if text.isdecimal() and len(text) < 10 else None
    if not text.isdecimal():
        guid = partition_types.parse(text)
        found = next((partition for partition in table.partitions if partition.guid == guid), table.find(guid))
    if found is None:
        raise SpecificationError("the disk has no such partition", actual=text)
    return found


def _copy(source: Storage, target: FileStorage, offset: int) -> None:
    """Copy a file or a part of one to ``offset`` of a new file; holes stay holes."""
    place = descriptor_of(source)
    if place is None:
        raise TypeError("the command copies files")
    fd, start = place
    copy_from_file(fd, target, offset, source.size, source_offset=start, skip_holes=True)


def _print_table(options: argparse.Namespace, table: Table) -> None:
    if options.json:
        print_json(table.as_dict())
        return
    print(f"Disk {options.image}: {table.disk_blocks} sectors, {_amount(table.size)}")
    print(f"Sector size (logical): {table.sector_size} bytes")
    print(f"Disk identifier (GUID): {table.disk_guid}")
    print(f"Partition table holds up to {table.entry_count} entries")
    print(f"First usable sector is {table.first_usable_lba}, last usable sector is {table.last_usable_lba}")
    print()
    print(f"{'Number':>6}  {'Start (sector)':>14}  {'End (sector)':>14}  {'Size':>10}  {'Type':<36}  Name")
    for each in table.partitions:
        place = f"{each.number:>6}  {each.first_lba:>14}  {each.last_lba:>14}  {_amount(each.size):>10}"
        print(f"{place}  {each.type_name or str(each.type):<36}  {printable(each.name)}".rstrip())


def _amount(size: int) -> str:
    value = float(size)
    for unit in ("bytes", "KiB", "MiB", "GiB", "TiB"):
        if value < 1024 or unit == "TiB":
            return f"{size} bytes" if unit == "bytes" else f"{value:.1f} {unit}"
        value /= 1024
    raise AssertionError("the last unit takes everything")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and give its exit code."""
    options = _parser().parse_args(arguments)
    return run(PROGRAM, _main, options)


def _main(options: argparse.Namespace) -> int:
    """Run the command; a request that makes no sense is wrong usage, not damaged input."""
    try:
        code: int = options.main(options)
    except DiskTooSmallError:
        raise
    except SpecificationError as error:
        report(PROGRAM, error)
        return USAGE
    return code


if __name__ == "__main__":
    sys.exit(main())
