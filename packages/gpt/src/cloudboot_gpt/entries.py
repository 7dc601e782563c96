"""The partition entry array: its bytes, and the rules of the entries (UEFI 2.10 section 5.3.3)."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from cloudboot_base import RangeError

from .errors import (
    EntryArrayChecksumError,
    GPTError,
    OverlapError,
    PartitionAttributesError,
    PartitionGUIDError,
    PartitionRangeError,
    ReservedError,
)
from .guids import NIL
from .records import GPTPartitionEntry
from .table import Partition, Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .header import Place
    from .records import GPTHeader

RESERVED_ATTRIBUTES: Final = (1 << 48) - (1 << 3)
NAME_UNITS: Final = 36
_OFFSETS: Final = GPTPartitionEntry.LAYOUT.offsets
_UNUSED: Final = bytes(16)


def encode_name(name: str) -> bytes:
    """PartitionName: UTF-16LE, padded with zeros to 72 bytes.

    A name of 36 code units leaves no room for the zero that ends it; the specification calls the name null-terminated,
    but gdisk and util-linux write such names and every reader stops at the end of the field, so they are allowed.
    Lone surrogates, which firmware and Windows let through, survive.

    Raises:
        RangeError: more than 36 UTF-16 code units, or a NUL inside.
    """
    data = name.encode("utf-16-le", "surrogatepass")
    if len(data) > 2 * NAME_UNITS or "\0" in name:
        raise RangeError(
            "not a partition name",
            structure="GPTPartitionEntry", field="PartitionName",
            expected=f"at most {NAME_UNITS} UTF-16 code units without NUL", actual=name,
        )  # fmt: skip
    return data.ljust(2 * NAME_UNITS, b"\0")


def decode_name(data: bytes) -> str:
    """PartitionName up to its first zero; lone surrogates stay what they are."""
    return data.decode("utf-16-le", "surrogatepass").partition("\0")[0]


def encode_array(table: Table) -> bytes:
    """The entry array of ``table``, exactly ``entry_count * entry_size`` bytes.

    Raises:
        RangeError: a value of a partition does not fit its field.
    """
    array = bytearray(table.entry_count * table.entry_size)
    for partition in table.partitions:
        if not 1 <= partition.number <= table.entry_count:
            raise RangeError(
                "no such entry", structure="GPTPartitionEntry",
                expected=f"1 to {table.entry_count}", actual=partition.number,
            )  # fmt: skip
        entry = GPTPartitionEntry(
            PartitionTypeGUID=partition.type.bytes_le,
            UniquePartitionGUID=partition.guid.bytes_le,
            StartingLBA=partition.first_lba,
            EndingLBA=partition.last_lba,
            Attributes=partition.attributes,
            PartitionName=encode_name(partition.name),
        )
        entry.pack_into(array, (partition.number - 1) * table.entry_size)
    return bytes(array)


def decode_array(array: bytes, entry_size: int, sector_size: int) -> tuple[Partition, ...]:
    """The used entries of an array, in its order."""
    return tuple(
        _partition(GPTPartitionEntry.unpack_from(array, at), at // entry_size + 1, sector_size)
        for at in range(0, len(array), entry_size)
        if array[at : at + 16] != _UNUSED
    )


def _partition(entry: GPTPartitionEntry, number: int, sector_size: int) -> Partition:
    return Partition(
        number=number,
        type=UUID(bytes_le=entry.PartitionTypeGUID),
        guid=UUID(bytes_le=entry.UniquePartitionGUID),
        first_lba=entry.StartingLBA,
        last_lba=entry.EndingLBA,
        attributes=entry.Attributes,
        name=decode_name(entry.PartitionName),
        sector_size=sector_size,
    )


def array_faults(array: bytes, header: GPTHeader, place: Place) -> Iterator[GPTError]:
    """Whether the array is the one the header's CRC was made of."""
    crc = zlib.crc32(array)
    if crc != header.PartitionEntryArrayCRC32:
        yield EntryArrayChecksumError(
            f"the entry array at LBA {header.PartitionEntryLBA} is damaged",
            structure="GPTHeader", field="PartitionEntryArrayCRC32",
            offset=place.offset("PartitionEntryArrayCRC32"), lba=place.lba, copy=place.copy,
            expected=header.PartitionEntryArrayCRC32, actual=crc,
        )  # fmt: skip


