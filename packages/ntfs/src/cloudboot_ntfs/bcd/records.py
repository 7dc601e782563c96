"""The records declared in ``cloudboot_ntfs.bcd.structs``. Generated: change the declaration, then run
``python -m cloudboot_records cloudboot_ntfs.bcd.structs``.
"""

# ruff: noqa: E501 -- one field's doc may be longer than a line
from __future__ import annotations

from typing import Any, ClassVar, Self

from cloudboot_base.lightdata import dataclass
from cloudboot_records.model import Field, RecordLayout
from cloudboot_records.record import Record, exactly


@dataclass(slots=True, eq=False, repr=False)
class DeviceDescriptor(Record):
    """Head of a device; the GUID of the object with its options stands before it in an element (BL_DEVICE_DESCRIPTOR). (16 bytes)"""

    #: 0: disk, 5: boot device, 6: partition, 8: locate
    DeviceType: int = 0
    Flags: int = 0
    #: bytes, this head included
    Size: int = 0
    Unknown: int = 0

    def __init__(
        self,
        DeviceType: int = 0,
        Flags: int = 0,
        Size: int = 0,
        Unknown: int = 0,
    ) -> None:
        self.DeviceType = DeviceType
        self.Flags = Flags
        self.Size = Size
        self.Unknown = Unknown

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "DeviceDescriptor",
        (
            Field("DeviceType", "L"),
            Field("Flags", "L"),
            Field("Size", "L"),
            Field("Unknown", "L"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 16

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            self.DeviceType,
            self.Flags,
            self.Size,
            self.Unknown,
        )


@dataclass(slots=True, eq=False, repr=False)
class GptPartition(Record):
    """A partition of a disk with a GPT. (56 bytes)"""

    #: unique GUID of the partition, mixed-endian
    PartitionGuid: bytes = bytes(16)
    #: 0: hard disk
    LocalType: int = 0
    #: 0: GPT
    PartitionType: int = 0
    #: GUID of the disk, mixed-endian
    DiskGuid: bytes = bytes(16)
    Reserved: bytes = bytes(16)

    def __init__(
        self,
        PartitionGuid: bytes = bytes(16),
        LocalType: int = 0,
        PartitionType: int = 0,
        DiskGuid: bytes = bytes(16),
        Reserved: bytes = bytes(16),
    ) -> None:
        self.PartitionGuid = PartitionGuid
        self.LocalType = LocalType
        self.PartitionType = PartitionType
        self.DiskGuid = DiskGuid
        self.Reserved = Reserved

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "GptPartition",
        (
            Field("PartitionGuid", "s", 16),
            Field("LocalType", "L"),
            Field("PartitionType", "L"),
            Field("DiskGuid", "s", 16),
            Field("Reserved", "s", 16),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 56

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            exactly("GptPartition", "PartitionGuid", 16, self.PartitionGuid),
            self.LocalType,
            self.PartitionType,
            exactly("GptPartition", "DiskGuid", 16, self.DiskGuid),
            exactly("GptPartition", "Reserved", 16, self.Reserved),
        )


@dataclass(slots=True, eq=False, repr=False)
class MbrPartition(Record):
    """A partition of a disk with an MBR. (56 bytes)"""

    #: first byte of the partition
    PartitionOffset: int = 0
    Reserved1: int = 0
    #: 0: hard disk
    LocalType: int = 0
    #: 1: MBR
    PartitionType: int = 0
    DiskSignature: int = 0
    Reserved2: bytes = bytes(28)

    def __init__(
        self,
        PartitionOffset: int = 0,
        Reserved1: int = 0,
        LocalType: int = 0,
        PartitionType: int = 0,
        DiskSignature: int = 0,
        Reserved2: bytes = bytes(28),
    ) -> None:
        self.PartitionOffset = PartitionOffset
        self.Reserved1 = Reserved1
        self.LocalType = LocalType
        self.PartitionType = PartitionType
        self.DiskSignature = DiskSignature
        self.Reserved2 = Reserved2

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "MbrPartition",
        (
            Field("PartitionOffset", "Q"),
            Field("Reserved1", "Q"),
            Field("LocalType", "L"),
            Field("PartitionType", "L"),
            Field("DiskSignature", "L"),
            Field("Reserved2", "s", 28),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 56

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            self.PartitionOffset,
            self.Reserved1,
            self.LocalType,
            self.PartitionType,
            self.DiskSignature,
            exactly("MbrPartition", "Reserved2", 28, self.Reserved2),
        )


@dataclass(slots=True, eq=False, repr=False)
class RamDisk(Record):
    """A RAM disk; the descriptor of the file's path follows (BL_LOCAL_DEVICE). (24 bytes)"""

    #: 3: RAM disk
    LocalType: int = 0
    #: physical address; 0: to be loaded
    ImageBase: int = 0
    ImageSize: int = 0
    ImageOffset: int = 0

    def __init__(
        self,
        LocalType: int = 0,
        ImageBase: int = 0,
        ImageSize: int = 0,
        ImageOffset: int = 0,
    ) -> None:
        self.LocalType = LocalType
        self.ImageBase = ImageBase
        self.ImageSize = ImageSize
        self.ImageOffset = ImageOffset

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "RamDisk",
        (
            Field("LocalType", "L"),
            Field("ImageBase", "Q"),
            Field("ImageSize", "Q"),
            Field("ImageOffset", "L"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 24

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            self.LocalType,
            self.ImageBase,
            self.ImageSize,
            self.ImageOffset,
        )


@dataclass(slots=True, eq=False, repr=False)
class FileHead(Record):
    """A file as a device; the descriptor of the file's path follows (BL_LOCAL_DEVICE). (4 bytes)"""

    #: 5: file
    LocalType: int = 0

    def __init__(
        self,
        LocalType: int = 0,
    ) -> None:
        self.LocalType = LocalType

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "FileHead",
        (
            Field("LocalType", "L"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 4

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            self.LocalType,
        )


@dataclass(slots=True, eq=False, repr=False)
class VirtualDisk(Record):
    """A disk in a file; the descriptor of that file's device follows (BL_LOCAL_DEVICE). (24 bytes)"""

    #: 6: virtual disk
    LocalType: int = 0
    Reserved: bytes = bytes(20)

    def __init__(
        self,
        LocalType: int = 0,
        Reserved: bytes = bytes(20),
    ) -> None:
        self.LocalType = LocalType
        self.Reserved = Reserved

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "VirtualDisk",
        (
            Field("LocalType", "L"),
            Field("Reserved", "s", 20),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 24

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            self.LocalType,
            exactly("VirtualDisk", "Reserved", 20, self.Reserved),
        )


@dataclass(slots=True, eq=False, repr=False)
class Locate(Record):
    """A device that is found by a file on it; the descriptor of its parent follows. (14 bytes)"""

    #: 0: by the path that an element has
    LocateType: int = 0
    #: number of that element
    Element: int = 0
    #: of the device to look on, from the start of this device's descriptor; 0: all of them
    ParentOffset: int = 0
    #: an empty path in UTF-16
    Path: int = 0

    def __init__(
        self,
        LocateType: int = 0,
        Element: int = 0,
        ParentOffset: int = 0,
        Path: int = 0,
    ) -> None:
        self.LocateType = LocateType
        self.Element = Element
        self.ParentOffset = ParentOffset
        self.Path = Path

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "Locate",
        (
            Field("LocateType", "L"),
            Field("Element", "L"),
            Field("ParentOffset", "L"),
            Field("Path", "H"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 14

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            self.LocateType,
            self.Element,
            self.ParentOffset,
            self.Path,
        )


@dataclass(slots=True, eq=False, repr=False)
class FilePath(Record):
    """Head of the path of a file; a device follows, and the path (BL_FILE_PATH_DESCRIPTOR). (12 bytes)"""

    #: 1
    Version: int = 0
    #: bytes, this head included
    Length: int = 0
    #: 5: a device and then the path in UTF-16
    PathType: int = 0

    def __init__(
        self,
        Version: int = 0,
        Length: int = 0,
        PathType: int = 0,
    ) -> None:
        self.Version = Version
        self.Length = Length
        self.PathType = PathType

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "FilePath",
        (
            Field("Version", "L"),
            Field("Length", "L"),
            Field("PathType", "L"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 12

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            self.Version,
            self.Length,
            self.PathType,
        )
