"""The commands of ``cloudboot-gpt``: show, check, create, repair, grow and resize tables, and extract partitions."""

from __future__ import annotations

import errno
import os
from contextlib import ExitStack
from typing import TYPE_CHECKING, cast, get_args

from cloudboot_base import RangeError, Storage, UsageError, WritableStorage, new_image, open_storage
from cloudboot_base.command import (
    OK,
    amount,
    counted,
    notice,
    parse_size,
    print_findings,
    print_json,
    printable,
    size_argument,
)
from cloudboot_base.copying import copy_from_file
from cloudboot_base.program import Program
from cloudboot_base.storage import chunks, descriptor_of, is_block_device, logical_block_size
from cloudboot_disk_image import choose, open_disk, require_raw

from . import partition_types
from .change import grow, resize
from .check import check, notices
from .disklabel import DisklabelTable
from .entries import encode_name
from .errors import MBRSignatureError, NoProtectiveMBRError, SignatureError, SpecificationError
from .legacy import MBRTable
from .mbr import MBRPolicy
from .partitions import read_without_gpt
from .planner import PartitionSpec, plan
from .reader import BackupPolicy, read
from .repair import repair
from .table import SECTOR_SIZES, Partition, Table
from .writer import create

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from cloudboot_base.parser import CommandParser

    from .disklabel import BSDPartition
    from .legacy import MBRPartition

PROGRAM = "cloudboot-gpt"


_EXAMPLES = {
    "create disk.img --partition esp:64M:EFI --partition freebsd-ufs:1G:root": "Make a disk with two partitions.",
    "create disk.img --partition esp::EFI:esp.fat": "Make a disk whose ESP holds the file esp.fat.",
    "show disk.img --json": "Print the table as JSON.",
    "grow disk.img --size 4G --dry-run": "Print what would be written if the disk had 4 GiB.",
    "extract disk.qcow2 freebsd-ufs root.img": "Copy the first partition of that type into a file.",
}


def program() -> Program:
    """The command lines of this package."""
    made = Program(
        PROGRAM, "cloudboot-gpt", "Create, read, check and repair GUID partition tables.", examples=_EXAMPLES
    )

    def command(name: str, main: Callable[[argparse.Namespace], int], purpose: str) -> CommandParser:
        added = made.command(name, main, purpose)
        added.add_argument("image", metavar="IMAGE", help="Disk image or block device.")
        added.add_argument(
            "--sector-size", type=int, choices=SECTOR_SIZES, help="Logical block size in bytes (default: found)."
        )
        return added

    _add_reading(command("show", _show, "Print the partition table, with a warning if it does not fit the disk."))
    command("check", _check, "List every defect of both copies of the table and of the MBR.")
    added = command("repair", _repair, "Rebuild a damaged copy of the table from the other copy.")
    _add_changing(added, "Overwrite blocks that contain other data.")
    added = command(
        "grow", _grow, "Extend the table to a disk that has grown; the backup moves to the end of the disk."
    )
    added.add_argument(
        "--size", type=size_argument, metavar="SIZE", help="Extend the image file to this size first, such as 4G."
    )
    _add_changing(added, "Overwrite other data at the end of the disk.")
    added = command("resize", _resize, "Move the end of a partition; the content of the partition is not changed.")
    added.add_argument("partition", metavar="PARTITION", help="Its number, name, GUID or type (an alias or a GUID).")
    added.add_argument("size", metavar="SIZE", help="The new size, such as 2G, or max for all free blocks after it.")
    _add_changing(added, "Allow a smaller size; the data at the end is no longer part of the partition.")
    added = command("extract", _extract, "Copy one partition into a file.")
    added.add_argument("partition", metavar="PARTITION", help="Its number, name, GUID or type (an alias or a GUID).")
    added.add_argument("output", metavar="OUTPUT", help="File to write.")
    added.add_argument("--force", action="store_true", help="Replace OUTPUT if it exists.")
    _add_reading(added)
    _add_creating(command("create", _create, "Make a disk image with a new table."))
    return made


def _add_reading(parser: CommandParser) -> None:
    parser.add_argument(
        "--backup",
        choices=get_args(BackupPolicy),
        default="allow",
        help="Do not read the backup (ignore), read it if the primary is damaged (allow), read only the backup (only), "
        "or require that both copies are valid and equal (default: allow).",
    )
    parser.add_argument(
        "--mbr",
        choices=get_args(MBRPolicy),
        default="hybrid",
        help="Which MBR is accepted at LBA 0; ignore accepts any (default: hybrid).",
    )


def _add_changing(parser: CommandParser, force: str) -> None:
    parser.add_argument("--dry-run", action="store_true", help="Print what would be written; write nothing.")
    parser.add_argument("--force", action="store_true", help=force)


