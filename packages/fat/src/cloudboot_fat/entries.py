"""Directory entries between their 32 bytes and Python (fatgen103, "FAT Directory Structure")."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

from cloudboot_base.lightdata import dataclass, replace

from . import names, times
from .errors import InvalidNameError
from .records import DirectoryEntry

if TYPE_CHECKING:
    import datetime as dt

ATTR_READ_ONLY, ATTR_HIDDEN, ATTR_SYSTEM = 0x01, 0x02, 0x04
ATTR_VOLUME_ID, ATTR_DIRECTORY, ATTR_ARCHIVE = 0x08, 0x10, 0x20
DELETED, END = 0xE5, 0x00
NO_NAME = b"NO NAME    "
DOT, DOT_DOT = b".          ", b"..         "

_SHORT = DirectoryEntry.LAYOUT.struct()


class Attribute(enum.IntFlag, boundary=enum.KEEP):
    """``DIR_Attr``."""

    READ_ONLY = ATTR_READ_ONLY
    HIDDEN = ATTR_HIDDEN
    SYSTEM = ATTR_SYSTEM
    VOLUME_ID = ATTR_VOLUME_ID
    DIRECTORY = ATTR_DIRECTORY
    ARCHIVE = ATTR_ARCHIVE


@dataclass(frozen=True, slots=True)
class DirEntry:
    """A file or directory as its directory describes it.

    ``index`` is the position of the short entry in its directory, in entries; ``slots`` counts it together with the
    entries of the long name before it. ``offset`` is where the short entry is in the volume, in bytes (``None``
    for the root directory, which has no entry). ``wide`` says that ``DIR_FstClusHI`` counts, which it does on FAT32
    alone: OS/2 and Windows NT keep the handle of extended attributes there on FAT12 and FAT16.
    """

    name: str
    short_name: str
    record: DirectoryEntry
    index: int = 0
    slots: int = 1
    offset: int | None = None
    wide: bool = True

    @property
    def attributes(self) -> Attribute:
        """``DIR_Attr``."""
        return Attribute(self.record.DIR_Attr)

    @property
    def is_dir(self) -> bool:
        """Whether it is a directory."""
        return bool(self.record.DIR_Attr & ATTR_DIRECTORY)

    @property
    def is_file(self) -> bool:
        """Whether it is a file."""
        return not self.is_dir

    @property
    def size(self) -> int:
        """Bytes of a file; 0 for a directory."""
        return self.record.DIR_FileSize

    @property
    def cluster(self) -> int:
        """The first cluster; 0 for an empty file and for the fixed root directory."""
        return (self.record.DIR_FstClusHI << 16 if self.wide else 0) | self.record.DIR_FstClusLO

    @property
    def modified(self) -> dt.datetime | None:
        """When it was last written, to 2 seconds."""
        return times.decode(self.record.DIR_WrtDate, self.record.DIR_WrtTime)

    @property
    def created(self) -> dt.datetime | None:
        """When it was created, to 10 milliseconds."""
        return times.decode(self.record.DIR_CrtDate, self.record.DIR_CrtTime, self.record.DIR_CrtTimeTenth)

    @property
    def accessed(self) -> dt.date | None:
        """The day it was last read or written."""
        moment = times.decode(self.record.DIR_LstAccDate)
        return None if moment is None else moment.date()

    def as_dict(self) -> dict[str, object]:
        """The facts of the entry, ready for JSON."""
        return {
            "name": self.name,
            "short_name": self.short_name,
            "type": "directory" if self.is_dir else "file",
            "size": self.size,
            "cluster": self.cluster,
            "attributes": [flag.name for flag in Attribute if flag in self.attributes],
            "modified": _iso(self.modified),
            "modified_ns": times.nanoseconds(self.modified),
            "created": _iso(self.created),
            "created_ns": times.nanoseconds(self.created),
            "accessed": _iso(self.accessed),
        }


def _iso(moment: dt.date | None) -> str | None:
    return None if moment is None else moment.isoformat()


def new_record(attributes: int, cluster: int, size: int, stamp: times.Stamp) -> DirectoryEntry:
    """An entry still without a name, all of whose times are ``stamp``."""
    return DirectoryEntry.unpack_from(short_entry(bytes(11), attributes, cluster, size, stamp))


def short_entry(short: bytes, attributes: int, cluster: int, size: int, stamp: times.Stamp) -> bytes:
    """The bytes of one entry, all of whose times are ``stamp``."""
    date, time, tenth = stamp
    high, low = cluster >> 16, cluster & 0xFFFF
    return _SHORT.pack(short, attributes, 0, tenth, time, date, date, high, time, date, low, size)


def first_cluster(record: DirectoryEntry, cluster: int, *, wide: bool) -> DirectoryEntry:
    """``record`` with another first cluster; what else is in ``DIR_FstClusHI`` stays."""
    high = cluster >> 16 if wide else record.DIR_FstClusHI
    return replace(record, DIR_FstClusHI=high, DIR_FstClusLO=cluster & 0xFFFF)


def dot_entries(cluster: int, parent: int, stamp: times.Stamp) -> bytes:
    """``.`` and ``..``, with which every directory but the root starts."""
    return short_entry(DOT, ATTR_DIRECTORY, cluster, 0, stamp) + short_entry(DOT_DOT, ATTR_DIRECTORY, parent, 0, stamp)


def label_entry(label: bytes, stamp: times.Stamp) -> bytes:
    """The label as an entry of the root directory."""
    return short_entry(label, ATTR_VOLUME_ID, 0, 0, stamp)


def label_field(label: str) -> bytes:
    """A label as 11 bytes; none is ``NO NAME``. Only ASCII: tools disagree about anything else.

    Raises:
        InvalidNameError: too long, or with a character a label cannot have.
    """
    if not label:
        return NO_NAME
    upper = label.upper()
    bad = [char for char in upper if not " " <= char <= "~" or char in names.FORBIDDEN_SHORT]
    if bad:
        raise InvalidNameError(f"the label holds {bad[0]!a}", field="label", actual=ascii(label))
    if len(upper) > 11 or upper[0] == " ":
        raise InvalidNameError("a label has 1 to 11 characters, the first not a space", field="label", actual=label)
    return upper.encode("ascii").ljust(11)
