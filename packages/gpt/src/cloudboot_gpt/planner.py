"""From what is wanted to a table: where every partition lies, how large the disk is, which GUIDs it has.

Nothing is read or written, except content that is to be hashed.

The layout rule: the first partition starts at the first multiple of ``first_lba`` (64) blocks that is usable; each one
after it starts at the next multiple of ``alignment`` (1 MiB). So an ESP of 16 MiB takes LBA 64 to 32831 of a disk with
512-byte blocks, and what follows it starts at LBA 34816. A partition with an ``offset`` of its own lies there.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final, TypedDict

from cloudboot_base.lightdata import dataclass, replace

from .entries import decode_array, encode_array, partition_defects, partition_faults
from .errors import DiskTooSmallError, GPTError, SpecificationError
from .guids import NIL, content_digest, disk_guid, partition_guid
from .header import MAX_ARRAY_SIZE, PRIMARY_LBA, Place, header_block, header_defects, header_faults, header_of
from .records import GPTPartitionEntry
from .table import MIN_ARRAY_SIZE, SECTOR_SIZES, Partition, Table, blocks_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from uuid import UUID

    from cloudboot_base import Storage

    from .header import CopyName

FIRST_LBA: Final = 64
ALIGNMENT: Final = 1 << 20
_GRAIN: Final = 4096  # bytes


@dataclass(frozen=True, slots=True)
class PartitionSpec:
    """A partition that is wanted.

    ``size`` and ``offset`` are in bytes. The size is rounded up to whole blocks; ``None`` takes what is left of the
    disk and needs a ``disk_size``. ``guid`` and ``offset`` are chosen by :func:`plan` unless given.
    """

    type: UUID
    size: int | None
    name: str = ""
    attributes: int = 0
    guid: UUID | None = None
    offset: int | None = None


class PlanOptions(TypedDict, total=False):
    """The keyword arguments of :func:`plan`, for functions that pass them on."""

    sector_size: int
    disk_size: int | None
    entry_count: int
    first_lba: int
    alignment: int
    disk_guid: UUID | None
    seed: bytes | str | None
    content: Sequence[bytes | Storage | None] | None


def plan(
    specs: Sequence[PartitionSpec],
    *,
    sector_size: int = 512,
    disk_size: int | None = None,
    entry_count: int = 128,
    first_lba: int = FIRST_LBA,
    alignment: int = ALIGNMENT,
    disk_guid: UUID | None = None,
    seed: bytes | str | None = None,
    content: Sequence[bytes | Storage | None] | None = None,
) -> Table:
    """Lay out ``specs`` on a disk and give the disk and its partitions GUIDs.

    Without ``disk_size`` (bytes) the disk is as small as it can be: see ``Table.size``. GUIDs that are not given follow
    from ``seed``, or else from the whole layout and from ``content``: for each partition its SHA-256 digest, a storage
    to hash (zeros are assumed after its end), or ``None``. The layout does not depend on the content, so content that
    is written in place can be hashed where it lies: plan, fill ``partition.window(storage)``, plan again with the
    windows as ``content``, create.

    Raises:
        SpecificationError: sizes, offsets, numbers or content that make no sense.
        DiskTooSmallError: the partitions do not fit into ``disk_size``.
        PartitionError: partitions with offsets of their own overlap or leave the usable blocks; GUIDs that repeat.
        RangeError: a name is too long.
    """
    _check_options(specs, sector_size, disk_size, entry_count, first_lba=first_lba, alignment=alignment)
    reserved = blocks_for(max(MIN_ARRAY_SIZE, entry_count * GPTPartitionEntry.SIZE), sector_size)
    first_usable = 2 + reserved
    blocks = None if disk_size is None else disk_size // sector_size
    last_usable = None if blocks is None else blocks - 2 - reserved
    start = -(-first_usable // first_lba) * first_lba
    partitions = _place(specs, sector_size, start, alignment // sector_size, last_usable)
    last_needed = max((partition.last_lba for partition in partitions), default=first_usable)
    needed = max(last_needed, first_usable) + 2 + reserved
    if blocks is None:
        blocks = needed
    elif needed > blocks:
        raise DiskTooSmallError(
            "the partitions and both copies of the table do not fit on the disk",
            partition=next((each.number for each in partitions if each.last_lba > blocks - 2 - reserved), None),
            expected=f"at least {needed * sector_size} bytes", actual=disk_size,
        )  # fmt: skip
    table = Table(
        sector_size, blocks, disk_guid or NIL, first_usable, blocks - 2 - reserved, partitions, entry_count=entry_count
    )
    table = _identified(table, seed, content)
    for fault in table_faults(table):
        raise fault
    return table


def _check_options(
    specs: Sequence[PartitionSpec],
    sector_size: int,
    disk_size: int | None,
    entry_count: int,
    *,
    first_lba: int,
    alignment: int,
) -> None:
    if sector_size not in SECTOR_SIZES:
        raise SpecificationError("not a sector size", expected=SECTOR_SIZES, actual=sector_size)
    if disk_size is not None and disk_size % sector_size:
        raise SpecificationError(
            "the disk is not a whole number of blocks", expected=f"a multiple of {sector_size}", actual=disk_size
        )
    most = MAX_ARRAY_SIZE // GPTPartitionEntry.SIZE
    if not 1 <= entry_count <= most:
        raise SpecificationError("impossible number of entries", expected=f"1 to {most}", actual=entry_count)
    if len(specs) > entry_count:
        raise SpecificationError(
            "more partitions than entries", expected=f"at most {entry_count}", actual=len(specs),
            hint="raise entry_count",
        )  # fmt: skip
    if first_lba < 1:
        raise SpecificationError("the first partition starts at a multiple of this", expected=">= 1", actual=first_lba)
    if alignment < sector_size or alignment % sector_size:
        raise SpecificationError(
            "the alignment is in bytes, whole blocks", expected=f"a multiple of {sector_size}", actual=alignment
        )


def _place(
    specs: Sequence[PartitionSpec], sector_size: int, start: int, step: int, last_usable: int | None
) -> tuple[Partition, ...]:
    """The partitions in order; ``start``, ``step`` and ``last_usable`` are in blocks."""
    partitions: list[Partition] = []
    for number, spec in enumerate(specs, 1):
        if spec.offset is not None:
            if spec.offset < 0 or spec.offset % sector_size:
                raise SpecificationError(
                    "the offset is not a whole number of blocks", partition=number,
                    expected=f"a multiple of {sector_size}", actual=spec.offset,
                )  # fmt: skip
            first = spec.offset // sector_size
        elif partitions:
            if specs[number - 2].size is None:
                raise SpecificationError("nothing can follow a partition that takes the rest", partition=number)
            first = -(-(partitions[-1].last_lba + 1) // step) * step
        else:
            first = start
        last = _end(spec, number, first, sector_size, last_usable)
        partitions.append(
            Partition(number, spec.type, spec.guid or NIL, first, last, spec.attributes, spec.name, sector_size)
        )
    return tuple(partitions)


def _end(spec: PartitionSpec, number: int, first: int, sector_size: int, last_usable: int | None) -> int:
    if spec.size is None:
        if last_usable is None:
            raise SpecificationError("a partition without a size needs a disk_size", partition=number)
        return max(rest_end(first, last_usable, sector_size), first)  # plan() sees whether the disk has the block
    if spec.size > 0:
        return first + blocks_for(spec.size, sector_size) - 1
    raise SpecificationError("a partition has at least one byte", partition=number, actual=spec.size)


def rest_end(first: int, last: int, sector_size: int) -> int:
    """The last block of a partition from ``first`` that takes what there is up to ``last``.

    Its size is a multiple of 4 KiB where there is as much: cryptsetup, and file systems with blocks of that size, want
    all of their device, and the last usable block of a disk is none that they choose (sgdisk warns of it).
    """
    step = max(1, _GRAIN // sector_size)
    blocks = last + 1 - first
    return last - blocks % step if blocks >= step else last


def _identified(table: Table, seed: bytes | str | None, content: Sequence[bytes | Storage | None] | None) -> Table:
    """``table`` with a GUID wherever it has none yet."""
    if content is not None and len(content) != len(table.partitions):
        raise SpecificationError(
            "content has one element for each partition", expected=len(table.partitions), actual=len(content)
        )
    if seed is not None:
        name = b"seed\0" + (seed.encode("utf-8", "surrogateescape") if isinstance(seed, str) else seed)
    else:
        array = encode_array(table)
        name = b"table\0" + header_block(header_of(table, "primary", zlib.crc32(array)), table.sector_size) + array
        for partition, what in zip(table.partitions, content or [None] * len(table.partitions), strict=True):
            name += bytes(32) if what is None else content_digest(what, partition.size)
    disk = disk_guid(name) if table.disk_guid == NIL else table.disk_guid
    partitions = tuple(
        replace(partition, guid=partition_guid(disk, partition.number)) if partition.guid == NIL else partition
        for partition in table.partitions
    )
    return replace(table, disk_guid=disk, partitions=partitions)


def table_faults(table: Table) -> Iterator[GPTError]:
    """What is wrong with a table as a value, by the rules a checker applies to one on a disk.

    Raises:
        RangeError: a value does not fit its field, so that there is nothing to judge.
    """
    if table.sector_size not in SECTOR_SIZES:
        yield SpecificationError("not a sector size", expected=SECTOR_SIZES, actual=table.sector_size)
        return
    size, count = table.entry_size, table.entry_count
    if size < GPTPartitionEntry.SIZE or size & (size - 1) or not 1 <= count <= MAX_ARRAY_SIZE // size:
        yield SpecificationError("impossible entry array", actual=f"{count} entries of {size} bytes")
        return
    array = encode_array(table)
    partitions = decode_array(array, size, table.sector_size)
    if partitions != tuple(sorted(table.partitions, key=lambda partition: partition.number)):
        yield SpecificationError(
            "partitions without a type, with the same number, or of another sector size",
            expected=len(table.partitions), actual=len(partitions),
        )  # fmt: skip
    copies: tuple[tuple[CopyName, int], ...] = (("primary", PRIMARY_LBA), ("backup", table.last_lba))
    for name, lba in copies:
        header = header_of(table, name, zlib.crc32(array))
        block = header_block(header, table.sector_size)
        place = Place(name, lba, table.sector_size, table.disk_blocks)
        yield from header_faults(block, header, place)
        yield from header_defects(block, header, place)
        yield from partition_faults(partitions, header, place)
        yield from partition_defects(array, partitions, header, place)
