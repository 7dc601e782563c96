"""Write a table: the protective MBR and both copies, and not one byte of a partition."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Unpack

from cloudboot_base import WritableStorage, open_storage
from cloudboot_base.lightdata import dataclass

from .entries import encode_array
from .errors import DiskTooSmallError, SpecificationError
from .header import PRIMARY_LBA, header_block, header_of
from .mbr import protective_mbr
from .planner import PartitionSpec, PlanOptions, plan, table_faults
from .table import Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cloudboot_base import Storage

    from .reader import Source


@dataclass(frozen=True, slots=True)
class Write:
    """Bytes to put at an offset, and how to tell a person."""

    offset: int
    data: bytes
    action: str


def apply(storage: Storage, writes: Iterable[Write]) -> None:
    """Make ``writes`` in their order."""
    if not isinstance(storage, WritableStorage):  # open_storage has seen to it; this tells the type checker
        raise TypeError("the target is not writable")
    for write in writes:
        storage.write_at(write.offset, write.data)


def metadata(table: Table) -> list[tuple[int, bytes]]:
    """The bytes of a disk with ``table`` that are no partition's: ``(offset, data)``, in the order they are written.

    The backup comes first and the MBR last, so that a disk whose writing was interrupted does not look finished.
    """
    array = encode_array(table)
    crc, size = zlib.crc32(array), table.sector_size
    padded = array.ljust(table.array_blocks * size, b"\0")
    return [
        (table.backup_entries_lba * size, padded),
        (table.last_lba * size, header_block(header_of(table, "backup", crc), size)),
        (table.entries_lba * size, padded),
        (PRIMARY_LBA * size, header_block(header_of(table, "primary", crc), size)),
        (0, protective_mbr(table.disk_blocks).pack().ljust(size, b"\0")),
    ]


def create(target: Source, table: Table | Sequence[PartitionSpec], **options: Unpack[PlanOptions]) -> Table:
    """Write ``table``, or the one :func:`plan` makes of partition specs, to a disk of exactly its size.

    ``target`` is a path, a file, a buffer or a storage. With specs the disk's size is the target's, and ``options`` are
    those of :func:`plan`. Partitions keep the bytes they have.

    Raises:
        SpecificationError: the disk and the table differ in size, or the table breaks a rule.
        GPTError, RangeError: as :func:`plan`, for a table made by hand too.
        OSError: the target cannot be opened or written.
    """
    with open_storage(target, writable=True) as opened:
        storage = opened.storage
        if not isinstance(table, Table):
            options.setdefault("disk_size", storage.size)
            table = plan(table, **options)
        elif options:
            raise TypeError(f"a Table needs no {', '.join(options)}")
        for fault in table_faults(table):
            raise fault
        if storage.size != table.size:
            wrong = DiskTooSmallError if storage.size < table.size else SpecificationError
            raise wrong("the disk does not have the size the table is for", expected=table.size, actual=storage.size)
        if not isinstance(storage, WritableStorage):  # open_storage has seen to it; this tells the type checker
            raise TypeError("the target is not writable")
        for offset, data in metadata(table):
            storage.write_at(offset, data)
    return table
