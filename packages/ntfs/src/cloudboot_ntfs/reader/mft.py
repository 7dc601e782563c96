"""The master file table: records by number, with the attributes of their extension records."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from cloudboot_base.lightdata import dataclass, replace
from cloudboot_ntfs.errors import (
    AttributeFormatError,
    AttributeMissingError,
    FixupError,
    NtfsError,
    RecordError,
)
from cloudboot_ntfs.layout import attribute, fixup, runlist
from cloudboot_ntfs.layout.constants import REFERENCE_MASK, Number, RecordFlag, Type
from cloudboot_ntfs.layout.records import AttributeListEntry, RecordHeader

from .stream import Stream, merge, resident

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloudboot_base import Storage
    from cloudboot_ntfs.layout.attribute import Attribute
    from cloudboot_ntfs.layout.boot import Geometry

_HEADER: Final = RecordHeader.LAYOUT.struct()
_LIST: Final = AttributeListEntry.LAYOUT.struct()
#: Bytes of an attribute list that are read at most; Windows has the same limit.
_MAX_LIST: Final = 256 * 1024
_SWEEP: Final = 1 << 20
#: As numbers: operators of enum.Flag are slow, and these are asked of every record.
_IN_USE: Final = int(RecordFlag.IN_USE)
_DIRECTORY: Final = int(RecordFlag.DIRECTORY)
#: Records that are kept parsed at most.
_KEPT: Final = 512
#: Records with attribute lists that are kept at most.
_KEPT_WHOLE: Final = 8


@dataclass(slots=True)
class Record:
    """One MFT record: its head, and the attributes in it. Fixups are undone."""

    number: int
    sequence: int
    link_count: int
    flags: int
    bytes_used: int
    bytes_allocated: int
    base: int  #: reference of the base record, 0 in one
    next_instance: int
    attributes: list[Attribute]
    block: bytearray  #: its bytes, not to be changed

    @property
    def in_use(self) -> bool:
        """Whether the record is that of a file."""
        return bool(self.flags & _IN_USE)

    @property
    def is_directory(self) -> bool:
        """Whether it is that of a directory."""
        return bool(self.flags & _DIRECTORY)

    @property
    def reference(self) -> int:
        """What others refer to it by."""
        return self.sequence << 48 | self.number


def parse_record(raw: bytes, number: int, offset: int | None = None, *, attributes: bool = True) -> Record:
    """The record in ``raw``.

    Raises:
        RecordError: no record, or a head that cannot be.
        FixupError: it was not written whole.
        AttributeFormatError: an attribute does not fit.
    """
    if raw[:4] != b"FILE":
        raise RecordError(
            "not an MFT record", structure="RecordHeader", field="signature", offset=offset, expected=b"FILE",
            actual=raw[:4], where={"record": number},
        )  # fmt: skip
    record = bytearray(raw)
    try:
        fixup.restore(record, "RecordHeader", offset=offset)
    except FixupError as error:
        error.where["record"] = number
        raise
    values = _HEADER.unpack_from(record)
    _, _, _, _, sequence, links, start, flags, used, allocated, base, instance, _, _ = values
    if used > len(record) or start > used or start < 42 or start % 8:
        raise RecordError(
            "the attributes do not fit the record", structure="RecordHeader", field="bytes_used", offset=offset,
            expected=f"at most {len(record)}", actual=used, where={"record": number},
        )  # fmt: skip
    found: list[Attribute] = []
    if attributes:
        found = list(attribute.parse(record, start, used, number=number))
    return Record(number, sequence, links, flags, used, allocated, base, instance, found, record)


class Mft:
    """The records of a volume. What was read last is kept."""

    def __init__(self, storage: Storage, geometry: Geometry) -> None:
        self.storage, self.geometry = storage, geometry
        self._data: Stream | None = None
        self._kept: dict[int, Record] | None = None
        #: records with those of their extension records, and the numbers of all of them, while records are kept
        self._whole: dict[int, tuple[Record, frozenset[int]]] = {}
        self.count = 0
        self.reload()

    def keep_records(self) -> None:
        """Keep parsed records from now on; call :meth:`forget` after a change of one."""
        self._kept = {}

    def forget(self, number: int | None = None) -> None:
        """Read a record anew, or all of them."""
        if number is None:
            self._whole.clear()
        else:
            for base in [base for base, (_, numbers) in self._whole.items() if number in numbers]:
                del self._whole[base]
        if self._kept is not None:
            if number is None:
                self._kept.clear()
            else:
                self._kept.pop(number, None)

    def reload(self) -> None:
        """Read again where the records stand, after $MFT has grown."""
        storage, geometry = self.storage, self.geometry
        size = geometry.record_size
        first = parse_record(storage.read_at(geometry.mft_lcn * geometry.cluster_size, size), 0)
        self._data = self._whole_data(first)
        # What follows was never written, and reads as zeros whatever stands there.
        self.count = min(self._data.size, self._data.initialized) // size
        if self.count <= Number.EXTEND:
            raise RecordError("the MFT has too few records", structure="MFT", expected=12, actual=self.count)

    def _whole_data(self, first: Record) -> Stream:
        """$DATA of $MFT; where it needs an attribute list, each part is found by means of those before it."""
        own = [each for each in first.attributes if each.type == Type.DATA and not each.name]
        if not own:
            raise AttributeMissingError("$MFT has no data", structure="MFT", expected="$DATA")
        parts = own[:1]
        stream = merge(self.storage, self.geometry, parts, complete=False)
        listed = [each for each in first.attributes if each.type == Type.ATTRIBUTE_LIST]
        if listed:
            entries = sorted(
                (entry for entry in self.list_entries(listed[0], 0) if entry[0] == Type.DATA and not entry[4]),
                key=lambda entry: entry[1],
            )
            for _, lowest, reference, instance, _ in entries:
                number = reference & REFERENCE_MASK
                if not number or not lowest:
                    continue
                self._data = stream
                other = self.record(number)
                more = [each for each in other.attributes if each.instance == instance and each.type == Type.DATA]
                for part in more:
                    stream.extend(runs_of(part, self.geometry.clusters))
                parts += more
        return merge(self.storage, self.geometry, parts)

    @property
    def data(self) -> Stream:
        """$DATA of $MFT."""
        assert self._data is not None  # noqa: S101 -- set before the first record but one is read
        return self._data

    def raw(self, number: int) -> bytes:
        """The bytes of a record as they stand on the disk.

        Raises:
            RecordError: there is no such record.
        """
        size = self.geometry.record_size
        if not 0 <= number < self.data.size // size:
            raise RecordError(
                "there is no such record", structure="MFT", expected=f"below {self.data.size // size}", actual=number
            )
        return self.data.read_at(number * size, size)

    def offset(self, number: int) -> int | None:
        """Where a record stands in the volume, or ``None`` where the MFT has a hole."""
        size = self.geometry.record_size
        return next((place for place, first, _ in self.data.pieces(number * size, size) if not first), None)

    def record(self, number: int, *, in_use: bool = True) -> Record:
        """One record, without its extension records.

        Raises:
            RecordError: there is none of that number, or it is not in use.
            FixupError, AttributeFormatError: it is damaged.
        """
        found = None if self._kept is None else self._kept.get(number)
        if found is None:
            found = parse_record(self.raw(number), number)
            if self._kept is not None:
                if len(self._kept) >= _KEPT:
                    self._kept.clear()
                self._kept[number] = found
        if in_use and not found.in_use:
            raise RecordError(
                "the record is not in use", structure="RecordHeader", field="flags", where={"record": number}
            )
        return found

    def file(self, number: int, sequence: int | None = None) -> Record:
        """The base record of a file, with the attributes of all its records.

        Args:
            number: of the base record.
            sequence: that a reference has; 0 and ``None`` stand for any.

        Raises:
            RecordError: as :meth:`record`, an extension record, or one that was used again for another file.
            AttributeFormatError: the attribute list does not hold together.
        """
        whole = self._whole.get(number)
        found = self.record(number) if whole is None else whole[0]
        if found.base:
            raise RecordError(
                "an extension record, not that of a file", structure="RecordHeader", field="base_record",
                expected=0, actual=found.base, where={"record": number},
            )  # fmt: skip
        if sequence and sequence != found.sequence:
            raise RecordError(
                "the record belongs to another file now", structure="RecordHeader", field="sequence",
                expected=sequence, actual=found.sequence, where={"record": number},
            )  # fmt: skip
        if whole is not None:
            return found
        lists = [each for each in found.attributes if each.type == Type.ATTRIBUTE_LIST]
        if not lists:
            return found
        together, numbers = self._with_extensions(found, lists[0])
        if self._kept is not None:
            if len(self._whole) >= _KEPT_WHOLE:
                self._whole.clear()
            self._whole[number] = together, numbers
        return together

    def _with_extensions(self, base: Record, listed: Attribute) -> tuple[Record, frozenset[int]]:
        records = {base.number: base}
        attributes: list[Attribute] = []
        taken: set[tuple[int, int]] = set()
        places: dict[int, dict[tuple[int, int], Attribute]] = {}
        for kind, _, reference, instance, _ in self.list_entries(listed, base.number):
            number = reference & REFERENCE_MASK
            other = records.get(number)
            if other is None:
                other = records[number] = self.record(number)
                if other.base & REFERENCE_MASK != base.number:
                    raise RecordError(
                        "an attribute list names a record of another file", structure="RecordHeader",
                        field="base_record", expected=base.number, actual=other.base & REFERENCE_MASK,
                        where={"record": number},
                    )  # fmt: skip
            if (number, instance) in taken:
                continue
            taken.add((number, instance))
            own = places.get(number)
            if own is None:
                own = places[number] = {(each.instance, each.type): each for each in reversed(other.attributes)}
            match = own.get((instance, kind))
            if match is None:
                raise AttributeFormatError(
                    "an attribute list names an attribute that is not there", structure="AttributeListEntry",
                    expected=f"type {kind:#x}, instance {instance}", where={"record": base.number, "extension": number},
                )  # fmt: skip
            attributes.append(match)
        whole = replace(base, attributes=attributes)
        whole.attributes += [each for each in base.attributes if each.type == Type.ATTRIBUTE_LIST]
        return whole, frozenset(records)

    def list_entries(self, listed: Attribute, number: int) -> list[tuple[int, int, int, int, str]]:
        """``(type, lowest VCN, reference, instance, name)`` of every entry of an attribute list.

        Raises:
            AttributeFormatError: an entry that does not fit.
        """
        data = self.attribute_list(listed, number)
        found, position = [], 0
        while position + AttributeListEntry.SIZE <= len(data):
            kind, length, name_length, name_offset, lowest, reference, instance = _LIST.unpack_from(data, position)
            if (
                length < AttributeListEntry.SIZE
                or position + length > len(data)
                or name_offset + 2 * name_length > length
            ):
                raise AttributeFormatError(
                    "an entry does not fit the attribute list", structure="AttributeListEntry", field="length",
                    offset=position, expected=f"at most {len(data) - position}", actual=length,
                    where={"record": number},
                )  # fmt: skip
            name = ""
            if name_length:  # few have one
                raw = data[position + name_offset : position + name_offset + 2 * name_length]
                name = raw.decode("utf-16-le", "surrogatepass")
            found.append((kind, lowest, reference, instance, name))
            position += length
        return found

    def attribute_list(self, listed: Attribute, number: int) -> bytes:
        """The bytes of an attribute list.

        Raises:
            AttributeFormatError: it is larger than one can be.
        """
        stream = merge(self.storage, self.geometry, [listed])
        if stream.size > _MAX_LIST:
            raise AttributeFormatError(
                "an attribute list is too large", structure="AttributeHeader", field="data_size",
                expected=f"at most {_MAX_LIST}", actual=stream.size, where={"record": number},
            )  # fmt: skip
        return stream.read_at(0, stream.size)

    def stream(self, record: Record, kind: int, name: str = "") -> Stream:
        """The content of an attribute of a file, all its parts together.

        Raises:
            AttributeMissingError: there is none.
            RunListError, AttributeFormatError: the parts do not hold together.
        """
        parts = [each for each in record.attributes if each.type == kind and each.name == name]
        if not parts:
            label = Type(kind).name if kind in Type._value2member_map_ else f"{kind:#x}"
            raise AttributeMissingError(
                "the file has no such attribute", structure="MFT record", expected=f"{label} {name}".strip(),
                where={"record": record.number},
            )  # fmt: skip
        if parts[0].resident:
            return resident(parts[0].value)
        try:
            return merge(self.storage, self.geometry, parts)
        except NtfsError as error:
            error.where.setdefault("record", record.number)
            raise

    def sweep(self) -> Iterator[tuple[int, bytes]]:
        """Every record as ``(number, bytes)`` in the order of the disk, read in large pieces."""
        size = self.geometry.record_size
        step = max(1, _SWEEP // size)
        for first in range(0, self.count, step):
            count = min(step, self.count - first)
            piece = self.data.read_at(first * size, count * size)
            for index in range(count):
                yield first + index, piece[index * size : (index + 1) * size]


def is_record(raw: bytes) -> bool:
    """Whether the bytes begin a record that is in use."""
    return raw[:4] == b"FILE" and bool(struct.unpack_from("<H", raw, 22)[0] & RecordFlag.IN_USE)


def runs_of(part: Attribute, clusters: int) -> list[runlist.Run]:
    """The runs of one part of a non-resident attribute.

    Raises:
        RunListError: they break their format.
    """
    return runlist.decode(part.pairs, part.lowest_vcn, clusters)
