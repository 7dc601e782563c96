"""What services return in buffers: times, memory maps, file information (UEFI 2.10 sections 7.2.3, 8.3, 13.5)."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final

from cloudboot_base import RangeError
from cloudboot_base.lightdata import dataclass, field
from cloudboot_records import Cursor

from .constants import FileAttribute
from .errors import UefiFormatError
from .layout.records import EFI_FILE_INFO, EFI_FILE_SYSTEM_INFO, EFI_MEMORY_DESCRIPTOR, EFI_TIME

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import Buffer

__all__ = [
    "UNSPECIFIED_TIMEZONE",
    "FileInfo",
    "FileSystemInfo",
    "datetime_of",
    "efi_time",
    "pack_memory_map",
    "parse_memory_map",
]

UNSPECIFIED_TIMEZONE: Final = 0x7FF
"""EFI_UNSPECIFIED_TIMEZONE: the time is local, and its offset from UTC is not known."""


def efi_time(moment: dt.datetime) -> EFI_TIME:
    """A moment as EFI_TIME; without a time zone it becomes local time of an unknown offset.

    The specification has LocalTime = UTC - TimeZone, so that TimeZone is the negative of an ISO 8601 offset.

    Raises:
        RangeError: the year is before 1900, or the offset is not a whole number of minutes.
    """
    offset = moment.utcoffset()
    zone = UNSPECIFIED_TIMEZONE
    if offset is not None:
        minutes, rest = divmod(offset, dt.timedelta(minutes=1))
        if rest:
            raise RangeError("an offset is in minutes", structure="EFI_TIME", field="TimeZone", actual=str(offset))
        zone = -minutes
    if moment.year < 1900:
        raise RangeError("years start at 1900", structure="EFI_TIME", field="Year", actual=moment.year)
    return EFI_TIME(
        moment.year, moment.month, moment.day, moment.hour, moment.minute, moment.second,
        Nanosecond=moment.microsecond * 1000, TimeZone=zone,
    )  # fmt: skip


def datetime_of(time: EFI_TIME) -> dt.datetime | None:
    """An EFI_TIME as a moment, without a time zone where that is not known; ``None`` where all of it is zero.

    Nanoseconds are cut to microseconds.

    Raises:
        UefiFormatError: a field is out of its range.
    """
    if not any(time.pack()):
        return None
    zone = None
    try:
        if time.TimeZone != UNSPECIFIED_TIMEZONE:
            zone = dt.timezone(dt.timedelta(minutes=-time.TimeZone))
        return dt.datetime(
            time.Year, time.Month, time.Day, time.Hour, time.Minute, time.Second, time.Nanosecond // 1000, zone
        )
    except ValueError as error:
        raise UefiFormatError(str(error), structure="EFI_TIME", actual=time.pack()) from None


def pack_memory_map(descriptors: Sequence[EFI_MEMORY_DESCRIPTOR], stride: int = 48) -> bytes:
    """The array that GetMemoryMap fills, ``stride`` bytes (its DescriptorSize) from one descriptor to the next.

    Firmware chooses a stride larger than the descriptor, so that programs do not rely on the size.

    Raises:
        RangeError: the stride is smaller than a descriptor, or no multiple of 8.
    """
    if stride < EFI_MEMORY_DESCRIPTOR.SIZE or stride % 8:
        raise RangeError(
            "not a size of descriptors", structure="EFI_MEMORY_DESCRIPTOR", field="DescriptorSize",
            expected=f"a multiple of 8, at least {EFI_MEMORY_DESCRIPTOR.SIZE}", actual=stride,
        )  # fmt: skip
    return b"".join(descriptor.pack().ljust(stride, b"\0") for descriptor in descriptors)


def parse_memory_map(data: Buffer, stride: int) -> list[EFI_MEMORY_DESCRIPTOR]:
    """The descriptors of an array with ``stride`` bytes (DescriptorSize) from one to the next.

    Raises:
        UefiFormatError: the stride is smaller than a descriptor, or the data are not a whole number of strides.
    """
    view = memoryview(data).cast("B")
    if stride < EFI_MEMORY_DESCRIPTOR.SIZE or len(view) % stride:
        raise UefiFormatError(
            "not a whole number of descriptors", structure="EFI_MEMORY_DESCRIPTOR", field="DescriptorSize",
            expected=f"at least {EFI_MEMORY_DESCRIPTOR.SIZE}, and a divisor of {len(view)}", actual=stride,
        )  # fmt: skip
    return [EFI_MEMORY_DESCRIPTOR.unpack_from(view, start) for start in range(0, len(view), stride)]


def _name(cursor: Cursor, stated: int) -> str:
    if stated != len(cursor):
        raise UefiFormatError(
            "the size is not that of the information", structure=cursor.structure, field="Size", offset=0,
            expected=len(cursor), actual=stated,
        )  # fmt: skip
    name = cursor.utf16z()
    cursor.expect_end()
    return name


def _utf16(name: str, structure: str) -> bytes:
    if "\0" in name:
        raise RangeError("a name has no null", structure=structure, actual=name)
    return name.encode("utf-16-le", "surrogatepass") + b"\0\0"


_NONE: Final = FileAttribute(0)


@dataclass(frozen=True, slots=True)
class FileInfo:
    """EFI_FILE_INFO: a file's name, sizes in bytes, times and attributes."""

    name: str
    file_size: int
    physical_size: int = 0
    attributes: FileAttribute = _NONE
    created: EFI_TIME = field(default_factory=EFI_TIME)
    accessed: EFI_TIME = field(default_factory=EFI_TIME)
    modified: EFI_TIME = field(default_factory=EFI_TIME)

    @classmethod
    def parse(cls, data: Buffer) -> FileInfo:
        """Read the information, which fills ``data``.

        Raises:
            UefiFormatError: ``Size`` is not that of the data.
            TruncatedError: the data end inside the head, or the name has no null.
        """
        cursor = Cursor(data, structure="EFI_FILE_INFO")
        head = cursor.record(EFI_FILE_INFO)
        times = (head.CreateTime, head.LastAccessTime, head.ModificationTime)
        name = _name(cursor, head.Size)
        return cls(name, head.FileSize, head.PhysicalSize, FileAttribute(head.Attribute), *times)

    def pack(self) -> bytes:
        """The information as GetInfo and Read return it.

        Raises:
            RangeError: the name contains a null, or a size does not fit.
        """
        name = _utf16(self.name, "EFI_FILE_INFO")
        head = EFI_FILE_INFO(
            EFI_FILE_INFO.SIZE + len(name), self.file_size, self.physical_size,
            self.created, self.accessed, self.modified, int(self.attributes),
        )  # fmt: skip
        return head.pack() + name


