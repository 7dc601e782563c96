"""MFT records: heads, attributes, attribute lists, and the sizes of what they hold."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from cloudboot_base import Error
from cloudboot_ntfs.errors import NtfsError
from cloudboot_ntfs.layout import filename, runlist
from cloudboot_ntfs.layout.constants import (
    REFERENCE_MASK,
    AttributeFlag,
    FileAttribute,
    Namespace,
    Number,
    RecordFlag,
    Type,
)
from cloudboot_ntfs.layout.filename import DOS_KINDS
from cloudboot_ntfs.layout.records import StandardInformation
from cloudboot_ntfs.reader.mft import parse_record
from cloudboot_ntfs.reader.stream import merge
from cloudboot_ntfs.upcase import upcase

from .context import FileFacts

if TYPE_CHECKING:
    from cloudboot_ntfs.layout.attribute import Attribute
    from cloudboot_ntfs.reader.mft import Record

    from .context import Context


#: Bytes of values by the type of their attribute, as $AttrDef states them; volumes of NTFS 1.2 have the short form of the
#: first one. A volume without a label has a name of no bytes.
_LENGTHS: Final[dict[int, tuple[int, int]]] = {
    Type.STANDARD_INFORMATION: (48, 72), Type.FILE_NAME: (68, 578), Type.OBJECT_ID: (16, 256),
    Type.VOLUME_NAME: (0, 256), Type.VOLUME_INFORMATION: (12, 12), Type.EA_INFORMATION: (8, 8),
}  # fmt: skip
_ANY: Final = (0, 1 << 32)


def check_records(context: Context) -> None:
    """Parse every record, note what it says of its file, and check it by itself and with its extension records."""
    bases: list[Record] = []
    extensions: dict[int, list[Record]] = {}
    for number, raw in context.mft.sweep():
        record = _parsed(context, number, raw)
        if record is None:
            continue
        context.used.add(number)
        _check_record(context, record, raw)
        if record.base:
            extensions.setdefault(record.base & REFERENCE_MASK, []).append(record)
        else:
            bases.append(record)
    for record in bases:
        own = extensions.pop(record.number, [])
        _check_file(context, record, own)
    for base, own in extensions.items():
        for record in own:
            context.report(
                "extension-orphan",
                "an extension record of a file that is not there",
                structure="RecordHeader",
                field="base_record",
                actual=base,
                record=record.number,
            )


def _parsed(context: Context, number: int, raw: bytes) -> Record | None:
    if raw[:4] != b"FILE":
        # A record that was never used may be zeros; one whose head is lost is told by the bitmap.
        if raw[:4] == b"BAAD":
            context.report("record-baad", "a record that chkdsk gave up", structure="RecordHeader", record=number)
        return None
    if not struct.unpack_from("<H", raw, 22)[0] & RecordFlag.IN_USE:
        return None
    try:
        return parse_record(raw, number, context.mft.offset(number))
    except NtfsError as error:
        context.unreadable.add(number)
        context.caught(error, record=number)
        return None


def _check_record(context: Context, record: Record, raw: bytes) -> None:
    """What one record says of itself."""
    number = record.number
    stored = struct.unpack_from("<I", raw, 44)[0]
    for kind, message, field, expected, actual in (
        ("record-number", "the record has the number of another", "record_number", number & 0xFFFFFFFF, stored),
        ("record-size", "the record has another size than the volume's", "bytes_allocated", len(raw), record.bytes_allocated),
    ):
        # Volumes of NTFS 3.0 and before do not store the number.
        if expected != actual and not (field == "record_number" and struct.unpack_from("<H", raw, 4)[0] == 42):
            context.report(kind, message, structure="RecordHeader", field=field, expected=expected, actual=actual, record=number)
    usa_offset, usa_count = struct.unpack_from("<HH", raw, 4)
    (attributes,) = struct.unpack_from("<H", raw, 20)
    if usa_offset + 2 * usa_count > attributes:
        context.report(
            "record-usa", "the update sequence array does not end before the attributes", structure="RecordHeader",
            field="usa_offset", offset=4, expected=f"at most {attributes - 2 * usa_count}", actual=usa_offset,
            record=number,
        )  # fmt: skip
    if not record.sequence:
        context.report("record-sequence", "the sequence number is zero", structure="RecordHeader", field="sequence", record=number)
    end = record.attributes[-1].offset + record.attributes[-1].length + 8 if record.attributes else None
    if end is not None and end != record.bytes_used:
        context.report(
            "record-used", "the bytes in use do not end with the attributes", structure="RecordHeader",
            field="bytes_used", expected=end, actual=record.bytes_used, record=number,
        )  # fmt: skip
    _check_attributes(context, record)


def _check_attributes(context: Context, record: Record) -> None:
    instances: set[int] = set()
    previous: tuple[int, str] | None = None
    fold = context.volume.fold
    seen: set[tuple[int, str, int]] = set()
    for each in record.attributes:
        key = each.type, upcase(each.name) if each.name.isascii() else fold(each.name)
        if previous is not None and key < previous:
            context.report(
                "attribute-order", "the attributes are not in order", structure="AttributeHeader", field="type",
                offset=each.offset, expected=f"after {previous[0]:#x} {previous[1]}", actual=f"{key[0]:#x} {key[1]}",
                record=record.number,
            )  # fmt: skip
        previous = key
        if each.instance in instances or each.instance >= record.next_instance:
            context.report(
                "attribute-instance", "the instance number is another attribute's, or not given yet",
                structure="AttributeHeader", field="instance", offset=each.offset,
                expected=f"below {record.next_instance}", actual=each.instance, record=record.number,
            )  # fmt: skip
        instances.add(each.instance)
        if each.type != Type.FILE_NAME:
            once = each.type, each.name, each.lowest_vcn
            if once in seen or (each.lowest_vcn and (each.type, each.name, 0) in seen):
                context.report(
                    "attribute-twice", "the same attribute twice", structure="AttributeHeader", field="type",
                    offset=each.offset, actual=f"{each.type:#x} {each.name}", record=record.number,
                )  # fmt: skip
            seen.add(once)
        if not each.resident:
            _claim(context, record.number, each)
        elif not (limits := _LENGTHS.get(each.type, _ANY))[0] <= len(each.value) <= limits[1]:
            context.report(
                "attribute-size", "the value has a size that no value of this type has", structure="ResidentHeader",
                field="value_length", offset=each.offset, expected=f"{limits[0]} to {limits[1]} bytes",
                actual=len(each.value), record=record.number,
            )  # fmt: skip


def _claim(context: Context, number: int, each: Attribute) -> None:
    """Note the clusters of one part of an attribute."""
    try:
        runs = runlist.decode(each.pairs, each.lowest_vcn, context.volume.geometry.clusters)
    except NtfsError as error:
        context.caught(error, record=number, attribute=f"{each.type:#x} {each.name}".strip())
        return
    context.budget.spend(len(runs) + 1)
    context.claims += [(run.lcn, run.lcn + run.length, number) for run in runs if run.lcn is not None]


def _check_file(context: Context, record: Record, extensions: list[Record]) -> None:
    whole = _with_list(context, record, extensions)
    if whole is None:
        return
    facts = FileFacts(record.number, record.sequence, record.flags, record.link_count)
    context.files[record.number] = facts
    for each in whole:
        try:
            _note(context, facts, each)
        except Error as error:
            context.caught(error, record=record.number)
    _check_sizes(context, facts, whole)
    _check_needed(context, facts, whole)
    _check_names(context, facts)
    names = len(facts.names)
    if names != record.link_count:
        context.report(
            "link-count", "the link count is not the number of names", structure="RecordHeader", field="link_count",
            expected=names, actual=record.link_count, record=record.number,
        )  # fmt: skip


def _with_list(context: Context, record: Record, extensions: list[Record]) -> list[Attribute] | None:
    """All attributes of a file, its attribute list compared with what its records hold."""
    listed = [each for each in record.attributes if each.type == Type.ATTRIBUTE_LIST]
    number = record.number
    entries: list[tuple[int, int, int, int, str]] = []
    if listed:
        try:
            entries = context.mft.list_entries(listed[0], number)
        except NtfsError as error:
            context.caught(error, record=number)
            return None
    holders = {reference & REFERENCE_MASK for _, _, reference, _, _ in entries}
    held = [record, *(each for each in extensions if each.number in holders)]
    for other in extensions:
        if other.number in holders:
            continue
        if other.base >> 48 == record.sequence and is_needed(other.attributes, held, context.volume.geometry.cluster_size):
            held.append(other)
            continue
        context.report(
            "extension-orphan", "an extension record that holds nothing of its file", structure="RecordHeader",
            field="base_record", actual=number, record=other.number,
        )  # fmt: skip
    if not listed and len(held) == 1:
        return record.attributes
    if not listed:
        context.report(
            "attribute-list", "the file has attributes in several records, and no list of them",
            structure="AttributeListEntry", actual=", ".join(f"record {each.number}" for each in held[1:]),
            record=number,
        )  # fmt: skip
        context.relists[number] = [each.number for each in held]
        return [attribute for each in held for attribute in each.attributes]
    present = {
        (each.number, attribute.instance): attribute
        for each in held
        for attribute in each.attributes
        if attribute.type != Type.ATTRIBUTE_LIST
    }
    if _compare_list(context, number, entries, present, {each.number: each.sequence for each in held}):
        context.relists[number] = [each.number for each in held]
    return list(present.values())


def _compare_list(
    context: Context,
    number: int,
    entries: list[tuple[int, int, int, int, str]],
    present: dict[tuple[int, int], Attribute],
    sequences: dict[int, int],
) -> bool:
    """Report where the attribute list of a file differs from what its records hold; whether all that it names is there.

    ``present`` are its attributes by record and instance number, ``sequences`` the sequence numbers of its records.
    """
    context.budget.spend(len(entries))
    named: set[tuple[int, int]] = set()
    is_sound = True
    for kind, lowest, reference, instance, name in entries:
        place = reference & REFERENCE_MASK, instance
        found = present.get(place)
        if place in named:
            context.report("attribute-list", "the list names an attribute twice", structure="AttributeListEntry", actual=f"{kind:#x} {name}", record=number)
        elif found is None or found.type != kind or found.name != name or found.lowest_vcn != lowest:
            is_sound = False
            context.report(
                "attribute-list", "the list names an attribute that is not there", structure="AttributeListEntry",
                expected=f"{kind:#x} {name}".strip(), actual=f"record {place[0]}", record=number,
            )  # fmt: skip
        elif sequences[place[0]] != reference >> 48:
            context.report(
                "attribute-list", "the list names an older life of a record", structure="AttributeListEntry",
                field="reference", expected=sequences[place[0]], actual=reference >> 48, record=number,
            )  # fmt: skip
        named.add(place)
    for place, attribute in present.items():
        if place not in named:
            context.report(
                "attribute-list", "the list misses an attribute", structure="AttributeListEntry",
                expected=f"{attribute.type:#x} {attribute.name}".strip(), actual=f"record {place[0]}", record=number,
            )  # fmt: skip
    return is_sound


def is_needed(attributes: list[Attribute], held: list[Record], cluster_size: int) -> bool:
    """Whether the records that a list names miss all the attributes of an extension record of their file.

    A list that is damaged does not name records that are needed. An interrupted change leaves records, too, before or
    after their attributes were replaced: at least one attribute of such a record stands in another record as well.
    """
    present = [each for record in held for each in record.attributes]
    names = sum(1 for each in present if each.type == Type.FILE_NAME)
    information = next((each.value for each in present if each.type == Type.STANDARD_INFORMATION), b"")
    for each in attributes:
        same = [other for other in present if (other.type, other.name) == (each.type, each.name)]
        if each.type == Type.FILE_NAME:
            # Of names that were replaced there are as many as the link count says.
            is_missing = names < held[0].link_count and all(other.value != each.value for other in same)
        elif each.type == Type.REPARSE_POINT:
            is_missing = not same and bool(int.from_bytes(information[32:36], "little") & FileAttribute.REPARSE_POINT)
        elif each.resident or any(other.resident for other in same):
            is_missing = not same
        else:
            is_missing = not same or _is_missing(each, same, cluster_size)
        if not is_missing:
            return False
    return bool(attributes)


def _is_missing(part: Attribute, others: list[Attribute], cluster_size: int) -> bool:
    """Whether clusters of a stream are in this part only; its first part says how many there are."""
    first = next((other for other in others if not other.lowest_vcn), None)
    if any(other.lowest_vcn <= part.lowest_vcn <= other.highest_vcn for other in others):
        return False
    return first is None or part.lowest_vcn * cluster_size < first.allocated_size


def _note(context: Context, facts: FileFacts, each: Attribute) -> None:
    """What an attribute says of its file."""
    if each.type == Type.STANDARD_INFORMATION and each.resident:
        information = StandardInformation.unpack_from(each.value.ljust(StandardInformation.SIZE, b"\0"))
        facts.attributes, facts.security_id = information.attributes, information.security_id
    elif each.type == Type.FILE_NAME:
        facts.names.append(filename.parse(each.value, record=facts.number))
    elif each.type == Type.DATA and not each.name and not each.lowest_vcn:
        facts.size, facts.allocated = each.data_size, each.allocated_size
        facts.is_packed = bool(each.flags & (AttributeFlag.COMPRESSED | AttributeFlag.SPARSE))
    elif each.type == Type.REPARSE_POINT and not each.lowest_vcn:
        value = each.value
        if not each.resident:
            value = merge(context.volume.storage, context.volume.geometry, [each], complete=False).read_at(0, 4)
        facts.reparse_tag = int.from_bytes(value[:4], "little")
    elif each.type == Type.SECURITY_DESCRIPTOR:
        facts.has_descriptor = True
    elif each.type == Type.OBJECT_ID:
        facts.object_id = each.value[:16]


def _check_names(context: Context, facts: FileFacts) -> None:
    """The kinds of the names of a file: one for DOS at most, and that beside its Win32 name.

    Drivers list no DOS name, and so hide a file without another; of two they remove one.
    """
    for_dos = [name for name in facts.names if name.namespace in DOS_KINDS]
    if len(for_dos) > 1:
        context.report(
            "name-pair", "the file has two names for DOS", structure="FileName", field="name_type",
            expected=for_dos[0].name, actual=for_dos[1].name, record=facts.number,
        )  # fmt: skip
    long = {name.parent for name in facts.names if name.namespace == Namespace.WIN32}
    for name in facts.names:
        where: dict[str, int | str] = {"record": facts.number, "name": name.name}
        if name.namespace == Namespace.DOS and name.parent not in long:
            context.report(
                "name-pair", "a DOS name has no Win32 name beside it", structure="FileName", field="name_type",
                expected=f"a Win32 name in record {name.parent_record}", where=where,
            )  # fmt: skip
        elif name.namespace > Namespace.WIN32_AND_DOS:
            context.report(
                "name-pair", "a name of a kind that there is not", structure="FileName", field="name_type",
                expected="0 to 3", actual=name.namespace, where=where,
            )  # fmt: skip


def _check_sizes(context: Context, facts: FileFacts, whole: list[Attribute]) -> None:
    """The sizes of attributes in clusters, all parts together."""
    parts: dict[tuple[int, str], list[Attribute]] = {}
    for each in whole:
        if not each.resident:
            parts.setdefault((each.type, each.name), []).append(each)
    for (kind, name), own in parts.items():
        try:
            stream = merge(context.volume.storage, context.volume.geometry, own)
        except NtfsError as error:
            context.caught(error, record=facts.number, attribute=f"{kind:#x} {name}".strip())
            continue
        first = min(own, key=lambda each: each.lowest_vcn)
        if first.stored_size is not None and first.stored_size != stream.allocated:
            context.report(
                "attribute-stored", "the attribute takes another number of bytes than it says",
                structure="NonResidentHeader", field="compressed_size", expected=stream.allocated,
                actual=first.stored_size, where={"record": facts.number, "attribute": f"{kind:#x} {name}".strip()},
            )  # fmt: skip


def _check_needed(context: Context, facts: FileFacts, whole: list[Attribute]) -> None:
    kinds = {each.type for each in whole}
    needed = [Type.STANDARD_INFORMATION]
    if facts.number >= 24 or facts.number <= Number.EXTEND:
        needed.append(Type.FILE_NAME)
    if facts.flags & RecordFlag.DIRECTORY:
        needed.append(Type.INDEX_ROOT)
    for kind in needed:
        if kind not in kinds:
            context.report(
                "attribute-missing", "the file has no such attribute", structure="MFT record", expected=kind.name,
                record=facts.number,
            )  # fmt: skip
    for each in whole:
        if each.type in (Type.STANDARD_INFORMATION, Type.FILE_NAME, Type.INDEX_ROOT) and not each.resident:
            context.report(
                "attribute-place", "an attribute that must stand in the record stands in clusters",
                structure="AttributeHeader", field="non_resident", actual=Type(each.type).name, record=facts.number,
            )  # fmt: skip
