"""Putting attributes into MFT records, with extension records and an attribute list where one is not enough."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from cloudboot_base.lightdata import NamedTuple
from cloudboot_ntfs.layout.attribute import pack_resident
from cloudboot_ntfs.layout.constants import END_OF_ATTRIBUTES, RecordFlag, Type, reference
from cloudboot_ntfs.layout.fixup import protect
from cloudboot_ntfs.layout.records import AttributeListEntry, RecordHeader
from cloudboot_ntfs.upcase import upcase

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

_HEADER = RecordHeader.LAYOUT.struct()
_LIST_ENTRY = AttributeListEntry.LAYOUT.struct()
END = struct.pack("<II", END_OF_ATTRIBUTES, 0)


#: Attributes that stay in the base record of a file that needs others.
_STAY = frozenset({Type.STANDARD_INFORMATION, Type.INDEX_ROOT})


class Packed(NamedTuple):
    """An attribute as bytes. Its instance number is put in when its record is known."""

    type: int
    name: str
    data: bytes
    lowest_vcn: int = 0

    def sort_key(self) -> tuple[int, str, int, bytes]:
        """The order of attributes in a record and in a list."""
        return self.type, self.name and upcase(self.name), self.lowest_vcn, b""


def header_size(record_size: int) -> int:
    """Where the first attribute of a record stands: after the update sequence array, on a multiple of 8."""
    return -(-(RecordHeader.SIZE + 2 * (record_size // 512 + 1)) // 8) * 8


def capacity(record_size: int) -> int:
    """Bytes of attributes that a record holds."""
    return record_size - header_size(record_size) - len(END)


def assemble(
    number: int,
    attributes: Sequence[Packed],
    *,
    record_size: int,
    sequence: int = 1,
    links: int = 0,
    flags: int = RecordFlag.IN_USE,
    base: int = 0,
) -> bytearray:
    """One record that is not protected yet. The attributes fit, and are in order."""
    start = header_size(record_size)
    body = bytearray()
    for instance, each in enumerate(attributes):
        place = len(body)
        body += each.data
        body[place + 14 : place + 16] = instance.to_bytes(2, "little")
    body += END
    # RecordHeader, in its order; every change of a file packs one.
    head = _HEADER.pack(
        b"FILE", RecordHeader.SIZE, record_size // 512 + 1, 0, sequence, links, start, int(flags), start + len(body),
        record_size, base, len(attributes), 0, number,
    )  # fmt: skip
    return bytearray((head.ljust(start, b"\0") + bytes(body)).ljust(record_size, b"\0"))


def pack(
    number: int,
    attributes: Sequence[Packed],
    *,
    record_size: int,
    sequence: int = 1,
    links: int = 0,
    flags: int = RecordFlag.IN_USE,
    base: int = 0,
    update: int = 1,
) -> bytes:
    """One record, as :func:`assemble` makes it, protected by the update sequence number ``update``."""
    record = assemble(
        number, attributes, record_size=record_size, sequence=sequence, links=links, flags=flags, base=base
    )
    protect(record, update)
    return bytes(record)


def fits(attributes: Sequence[Packed], record_size: int) -> bool:
    """Whether the attributes fit one record, which holds one part of an attribute at most."""
    return all(not each.lowest_vcn for each in attributes) and sum(len(each.data) for each in attributes) <= capacity(
        record_size
    )


def held(attributes: Sequence[Packed]) -> tuple[bytes, ...]:
    """What a record holds, without the instance numbers."""
    return tuple(each.data[:14] + each.data[16:] for each in attributes)


class Spread(NamedTuple):
    """The records of one file: the base record first."""

    records: list[tuple[int, list[Packed]]]
    sequences: dict[int, int]


def spread(
    number: int,
    sequence: int,
    attributes: Sequence[Packed],
    *,
    record_size: int,
    new_records: Callable[[Sequence[Sequence[Packed]]], list[tuple[int, int]]],
    store: Callable[[bytes], bytes],
    stay: int | None = None,
    known: Collection[tuple[bytes, ...]] = (),
) -> Spread:
    """Distribute attributes that do not fit one record.

    The base record keeps $STANDARD_INFORMATION and the list, and an $INDEX_ROOT where there is one.

    Args:
        number: of the base record.
        sequence: of the base record.
        attributes: all of them, in order.
        record_size: bytes.
        new_records: gives a record for each of these groups of attributes, as number and sequence number: one that
            nothing uses, or one that holds them already.
        store: gives the bytes of a non-resident attribute list with this content.
        stay: keep as many of the first attributes in the base record instead.
        known: what records hold already, as :func:`held` has it: such a group stays together.
    """
    room = capacity(record_size)
    if stay is None:
        kept = [each for each in attributes if each.type in _STAY]
        move = [each for each in attributes if each.type not in _STAY]
    else:
        kept, move = list(attributes[:stay]), list(attributes[stay:])
    groups = _regrouped(move, known, room) if known else _grouped(move, room)
    extensions: list[tuple[int, list[Packed]]] = []
    sequences = {number: sequence}
    for group, (other, life) in zip(groups, new_records(groups), strict=True):
        sequences[other] = life
        extensions.append((other, group))
    # Instance numbers follow the places in the records; the list takes the second place in the base record.
    entries: list[tuple[Packed, int, int]] = []
    for index, each in enumerate(kept):
        entries.append((each, reference(number, sequence), index if index == 0 else index + 1))
    for extension, own in extensions:
        entries += [(each, reference(extension, sequences[extension]), index) for index, each in enumerate(own)]
    entries.sort(key=lambda entry: entry[0].sort_key())
    listed = b"".join(_list_entry(each, where, instance) for each, where, instance in entries)
    data = pack_resident(Type.ATTRIBUTE_LIST, listed)
    if len(data) + sum(len(each.data) for each in kept) > room:
        data = store(listed)
    base = [kept[0], Packed(Type.ATTRIBUTE_LIST, "", data), *kept[1:]]
    return Spread([(number, base), *extensions], sequences)


def _grouped(attributes: Sequence[Packed], room: int) -> list[list[Packed]]:
    """The attributes in groups of at most ``room`` bytes; a part that is not the first of its attribute begins one."""
    groups: list[list[Packed]] = []
    used = room + 1
    for each in attributes:
        if used + len(each.data) > room or each.lowest_vcn:
            groups.append([])
            used = 0
        groups[-1].append(each)
        used += len(each.data)
    return groups


def _regrouped(attributes: Sequence[Packed], known: Collection[tuple[bytes, ...]], room: int) -> list[list[Packed]]:
    """As :func:`_grouped`, but groups that are known stay as they are.

    A change of one attribute so changes one group, however many there are. What is new goes to the last group that has
    room for it. Where twice as many groups came of it as are needed, all are made anew.
    """
    places: dict[bytes, list[int]] = {}
    keys = held(attributes)
    for index, key in enumerate(keys):
        places.setdefault(key, []).append(index)
    taken: set[int] = set()
    kept: list[list[int]] = []
    for own in known:
        found = [places[key].pop(0) for key in own if places.get(key)]
        if len(found) == len(own):
            taken.update(found)
            kept.append(found)
        else:
            for index in found:
                places[keys[index]].insert(0, index)
    rest = [index for index in range(len(attributes)) if index not in taken]
    if rest:
        for number in reversed(range(len(kept))):
            together = [attributes[index] for index in (*kept[number], *rest)]
            is_small = sum(len(each.data) for each in together) <= room
            if is_small and not any(each.lowest_vcn for each in together):
                rest = sorted([*kept.pop(number), *rest])
                break
    groups = [[attributes[index] for index in own] for own in kept]
    groups += _grouped([attributes[index] for index in rest], room)
    least = _grouped(attributes, room)
    return least if len(groups) > 2 * len(least) else groups


def _list_entry(each: Packed, where: int, instance: int) -> bytes:
    name = each.name.encode("utf-16-le", "surrogatepass")
    length = -(-(AttributeListEntry.SIZE + len(name)) // 8) * 8
    head = _LIST_ENTRY.pack(
        each.type, length, len(name) // 2, AttributeListEntry.SIZE, each.lowest_vcn, where, instance
    )
    return (head + name).ljust(length, b"\0")
