"""Directories as arrays of 32-byte slots: parsed into entries, and changed in place."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from . import names
from .entries import ATTR_VOLUME_ID, DELETED, DOT, DOT_DOT, END, DirEntry
from .geometry import ENTRY_SIZE
from .records import DirectoryEntry, LongNameEntry

if TYPE_CHECKING:
    from collections.abc import Callable

    from .extents import Extent

    #: Called with a finding's kind, a message and the slot it is about.
    Report = Callable[[str, str, int], None]

_ATTR_OFFSET = DirectoryEntry.LAYOUT.offsets["DIR_Attr"]
_LONG = LongNameEntry.LAYOUT.struct()
_LONG_NAME_MASK = 0x3F
_MOST_LONG_ENTRIES = 20


def _ignore(_kind: str, _message: str, _index: int) -> None:
    """A reader is not interested in what it can read past."""


@dataclass(slots=True)
class Directory:
    """One directory in memory.

    Attributes:
        cluster: its first cluster; 0 for the fixed root directory.
        extents: where its bytes stand in the volume.
        data: those bytes.
        entries: files and directories, without ``.``, ``..`` and the label.
        labels: the slots of volume labels.
        dots: the entries ``.`` and ``..`` as found.
    """

    cluster: int
    extents: list[Extent]
    data: bytearray
    entries: list[DirEntry] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    dots: list[DirEntry] = field(default_factory=list)
    by_name: dict[str, DirEntry] = field(default_factory=dict)
    short_names: set[bytes] = field(default_factory=set)
    used_slots: int = 0

    def find(self, name: str) -> DirEntry | None:
        """The entry whose long or short name equals ``name`` as VFAT compares them."""
        return self.by_name.get(names.fold(name))

    def slot(self, index: int) -> memoryview:
        """The 32 bytes of a slot."""
        return memoryview(self.data)[index * ENTRY_SIZE : (index + 1) * ENTRY_SIZE]

    def slot_offset(self, index: int) -> int:
        """Where a slot stands in the volume, in bytes."""
        position = index * ENTRY_SIZE
        for extent in self.extents:
            if position < extent.length:
                return extent.offset + position
            position -= extent.length
        return self.extents[-1].end + position

    def free_slots(self, count: int) -> int:
        """The first of ``count`` consecutive free slots; they may lie past the end."""
        run = 0
        for index in range(self.used_slots):
            run = run + 1 if self.data[index * ENTRY_SIZE] == DELETED else 0
            if run == count:
                return index - count + 1
        return self.used_slots - run

    def add(self, entry: DirEntry) -> None:
        """Make an entry known by its names."""
        self.entries.append(entry)
        self.by_name.setdefault(names.fold(entry.name), entry)
        self.by_name.setdefault(names.fold(entry.short_name), entry)
        self.short_names.add(entry.record.DIR_Name)


class _LongName:
    """The long-name entries seen so far, while they form one name."""

    __slots__ = ("checksum", "expected", "parts", "start")

    def __init__(self, start: int, count: int, checksum: int) -> None:
        self.start, self.expected, self.checksum = start, count, checksum
        self.parts: list[bytes] = [b""] * count


def parse(directory: Directory, codepage: str, report: Report = _ignore) -> Directory:
    """Fill in the entries of ``directory`` from its bytes.

    A long name that is incomplete, out of order, of another short name, or not a name, is passed over: the entry is
    then known by its short name, as every driver does it. ``report`` hears of it.
    """
    data = directory.data
    pending: _LongName | None = None
    index = 0
    for index in range(len(data) // ENTRY_SIZE):
        start = index * ENTRY_SIZE
        first = data[start]
        if first == END:
            break
        attributes = data[start + _ATTR_OFFSET]
        if first != DELETED and attributes & _LONG_NAME_MASK == names.ATTR_LONG_NAME:
            pending = _long_entry(data, index, pending, report)
            continue
        if first == DELETED or attributes & ATTR_VOLUME_ID:
            if pending is not None:
                report("long-name-orphan", "long-name entries without a short one", pending.start)
            if first != DELETED:
                directory.labels.append(index)
        else:
            _short_entry(directory, index, pending, codepage, report)
        pending = None
    else:
        index = len(data) // ENTRY_SIZE
    if pending is not None:
        report("long-name-orphan", "long-name entries without a short one", pending.start)
    directory.used_slots = index
    return directory


def _long_entry(data: bytearray, index: int, pending: _LongName | None, report: Report) -> _LongName | None:
    order, part1, _attr, kind, checksum, part2, cluster, part3 = _LONG.unpack_from(data, index * ENTRY_SIZE)
    number = order & ~names.LAST_LONG_ENTRY
    if kind != 0 or cluster != 0:
        report("long-name-fields", "LDIR_Type and LDIR_FstClusLO must be 0", index)
    if order & names.LAST_LONG_ENTRY:
        if pending is not None:
            report("long-name-orphan", "long-name entries without a short one", pending.start)
        if not 1 <= number <= _MOST_LONG_ENTRIES:
            report("long-name-order", f"LDIR_Ord {order:#04x} is not the last of 1 to 20 entries", index)
            return None
        pending = _LongName(index, number, checksum)
    elif pending is None or number != pending.expected - 1 or checksum != pending.checksum:
        report("long-name-order", f"LDIR_Ord {order:#04x} or LDIR_Chksum does not follow the entry before", index)
        return None
    pending.expected = number
    if number:
        pending.parts[number - 1] = part1 + part2 + part3
    return pending


def _short_entry(
    directory: Directory, index: int, pending: _LongName | None, codepage: str, report: Report
) -> None:
    record = DirectoryEntry.unpack_from(directory.data, index * ENTRY_SIZE)
    if record.DIR_Name in {DOT, DOT_DOT}:
        name = record.DIR_Name.rstrip().decode("ascii")
        directory.dots.append(DirEntry(name, name, record, index, 1, directory.slot_offset(index)))
        return
    short = names.display_short(record.DIR_Name, codepage)
    name, slots = names.display_short(record.DIR_Name, codepage, record.DIR_NTRes), 1
    if pending is not None:
        long = _complete(pending, record, report)
        if long is not None:
            name, slots = long, index - pending.start + 1
    directory.add(DirEntry(name, short, record, index, slots, directory.slot_offset(index)))


def _complete(pending: _LongName, record: DirectoryEntry, report: Report) -> str | None:
    if pending.expected != 1:
        report("long-name-orphan", "the first entries of the long name are missing", pending.start)
        return None
    if names.checksum(record.DIR_Name) != pending.checksum:
        report("long-name-checksum", "LDIR_Chksum is not that of the short name", pending.start)
        return None
    name, problem = names.decode_long(pending.parts)
    if problem is not None:
        report("long-name-invalid", problem, pending.start)
    return None if names.long_name_problem(name) else name
