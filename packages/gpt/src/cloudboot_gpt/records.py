"""The records declared in ``cloudboot_gpt.layout``. Generated: change the declaration, then run
``python -m cloudboot_records cloudboot_gpt.layout``.
"""

# ruff: noqa: E501 -- one field's doc may be longer than a line
from __future__ import annotations

from itertools import chain
from typing import Any, ClassVar, Self

from cloudboot_base.lightdata import dataclass, field
from cloudboot_records.model import Field, RecordLayout
from cloudboot_records.record import Record, exactly


@dataclass(slots=True, eq=False, repr=False)
class MBRPartitionRecord(Record):
    """A legacy MBR partition record, UEFI 2.10 table 5.2 (16 bytes)"""

    #: 0x80 marks the record legacy firmware boots from
    BootIndicator: int = 0
    StartingCHS: bytes = bytes(3)
    #: 0xEE: GPT protective, 0xEF: an ESP, 0: the record is unused
    OSType: int = 0
    EndingCHS: bytes = bytes(3)
    StartingLBA: int = 0
    SizeInLBA: int = 0

    def __init__(
        self,
        BootIndicator: int = 0,
        StartingCHS: bytes = bytes(3),
        OSType: int = 0,
        EndingCHS: bytes = bytes(3),
        StartingLBA: int = 0,
        SizeInLBA: int = 0,
    ) -> None:
        self.BootIndicator = BootIndicator
        self.StartingCHS = StartingCHS
        self.OSType = OSType
        self.EndingCHS = EndingCHS
        self.StartingLBA = StartingLBA
        self.SizeInLBA = SizeInLBA

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "MBRPartitionRecord",
        (
            Field("BootIndicator", "B"),
            Field("StartingCHS", "s", 3),
            Field("OSType", "B"),
            Field("EndingCHS", "s", 3),
            Field("StartingLBA", "L"),
            Field("SizeInLBA", "L"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 16

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            self.BootIndicator,
            exactly("MBRPartitionRecord", "StartingCHS", 3, self.StartingCHS),
            self.OSType,
            exactly("MBRPartitionRecord", "EndingCHS", 3, self.EndingCHS),
            self.StartingLBA,
            self.SizeInLBA,
        )


@dataclass(slots=True, eq=False, repr=False)
class MasterBootRecord(Record):
    """The legacy or protective MBR, UEFI 2.10 tables 5.1 and 5.3 (512 bytes)"""

    BootCode: bytes = bytes(440)
    UniqueMBRDiskSignature: int = 0
    Unknown: int = 0
    PartitionRecord: tuple[MBRPartitionRecord, ...] = field(default_factory=lambda: tuple(MBRPartitionRecord() for _ in range(4)))
    #: 0xAA55
    Signature: int = 0

    def __init__(
        self,
        BootCode: bytes = bytes(440),
        UniqueMBRDiskSignature: int = 0,
        Unknown: int = 0,
        PartitionRecord: tuple[MBRPartitionRecord, ...] | None = None,
        Signature: int = 0,
    ) -> None:
        self.BootCode = BootCode
        self.UniqueMBRDiskSignature = UniqueMBRDiskSignature
        self.Unknown = Unknown
        self.PartitionRecord = tuple(MBRPartitionRecord() for _ in range(4)) if PartitionRecord is None else PartitionRecord
        self.Signature = Signature

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "MasterBootRecord",
        (
            Field("BootCode", "s", 440),
            Field("UniqueMBRDiskSignature", "L"),
            Field("Unknown", "H"),
            Field("PartitionRecord", "", 4, MBRPartitionRecord.LAYOUT),
            Field("Signature", "H"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 512

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(
            values[0],
            values[1],
            values[2],
            tuple(MBRPartitionRecord._from_values(values[at : at + 6]) for at in range(3, 27, 6)),
            values[27],
        )

    def _values(self) -> tuple[Any, ...]:
        return (
            exactly("MasterBootRecord", "BootCode", 440, self.BootCode),
            self.UniqueMBRDiskSignature,
            self.Unknown,
            *chain.from_iterable(item._values() for item in exactly("MasterBootRecord", "PartitionRecord", 4, self.PartitionRecord)),
            self.Signature,
        )


@dataclass(slots=True, eq=False, repr=False)
class GPTHeader(Record):
    """The GPT header, UEFI 2.10 table 5.5; the rest of its block is reserved and zero (92 bytes)"""

    #: EFI PART
    Signature: bytes = bytes(8)
    #: 0x00010000: version 1.0
    Revision: int = 0
    #: bytes HeaderCRC32 covers; at least 92, at most a logical block
    HeaderSize: int = 0
    #: computed with this field as zero
    HeaderCRC32: int = 0
    Reserved: int = 0
    MyLBA: int = 0
    AlternateLBA: int = 0
    FirstUsableLBA: int = 0
    LastUsableLBA: int = 0
    DiskGUID: bytes = bytes(16)
    PartitionEntryLBA: int = 0
    NumberOfPartitionEntries: int = 0
    #: 128 times a power of two
    SizeOfPartitionEntry: int = 0
    PartitionEntryArrayCRC32: int = 0

    def __init__(
        self,
        Signature: bytes = bytes(8),
        Revision: int = 0,
        HeaderSize: int = 0,
        HeaderCRC32: int = 0,
        Reserved: int = 0,
        MyLBA: int = 0,
        AlternateLBA: int = 0,
        FirstUsableLBA: int = 0,
        LastUsableLBA: int = 0,
        DiskGUID: bytes = bytes(16),
        PartitionEntryLBA: int = 0,
        NumberOfPartitionEntries: int = 0,
        SizeOfPartitionEntry: int = 0,
        PartitionEntryArrayCRC32: int = 0,
    ) -> None:
        self.Signature = Signature
        self.Revision = Revision
        self.HeaderSize = HeaderSize
        self.HeaderCRC32 = HeaderCRC32
        self.Reserved = Reserved
        self.MyLBA = MyLBA
        self.AlternateLBA = AlternateLBA
        self.FirstUsableLBA = FirstUsableLBA
        self.LastUsableLBA = LastUsableLBA
        self.DiskGUID = DiskGUID
        self.PartitionEntryLBA = PartitionEntryLBA
        self.NumberOfPartitionEntries = NumberOfPartitionEntries
        self.SizeOfPartitionEntry = SizeOfPartitionEntry
        self.PartitionEntryArrayCRC32 = PartitionEntryArrayCRC32

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "GPTHeader",
        (
            Field("Signature", "s", 8),
            Field("Revision", "L"),
            Field("HeaderSize", "L"),
            Field("HeaderCRC32", "L"),
            Field("Reserved", "L"),
            Field("MyLBA", "Q"),
            Field("AlternateLBA", "Q"),
            Field("FirstUsableLBA", "Q"),
            Field("LastUsableLBA", "Q"),
            Field("DiskGUID", "s", 16),
            Field("PartitionEntryLBA", "Q"),
            Field("NumberOfPartitionEntries", "L"),
            Field("SizeOfPartitionEntry", "L"),
            Field("PartitionEntryArrayCRC32", "L"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 92

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            exactly("GPTHeader", "Signature", 8, self.Signature),
            self.Revision,
            self.HeaderSize,
            self.HeaderCRC32,
            self.Reserved,
            self.MyLBA,
            self.AlternateLBA,
            self.FirstUsableLBA,
            self.LastUsableLBA,
            exactly("GPTHeader", "DiskGUID", 16, self.DiskGUID),
            self.PartitionEntryLBA,
            self.NumberOfPartitionEntries,
            self.SizeOfPartitionEntry,
            self.PartitionEntryArrayCRC32,
        )


@dataclass(slots=True, eq=False, repr=False)
class GPTPartitionEntry(Record):
    """A partition entry, UEFI 2.10 table 5.6 (128 bytes)"""

    #: all zeros: the entry is unused
    PartitionTypeGUID: bytes = bytes(16)
    UniquePartitionGUID: bytes = bytes(16)
    StartingLBA: int = 0
    #: the last block, inclusive
    EndingLBA: int = 0
    Attributes: int = 0
    #: 36 UTF-16LE code units, ended by a zero where shorter
    PartitionName: bytes = bytes(72)

    def __init__(
        self,
        PartitionTypeGUID: bytes = bytes(16),
        UniquePartitionGUID: bytes = bytes(16),
        StartingLBA: int = 0,
        EndingLBA: int = 0,
        Attributes: int = 0,
        PartitionName: bytes = bytes(72),
    ) -> None:
        self.PartitionTypeGUID = PartitionTypeGUID
        self.UniquePartitionGUID = UniquePartitionGUID
        self.StartingLBA = StartingLBA
        self.EndingLBA = EndingLBA
        self.Attributes = Attributes
        self.PartitionName = PartitionName

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "GPTPartitionEntry",
        (
            Field("PartitionTypeGUID", "s", 16),
            Field("UniquePartitionGUID", "s", 16),
            Field("StartingLBA", "Q"),
            Field("EndingLBA", "Q"),
            Field("Attributes", "Q"),
            Field("PartitionName", "s", 72),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 128

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            exactly("GPTPartitionEntry", "PartitionTypeGUID", 16, self.PartitionTypeGUID),
            exactly("GPTPartitionEntry", "UniquePartitionGUID", 16, self.UniquePartitionGUID),
            self.StartingLBA,
            self.EndingLBA,
            self.Attributes,
            exactly("GPTPartitionEntry", "PartitionName", 72, self.PartitionName),
        )


@dataclass(slots=True, eq=False, repr=False)
class BSDPartitionEntry(Record):
    """A partition of a BSD disklabel (OpenBSD's and FreeBSD's sys/disklabel.h, struct partition) (16 bytes)"""

    #: in sectors
    p_size: int = 0
    #: in sectors
    p_offset: int = 0
    #: OpenBSD: the upper 16 bits of p_offset; elsewhere the lower half of p_fsize
    p_offseth: int = 0
    #: OpenBSD: the upper 16 bits of p_size; elsewhere the upper half of p_fsize
    p_sizeh: int = 0
    #: 0: the entry is unused
    p_fstype: int = 0
    p_frag: int = 0
    p_cpg: int = 0

    def __init__(
        self,
        p_size: int = 0,
        p_offset: int = 0,
        p_offseth: int = 0,
        p_sizeh: int = 0,
        p_fstype: int = 0,
        p_frag: int = 0,
        p_cpg: int = 0,
    ) -> None:
        self.p_size = p_size
        self.p_offset = p_offset
        self.p_offseth = p_offseth
        self.p_sizeh = p_sizeh
        self.p_fstype = p_fstype
        self.p_frag = p_frag
        self.p_cpg = p_cpg

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "BSDPartitionEntry",
        (
            Field("p_size", "L"),
            Field("p_offset", "L"),
            Field("p_offseth", "H"),
            Field("p_sizeh", "H"),
            Field("p_fstype", "B"),
            Field("p_frag", "B"),
            Field("p_cpg", "H"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 16

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            self.p_size,
            self.p_offset,
            self.p_offseth,
            self.p_sizeh,
            self.p_fstype,
            self.p_frag,
            self.p_cpg,
        )


@dataclass(slots=True, eq=False, repr=False)
class BSDDisklabel(Record):
    """The head of a BSD disklabel (sys/disklabel.h, struct disklabel); d_npartitions BSDPartitionEntry follow (148 bytes)"""

    #: 0x82564557
    d_magic: int = 0
    d_type: int = 0
    d_subtype: int = 0
    d_typename: bytes = bytes(16)
    d_packname: bytes = bytes(16)
    #: bytes in a sector
    d_secsize: int = 0
    d_nsectors: int = 0
    d_ntracks: int = 0
    d_ncylinders: int = 0
    d_secpercyl: int = 0
    d_secperunit: int = 0
    #: OpenBSD: the label's identifier; elsewhere geometry
    d_uid: bytes = bytes(8)
    #: from d_acylinders on; of no use to a reader
    d_geometry: bytes = bytes(40)
    #: OpenBSD only
    d_secperunith: int = 0
    #: OpenBSD: 1 where p_offseth and p_sizeh count
    d_version: int = 0
    d_spare: bytes = bytes(16)
    #: 0x82564557
    d_magic2: int = 0
    #: so that the 16-bit words from d_magic to the last partition give 0 by exclusive or
    d_checksum: int = 0
    d_npartitions: int = 0
    d_bbsize: int = 0
    d_sbsize: int = 0

    def __init__(
        self,
        d_magic: int = 0,
        d_type: int = 0,
        d_subtype: int = 0,
        d_typename: bytes = bytes(16),
        d_packname: bytes = bytes(16),
        d_secsize: int = 0,
        d_nsectors: int = 0,
        d_ntracks: int = 0,
        d_ncylinders: int = 0,
        d_secpercyl: int = 0,
        d_secperunit: int = 0,
        d_uid: bytes = bytes(8),
        d_geometry: bytes = bytes(40),
        d_secperunith: int = 0,
        d_version: int = 0,
        d_spare: bytes = bytes(16),
        d_magic2: int = 0,
        d_checksum: int = 0,
        d_npartitions: int = 0,
        d_bbsize: int = 0,
        d_sbsize: int = 0,
    ) -> None:
        self.d_magic = d_magic
        self.d_type = d_type
        self.d_subtype = d_subtype
        self.d_typename = d_typename
        self.d_packname = d_packname
        self.d_secsize = d_secsize
        self.d_nsectors = d_nsectors
        self.d_ntracks = d_ntracks
        self.d_ncylinders = d_ncylinders
        self.d_secpercyl = d_secpercyl
        self.d_secperunit = d_secperunit
        self.d_uid = d_uid
        self.d_geometry = d_geometry
        self.d_secperunith = d_secperunith
        self.d_version = d_version
        self.d_spare = d_spare
        self.d_magic2 = d_magic2
        self.d_checksum = d_checksum
        self.d_npartitions = d_npartitions
        self.d_bbsize = d_bbsize
        self.d_sbsize = d_sbsize

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "BSDDisklabel",
        (
            Field("d_magic", "L"),
            Field("d_type", "H"),
            Field("d_subtype", "H"),
            Field("d_typename", "s", 16),
            Field("d_packname", "s", 16),
            Field("d_secsize", "L"),
            Field("d_nsectors", "L"),
            Field("d_ntracks", "L"),
            Field("d_ncylinders", "L"),
            Field("d_secpercyl", "L"),
            Field("d_secperunit", "L"),
            Field("d_uid", "s", 8),
            Field("d_geometry", "s", 40),
            Field("d_secperunith", "H"),
            Field("d_version", "H"),
            Field("d_spare", "s", 16),
            Field("d_magic2", "L"),
            Field("d_checksum", "H"),
            Field("d_npartitions", "H"),
            Field("d_bbsize", "L"),
            Field("d_sbsize", "L"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 148

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            self.d_magic,
            self.d_type,
            self.d_subtype,
            exactly("BSDDisklabel", "d_typename", 16, self.d_typename),
            exactly("BSDDisklabel", "d_packname", 16, self.d_packname),
            self.d_secsize,
            self.d_nsectors,
            self.d_ntracks,
            self.d_ncylinders,
            self.d_secpercyl,
            self.d_secperunit,
            exactly("BSDDisklabel", "d_uid", 8, self.d_uid),
            exactly("BSDDisklabel", "d_geometry", 40, self.d_geometry),
            self.d_secperunith,
            self.d_version,
            exactly("BSDDisklabel", "d_spare", 16, self.d_spare),
            self.d_magic2,
            self.d_checksum,
            self.d_npartitions,
            self.d_bbsize,
            self.d_sbsize,
        )