def _add_creating(parser: CommandParser) -> None:
    parser.add_argument(
        "--partition",
        action="append",
        default=[],
        metavar="TYPE:SIZE[:NAME[:FILE]]",
        help="A partition. TYPE is an alias such as esp, or a GUID. SIZE is 64K, 16M or 2G; if it is empty, the size "
        "is that of FILE or, with --size, the rest of the disk. FILE is copied into the partition. Can be repeated.",
    )
    parser.add_argument("--size", type=size_argument, metavar="SIZE", help="Size of the disk (default: the smallest).")
    parser.add_argument(
        "--entries", type=int, default=128, metavar="N", help="Number of entries in the table (default: 128)."
    )
    parser.add_argument("--seed", metavar="TEXT", help="Derive the GUIDs from this text, not from the content.")
    parser.add_argument("--force", action="store_true", help="Replace IMAGE if it exists.")
    parser.add_argument("--dry-run", action="store_true", help="Print the table; write nothing.")


# Reading


def _read(options: argparse.Namespace, source: Storage) -> Table | MBRTable | DisklabelTable:
    """The table of a disk: its GPT, or else its plain MBR or disklabel."""
    try:
        return read(source, sector_size=options.sector_size, backup=options.backup, mbr=options.mbr, truncated=True)
    except (MBRSignatureError, NoProtectiveMBRError, SignatureError) as error:
        table = read_without_gpt(source, options.sector_size or logical_block_size(source) or 512)
        if table is None:
            raise error from None
        return table


def _show(options: argparse.Namespace) -> int:
    with open_disk(options.image) as disk:
        table = _read(options, disk.storage)
        said = notices(disk.storage, sector_size=options.sector_size) if isinstance(table, Table) else _faults(table)
    _print_table(options, table, said)
    return OK


def _faults(table: MBRTable | DisklabelTable) -> list[str]:
    return [f"partition {fault.partition}: {fault.message}" for fault in table.faults]


def _check(options: argparse.Namespace) -> int:
    with open_disk(options.image) as disk:
        findings = check(disk.storage, sector_size=options.sector_size)
    return print_findings(options.image, findings, as_json=options.json)


def _extract(options: argparse.Namespace) -> int:
    with open_disk(options.image) as disk:
        table = _read(options, disk.storage)
        partitions: Sequence[Partition | MBRPartition | BSDPartition] = table.partitions
        partition = choose(partitions, options.partition)
        for fault in table.faults:
            if fault.partition == partition.number:
                notice(PROGRAM, f"partition {partition.number}: {fault.message}")
        window = partition.window(disk.storage)
        with new_image(options.output, partition.size, force=options.force) as output:
            _copy(window, output, 0)
    if options.json:
        print_json(partition.as_dict() | {"output": options.output})
    else:
        print(f"{options.output}: partition {partition.number}, {amount(partition.size)}")
    return OK


# Changing


def _require_raw(path: str) -> None:
    with open_storage(path) as opened:
        require_raw(opened.storage)


def _repair(options: argparse.Namespace) -> int:
    _require_raw(options.image)
    actions = repair(options.image, sector_size=options.sector_size, dry_run=options.dry_run, force=options.force)
    said = [] if options.dry_run else notices(options.image, sector_size=options.sector_size)
    return _print_actions(options, actions, f"{options.image}: nothing to repair", said)


def _grow(options: argparse.Namespace) -> int:
    _require_raw(options.image)
    with ExitStack() as stack:
        if options.size is not None:
            stack.enter_context(_enlarged(options.image, options.size, options.dry_run))
        actions = grow(options.image, sector_size=options.sector_size, dry_run=options.dry_run, force=options.force)
        stack.pop_all()
    return _print_actions(options, actions, f"{options.image}: the table fits the disk", [])


def _enlarged(path: str, size: int, dry_run: bool) -> ExitStack:
    """Make an image file larger; leaving the block gives the size back, unless its end is taken off the stack."""
    stack = ExitStack()
    before = os.stat(path).st_size
    if dry_run and size != before:
        raise SpecificationError("--dry-run cannot make the file larger; grow it first, or leave --size out")
    if size < before:
        raise SpecificationError("grow makes no image smaller", expected=f"at least {before} bytes", actual=size)
    with open_storage(path, writable=True):  # an ordinary file, and not a device or a pipe
        os.truncate(path, size)
    stack.callback(os.truncate, path, before)
    return stack


