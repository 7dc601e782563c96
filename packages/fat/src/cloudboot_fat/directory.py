"""Directories as arrays of 32-byte slots: parsed into entries, and changed in place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import names
from .entries import ATTR_DIRECTORY, ATTR_VOLUME_ID, DELETED, DOT, DOT_DOT, END, DirEntry
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
_KNOWN_ATTRIBUTES = 0x3F
_MOST_LONG_ENTRIES = 20


def _ignore(_kind: str, _message: str, _index: int) -> None:
    """A reader is not interested in what it can read past."""


class Directory:
    """One directory in memory.

    Attributes:
        cluster: its first cluster; 0 for the fixed root directory.
        wide: whether first clusters have a high word: on FAT32.
        extents: where its bytes are in the volume.
        data: those bytes.
        used_slots: slots before the one that ends the directory.
        labels: the slots of volume labels.
        hidden: the slots of what is marked as a label and as a directory, which is neither for drivers.
        dots: the entries ``.`` and ``..`` as found.
    """

    def __init__(self, cluster: int, extents: list[Extent], data: bytearray, *, wide: bool) -> None:
        self.cluster, self.extents, self.data, self.wide = cluster, extents, data, wide
        self.used_slots = 0
        self.labels: list[int] = []
        self.hidden: list[int] = []
        self.dots: list[DirEntry] = []
        self._entries: dict[int, DirEntry] = {}
        self._by_name: dict[str, DirEntry] = {}
        self._short_names = names.ShortNames()

    @property
    def entries(self) -> list[DirEntry]:
        """Files and directories in the order they are stored, without ``.``, ``..`` and the label."""
        return [self._entries[index] for index in sorted(self._entries)]

    def find(self, name: str) -> DirEntry | None:
        """The entry whose long or short name equals ``name`` as VFAT compares them."""
        return self._by_name.get(names.fold(name))

    def at(self, index: int) -> DirEntry | None:
        """The entry whose short one is in slot ``index``."""
        return self._entries.get(index)

    def _is_taken(self, short: bytes) -> bool:
        return names.display_short(short, "ascii") in self._by_name  # only ASCII is ever asked for

    def short_name(self, name: str) -> bytes:
        """A short name for a new entry."""
        return self._short_names.choose(name, self._is_taken)

    def slot(self, index: int) -> memoryview:
        """The 32 bytes of a slot."""
        return memoryview(self.data)[index * ENTRY_SIZE : (index + 1) * ENTRY_SIZE]

    def slot_offset(self, index: int) -> int:
        """Where a slot is in the volume, in bytes."""
        position = index * ENTRY_SIZE
        for extent in self.extents:
            if position < extent.length:
                return extent.offset + position
            position -= extent.length
        raise IndexError(index)  # a slot that parse() never gave out

    def free_slots(self, count: int) -> int:
        """The first of ``count`` consecutive free slots; they may lie past the end."""
        firsts = bytes(self.data[: self.used_slots * ENTRY_SIZE : ENTRY_SIZE])
        found = firsts.find(bytes([DELETED]) * count)
        return found if found >= 0 else len(firsts.rstrip(bytes([DELETED])))

    def grow(self, extents: list[Extent]) -> None:
        """Add space that reads as zeros."""
        self.extents = self.extents + extents
        self.data.extend(bytes(sum(extent.length for extent in extents)))

    def know(self, entry: DirEntry) -> None:
        """Make an entry known by its names."""
        self._entries[entry.index] = entry
        for name in (entry.name, entry.short_name):
            self._by_name.setdefault(names.fold(name), entry)

    def _forget(self, entry: DirEntry) -> None:
        del self._entries[entry.index]
        for name in (entry.name, entry.short_name):
            if self._by_name.get(names.fold(name)) is entry:
                del self._by_name[names.fold(name)]

    def put(self, index: int, raw: bytes, entry: DirEntry) -> list[tuple[int, bytes]]:
        """Store ``raw``, the slots of ``entry``, from slot ``index`` on; gives what to write where in the volume."""
        writes = [self._put(index + at, raw[at * ENTRY_SIZE : (at + 1) * ENTRY_SIZE]) for at in range(entry.slots)]
        end = index + entry.slots
        if end > self.used_slots:
            self.used_slots = end
            # What stands after the end mark is not always zero, and the mark has just been overwritten.
            if end * ENTRY_SIZE < len(self.data) and self.data[end * ENTRY_SIZE] != END:
                writes.append(self._put(end, bytes(ENTRY_SIZE)))
        self.know(entry)
        return writes

    def update(self, entry: DirEntry) -> list[tuple[int, bytes]]:
        """Store the changed record of an entry that keeps its names; gives what to write where in the volume."""
        self._forget(self._entries[entry.index])
        self.know(entry)
        return [self._put(entry.index, entry.record.pack())]

    def erase(self, entry: DirEntry) -> list[tuple[int, bytes]]:
        """Mark the slots of an entry deleted; gives what to write where in the volume."""
        self._forget(entry)
        slots = range(entry.index - entry.slots + 1, entry.index + 1)
        return [self._put(index, bytes([DELETED]) + self.slot(index)[1:]) for index in slots]

    def _put(self, index: int, raw: bytes) -> tuple[int, bytes]:
        self.slot(index)[:] = raw
        return self.slot_offset(index), raw


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
            if report is not _ignore:
                _behind_the_end(data, index, codepage, report)
            break
        attributes = data[start + _ATTR_OFFSET]
        if first != DELETED and attributes & _LONG_NAME_MASK == names.ATTR_LONG_NAME:
            pending = _long_entry(data, index, pending, report)
            continue
        if first == DELETED or attributes & ATTR_VOLUME_ID:
            if pending is not None:
                report("long-name-orphan", "long-name entries without a short one", pending.start)
            if first != DELETED:
                (directory.hidden if attributes & ATTR_DIRECTORY else directory.labels).append(index)
        else:
            _short_entry(directory, index, pending, codepage, report)
        pending = None
    else:
        index = len(data) // ENTRY_SIZE
    if pending is not None:
        report("long-name-orphan", "long-name entries without a short one", pending.start)
    directory.used_slots = index
    return directory


def _behind_the_end(data: bytearray, end: int, codepage: str, report: Report) -> None:
    """Report the first slot after the end mark that looks like an entry: no driver finds what it describes."""
    if not any(data[end * ENTRY_SIZE :]):
        return
    for index in range(end + 1, len(data) // ENTRY_SIZE):
        slot = data[index * ENTRY_SIZE : (index + 1) * ENTRY_SIZE]
        attributes = slot[_ATTR_OFFSET]
        if slot[0] in {END, DELETED} or attributes & ~_KNOWN_ATTRIBUTES:
            continue
        is_long = attributes & _LONG_NAME_MASK == names.ATTR_LONG_NAME
        if is_long or names.short_name_problem(bytes(slot[:11]), codepage) is None:
            report("entry-after-end", "an entry follows the end mark of the directory", index)
            return


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


def _short_entry(directory: Directory, index: int, pending: _LongName | None, codepage: str, report: Report) -> None:
    record = DirectoryEntry.unpack_from(directory.data, index * ENTRY_SIZE)
    if record.DIR_Name in {DOT, DOT_DOT}:
        name = record.DIR_Name.rstrip().decode("ascii")
        directory.dots.append(DirEntry(name, name, record, index, 1, directory.slot_offset(index), directory.wide))
        return
    short = names.display_short(record.DIR_Name, codepage)
    name, slots = names.display_short(record.DIR_Name, codepage, record.DIR_NTRes), 1
    if pending is not None:
        long = _complete(pending, record, report)
        if long is not None:
            name, slots = long, index - pending.start + 1
    directory.know(DirEntry(name, short, record, index, slots, directory.slot_offset(index), directory.wide))


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
