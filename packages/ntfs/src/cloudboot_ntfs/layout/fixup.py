"""Update sequence arrays: the last two bytes of every 512 are replaced by a number, so that a torn write shows."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from cloudboot_ntfs.errors import FixupError

from .constants import SECTOR

if TYPE_CHECKING:
    from typing_extensions import Buffer


def restore(record: bytearray, what: str, *, offset: int | None = None) -> None:
    """Put back the bytes that the update sequence numbers stand in for.

    Args:
        record: a record or index block as it was read; changed in place.
        what: its name, for errors.
        offset: where it starts in the volume, for errors.

    Raises:
        FixupError: the array does not fit the record, or a number differs: the record was not written whole.
    """
    usa_offset, count = struct.unpack_from("<HH", record, 4)
    sectors = len(record) // SECTOR
    if count != sectors + 1 or usa_offset % 2 or usa_offset < 8 or usa_offset + 2 * count > SECTOR - 2:
        raise FixupError(
            "the update sequence array does not fit",
            structure=what,
            field="usa_count",
            offset=offset,
            expected=sectors + 1,
            actual=count,
        )
    number = record[usa_offset : usa_offset + 2]
    for sector in range(1, sectors + 1):
        end = sector * SECTOR
        if record[end - 2 : end] != number:
            raise FixupError(
                "a sector has another update sequence number: it was not written with the others",
                structure=what,
                field="usa",
                offset=None if offset is None else offset + end - 2,
                expected=bytes(number),
                actual=bytes(record[end - 2 : end]),
            )
        place = usa_offset + 2 * sector
        record[end - 2 : end] = record[place : place + 2]


def protect(record: bytearray, number: int = 1) -> None:
    """Put the update sequence number in place, the last step before a record is written."""
    usa_offset, count = struct.unpack_from("<HH", record, 4)
    own = number.to_bytes(2, "little")
    record[usa_offset : usa_offset + 2] = own
    for sector in range(1, count):
        end, place = sector * SECTOR, usa_offset + 2 * sector
        record[place : place + 2] = record[end - 2 : end]
        record[end - 2 : end] = own


def protect_all(records: bytearray, size: int, number: int = 1) -> None:
    """:func:`protect` every record of ``size`` bytes in a buffer; the arrays stand at one place in all of them."""
    usa_offset, count = struct.unpack_from("<HH", records, 4)
    for byte, value in enumerate(number.to_bytes(2, "little")):
        own = bytes([value]) * (len(records) // size)
        records[usa_offset + byte :: size] = own
        for sector in range(1, count):
            end = sector * SECTOR - 2 + byte
            records[usa_offset + 2 * sector + byte :: size] = records[end::size]
            records[end::size] = own


def usa_count(data: Buffer) -> int:
    """Elements of the update sequence array of a record of this size."""
    return memoryview(data).nbytes // SECTOR + 1