class _Spot:
    """Where the entries of one array are, for the errors about them."""

    def __init__(self, header: GPTHeader, place: Place) -> None:
        self._header, self._place = header, place

    def __call__(self, partition: Partition, field: str) -> dict[str, Any]:
        offset = self._header.PartitionEntryLBA * self._place.sector_size
        offset += (partition.number - 1) * self._header.SizeOfPartitionEntry + _OFFSETS[field]
        return {
            "structure": "GPTPartitionEntry",
            "field": field,
            "offset": offset,
            "lba": offset // self._place.sector_size,
            "copy": self._place.copy,
            "partition": partition.number,
        }


def partition_faults(partitions: Sequence[Partition], header: GPTHeader, place: Place) -> Iterator[GPTError]:
    """What makes the entries invalid: ranges, and blocks that two partitions share."""
    spot = _Spot(header, place)
    first, last = header.FirstUsableLBA, header.LastUsableLBA
    sound = []
    for partition in partitions:
        if partition.last_lba < partition.first_lba:
            yield PartitionRangeError(
                "the partition ends before it starts",
                **spot(partition, "EndingLBA"),
                expected=f"at least {partition.first_lba}", actual=partition.last_lba,
            )  # fmt: skip
            continue
        sound.append(partition)
        for field, lba in (("StartingLBA", partition.first_lba), ("EndingLBA", partition.last_lba)):
            if not first <= lba <= last:
                yield PartitionRangeError(
                    "the partition leaves the usable blocks",
                    **spot(partition, field), expected=f"{first} to {last}", actual=lba,
                )  # fmt: skip
    sound.sort(key=lambda partition: (partition.first_lba, partition.number))
    highest: Partition | None = None
    for partition in sound:
        if highest is not None and partition.first_lba <= highest.last_lba:
            yield OverlapError(
                f"the partition shares blocks with partition {highest.number}",
                **spot(partition, "StartingLBA"),
                expected=f"more than {highest.last_lba}", actual=partition.first_lba,
            )  # fmt: skip
        if highest is None or partition.last_lba > highest.last_lba:
            highest = partition


def partition_defects(
    array: bytes, partitions: Sequence[Partition], header: GPTHeader, place: Place
) -> Iterator[GPTError]:
    """What is wrong with entries that are still valid."""
    spot = _Spot(header, place)
    owners: dict[UUID, int] = {}
    for partition in partitions:
        owner = owners.setdefault(partition.guid, partition.number)
        if partition.guid == NIL:
            yield PartitionGUIDError(
                "the partition has no GUID", **spot(partition, "UniquePartitionGUID"), actual=partition.guid
            )
        elif owner != partition.number:
            yield PartitionGUIDError(
                f"partition {owner} has the same GUID", **spot(partition, "UniquePartitionGUID"), actual=partition.guid
            )
        reserved = partition.attributes & RESERVED_ATTRIBUTES
        if reserved:
            yield PartitionAttributesError(
                "reserved attribute bits are set",
                **spot(partition, "Attributes"), expected=partition.attributes ^ reserved, actual=partition.attributes,
            )  # fmt: skip
        at = (partition.number - 1) * header.SizeOfPartitionEntry
        tail = array[at + GPTPartitionEntry.SIZE : at + header.SizeOfPartitionEntry]
        if tail.strip(b"\0"):
            yield ReservedError(
                "the rest of the entry is not zero",
                **spot(partition, "PartitionName") | {"field": None}, expected=bytes(len(tail)), actual=tail,
            )  # fmt: skip