@dataclass(frozen=True, slots=True)
class FileSystemInfo:
    """EFI_FILE_SYSTEM_INFO: a volume's label, sizes in bytes, and whether it is read-only."""

    label: str
    volume_size: int
    free_space: int = 0
    block_size: int = 512
    read_only: bool = False

    @classmethod
    def parse(cls, data: Buffer) -> FileSystemInfo:
        """Read the information, which fills ``data``; errors as :meth:`FileInfo.parse`."""
        cursor = Cursor(data, structure="EFI_FILE_SYSTEM_INFO")
        head = cursor.record(EFI_FILE_SYSTEM_INFO)
        label = _name(cursor, head.Size)
        return cls(label, head.VolumeSize, head.FreeSpace, head.BlockSize, bool(head.ReadOnly))

    def pack(self) -> bytes:
        """The information as GetInfo returns it; errors as :meth:`FileInfo.pack`."""
        label = _utf16(self.label, "EFI_FILE_SYSTEM_INFO")
        head = EFI_FILE_SYSTEM_INFO(
            EFI_FILE_SYSTEM_INFO.SIZE + len(label), int(self.read_only), VolumeSize=self.volume_size,
            FreeSpace=self.free_space, BlockSize=self.block_size,
        )  # fmt: skip
        return head.pack() + label
