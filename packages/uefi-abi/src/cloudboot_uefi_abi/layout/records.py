"""The records declared in ``cloudboot_uefi_abi.layout.structs``. Generated: change the declaration, then run
``python -m cloudboot_records cloudboot_uefi_abi.layout.structs``.
"""

# ruff: noqa: E501 -- one field's doc may be longer than a line
from __future__ import annotations

from typing import Any, ClassVar, Self
from uuid import UUID

from cloudboot_base.lightdata import dataclass, field
from cloudboot_records.model import Field, RecordLayout
from cloudboot_records.record import Record, exactly, guid_bytes
from cloudboot_uefi_abi.constants import CertificateType, EventType, Machine, MemoryType, PixelFormat, Subsystem


@dataclass(slots=True, eq=False, repr=False)
class EFI_TABLE_HEADER(Record):
    """UEFI 2.10 section 4.2 (24 bytes)"""

    Signature: bytes = bytes(8)
    #: major << 16 | minor in hundredths: 2.10 is 2 << 16 | 100
    Revision: int = 0
    #: bytes of the whole table, this header included
    HeaderSize: int = 0
    #: over HeaderSize bytes, with this field as zero
    CRC32: int = 0
    Reserved: int = 0

    def __init__(
        self,
        Signature: bytes = bytes(8),
        Revision: int = 0,
        HeaderSize: int = 0,
        CRC32: int = 0,
        Reserved: int = 0,
    ) -> None:
        self.Signature = Signature
        self.Revision = Revision
        self.HeaderSize = HeaderSize
        self.CRC32 = CRC32
        self.Reserved = Reserved

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "EFI_TABLE_HEADER",
        (
            Field("Signature", "s", 8),
            Field("Revision", "L"),
            Field("HeaderSize", "L"),
            Field("CRC32", "L"),
            Field("Reserved", "L"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 24

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            exactly("EFI_TABLE_HEADER", "Signature", 8, self.Signature),
            self.Revision,
            self.HeaderSize,
            self.CRC32,
            self.Reserved,
        )


@dataclass(slots=True, eq=False, repr=False)
class EFI_TIME(Record):
    """UEFI 2.10 section 8.3 (16 bytes)"""

    #: 1900 to 9999
    Year: int = 0
    #: 1 to 12
    Month: int = 0
    #: 1 to 31
    Day: int = 0
    Hour: int = 0
    Minute: int = 0
    Second: int = 0
    Pad1: int = 0
    Nanosecond: int = 0
    #: minutes from UTC, -1440 to 1440; 2047: local time, offset unknown
    TimeZone: int = 0
    Daylight: int = 0
    Pad2: int = 0

    def __init__(
        self,
        Year: int = 0,
        Month: int = 0,
        Day: int = 0,
        Hour: int = 0,
        Minute: int = 0,
        Second: int = 0,
        Pad1: int = 0,
        Nanosecond: int = 0,
        TimeZone: int = 0,
        Daylight: int = 0,
        Pad2: int = 0,
    ) -> None:
        self.Year = Year
        self.Month = Month
        self.Day = Day
        self.Hour = Hour
        self.Minute = Minute
        self.Second = Second
        self.Pad1 = Pad1
        self.Nanosecond = Nanosecond
        self.TimeZone = TimeZone
        self.Daylight = Daylight
        self.Pad2 = Pad2

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "EFI_TIME",
        (
            Field("Year", "H"),
            Field("Month", "B"),
            Field("Day", "B"),
            Field("Hour", "B"),
            Field("Minute", "B"),
            Field("Second", "B"),
            Field("Pad1", "B"),
            Field("Nanosecond", "L"),
            Field("TimeZone", "h"),
            Field("Daylight", "B"),
            Field("Pad2", "B"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 16

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            self.Year,
            self.Month,
            self.Day,
            self.Hour,
            self.Minute,
            self.Second,
            self.Pad1,
            self.Nanosecond,
            self.TimeZone,
            self.Daylight,
            self.Pad2,
        )


@dataclass(slots=True, eq=False, repr=False)
class EFI_TIME_CAPABILITIES(Record):
    """UEFI 2.10 section 8.3 (12 bytes)"""

    #: in hertz
    Resolution: int = 0
    #: in parts per million of a second
    Accuracy: int = 0
    SetsToZero: int = 0
    Padding1: bytes = bytes(3)

    def __init__(
        self,
        Resolution: int = 0,
        Accuracy: int = 0,
        SetsToZero: int = 0,
        Padding1: bytes = bytes(3),
    ) -> None:
        self.Resolution = Resolution
        self.Accuracy = Accuracy
        self.SetsToZero = SetsToZero
        self.Padding1 = Padding1

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "EFI_TIME_CAPABILITIES",
        (
            Field("Resolution", "L"),
            Field("Accuracy", "L"),
            Field("SetsToZero", "B"),
            Field("Padding1", "s", 3),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 12

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            self.Resolution,
            self.Accuracy,
            self.SetsToZero,
            exactly("EFI_TIME_CAPABILITIES", "Padding1", 3, self.Padding1),
        )


@dataclass(slots=True, eq=False, repr=False)
class EFI_MEMORY_DESCRIPTOR(Record):
    """UEFI 2.10 section 7.2.3; an array's stride is DescriptorSize, not this size (40 bytes)"""

    Type: MemoryType = MemoryType(0)
    Padding1: bytes = bytes(4)
    PhysicalStart: int = 0
    VirtualStart: int = 0
    #: of 4096 bytes
    NumberOfPages: int = 0
    Attribute: int = 0

    def __init__(
        self,
        Type: MemoryType = MemoryType(0),
        Padding1: bytes = bytes(4),
        PhysicalStart: int = 0,
        VirtualStart: int = 0,
        NumberOfPages: int = 0,
        Attribute: int = 0,
    ) -> None:
        self.Type = Type
        self.Padding1 = Padding1
        self.PhysicalStart = PhysicalStart
        self.VirtualStart = VirtualStart
        self.NumberOfPages = NumberOfPages
        self.Attribute = Attribute

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "EFI_MEMORY_DESCRIPTOR",
        (
            Field("Type", "L"),
            Field("Padding1", "s", 4),
            Field("PhysicalStart", "Q"),
            Field("VirtualStart", "Q"),
            Field("NumberOfPages", "Q"),
            Field("Attribute", "Q"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 40

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(
            MemoryType(values[0]),
            values[1],
            values[2],
            values[3],
            values[4],
            values[5],
        )

    def _values(self) -> tuple[Any, ...]:
        return (
            self.Type,
            exactly("EFI_MEMORY_DESCRIPTOR", "Padding1", 4, self.Padding1),
            self.PhysicalStart,
            self.VirtualStart,
            self.NumberOfPages,
            self.Attribute,
        )


@dataclass(slots=True, eq=False, repr=False)
class EFI_OPEN_PROTOCOL_INFORMATION_ENTRY(Record):
    """UEFI 2.10 section 7.3.11 (24 bytes)"""

    AgentHandle: int = 0
    ControllerHandle: int = 0
    Attributes: int = 0
    OpenCount: int = 0

    def __init__(
        self,
        AgentHandle: int = 0,
        ControllerHandle: int = 0,
        Attributes: int = 0,
        OpenCount: int = 0,
    ) -> None:
        self.AgentHandle = AgentHandle
        self.ControllerHandle = ControllerHandle
        self.Attributes = Attributes
        self.OpenCount = OpenCount

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "EFI_OPEN_PROTOCOL_INFORMATION_ENTRY",
        (
            Field("AgentHandle", "Q"),
            Field("ControllerHandle", "Q"),
            Field("Attributes", "L"),
            Field("OpenCount", "L"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 24

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            self.AgentHandle,
            self.ControllerHandle,
            self.Attributes,
            self.OpenCount,
        )


@dataclass(slots=True, eq=False, repr=False)
class EFI_BLOCK_IO_MEDIA(Record):
    """UEFI 2.10 section 13.9 (48 bytes)"""

    MediaId: int = 0
    RemovableMedia: int = 0
    MediaPresent: int = 0
    #: 1 for a partition's device
    LogicalPartition: int = 0
    ReadOnly: int = 0
    WriteCaching: int = 0
    Padding1: bytes = bytes(3)
    BlockSize: int = 0
    #: buffers are multiples of it; 0 and 1: anywhere
    IoAlign: int = 0
    Padding2: bytes = bytes(4)
    LastBlock: int = 0
    #: from revision 2 of the protocol on
    LowestAlignedLba: int = 0
    #: from revision 2 on
    LogicalBlocksPerPhysicalBlock: int = 0
    #: from revision 3 on
    OptimalTransferLengthGranularity: int = 0

    def __init__(
        self,
        MediaId: int = 0,
        RemovableMedia: int = 0,
        MediaPresent: int = 0,
        LogicalPartition: int = 0,
        ReadOnly: int = 0,
        WriteCaching: int = 0,
        Padding1: bytes = bytes(3),
        BlockSize: int = 0,
        IoAlign: int = 0,
        Padding2: bytes = bytes(4),
        LastBlock: int = 0,
        LowestAlignedLba: int = 0,
        LogicalBlocksPerPhysicalBlock: int = 0,
        OptimalTransferLengthGranularity: int = 0,
    ) -> None:
        self.MediaId = MediaId
        self.RemovableMedia = RemovableMedia
        self.MediaPresent = MediaPresent
        self.LogicalPartition = LogicalPartition
        self.ReadOnly = ReadOnly
        self.WriteCaching = WriteCaching
        self.Padding1 = Padding1
        self.BlockSize = BlockSize
        self.IoAlign = IoAlign
        self.Padding2 = Padding2
        self.LastBlock = LastBlock
        self.LowestAlignedLba = LowestAlignedLba
        self.LogicalBlocksPerPhysicalBlock = LogicalBlocksPerPhysicalBlock
        self.OptimalTransferLengthGranularity = OptimalTransferLengthGranularity

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "EFI_BLOCK_IO_MEDIA",
        (
            Field("MediaId", "L"),
            Field("RemovableMedia", "B"),
            Field("MediaPresent", "B"),
            Field("LogicalPartition", "B"),
            Field("ReadOnly", "B"),
            Field("WriteCaching", "B"),
            Field("Padding1", "s", 3),
            Field("BlockSize", "L"),
            Field("IoAlign", "L"),
            Field("Padding2", "s", 4),
            Field("LastBlock", "Q"),
            Field("LowestAlignedLba", "Q"),
            Field("LogicalBlocksPerPhysicalBlock", "L"),
            Field("OptimalTransferLengthGranularity", "L"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 48

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            self.MediaId,
            self.RemovableMedia,
            self.MediaPresent,
            self.LogicalPartition,
            self.ReadOnly,
            self.WriteCaching,
            exactly("EFI_BLOCK_IO_MEDIA", "Padding1", 3, self.Padding1),
            self.BlockSize,
            self.IoAlign,
            exactly("EFI_BLOCK_IO_MEDIA", "Padding2", 4, self.Padding2),
            self.LastBlock,
            self.LowestAlignedLba,
            self.LogicalBlocksPerPhysicalBlock,
            self.OptimalTransferLengthGranularity,
        )


@dataclass(slots=True, eq=False, repr=False)
class EFI_FILE_INFO(Record):
    """UEFI 2.10 section 13.5; FileName, null-terminated UTF-16, follows (80 bytes)"""

    #: of this record, the name and its final null included
    Size: int = 0
    FileSize: int = 0
    PhysicalSize: int = 0
    #: UEFI 2.10 section 8.3
    CreateTime: EFI_TIME = field(default_factory=lambda: EFI_TIME())
    #: UEFI 2.10 section 8.3
    LastAccessTime: EFI_TIME = field(default_factory=lambda: EFI_TIME())
    #: UEFI 2.10 section 8.3
    ModificationTime: EFI_TIME = field(default_factory=lambda: EFI_TIME())
    Attribute: int = 0

    def __init__(
        self,
        Size: int = 0,
        FileSize: int = 0,
        PhysicalSize: int = 0,
        CreateTime: EFI_TIME | None = None,
        LastAccessTime: EFI_TIME | None = None,
        ModificationTime: EFI_TIME | None = None,
        Attribute: int = 0,
    ) -> None:
        self.Size = Size
        self.FileSize = FileSize
        self.PhysicalSize = PhysicalSize
        self.CreateTime = EFI_TIME() if CreateTime is None else CreateTime
        self.LastAccessTime = EFI_TIME() if LastAccessTime is None else LastAccessTime
        self.ModificationTime = EFI_TIME() if ModificationTime is None else ModificationTime
        self.Attribute = Attribute

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "EFI_FILE_INFO",
        (
            Field("Size", "Q"),
            Field("FileSize", "Q"),
            Field("PhysicalSize", "Q"),
            Field("CreateTime", "", None, EFI_TIME.LAYOUT),
            Field("LastAccessTime", "", None, EFI_TIME.LAYOUT),
            Field("ModificationTime", "", None, EFI_TIME.LAYOUT),
            Field("Attribute", "Q"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 80

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(
            values[0],
            values[1],
            values[2],
            EFI_TIME._from_values(values[3:14]),
            EFI_TIME._from_values(values[14:25]),
            EFI_TIME._from_values(values[25:36]),
            values[36],
        )

    def _values(self) -> tuple[Any, ...]:
        return (
            self.Size,
            self.FileSize,
            self.PhysicalSize,
            *self.CreateTime._values(),
            *self.LastAccessTime._values(),
            *self.ModificationTime._values(),
            self.Attribute,
        )


@dataclass(slots=True, eq=False, repr=False)
class EFI_FILE_SYSTEM_INFO(Record):
    """UEFI 2.10 section 13.5; VolumeLabel, null-terminated UTF-16, follows at 36 (36 bytes)"""

    #: of this record, the label and its final null included
    Size: int = 0
    ReadOnly: int = 0
    Padding: bytes = bytes(7)
    VolumeSize: int = 0
    FreeSpace: int = 0
    BlockSize: int = 0

    def __init__(
        self,
        Size: int = 0,
        ReadOnly: int = 0,
        Padding: bytes = bytes(7),
        VolumeSize: int = 0,
        FreeSpace: int = 0,
        BlockSize: int = 0,
    ) -> None:
        self.Size = Size
        self.ReadOnly = ReadOnly
        self.Padding = Padding
        self.VolumeSize = VolumeSize
        self.FreeSpace = FreeSpace
        self.BlockSize = BlockSize

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "EFI_FILE_SYSTEM_INFO",
        (
            Field("Size", "Q"),
            Field("ReadOnly", "B"),
            Field("Padding", "s", 7),
            Field("VolumeSize", "Q"),
            Field("FreeSpace", "Q"),
            Field("BlockSize", "L"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 36

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            self.Size,
            self.ReadOnly,
            exactly("EFI_FILE_SYSTEM_INFO", "Padding", 7, self.Padding),
            self.VolumeSize,
            self.FreeSpace,
            self.BlockSize,
        )


@dataclass(slots=True, eq=False, repr=False)
class EFI_INPUT_KEY(Record):
    """UEFI 2.10 section 12.3 (4 bytes)"""

    ScanCode: int = 0
    UnicodeChar: int = 0

    def __init__(
        self,
        ScanCode: int = 0,
        UnicodeChar: int = 0,
    ) -> None:
        self.ScanCode = ScanCode
        self.UnicodeChar = UnicodeChar

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "EFI_INPUT_KEY",
        (
            Field("ScanCode", "H"),
            Field("UnicodeChar", "H"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 4

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            self.ScanCode,
            self.UnicodeChar,
        )


@dataclass(slots=True, eq=False, repr=False)
class EFI_KEY_DATA(Record):
    """UEFI 2.10 section 12.2; EFI_KEY_STATE stands in place (12 bytes)"""

    #: UEFI 2.10 section 12.3
    Key: EFI_INPUT_KEY = field(default_factory=lambda: EFI_INPUT_KEY())
    KeyShiftState: int = 0
    KeyToggleState: int = 0
    Padding1: bytes = bytes(3)

    def __init__(
        self,
        Key: EFI_INPUT_KEY | None = None,
        KeyShiftState: int = 0,
        KeyToggleState: int = 0,
        Padding1: bytes = bytes(3),
    ) -> None:
        self.Key = EFI_INPUT_KEY() if Key is None else Key
        self.KeyShiftState = KeyShiftState
        self.KeyToggleState = KeyToggleState
        self.Padding1 = Padding1

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "EFI_KEY_DATA",
        (
            Field("Key", "", None, EFI_INPUT_KEY.LAYOUT),
            Field("KeyShiftState", "L"),
            Field("KeyToggleState", "B"),
            Field("Padding1", "s", 3),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 12

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(
            EFI_INPUT_KEY._from_values(values[0:2]),
            values[2],
            values[3],
            values[4],
        )

    def _values(self) -> tuple[Any, ...]:
        return (
            *self.Key._values(),
            self.KeyShiftState,
            self.KeyToggleState,
            exactly("EFI_KEY_DATA", "Padding1", 3, self.Padding1),
        )


@dataclass(slots=True, eq=False, repr=False)
class SIMPLE_TEXT_OUTPUT_MODE(Record):
    """UEFI 2.10 section 12.4 (24 bytes)"""

    MaxMode: int = 0
    Mode: int = 0
    Attribute: int = 0
    CursorColumn: int = 0
    CursorRow: int = 0
    CursorVisible: int = 0
    Padding1: bytes = bytes(3)

    def __init__(
        self,
        MaxMode: int = 0,
        Mode: int = 0,
        Attribute: int = 0,
        CursorColumn: int = 0,
        CursorRow: int = 0,
        CursorVisible: int = 0,
        Padding1: bytes = bytes(3),
    ) -> None:
        self.MaxMode = MaxMode
        self.Mode = Mode
        self.Attribute = Attribute
        self.CursorColumn = CursorColumn
        self.CursorRow = CursorRow
        self.CursorVisible = CursorVisible
        self.Padding1 = Padding1

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "SIMPLE_TEXT_OUTPUT_MODE",
        (
            Field("MaxMode", "l"),
            Field("Mode", "l"),
            Field("Attribute", "l"),
            Field("CursorColumn", "l"),
            Field("CursorRow", "l"),
            Field("CursorVisible", "B"),
            Field("Padding1", "s", 3),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 24

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            self.MaxMode,
            self.Mode,
            self.Attribute,
            self.CursorColumn,
            self.CursorRow,
            self.CursorVisible,
            exactly("SIMPLE_TEXT_OUTPUT_MODE", "Padding1", 3, self.Padding1),
        )


@dataclass(slots=True, eq=False, repr=False)
class EFI_GRAPHICS_OUTPUT_MODE_INFORMATION(Record):
    """UEFI 2.10 section 12.9; EFI_PIXEL_BITMASK stands in place (36 bytes)"""

    def __init__(
        self,
        Version: int = 0,
        HorizontalResolution: int = 0,
        VerticalResolution: int = 0,
        PixelFormat: PixelFormat = PixelFormat(0),
        RedMask: int = 0,
        GreenMask: int = 0,
        BlueMask: int = 0,
        ReservedMask: int = 0,
        PixelsPerScanLine: int = 0,
    ) -> None:
        self.Version = Version
        self.HorizontalResolution = HorizontalResolution
        self.VerticalResolution = VerticalResolution
        self.PixelFormat = PixelFormat
        self.RedMask = RedMask
        self.GreenMask = GreenMask
        self.BlueMask = BlueMask
        self.ReservedMask = ReservedMask
        self.PixelsPerScanLine = PixelsPerScanLine

    Version: int = 0
    HorizontalResolution: int = 0
    VerticalResolution: int = 0
    PixelFormat: PixelFormat = PixelFormat(0)
    RedMask: int = 0
    GreenMask: int = 0
    BlueMask: int = 0
    ReservedMask: int = 0
    PixelsPerScanLine: int = 0

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "EFI_GRAPHICS_OUTPUT_MODE_INFORMATION",
        (
            Field("Version", "L"),
            Field("HorizontalResolution", "L"),
            Field("VerticalResolution", "L"),
            Field("PixelFormat", "L"),
            Field("RedMask", "L"),
            Field("GreenMask", "L"),
            Field("BlueMask", "L"),
            Field("ReservedMask", "L"),
            Field("PixelsPerScanLine", "L"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 36

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(
            values[0],
            values[1],
            values[2],
            PixelFormat(values[3]),
            values[4],
            values[5],
            values[6],
            values[7],
            values[8],
        )

    def _values(self) -> tuple[Any, ...]:
        return (
            self.Version,
            self.HorizontalResolution,
            self.VerticalResolution,
            self.PixelFormat,
            self.RedMask,
            self.GreenMask,
            self.BlueMask,
            self.ReservedMask,
            self.PixelsPerScanLine,
        )


@dataclass(slots=True, eq=False, repr=False)
class EFI_GRAPHICS_OUTPUT_PROTOCOL_MODE(Record):
    """UEFI 2.10 section 12.9 (40 bytes)"""

    MaxMode: int = 0
    Mode: int = 0
    Info: int = 0
    SizeOfInfo: int = 0
    FrameBufferBase: int = 0
    FrameBufferSize: int = 0

    def __init__(
        self,
        MaxMode: int = 0,
        Mode: int = 0,
        Info: int = 0,
        SizeOfInfo: int = 0,
        FrameBufferBase: int = 0,
        FrameBufferSize: int = 0,
    ) -> None:
        self.MaxMode = MaxMode
        self.Mode = Mode
        self.Info = Info
        self.SizeOfInfo = SizeOfInfo
        self.FrameBufferBase = FrameBufferBase
        self.FrameBufferSize = FrameBufferSize

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "EFI_GRAPHICS_OUTPUT_PROTOCOL_MODE",
        (
            Field("MaxMode", "L"),
            Field("Mode", "L"),
            Field("Info", "Q"),
            Field("SizeOfInfo", "Q"),
            Field("FrameBufferBase", "Q"),
            Field("FrameBufferSize", "Q"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 40

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            self.MaxMode,
            self.Mode,
            self.Info,
            self.SizeOfInfo,
            self.FrameBufferBase,
            self.FrameBufferSize,
        )


@dataclass(slots=True, eq=False, repr=False)
class EFI_SIMPLE_POINTER_MODE(Record):
    """UEFI 2.10 section 12.5 (32 bytes)"""

    ResolutionX: int = 0
    ResolutionY: int = 0
    ResolutionZ: int = 0
    LeftButton: int = 0
    RightButton: int = 0
    Padding1: bytes = bytes(6)

    def __init__(
        self,
        ResolutionX: int = 0,
        ResolutionY: int = 0,
        ResolutionZ: int = 0,
        LeftButton: int = 0,
        RightButton: int = 0,
        Padding1: bytes = bytes(6),
    ) -> None:
        self.ResolutionX = ResolutionX
        self.ResolutionY = ResolutionY
        self.ResolutionZ = ResolutionZ
        self.LeftButton = LeftButton
        self.RightButton = RightButton
        self.Padding1 = Padding1

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "EFI_SIMPLE_POINTER_MODE",
        (
            Field("ResolutionX", "Q"),
            Field("ResolutionY", "Q"),
            Field("ResolutionZ", "Q"),
            Field("LeftButton", "B"),
            Field("RightButton", "B"),
            Field("Padding1", "s", 6),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 32

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            self.ResolutionX,
            self.ResolutionY,
            self.ResolutionZ,
            self.LeftButton,
            self.RightButton,
            exactly("EFI_SIMPLE_POINTER_MODE", "Padding1", 6, self.Padding1),
        )


@dataclass(slots=True, eq=False, repr=False)
class EFI_SIMPLE_POINTER_STATE(Record):
    """UEFI 2.10 section 12.5 (16 bytes)"""

    RelativeMovementX: int = 0
    RelativeMovementY: int = 0
    RelativeMovementZ: int = 0
    LeftButton: int = 0
    RightButton: int = 0
    Padding1: bytes = bytes(2)

    def __init__(
        self,
        RelativeMovementX: int = 0,
        RelativeMovementY: int = 0,
        RelativeMovementZ: int = 0,
        LeftButton: int = 0,
        RightButton: int = 0,
        Padding1: bytes = bytes(2),
    ) -> None:
        self.RelativeMovementX = RelativeMovementX
        self.RelativeMovementY = RelativeMovementY
        self.RelativeMovementZ = RelativeMovementZ
        self.LeftButton = LeftButton
        self.RightButton = RightButton
        self.Padding1 = Padding1

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "EFI_SIMPLE_POINTER_STATE",
        (
            Field("RelativeMovementX", "l"),
            Field("RelativeMovementY", "l"),
            Field("RelativeMovementZ", "l"),
            Field("LeftButton", "B"),
            Field("RightButton", "B"),
            Field("Padding1", "s", 2),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 16

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            self.RelativeMovementX,
            self.RelativeMovementY,
            self.RelativeMovementZ,
            self.LeftButton,
            self.RightButton,
            exactly("EFI_SIMPLE_POINTER_STATE", "Padding1", 2, self.Padding1),
        )


@dataclass(slots=True, eq=False, repr=False)
class SERIAL_IO_MODE(Record):
    """UEFI 2.10 section 12.8 (32 bytes)"""

    ControlMask: int = 0
    #: in microseconds
    Timeout: int = 0
    BaudRate: int = 0
    ReceiveFifoDepth: int = 0
    DataBits: int = 0
    Parity: int = 0
    StopBits: int = 0

    def __init__(
        self,
        ControlMask: int = 0,
        Timeout: int = 0,
        BaudRate: int = 0,
        ReceiveFifoDepth: int = 0,
        DataBits: int = 0,
        Parity: int = 0,
        StopBits: int = 0,
    ) -> None:
        self.ControlMask = ControlMask
        self.Timeout = Timeout
        self.BaudRate = BaudRate
        self.ReceiveFifoDepth = ReceiveFifoDepth
        self.DataBits = DataBits
        self.Parity = Parity
        self.StopBits = StopBits

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "SERIAL_IO_MODE",
        (
            Field("ControlMask", "L"),
            Field("Timeout", "L"),
            Field("BaudRate", "Q"),
            Field("ReceiveFifoDepth", "L"),
            Field("DataBits", "L"),
            Field("Parity", "L"),
            Field("StopBits", "L"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 32

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            self.ControlMask,
            self.Timeout,
            self.BaudRate,
            self.ReceiveFifoDepth,
            self.DataBits,
            self.Parity,
            self.StopBits,
        )


@dataclass(slots=True, eq=False, repr=False)
class EFI_TCG2_BOOT_SERVICE_CAPABILITY(Record):
    """TCG EFI Protocol Specification 1.0 section 6.4 (36 bytes)"""

    Size: int = 0
    StructureVersionMajor: int = 0
    StructureVersionMinor: int = 0
    ProtocolVersionMajor: int = 0
    ProtocolVersionMinor: int = 0
    Padding1: bytes = bytes(3)
    HashAlgorithmBitmap: int = 0
    SupportedEventLogs: int = 0
    TPMPresentFlag: int = 0
    Padding2: bytes = bytes(1)
    MaxCommandSize: int = 0
    MaxResponseSize: int = 0
    Padding3: bytes = bytes(2)
    ManufacturerID: int = 0
    NumberOfPCRBanks: int = 0
    ActivePcrBanks: int = 0

    def __init__(
        self,
        Size: int = 0,
        StructureVersionMajor: int = 0,
        StructureVersionMinor: int = 0,
        ProtocolVersionMajor: int = 0,
        ProtocolVersionMinor: int = 0,
        Padding1: bytes = bytes(3),
        HashAlgorithmBitmap: int = 0,
        SupportedEventLogs: int = 0,
        TPMPresentFlag: int = 0,
        Padding2: bytes = bytes(1),
        MaxCommandSize: int = 0,
        MaxResponseSize: int = 0,
        Padding3: bytes = bytes(2),
        ManufacturerID: int = 0,
        NumberOfPCRBanks: int = 0,
        ActivePcrBanks: int = 0,
    ) -> None:
        self.Size = Size
        self.StructureVersionMajor = StructureVersionMajor
        self.StructureVersionMinor = StructureVersionMinor
        self.ProtocolVersionMajor = ProtocolVersionMajor
        self.ProtocolVersionMinor = ProtocolVersionMinor
        self.Padding1 = Padding1
        self.HashAlgorithmBitmap = HashAlgorithmBitmap
        self.SupportedEventLogs = SupportedEventLogs
        self.TPMPresentFlag = TPMPresentFlag
        self.Padding2 = Padding2
        self.MaxCommandSize = MaxCommandSize
        self.MaxResponseSize = MaxResponseSize
        self.Padding3 = Padding3
        self.ManufacturerID = ManufacturerID
        self.NumberOfPCRBanks = NumberOfPCRBanks
        self.ActivePcrBanks = ActivePcrBanks

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "EFI_TCG2_BOOT_SERVICE_CAPABILITY",
        (
            Field("Size", "B"),
            Field("StructureVersionMajor", "B"),
            Field("StructureVersionMinor", "B"),
            Field("ProtocolVersionMajor", "B"),
            Field("ProtocolVersionMinor", "B"),
            Field("Padding1", "s", 3),
            Field("HashAlgorithmBitmap", "L"),
            Field("SupportedEventLogs", "L"),
            Field("TPMPresentFlag", "B"),
            Field("Padding2", "s", 1),
            Field("MaxCommandSize", "H"),
            Field("MaxResponseSize", "H"),
            Field("Padding3", "s", 2),
            Field("ManufacturerID", "L"),
            Field("NumberOfPCRBanks", "L"),
            Field("ActivePcrBanks", "L"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 36

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            self.Size,
            self.StructureVersionMajor,
            self.StructureVersionMinor,
            self.ProtocolVersionMajor,
            self.ProtocolVersionMinor,
            exactly("EFI_TCG2_BOOT_SERVICE_CAPABILITY", "Padding1", 3, self.Padding1),
            self.HashAlgorithmBitmap,
            self.SupportedEventLogs,
            self.TPMPresentFlag,
            exactly("EFI_TCG2_BOOT_SERVICE_CAPABILITY", "Padding2", 1, self.Padding2),
            self.MaxCommandSize,
            self.MaxResponseSize,
            exactly("EFI_TCG2_BOOT_SERVICE_CAPABILITY", "Padding3", 2, self.Padding3),
            self.ManufacturerID,
            self.NumberOfPCRBanks,
            self.ActivePcrBanks,
        )


@dataclass(slots=True, eq=False, repr=False)
class EFI_TCG2_EVENT(Record):
    """TCG EFI Protocol Specification 1.0 section 6.6; packed; the event data follow (18 bytes)"""

    def __init__(
        self,
        Size: int = 0,
        HeaderSize: int = 0,
        HeaderVersion: int = 0,
        PCRIndex: int = 0,
        EventType: EventType = EventType(0),
    ) -> None:
        self.Size = Size
        self.HeaderSize = HeaderSize
        self.HeaderVersion = HeaderVersion
        self.PCRIndex = PCRIndex
        self.EventType = EventType

    #: of this record and the event data
    Size: int = 0
    HeaderSize: int = 0
    HeaderVersion: int = 0
    PCRIndex: int = 0
    EventType: EventType = EventType(0)

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "EFI_TCG2_EVENT",
        (
            Field("Size", "L"),
            Field("HeaderSize", "L"),
            Field("HeaderVersion", "H"),
            Field("PCRIndex", "L"),
            Field("EventType", "L"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 18

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(
            values[0],
            values[1],
            values[2],
            values[3],
            EventType(values[4]),
        )

    def _values(self) -> tuple[Any, ...]:
        return (
            self.Size,
            self.HeaderSize,
            self.HeaderVersion,
            self.PCRIndex,
            self.EventType,
        )


@dataclass(slots=True, eq=False, repr=False)
class IMAGE_DOS_HEADER(Record):
    """PE/COFF section 2.1 (64 bytes)"""

    #: MZ
    e_magic: bytes = bytes(2)
    #: fields of MS-DOS, which nothing here reads
    e_stub: bytes = bytes(58)
    #: where the PE signature is
    e_lfanew: int = 0

    def __init__(
        self,
        e_magic: bytes = bytes(2),
        e_stub: bytes = bytes(58),
        e_lfanew: int = 0,
    ) -> None:
        self.e_magic = e_magic
        self.e_stub = e_stub
        self.e_lfanew = e_lfanew

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "IMAGE_DOS_HEADER",
        (
            Field("e_magic", "s", 2),
            Field("e_stub", "s", 58),
            Field("e_lfanew", "L"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 64

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            exactly("IMAGE_DOS_HEADER", "e_magic", 2, self.e_magic),
            exactly("IMAGE_DOS_HEADER", "e_stub", 58, self.e_stub),
            self.e_lfanew,
        )


@dataclass(slots=True, eq=False, repr=False)
class IMAGE_FILE_HEADER(Record):
    """PE/COFF section 2.3 (20 bytes)"""

    def __init__(
        self,
        Machine: Machine = Machine(0),
        NumberOfSections: int = 0,
        TimeDateStamp: int = 0,
        PointerToSymbolTable: int = 0,
        NumberOfSymbols: int = 0,
        SizeOfOptionalHeader: int = 0,
        Characteristics: int = 0,
    ) -> None:
        self.Machine = Machine
        self.NumberOfSections = NumberOfSections
        self.TimeDateStamp = TimeDateStamp
        self.PointerToSymbolTable = PointerToSymbolTable
        self.NumberOfSymbols = NumberOfSymbols
        self.SizeOfOptionalHeader = SizeOfOptionalHeader
        self.Characteristics = Characteristics

    Machine: Machine = Machine(0)
    NumberOfSections: int = 0
    TimeDateStamp: int = 0
    PointerToSymbolTable: int = 0
    NumberOfSymbols: int = 0
    SizeOfOptionalHeader: int = 0
    Characteristics: int = 0

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "IMAGE_FILE_HEADER",
        (
            Field("Machine", "H"),
            Field("NumberOfSections", "H"),
            Field("TimeDateStamp", "L"),
            Field("PointerToSymbolTable", "L"),
            Field("NumberOfSymbols", "L"),
            Field("SizeOfOptionalHeader", "H"),
            Field("Characteristics", "H"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 20

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(
            Machine(values[0]),
            values[1],
            values[2],
            values[3],
            values[4],
            values[5],
            values[6],
        )

    def _values(self) -> tuple[Any, ...]:
        return (
            self.Machine,
            self.NumberOfSections,
            self.TimeDateStamp,
            self.PointerToSymbolTable,
            self.NumberOfSymbols,
            self.SizeOfOptionalHeader,
            self.Characteristics,
        )


@dataclass(slots=True, eq=False, repr=False)
class IMAGE_OPTIONAL_HEADER64(Record):
    """PE/COFF section 2.4; the data directories follow (112 bytes)"""

    def __init__(
        self,
        Magic: int = 0,
        MajorLinkerVersion: int = 0,
        MinorLinkerVersion: int = 0,
        SizeOfCode: int = 0,
        SizeOfInitializedData: int = 0,
        SizeOfUninitializedData: int = 0,
        AddressOfEntryPoint: int = 0,
        BaseOfCode: int = 0,
        ImageBase: int = 0,
        SectionAlignment: int = 0,
        FileAlignment: int = 0,
        MajorOperatingSystemVersion: int = 0,
        MinorOperatingSystemVersion: int = 0,
        MajorImageVersion: int = 0,
        MinorImageVersion: int = 0,
        MajorSubsystemVersion: int = 0,
        MinorSubsystemVersion: int = 0,
        Win32VersionValue: int = 0,
        SizeOfImage: int = 0,
        SizeOfHeaders: int = 0,
        CheckSum: int = 0,
        Subsystem: Subsystem = Subsystem(0),
        DllCharacteristics: int = 0,
        SizeOfStackReserve: int = 0,
        SizeOfStackCommit: int = 0,
        SizeOfHeapReserve: int = 0,
        SizeOfHeapCommit: int = 0,
        LoaderFlags: int = 0,
        NumberOfRvaAndSizes: int = 0,
    ) -> None:
        self.Magic = Magic
        self.MajorLinkerVersion = MajorLinkerVersion
        self.MinorLinkerVersion = MinorLinkerVersion
        self.SizeOfCode = SizeOfCode
        self.SizeOfInitializedData = SizeOfInitializedData
        self.SizeOfUninitializedData = SizeOfUninitializedData
        self.AddressOfEntryPoint = AddressOfEntryPoint
        self.BaseOfCode = BaseOfCode
        self.ImageBase = ImageBase
        self.SectionAlignment = SectionAlignment
        self.FileAlignment = FileAlignment
        self.MajorOperatingSystemVersion = MajorOperatingSystemVersion
        self.MinorOperatingSystemVersion = MinorOperatingSystemVersion
        self.MajorImageVersion = MajorImageVersion
        self.MinorImageVersion = MinorImageVersion
        self.MajorSubsystemVersion = MajorSubsystemVersion
        self.MinorSubsystemVersion = MinorSubsystemVersion
        self.Win32VersionValue = Win32VersionValue
        self.SizeOfImage = SizeOfImage
        self.SizeOfHeaders = SizeOfHeaders
        self.CheckSum = CheckSum
        self.Subsystem = Subsystem
        self.DllCharacteristics = DllCharacteristics
        self.SizeOfStackReserve = SizeOfStackReserve
        self.SizeOfStackCommit = SizeOfStackCommit
        self.SizeOfHeapReserve = SizeOfHeapReserve
        self.SizeOfHeapCommit = SizeOfHeapCommit
        self.LoaderFlags = LoaderFlags
        self.NumberOfRvaAndSizes = NumberOfRvaAndSizes

    #: 0x20B: PE32+
    Magic: int = 0
    MajorLinkerVersion: int = 0
    MinorLinkerVersion: int = 0
    SizeOfCode: int = 0
    SizeOfInitializedData: int = 0
    SizeOfUninitializedData: int = 0
    AddressOfEntryPoint: int = 0
    BaseOfCode: int = 0
    ImageBase: int = 0
    SectionAlignment: int = 0
    FileAlignment: int = 0
    MajorOperatingSystemVersion: int = 0
    MinorOperatingSystemVersion: int = 0
    MajorImageVersion: int = 0
    MinorImageVersion: int = 0
    MajorSubsystemVersion: int = 0
    MinorSubsystemVersion: int = 0
    Win32VersionValue: int = 0
    SizeOfImage: int = 0
    SizeOfHeaders: int = 0
    CheckSum: int = 0
    Subsystem: Subsystem = Subsystem(0)
    DllCharacteristics: int = 0
    SizeOfStackReserve: int = 0
    SizeOfStackCommit: int = 0
    SizeOfHeapReserve: int = 0
    SizeOfHeapCommit: int = 0
    LoaderFlags: int = 0
    NumberOfRvaAndSizes: int = 0

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "IMAGE_OPTIONAL_HEADER64",
        (
            Field("Magic", "H"),
            Field("MajorLinkerVersion", "B"),
            Field("MinorLinkerVersion", "B"),
            Field("SizeOfCode", "L"),
            Field("SizeOfInitializedData", "L"),
            Field("SizeOfUninitializedData", "L"),
            Field("AddressOfEntryPoint", "L"),
            Field("BaseOfCode", "L"),
            Field("ImageBase", "Q"),
            Field("SectionAlignment", "L"),
            Field("FileAlignment", "L"),
            Field("MajorOperatingSystemVersion", "H"),
            Field("MinorOperatingSystemVersion", "H"),
            Field("MajorImageVersion", "H"),
            Field("MinorImageVersion", "H"),
            Field("MajorSubsystemVersion", "H"),
            Field("MinorSubsystemVersion", "H"),
            Field("Win32VersionValue", "L"),
            Field("SizeOfImage", "L"),
            Field("SizeOfHeaders", "L"),
            Field("CheckSum", "L"),
            Field("Subsystem", "H"),
            Field("DllCharacteristics", "H"),
            Field("SizeOfStackReserve", "Q"),
            Field("SizeOfStackCommit", "Q"),
            Field("SizeOfHeapReserve", "Q"),
            Field("SizeOfHeapCommit", "Q"),
            Field("LoaderFlags", "L"),
            Field("NumberOfRvaAndSizes", "L"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 112

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(
            values[0],
            values[1],
            values[2],
            values[3],
            values[4],
            values[5],
            values[6],
            values[7],
            values[8],
            values[9],
            values[10],
            values[11],
            values[12],
            values[13],
            values[14],
            values[15],
            values[16],
            values[17],
            values[18],
            values[19],
            values[20],
            Subsystem(values[21]),
            values[22],
            values[23],
            values[24],
            values[25],
            values[26],
            values[27],
            values[28],
        )

    def _values(self) -> tuple[Any, ...]:
        return (
            self.Magic,
            self.MajorLinkerVersion,
            self.MinorLinkerVersion,
            self.SizeOfCode,
            self.SizeOfInitializedData,
            self.SizeOfUninitializedData,
            self.AddressOfEntryPoint,
            self.BaseOfCode,
            self.ImageBase,
            self.SectionAlignment,
            self.FileAlignment,
            self.MajorOperatingSystemVersion,
            self.MinorOperatingSystemVersion,
            self.MajorImageVersion,
            self.MinorImageVersion,
            self.MajorSubsystemVersion,
            self.MinorSubsystemVersion,
            self.Win32VersionValue,
            self.SizeOfImage,
            self.SizeOfHeaders,
            self.CheckSum,
            self.Subsystem,
            self.DllCharacteristics,
            self.SizeOfStackReserve,
            self.SizeOfStackCommit,
            self.SizeOfHeapReserve,
            self.SizeOfHeapCommit,
            self.LoaderFlags,
            self.NumberOfRvaAndSizes,
        )


@dataclass(slots=True, eq=False, repr=False)
class IMAGE_DATA_DIRECTORY(Record):
    """PE/COFF section 2.4.3 (8 bytes)"""

    VirtualAddress: int = 0
    Size: int = 0

    def __init__(
        self,
        VirtualAddress: int = 0,
        Size: int = 0,
    ) -> None:
        self.VirtualAddress = VirtualAddress
        self.Size = Size

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "IMAGE_DATA_DIRECTORY",
        (
            Field("VirtualAddress", "L"),
            Field("Size", "L"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 8

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            self.VirtualAddress,
            self.Size,
        )


@dataclass(slots=True, eq=False, repr=False)
class IMAGE_SECTION_HEADER(Record):
    """PE/COFF section 3 (40 bytes)"""

    Name: bytes = bytes(8)
    VirtualSize: int = 0
    VirtualAddress: int = 0
    SizeOfRawData: int = 0
    PointerToRawData: int = 0
    PointerToRelocations: int = 0
    PointerToLinenumbers: int = 0
    NumberOfRelocations: int = 0
    NumberOfLinenumbers: int = 0
    Characteristics: int = 0

    def __init__(
        self,
        Name: bytes = bytes(8),
        VirtualSize: int = 0,
        VirtualAddress: int = 0,
        SizeOfRawData: int = 0,
        PointerToRawData: int = 0,
        PointerToRelocations: int = 0,
        PointerToLinenumbers: int = 0,
        NumberOfRelocations: int = 0,
        NumberOfLinenumbers: int = 0,
        Characteristics: int = 0,
    ) -> None:
        self.Name = Name
        self.VirtualSize = VirtualSize
        self.VirtualAddress = VirtualAddress
        self.SizeOfRawData = SizeOfRawData
        self.PointerToRawData = PointerToRawData
        self.PointerToRelocations = PointerToRelocations
        self.PointerToLinenumbers = PointerToLinenumbers
        self.NumberOfRelocations = NumberOfRelocations
        self.NumberOfLinenumbers = NumberOfLinenumbers
        self.Characteristics = Characteristics

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "IMAGE_SECTION_HEADER",
        (
            Field("Name", "s", 8),
            Field("VirtualSize", "L"),
            Field("VirtualAddress", "L"),
            Field("SizeOfRawData", "L"),
            Field("PointerToRawData", "L"),
            Field("PointerToRelocations", "L"),
            Field("PointerToLinenumbers", "L"),
            Field("NumberOfRelocations", "H"),
            Field("NumberOfLinenumbers", "H"),
            Field("Characteristics", "L"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 40

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            exactly("IMAGE_SECTION_HEADER", "Name", 8, self.Name),
            self.VirtualSize,
            self.VirtualAddress,
            self.SizeOfRawData,
            self.PointerToRawData,
            self.PointerToRelocations,
            self.PointerToLinenumbers,
            self.NumberOfRelocations,
            self.NumberOfLinenumbers,
            self.Characteristics,
        )


@dataclass(slots=True, eq=False, repr=False)
class IMAGE_BASE_RELOCATION(Record):
    """PE/COFF section 5.6; 16-bit entries follow: type in the top 4 bits, offset below (8 bytes)"""

    #: the page
    VirtualAddress: int = 0
    #: bytes, this header included
    SizeOfBlock: int = 0

    def __init__(
        self,
        VirtualAddress: int = 0,
        SizeOfBlock: int = 0,
    ) -> None:
        self.VirtualAddress = VirtualAddress
        self.SizeOfBlock = SizeOfBlock

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "IMAGE_BASE_RELOCATION",
        (
            Field("VirtualAddress", "L"),
            Field("SizeOfBlock", "L"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 8

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            self.VirtualAddress,
            self.SizeOfBlock,
        )


@dataclass(slots=True, eq=False, repr=False)
class WIN_CERTIFICATE(Record):
    """UEFI 2.10 section 32.2.4 (8 bytes)"""

    #: of this header and the certificate, without the padding to 8 bytes
    dwLength: int = 0
    #: 0x0200
    wRevision: int = 0
    wCertificateType: CertificateType = CertificateType(0)

    def __init__(
        self,
        dwLength: int = 0,
        wRevision: int = 0,
        wCertificateType: CertificateType = CertificateType(0),
    ) -> None:
        self.dwLength = dwLength
        self.wRevision = wRevision
        self.wCertificateType = wCertificateType

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "WIN_CERTIFICATE",
        (
            Field("dwLength", "L"),
            Field("wRevision", "H"),
            Field("wCertificateType", "H"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 8

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(
            values[0],
            values[1],
            CertificateType(values[2]),
        )

    def _values(self) -> tuple[Any, ...]:
        return (
            self.dwLength,
            self.wRevision,
            self.wCertificateType,
        )


@dataclass(slots=True, eq=False, repr=False)
class EFI_VARIABLE_AUTHENTICATION_3(Record):
    """UEFI 2.10 section 8.2.1, packed; a time or a nonce follows, then certificates or their identifier (10 bytes)"""

    #: 1
    Version: int = 0
    #: 1: a time, 2: a nonce
    Type: int = 0
    #: of what precedes the variable's data, this header included
    MetadataSize: int = 0
    Flags: int = 0

    def __init__(
        self,
        Version: int = 0,
        Type: int = 0,
        MetadataSize: int = 0,
        Flags: int = 0,
    ) -> None:
        self.Version = Version
        self.Type = Type
        self.MetadataSize = MetadataSize
        self.Flags = Flags

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "EFI_VARIABLE_AUTHENTICATION_3",
        (
            Field("Version", "B"),
            Field("Type", "B"),
            Field("MetadataSize", "L"),
            Field("Flags", "L"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 10

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            self.Version,
            self.Type,
            self.MetadataSize,
            self.Flags,
        )


@dataclass(slots=True, eq=False, repr=False)
class EFI_VARIABLE_AUTHENTICATION_3_CERT_ID(Record):
    """UEFI 2.10 section 8.2.1, packed (5 bytes)"""

    #: 1: SHA-256 of the tbsCertificate
    Type: int = 0
    IdSize: int = 0

    def __init__(
        self,
        Type: int = 0,
        IdSize: int = 0,
    ) -> None:
        self.Type = Type
        self.IdSize = IdSize

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "EFI_VARIABLE_AUTHENTICATION_3_CERT_ID",
        (
            Field("Type", "B"),
            Field("IdSize", "L"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 5

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            self.Type,
            self.IdSize,
        )


@dataclass(slots=True, eq=False, repr=False)
class EFI_FIRMWARE_VOLUME_HEADER(Record):
    """PI 1.8 volume 3 section 3.2.1; the block map follows (56 bytes)"""

    ZeroVector: bytes = bytes(16)
    FileSystemGuid: UUID = UUID(int=0)
    FvLength: int = 0
    #: _FVH
    Signature: bytes = bytes(4)
    Attributes: int = 0
    HeaderLength: int = 0
    #: makes the 16-bit sum of the header zero
    Checksum: int = 0
    ExtHeaderOffset: int = 0
    Reserved: int = 0
    Revision: int = 0

    def __init__(
        self,
        ZeroVector: bytes = bytes(16),
        FileSystemGuid: UUID = UUID(int=0),
        FvLength: int = 0,
        Signature: bytes = bytes(4),
        Attributes: int = 0,
        HeaderLength: int = 0,
        Checksum: int = 0,
        ExtHeaderOffset: int = 0,
        Reserved: int = 0,
        Revision: int = 0,
    ) -> None:
        self.ZeroVector = ZeroVector
        self.FileSystemGuid = FileSystemGuid
        self.FvLength = FvLength
        self.Signature = Signature
        self.Attributes = Attributes
        self.HeaderLength = HeaderLength
        self.Checksum = Checksum
        self.ExtHeaderOffset = ExtHeaderOffset
        self.Reserved = Reserved
        self.Revision = Revision

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "EFI_FIRMWARE_VOLUME_HEADER",
        (
            Field("ZeroVector", "s", 16),
            Field("FileSystemGuid", "s", 16, guid=True),
            Field("FvLength", "Q"),
            Field("Signature", "s", 4),
            Field("Attributes", "L"),
            Field("HeaderLength", "H"),
            Field("Checksum", "H"),
            Field("ExtHeaderOffset", "H"),
            Field("Reserved", "B"),
            Field("Revision", "B"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 56

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(
            values[0],
            UUID(bytes_le=values[1]),
            values[2],
            values[3],
            values[4],
            values[5],
            values[6],
            values[7],
            values[8],
            values[9],
        )

    def _values(self) -> tuple[Any, ...]:
        return (
            exactly("EFI_FIRMWARE_VOLUME_HEADER", "ZeroVector", 16, self.ZeroVector),
            guid_bytes("EFI_FIRMWARE_VOLUME_HEADER", "FileSystemGuid", self.FileSystemGuid),
            self.FvLength,
            exactly("EFI_FIRMWARE_VOLUME_HEADER", "Signature", 4, self.Signature),
            self.Attributes,
            self.HeaderLength,
            self.Checksum,
            self.ExtHeaderOffset,
            self.Reserved,
            self.Revision,
        )


@dataclass(slots=True, eq=False, repr=False)
class VARIABLE_STORE_HEADER(Record):
    """EDK2 MdeModulePkg, VariableFormat.h (28 bytes)"""

    Signature: UUID = UUID(int=0)
    #: of the store, this header included
    Size: int = 0
    #: 0x5A: formatted
    Format: int = 0
    #: 0xFE: healthy
    State: int = 0
    Reserved: int = 0
    Reserved1: int = 0

    def __init__(
        self,
        Signature: UUID = UUID(int=0),
        Size: int = 0,
        Format: int = 0,
        State: int = 0,
        Reserved: int = 0,
        Reserved1: int = 0,
    ) -> None:
        self.Signature = Signature
        self.Size = Size
        self.Format = Format
        self.State = State
        self.Reserved = Reserved
        self.Reserved1 = Reserved1

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "VARIABLE_STORE_HEADER",
        (
            Field("Signature", "s", 16, guid=True),
            Field("Size", "L"),
            Field("Format", "B"),
            Field("State", "B"),
            Field("Reserved", "H"),
            Field("Reserved1", "L"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 28

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(
            UUID(bytes_le=values[0]),
            values[1],
            values[2],
            values[3],
            values[4],
            values[5],
        )

    def _values(self) -> tuple[Any, ...]:
        return (
            guid_bytes("VARIABLE_STORE_HEADER", "Signature", self.Signature),
            self.Size,
            self.Format,
            self.State,
            self.Reserved,
            self.Reserved1,
        )


@dataclass(slots=True, eq=False, repr=False)
class AUTHENTICATED_VARIABLE_HEADER(Record):
    """EDK2 MdeModulePkg, VariableFormat.h; the name and the data follow (60 bytes)"""

    #: 0x55AA
    StartId: int = 0
    State: int = 0
    Reserved: int = 0
    Attributes: int = 0
    MonotonicCount: int = 0
    #: UEFI 2.10 section 8.3
    TimeStamp: EFI_TIME = field(default_factory=lambda: EFI_TIME())
    PubKeyIndex: int = 0
    #: bytes, the final null included
    NameSize: int = 0
    DataSize: int = 0
    VendorGuid: UUID = UUID(int=0)

    def __init__(
        self,
        StartId: int = 0,
        State: int = 0,
        Reserved: int = 0,
        Attributes: int = 0,
        MonotonicCount: int = 0,
        TimeStamp: EFI_TIME | None = None,
        PubKeyIndex: int = 0,
        NameSize: int = 0,
        DataSize: int = 0,
        VendorGuid: UUID = UUID(int=0),
    ) -> None:
        self.StartId = StartId
        self.State = State
        self.Reserved = Reserved
        self.Attributes = Attributes
        self.MonotonicCount = MonotonicCount
        self.TimeStamp = EFI_TIME() if TimeStamp is None else TimeStamp
        self.PubKeyIndex = PubKeyIndex
        self.NameSize = NameSize
        self.DataSize = DataSize
        self.VendorGuid = VendorGuid

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "AUTHENTICATED_VARIABLE_HEADER",
        (
            Field("StartId", "H"),
            Field("State", "B"),
            Field("Reserved", "B"),
            Field("Attributes", "L"),
            Field("MonotonicCount", "Q"),
            Field("TimeStamp", "", None, EFI_TIME.LAYOUT),
            Field("PubKeyIndex", "L"),
            Field("NameSize", "L"),
            Field("DataSize", "L"),
            Field("VendorGuid", "s", 16, guid=True),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 60

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(
            values[0],
            values[1],
            values[2],
            values[3],
            values[4],
            EFI_TIME._from_values(values[5:16]),
            values[16],
            values[17],
            values[18],
            UUID(bytes_le=values[19]),
        )

    def _values(self) -> tuple[Any, ...]:
        return (
            self.StartId,
            self.State,
            self.Reserved,
            self.Attributes,
            self.MonotonicCount,
            *self.TimeStamp._values(),
            self.PubKeyIndex,
            self.NameSize,
            self.DataSize,
            guid_bytes("AUTHENTICATED_VARIABLE_HEADER", "VendorGuid", self.VendorGuid),
        )


@dataclass(slots=True, eq=False, repr=False)
class VARIABLE_HEADER(Record):
    """EDK2 MdeModulePkg, VariableFormat.h; stores without authentication (32 bytes)"""

    #: 0x55AA
    StartId: int = 0
    State: int = 0
    Reserved: int = 0
    Attributes: int = 0
    #: bytes, the final null included
    NameSize: int = 0
    DataSize: int = 0
    VendorGuid: UUID = UUID(int=0)

    def __init__(
        self,
        StartId: int = 0,
        State: int = 0,
        Reserved: int = 0,
        Attributes: int = 0,
        NameSize: int = 0,
        DataSize: int = 0,
        VendorGuid: UUID = UUID(int=0),
    ) -> None:
        self.StartId = StartId
        self.State = State
        self.Reserved = Reserved
        self.Attributes = Attributes
        self.NameSize = NameSize
        self.DataSize = DataSize
        self.VendorGuid = VendorGuid

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "VARIABLE_HEADER",
        (
            Field("StartId", "H"),
            Field("State", "B"),
            Field("Reserved", "B"),
            Field("Attributes", "L"),
            Field("NameSize", "L"),
            Field("DataSize", "L"),
            Field("VendorGuid", "s", 16, guid=True),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 32

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(
            values[0],
            values[1],
            values[2],
            values[3],
            values[4],
            values[5],
            UUID(bytes_le=values[6]),
        )

    def _values(self) -> tuple[Any, ...]:
        return (
            self.StartId,
            self.State,
            self.Reserved,
            self.Attributes,
            self.NameSize,
            self.DataSize,
            guid_bytes("VARIABLE_HEADER", "VendorGuid", self.VendorGuid),
        )


@dataclass(slots=True, eq=False, repr=False)
class EC2_VARIABLE_STORE(Record):
    """uefivars 1.2, aws.py; a zlib stream with a preset dictionary follows (16 bytes)"""

    #: AMZNUEFI
    Magic: bytes = bytes(8)
    #: CRC-32C of what follows
    Checksum: int = 0
    #: 0
    Version: int = 0

    def __init__(
        self,
        Magic: bytes = bytes(8),
        Checksum: int = 0,
        Version: int = 0,
    ) -> None:
        self.Magic = Magic
        self.Checksum = Checksum
        self.Version = Version

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "EC2_VARIABLE_STORE",
        (
            Field("Magic", "s", 8),
            Field("Checksum", "L"),
            Field("Version", "L"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 16

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            exactly("EC2_VARIABLE_STORE", "Magic", 8, self.Magic),
            self.Checksum,
            self.Version,
        )


@dataclass(slots=True, eq=False, repr=False)
class EFI_IMAGE_EXECUTION_INFO(Record):
    """UEFI 2.10 section 32.4.2; the name, null-terminated UTF-16, the device path and signature lists follow (8 bytes)"""

    #: what the firmware found; bit 3: the image was started
    Action: int = 0
    #: bytes of the entry, this head included
    InfoSize: int = 0

    def __init__(
        self,
        Action: int = 0,
        InfoSize: int = 0,
    ) -> None:
        self.Action = Action
        self.InfoSize = InfoSize

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "EFI_IMAGE_EXECUTION_INFO",
        (
            Field("Action", "L"),
            Field("InfoSize", "L"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 8

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            self.Action,
            self.InfoSize,
        )


@dataclass(slots=True, eq=False, repr=False)
class EFI_SIGNATURE_LIST(Record):
    """UEFI 2.10 section 32.4.1 (28 bytes)"""

    SignatureType: UUID = UUID(int=0)
    #: of this header and everything after it
    SignatureListSize: int = 0
    SignatureHeaderSize: int = 0
    #: of each signature, its owner's GUID included
    SignatureSize: int = 0

    def __init__(
        self,
        SignatureType: UUID = UUID(int=0),
        SignatureListSize: int = 0,
        SignatureHeaderSize: int = 0,
        SignatureSize: int = 0,
    ) -> None:
        self.SignatureType = SignatureType
        self.SignatureListSize = SignatureListSize
        self.SignatureHeaderSize = SignatureHeaderSize
        self.SignatureSize = SignatureSize

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "EFI_SIGNATURE_LIST",
        (
            Field("SignatureType", "s", 16, guid=True),
            Field("SignatureListSize", "L"),
            Field("SignatureHeaderSize", "L"),
            Field("SignatureSize", "L"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 28

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(
            UUID(bytes_le=values[0]),
            values[1],
            values[2],
            values[3],
        )

    def _values(self) -> tuple[Any, ...]:
        return (
            guid_bytes("EFI_SIGNATURE_LIST", "SignatureType", self.SignatureType),
            self.SignatureListSize,
            self.SignatureHeaderSize,
            self.SignatureSize,
        )


@dataclass(slots=True, eq=False, repr=False)
class EFI_LOAD_OPTION(Record):
    """UEFI 2.10 section 3.1.3; Description, FilePathList and OptionalData follow (6 bytes)"""

    Attributes: int = 0
    FilePathListLength: int = 0

    def __init__(
        self,
        Attributes: int = 0,
        FilePathListLength: int = 0,
    ) -> None:
        self.Attributes = Attributes
        self.FilePathListLength = FilePathListLength

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "EFI_LOAD_OPTION",
        (
            Field("Attributes", "L"),
            Field("FilePathListLength", "H"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 6

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            self.Attributes,
            self.FilePathListLength,
        )


@dataclass(slots=True, eq=False, repr=False)
class TCG_PCR_EVENT(Record):
    """TCG PFP 1.05 section 10.2.1; the event data follow (32 bytes)"""

    def __init__(
        self,
        PCRIndex: int = 0,
        EventType: EventType = EventType(0),
        Digest: bytes = bytes(20),
        EventSize: int = 0,
    ) -> None:
        self.PCRIndex = PCRIndex
        self.EventType = EventType
        self.Digest = Digest
        self.EventSize = EventSize

    PCRIndex: int = 0
    EventType: EventType = EventType(0)
    #: SHA-1
    Digest: bytes = bytes(20)
    EventSize: int = 0

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "TCG_PCR_EVENT",
        (
            Field("PCRIndex", "L"),
            Field("EventType", "L"),
            Field("Digest", "s", 20),
            Field("EventSize", "L"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 32

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(
            values[0],
            EventType(values[1]),
            values[2],
            values[3],
        )

    def _values(self) -> tuple[Any, ...]:
        return (
            self.PCRIndex,
            self.EventType,
            exactly("TCG_PCR_EVENT", "Digest", 20, self.Digest),
            self.EventSize,
        )


@dataclass(slots=True, eq=False, repr=False)
class TCG_PCR_EVENT2(Record):
    """TCG PFP 1.05 section 10.2.2; digests, EventSize and the event data follow (12 bytes)"""

    def __init__(
        self,
        PCRIndex: int = 0,
        EventType: EventType = EventType(0),
        DigestCount: int = 0,
    ) -> None:
        self.PCRIndex = PCRIndex
        self.EventType = EventType
        self.DigestCount = DigestCount

    PCRIndex: int = 0
    EventType: EventType = EventType(0)
    DigestCount: int = 0

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "TCG_PCR_EVENT2",
        (
            Field("PCRIndex", "L"),
            Field("EventType", "L"),
            Field("DigestCount", "L"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 12

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(
            values[0],
            EventType(values[1]),
            values[2],
        )

    def _values(self) -> tuple[Any, ...]:
        return (
            self.PCRIndex,
            self.EventType,
            self.DigestCount,
        )


@dataclass(slots=True, eq=False, repr=False)
class TCG_EfiSpecIDEvent(Record):
    """TCG PFP 1.05 section 10.4.5.1; algorithm sizes and vendor information follow (28 bytes)"""

    #: 'Spec ID Event03' and a null
    signature: bytes = bytes(16)
    platformClass: int = 0
    specVersionMinor: int = 0
    specVersionMajor: int = 0
    specErrata: int = 0
    #: 1: 32-bit, 2: 64-bit
    uintnSize: int = 0
    numberOfAlgorithms: int = 0

    def __init__(
        self,
        signature: bytes = bytes(16),
        platformClass: int = 0,
        specVersionMinor: int = 0,
        specVersionMajor: int = 0,
        specErrata: int = 0,
        uintnSize: int = 0,
        numberOfAlgorithms: int = 0,
    ) -> None:
        self.signature = signature
        self.platformClass = platformClass
        self.specVersionMinor = specVersionMinor
        self.specVersionMajor = specVersionMajor
        self.specErrata = specErrata
        self.uintnSize = uintnSize
        self.numberOfAlgorithms = numberOfAlgorithms

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "TCG_EfiSpecIDEvent",
        (
            Field("signature", "s", 16),
            Field("platformClass", "L"),
            Field("specVersionMinor", "B"),
            Field("specVersionMajor", "B"),
            Field("specErrata", "B"),
            Field("uintnSize", "B"),
            Field("numberOfAlgorithms", "L"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 28

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            exactly("TCG_EfiSpecIDEvent", "signature", 16, self.signature),
            self.platformClass,
            self.specVersionMinor,
            self.specVersionMajor,
            self.specErrata,
            self.uintnSize,
            self.numberOfAlgorithms,
        )


@dataclass(slots=True, eq=False, repr=False)
class UEFI_IMAGE_LOAD_EVENT(Record):
    """TCG PFP 1.05 section 10.2.3; the device path follows (32 bytes)"""

    ImageLocationInMemory: int = 0
    ImageLengthInMemory: int = 0
    ImageLinkTimeAddress: int = 0
    LengthOfDevicePath: int = 0

    def __init__(
        self,
        ImageLocationInMemory: int = 0,
        ImageLengthInMemory: int = 0,
        ImageLinkTimeAddress: int = 0,
        LengthOfDevicePath: int = 0,
    ) -> None:
        self.ImageLocationInMemory = ImageLocationInMemory
        self.ImageLengthInMemory = ImageLengthInMemory
        self.ImageLinkTimeAddress = ImageLinkTimeAddress
        self.LengthOfDevicePath = LengthOfDevicePath

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "UEFI_IMAGE_LOAD_EVENT",
        (
            Field("ImageLocationInMemory", "Q"),
            Field("ImageLengthInMemory", "Q"),
            Field("ImageLinkTimeAddress", "Q"),
            Field("LengthOfDevicePath", "Q"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 32

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            self.ImageLocationInMemory,
            self.ImageLengthInMemory,
            self.ImageLinkTimeAddress,
            self.LengthOfDevicePath,
        )


@dataclass(slots=True, eq=False, repr=False)
class UEFI_VARIABLE_DATA(Record):
    """TCG PFP 1.05 section 10.2.6; the name and the data follow (32 bytes)"""

    #: the vendor's GUID
    VariableName: UUID = UUID(int=0)
    #: in characters, without a final null
    UnicodeNameLength: int = 0
    #: in bytes
    VariableDataLength: int = 0

    def __init__(
        self,
        VariableName: UUID = UUID(int=0),
        UnicodeNameLength: int = 0,
        VariableDataLength: int = 0,
    ) -> None:
        self.VariableName = VariableName
        self.UnicodeNameLength = UnicodeNameLength
        self.VariableDataLength = VariableDataLength

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "UEFI_VARIABLE_DATA",
        (
            Field("VariableName", "s", 16, guid=True),
            Field("UnicodeNameLength", "Q"),
            Field("VariableDataLength", "Q"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 32

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(
            UUID(bytes_le=values[0]),
            values[1],
            values[2],
        )

    def _values(self) -> tuple[Any, ...]:
        return (
            guid_bytes("UEFI_VARIABLE_DATA", "VariableName", self.VariableName),
            self.UnicodeNameLength,
            self.VariableDataLength,
        )
