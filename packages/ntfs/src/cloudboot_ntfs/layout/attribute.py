"""Attributes of MFT records: out of a record's bytes, and into them."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from cloudboot_base.lightdata import dataclass
from cloudboot_ntfs.errors import AttributeFormatError

from .constants import END_OF_ATTRIBUTES, AttributeFlag
from .records import AttributeHeader, NonResidentHeader, ResidentHeader

if TYPE_CHECKING:
    from collections.abc import Iterator

_HEAD: Final = struct.Struct("<IIBBHHH")
_RESIDENT: Final = struct.Struct("<IHB")
_NON_RESIDENT: Final = NonResidentHeader.LAYOUT.struct()
_HIGHEST: Final = NonResidentHeader.LAYOUT.pick({"highest_vcn"})
_SIZES: Final = struct.Struct("<QQQ")
_SIZES_AT: Final = NonResidentHeader.LAYOUT.offsets["allocated_size"]
#: As numbers: operators of enum.Flag cost more than the rest of an attribute.
_PACKED: Final = int(AttributeFlag.COMPRESSED | AttributeFlag.SPARSE)
_RESIDENT_START: Final = AttributeHeader.SIZE + ResidentHeader.SIZE
_NON_RESIDENT_START: Final = AttributeHeader.SIZE + NonResidentHeader.SIZE


@dataclass(slots=True)
class Attribute:
    """An attribute of one record. ``value`` is that of a resident one; the others have ``pairs`` (mapping pairs)."""

    type: int
    name: str
    flags: int
    instance: int
    offset: int  #: in the record, bytes
    resident: bool
    value: bytes = b""
    indexed: bool = False
    lowest_vcn: int = 0
    highest_vcn: int = -1
    pairs: bytes = b""
    compression_unit: int = 0
    allocated_size: int = 0
    data_size: int = 0
    initialized_size: int = 0
    stored_size: int | None = None  #: of one that is compressed or sparse: bytes that it takes
    length: int = 0  #: bytes in the record


def parse(record: bytes | bytearray, start: int, end: int, *, number: int) -> Iterator[Attribute]:
    """The attributes of a record, fixups undone.

    Args:
        record: the bytes of the record.
        start: where the first attribute is.
        end: bytes in use.
        number: of the record, for errors.

    Raises:
        AttributeFormatError: an attribute that does not fit the record, or none that ends them.
    """
    position = start
    while True:
        if position + 4 > end:
            raise AttributeFormatError(
                "the attributes do not end", structure="AttributeHeader", offset=position, where={"record": number}
            )
        if int.from_bytes(record[position : position + 4], "little") == END_OF_ATTRIBUTES:
            return
        if position + AttributeHeader.SIZE > end:
            raise _broken("an attribute passes the end of its record", "length", position, number)
        kind, length, non_resident, name_length, name_offset, flags, instance = _HEAD.unpack_from(record, position)
        if length < _RESIDENT_START or length % 8 or position + length > end:
            raise AttributeFormatError(
                "the length of an attribute cannot be",
                structure="AttributeHeader",
                field="length",
                offset=position,
                expected=f"a multiple of 8, at most {end - position}",
                actual=length,
                where={"record": number},
            )
        if name_offset + 2 * name_length > length and name_length:
            raise _broken("the name of an attribute passes its end", "name_offset", position, number)
        name = ""
        if name_length:
            raw = bytes(record[position + name_offset : position + name_offset + 2 * name_length])
            name = raw.decode("utf-16-le", "surrogatepass")
        found = Attribute(kind, name, flags, instance, position, not non_resident, length=length)
        if non_resident:
            _parse_runs(record, found, number)
        else:
            _parse_value(record, found, number)
        yield found
        position += length


def _broken(message: str, field: str, position: int, number: int) -> AttributeFormatError:
    return AttributeFormatError(
        message, structure="AttributeHeader", field=field, offset=position, where={"record": number}
    )


def _parse_value(record: bytes | bytearray, found: Attribute, number: int) -> None:
    size, start, indexed = _RESIDENT.unpack_from(record, found.offset + AttributeHeader.SIZE)
    if start + size > found.length:
        raise AttributeFormatError(
            "the value of an attribute passes its end",
            structure="ResidentHeader",
            field="value_length",
            offset=found.offset,
            expected=f"at most {max(0, found.length - start)}",
            actual=size,
            where={"record": number},
        )
    found.value = bytes(record[found.offset + start : found.offset + start + size])
    found.indexed, found.data_size, found.initialized_size = bool(indexed & 1), size, size
    found.allocated_size = -(-size // 8) * 8


def _parse_runs(record: bytes | bytearray, found: Attribute, number: int) -> None:
    if found.length < _NON_RESIDENT_START:
        raise _broken("the attribute is too short for a run list", "length", found.offset, number)
    values = _NON_RESIDENT.unpack_from(record, found.offset + AttributeHeader.SIZE)
    found.lowest_vcn, found.highest_vcn, runs_offset, found.compression_unit = values[:4]
    found.allocated_size, found.data_size, found.initialized_size = values[5:]
    if not _NON_RESIDENT_START <= runs_offset < found.length:
        raise _broken("the run list starts outside of the attribute", "runs_offset", found.offset, number)
    if found.flags & _PACKED and not found.lowest_vcn and runs_offset >= _NON_RESIDENT_START + 8:
        place = found.offset + _NON_RESIDENT_START
        found.stored_size = int.from_bytes(record[place : place + 8], "little")
    found.pairs = bytes(record[found.offset + runs_offset : found.offset + found.length])


def highest_vcn(data: bytes) -> int:
    """The last cluster that a non-resident attribute maps."""
    return int(_HIGHEST.unpack_from(data, AttributeHeader.SIZE)[0])


def resized(data: bytes, allocated: int, size: int, stored: int | None) -> bytes:
    """The first part of a non-resident attribute with other sizes, all of it initialised."""
    changed = bytearray(data)
    _SIZES.pack_into(changed, AttributeHeader.SIZE + _SIZES_AT, allocated, size, size)
    if stored is not None:
        changed[_NON_RESIDENT_START : _NON_RESIDENT_START + 8] = stored.to_bytes(8, "little")
    return bytes(changed)


def pack_resident(
    kind: int, value: bytes, *, name: str = "", instance: int = 0, flags: int = 0, indexed: bool = False
) -> bytes:
    """The bytes of a resident attribute."""
    raw = name.encode("utf-16-le", "surrogatepass")
    start = -(-(_RESIDENT_START + len(raw)) // 8) * 8
    length = -(-(start + len(value)) // 8) * 8
    head = _HEAD.pack(kind, length, 0, len(raw) // 2, _RESIDENT_START, flags, instance)
    head += struct.pack("<IHBB", len(value), start, indexed, 0) + raw
    return (head.ljust(start, b"\0") + value).ljust(length, b"\0")


def pack_non_resident(
    kind: int,
    pairs: bytes,
    *,
    clusters: int,
    allocated: int,
    size: int,
    initialized: int | None = None,
    name: str = "",
    instance: int = 0,
    flags: int = 0,
    lowest_vcn: int = 0,
    stored: int | None = None,
    compression_unit: int = 0,
) -> bytes:
    """The bytes of a non-resident attribute.

    ``clusters`` is how many the pairs map; ``stored`` the bytes of those that are not holes, for one that is
    compressed or sparse.
    """
    raw = name.encode("utf-16-le", "surrogatepass")
    extended = bool(flags & _PACKED) and lowest_vcn == 0
    name_offset = _NON_RESIDENT_START + (8 if extended else 0)
    start = -(-(name_offset + len(raw)) // 8) * 8
    length = -(-(start + len(pairs)) // 8) * 8
    head = _HEAD.pack(kind, length, 1, len(raw) // 2, name_offset, flags, instance)
    first = lowest_vcn == 0
    head += _NON_RESIDENT.pack(
        lowest_vcn,
        lowest_vcn + clusters - 1,
        start,
        compression_unit if first else 0,  # the first part speaks for all of them
        bytes(5),
        allocated if first else 0,
        size if first else 0,
        (size if initialized is None else initialized) if first else 0,
    )
    if extended:
        head += struct.pack("<Q", allocated if stored is None else stored)
    return ((head + raw).ljust(start, b"\0") + pairs).ljust(length, b"\0")