def _resize(options: argparse.Namespace) -> int:
    _require_raw(options.image)
    try:
        size = None if options.size == "max" else parse_size(options.size)
    except ValueError as error:
        raise SpecificationError(str(error), hint="write a size such as 2G, or max") from None
    table = read(options.image, sector_size=options.sector_size, mbr="hybrid")
    number = choose(table.partitions, options.partition).number
    actions = resize(
        options.image, number, size,
        sector_size=options.sector_size, dry_run=options.dry_run, force=options.force,
    )  # fmt: skip
    if not options.dry_run:
        table = read(options.image, sector_size=options.sector_size, mbr="hybrid")
    partition = table.partition(number)
    text = f"{options.image}: partition {number} has {amount(partition.size if partition else 0)}"
    code = _print_actions(options, actions, text, [])
    if actions and not options.dry_run and not options.json:
        print(text)
    return code


def _print_actions(options: argparse.Namespace, actions: list[str], otherwise: str, said: list[str]) -> int:
    for sentence in said:
        notice(PROGRAM, sentence)
    if options.json:
        print_json({"dry_run": options.dry_run, "actions": actions, "notices": said})
    else:
        print("\n".join(actions) or otherwise)
    return OK


# Creating


def _create(options: argparse.Namespace) -> int:
    with ExitStack() as stack:
        wanted = [_parse_partition(text, stack) for text in options.partition]
        device = _device(options, stack) if is_block_device(options.image) else None
        table = plan(
            [spec for spec, _ in wanted],
            sector_size=options.sector_size or (device and logical_block_size(device)) or 512,
            disk_size=options.size if device is None else device.size,
            entry_count=options.entries,
            seed=options.seed,
            content=[content for _, content in wanted],
        )
        if not options.dry_run:
            image: WritableStorage = device or stack.enter_context(
                new_image(options.image, table.size, force=options.force)
            )
            for partition, (_, content) in zip(table.partitions, wanted, strict=True):
                if content is not None:
                    _copy(content, image, partition.offset, fresh=device is None)
            create(image, table)
    _print_table(options, table, [])
    return OK


def _device(options: argparse.Namespace, stack: ExitStack) -> WritableStorage:
    """The block device that the table is written to. Its size is that of the disk."""
    if not options.force and not options.dry_run:
        raise FileExistsError(errno.EEXIST, "this is a device; --force writes to it", options.image)
    device = stack.enter_context(open_storage(options.image, writable=not options.dry_run)).storage
    if options.size not in (None, device.size):
        raise UsageError("--size is not the size of the device", hint=f"it has {device.size} bytes; leave --size out")
    return cast("WritableStorage", device)


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
    try:
        encode_name(name)
    except RangeError as error:
        raise SpecificationError(error.message, expected=error.expected, actual=name) from None
    return PartitionSpec(partition_types.parse(words[0]), size, name), content


def _copy(source: Storage, target: WritableStorage, offset: int, *, fresh: bool = True) -> None:
    """Copy a file, or a part of a disk, to ``offset``; holes of a file stay holes where the target is ``fresh``."""
    place = descriptor_of(source)
    if place is None:
        for piece in chunks(source):
            if not fresh or any(piece):
                target.write_at(offset, piece)
            offset += len(piece)
        return
    fd, start = place
    copy_from_file(fd, target, offset, source.size, source_offset=start, skip_holes=fresh)


# Printing


def _print_table(options: argparse.Namespace, table: Table | MBRTable | DisklabelTable, said: Sequence[str]) -> None:
    for sentence in said:
        notice(PROGRAM, sentence)
    if options.json:
        print_json(table.as_dict() | ({"notices": list(said)} if said else {}))
        return
    print(f"Disk {options.image}: {table.disk_blocks} sectors, {amount(table.size)}")
    print(f"Sector size (logical): {table.sector_size} bytes")
    if isinstance(table, MBRTable):
        print(f"Disk identifier (MBR): {table.disk_signature:#010x}")
        print(f"MBR with {counted(len(table.partitions), 'partition')}, and no GPT")
    elif isinstance(table, DisklabelTable):
        print(f"BSD disklabel with {counted(len(table.partitions), 'partition')}, and no GPT")
    else:
        print(f"Disk identifier (GUID): {table.disk_guid}")
        print(f"Partition table holds up to {table.entry_count} entries")
        print(f"First usable sector is {table.first_usable_lba}, last usable sector is {table.last_usable_lba}")
    print()
    print(f"{'Number':>6}  {'Start (sector)':>14}  {'End (sector)':>14}  {'Size':>10}  {'Type':<36}  Name")
    for each in table.partitions:
        place = f"{each.number:>6}  {each.first_lba:>14}  {each.last_lba:>14}  {amount(max(0, each.size)):>10}"
        kind = each.type_name or (f"{each.type:#04x}" if isinstance(each.type, int) else str(each.type))
        print(f"{place}  {kind:<36}  {printable(each.name)}".rstrip())
