"""The records declared in ``cloudboot_fat.layout``. Generated: change the declaration, then run
``python -m cloudboot_records cloudboot_fat.layout``.
"""

# ruff: noqa: E501 -- one field's doc may be longer than a line
from __future__ import annotations

from typing import Any, ClassVar, Self

from cloudboot_base.lightdata import dataclass
from cloudboot_records.model import Field, RecordLayout
from cloudboot_records.record import Record, exactly


@dataclass(slots=True, eq=False, repr=False)
class BPB(Record):
    """BIOS parameter block: the part common to FAT12, FAT16 and FAT32. (36 bytes)"""

    #: x86 jump over the parameters
    BS_jmpBoot: bytes = bytes(3)
    #: who formatted the volume; informative
    BS_OEMName: bytes = bytes(8)
    #: 512, 1024, 2048 or 4096
    BPB_BytsPerSec: int = 0
    #: a power of two from 1 to 128
    BPB_SecPerClus: int = 0
    #: sectors before the first FAT, at least 1
    BPB_RsvdSecCnt: int = 0
    #: copies of the FAT
    BPB_NumFATs: int = 0
    #: entries of the fixed root directory; 0 on FAT32
    BPB_RootEntCnt: int = 0
    #: sectors of the volume, or 0 if BPB_TotSec32 holds them
    BPB_TotSec16: int = 0
    #: media descriptor; repeated in FAT[0]
    BPB_Media: int = 0
    #: sectors of one FAT; 0 on FAT32
    BPB_FATSz16: int = 0
    #: sectors per track of the CHS geometry
    BPB_SecPerTrk: int = 0
    #: heads of the CHS geometry
    BPB_NumHeads: int = 0
    #: sectors before the volume on its disk
    BPB_HiddSec: int = 0
    #: sectors of the volume, or 0 if BPB_TotSec16 holds them
    BPB_TotSec32: int = 0

    def __init__(
        self,
        BS_jmpBoot: bytes = bytes(3),
        BS_OEMName: bytes = bytes(8),
        BPB_BytsPerSec: int = 0,
        BPB_SecPerClus: int = 0,
        BPB_RsvdSecCnt: int = 0,
        BPB_NumFATs: int = 0,
        BPB_RootEntCnt: int = 0,
        BPB_TotSec16: int = 0,
        BPB_Media: int = 0,
        BPB_FATSz16: int = 0,
        BPB_SecPerTrk: int = 0,
        BPB_NumHeads: int = 0,
        BPB_HiddSec: int = 0,
        BPB_TotSec32: int = 0,
    ) -> None:
        self.BS_jmpBoot = BS_jmpBoot
        self.BS_OEMName = BS_OEMName
        self.BPB_BytsPerSec = BPB_BytsPerSec
        self.BPB_SecPerClus = BPB_SecPerClus
        self.BPB_RsvdSecCnt = BPB_RsvdSecCnt
        self.BPB_NumFATs = BPB_NumFATs
        self.BPB_RootEntCnt = BPB_RootEntCnt
        self.BPB_TotSec16 = BPB_TotSec16
        self.BPB_Media = BPB_Media
        self.BPB_FATSz16 = BPB_FATSz16
        self.BPB_SecPerTrk = BPB_SecPerTrk
        self.BPB_NumHeads = BPB_NumHeads
        self.BPB_HiddSec = BPB_HiddSec
        self.BPB_TotSec32 = BPB_TotSec32

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "BPB",
        (
            Field("BS_jmpBoot", "s", 3),
            Field("BS_OEMName", "s", 8),
            Field("BPB_BytsPerSec", "H"),
            Field("BPB_SecPerClus", "B"),
            Field("BPB_RsvdSecCnt", "H"),
            Field("BPB_NumFATs", "B"),
            Field("BPB_RootEntCnt", "H"),
            Field("BPB_TotSec16", "H"),
            Field("BPB_Media", "B"),
            Field("BPB_FATSz16", "H"),
            Field("BPB_SecPerTrk", "H"),
            Field("BPB_NumHeads", "H"),
            Field("BPB_HiddSec", "L"),
            Field("BPB_TotSec32", "L"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 36

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            exactly("BPB", "BS_jmpBoot", 3, self.BS_jmpBoot),
            exactly("BPB", "BS_OEMName", 8, self.BS_OEMName),
            self.BPB_BytsPerSec,
            self.BPB_SecPerClus,
            self.BPB_RsvdSecCnt,
            self.BPB_NumFATs,
            self.BPB_RootEntCnt,
            self.BPB_TotSec16,
            self.BPB_Media,
            self.BPB_FATSz16,
            self.BPB_SecPerTrk,
            self.BPB_NumHeads,
            self.BPB_HiddSec,
            self.BPB_TotSec32,
        )


@dataclass(slots=True, eq=False, repr=False)
class ExtendedBootRecord(Record):
    """Extended boot record: drive number, serial number and label. (26 bytes)"""

    #: INT 13h drive number
    BS_DrvNum: int = 0
    #: Windows NT keeps its dirty bits here; formatted as 0
    BS_Reserved1: int = 0
    #: 0x29: the three fields that follow are present
    BS_BootSig: int = 0
    #: volume serial number
    BS_VolID: int = 0
    #: label, as in the root directory, or 'NO NAME    '
    BS_VolLab: bytes = bytes(11)
    #: informative; never tells the FAT type
    BS_FilSysType: bytes = bytes(8)

    def __init__(
        self,
        BS_DrvNum: int = 0,
        BS_Reserved1: int = 0,
        BS_BootSig: int = 0,
        BS_VolID: int = 0,
        BS_VolLab: bytes = bytes(11),
        BS_FilSysType: bytes = bytes(8),
    ) -> None:
        self.BS_DrvNum = BS_DrvNum
        self.BS_Reserved1 = BS_Reserved1
        self.BS_BootSig = BS_BootSig
        self.BS_VolID = BS_VolID
        self.BS_VolLab = BS_VolLab
        self.BS_FilSysType = BS_FilSysType

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "ExtendedBootRecord",
        (
            Field("BS_DrvNum", "B"),
            Field("BS_Reserved1", "B"),
            Field("BS_BootSig", "B"),
            Field("BS_VolID", "L"),
            Field("BS_VolLab", "s", 11),
            Field("BS_FilSysType", "s", 8),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 26

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            self.BS_DrvNum,
            self.BS_Reserved1,
            self.BS_BootSig,
            self.BS_VolID,
            exactly("ExtendedBootRecord", "BS_VolLab", 11, self.BS_VolLab),
            exactly("ExtendedBootRecord", "BS_FilSysType", 8, self.BS_FilSysType),
        )


@dataclass(slots=True, eq=False, repr=False)
class BPB32(Record):
    """BIOS parameter block: the part only FAT32 has. (28 bytes)"""

    #: sectors of one FAT
    BPB_FATSz32: int = 0
    #: bit 7: only the FAT in bits 0-3 is active
    BPB_ExtFlags: int = 0
    #: 0
    BPB_FSVer: int = 0
    #: first cluster of the root directory
    BPB_RootClus: int = 0
    #: sector of the FSInfo structure
    BPB_FSInfo: int = 0
    #: sector of the boot sector's backup, or 0
    BPB_BkBootSec: int = 0
    BPB_Reserved: bytes = bytes(12)

    def __init__(
        self,
        BPB_FATSz32: int = 0,
        BPB_ExtFlags: int = 0,
        BPB_FSVer: int = 0,
        BPB_RootClus: int = 0,
        BPB_FSInfo: int = 0,
        BPB_BkBootSec: int = 0,
        BPB_Reserved: bytes = bytes(12),
    ) -> None:
        self.BPB_FATSz32 = BPB_FATSz32
        self.BPB_ExtFlags = BPB_ExtFlags
        self.BPB_FSVer = BPB_FSVer
        self.BPB_RootClus = BPB_RootClus
        self.BPB_FSInfo = BPB_FSInfo
        self.BPB_BkBootSec = BPB_BkBootSec
        self.BPB_Reserved = BPB_Reserved

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "BPB32",
        (
            Field("BPB_FATSz32", "L"),
            Field("BPB_ExtFlags", "H"),
            Field("BPB_FSVer", "H"),
            Field("BPB_RootClus", "L"),
            Field("BPB_FSInfo", "H"),
            Field("BPB_BkBootSec", "H"),
            Field("BPB_Reserved", "s", 12),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 28

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            self.BPB_FATSz32,
            self.BPB_ExtFlags,
            self.BPB_FSVer,
            self.BPB_RootClus,
            self.BPB_FSInfo,
            self.BPB_BkBootSec,
            exactly("BPB32", "BPB_Reserved", 12, self.BPB_Reserved),
        )


@dataclass(slots=True, eq=False, repr=False)
class FSInfo(Record):
    """File system information sector of FAT32. (512 bytes)"""

    #: 0x41615252
    FSI_LeadSig: int = 0
    FSI_Reserved1: bytes = bytes(480)
    #: 0x61417272
    FSI_StrucSig: int = 0
    #: free clusters, or 0xFFFFFFFF if not known
    FSI_Free_Count: int = 0
    #: where to start looking for a free cluster, or 0xFFFFFFFF
    FSI_Nxt_Free: int = 0
    FSI_Reserved2: bytes = bytes(12)
    #: 0xAA550000
    FSI_TrailSig: int = 0

    def __init__(
        self,
        FSI_LeadSig: int = 0,
        FSI_Reserved1: bytes = bytes(480),
        FSI_StrucSig: int = 0,
        FSI_Free_Count: int = 0,
        FSI_Nxt_Free: int = 0,
        FSI_Reserved2: bytes = bytes(12),
        FSI_TrailSig: int = 0,
    ) -> None:
        self.FSI_LeadSig = FSI_LeadSig
        self.FSI_Reserved1 = FSI_Reserved1
        self.FSI_StrucSig = FSI_StrucSig
        self.FSI_Free_Count = FSI_Free_Count
        self.FSI_Nxt_Free = FSI_Nxt_Free
        self.FSI_Reserved2 = FSI_Reserved2
        self.FSI_TrailSig = FSI_TrailSig

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "FSInfo",
        (
            Field("FSI_LeadSig", "L"),
            Field("FSI_Reserved1", "s", 480),
            Field("FSI_StrucSig", "L"),
            Field("FSI_Free_Count", "L"),
            Field("FSI_Nxt_Free", "L"),
            Field("FSI_Reserved2", "s", 12),
            Field("FSI_TrailSig", "L"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 512

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            self.FSI_LeadSig,
            exactly("FSInfo", "FSI_Reserved1", 480, self.FSI_Reserved1),
            self.FSI_StrucSig,
            self.FSI_Free_Count,
            self.FSI_Nxt_Free,
            exactly("FSInfo", "FSI_Reserved2", 12, self.FSI_Reserved2),
            self.FSI_TrailSig,
        )


@dataclass(slots=True, eq=False, repr=False)
class DirectoryEntry(Record):
    """Directory entry with a short name. (32 bytes)"""

    #: short name: 8 characters, 3 of extension, padded with spaces
    DIR_Name: bytes = bytes(11)
    DIR_Attr: int = 0
    #: bit 3: base in lower case, bit 4: extension in lower case
    DIR_NTRes: int = 0
    #: hundredths of a second, 0 to 199
    DIR_CrtTimeTenth: int = 0
    DIR_CrtTime: int = 0
    DIR_CrtDate: int = 0
    DIR_LstAccDate: int = 0
    DIR_FstClusHI: int = 0
    DIR_WrtTime: int = 0
    DIR_WrtDate: int = 0
    DIR_FstClusLO: int = 0
    #: bytes; 0 for a directory
    DIR_FileSize: int = 0

    def __init__(
        self,
        DIR_Name: bytes = bytes(11),
        DIR_Attr: int = 0,
        DIR_NTRes: int = 0,
        DIR_CrtTimeTenth: int = 0,
        DIR_CrtTime: int = 0,
        DIR_CrtDate: int = 0,
        DIR_LstAccDate: int = 0,
        DIR_FstClusHI: int = 0,
        DIR_WrtTime: int = 0,
        DIR_WrtDate: int = 0,
        DIR_FstClusLO: int = 0,
        DIR_FileSize: int = 0,
    ) -> None:
        self.DIR_Name = DIR_Name
        self.DIR_Attr = DIR_Attr
        self.DIR_NTRes = DIR_NTRes
        self.DIR_CrtTimeTenth = DIR_CrtTimeTenth
        self.DIR_CrtTime = DIR_CrtTime
        self.DIR_CrtDate = DIR_CrtDate
        self.DIR_LstAccDate = DIR_LstAccDate
        self.DIR_FstClusHI = DIR_FstClusHI
        self.DIR_WrtTime = DIR_WrtTime
        self.DIR_WrtDate = DIR_WrtDate
        self.DIR_FstClusLO = DIR_FstClusLO
        self.DIR_FileSize = DIR_FileSize

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "DirectoryEntry",
        (
            Field("DIR_Name", "s", 11),
            Field("DIR_Attr", "B"),
            Field("DIR_NTRes", "B"),
            Field("DIR_CrtTimeTenth", "B"),
            Field("DIR_CrtTime", "H"),
            Field("DIR_CrtDate", "H"),
            Field("DIR_LstAccDate", "H"),
            Field("DIR_FstClusHI", "H"),
            Field("DIR_WrtTime", "H"),
            Field("DIR_WrtDate", "H"),
            Field("DIR_FstClusLO", "H"),
            Field("DIR_FileSize", "L"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 32

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            exactly("DirectoryEntry", "DIR_Name", 11, self.DIR_Name),
            self.DIR_Attr,
            self.DIR_NTRes,
            self.DIR_CrtTimeTenth,
            self.DIR_CrtTime,
            self.DIR_CrtDate,
            self.DIR_LstAccDate,
            self.DIR_FstClusHI,
            self.DIR_WrtTime,
            self.DIR_WrtDate,
            self.DIR_FstClusLO,
            self.DIR_FileSize,
        )


@dataclass(slots=True, eq=False, repr=False)
class LongNameEntry(Record):
    """Directory entry with 13 characters of a long name. (32 bytes)"""

    #: 1, 2, ...; bit 6 marks the last, which stands first
    LDIR_Ord: int = 0
    #: characters 1 to 5, UTF-16
    LDIR_Name1: bytes = bytes(10)
    #: 0x0F
    LDIR_Attr: int = 0
    #: 0
    LDIR_Type: int = 0
    #: of the short name that follows
    LDIR_Chksum: int = 0
    #: characters 6 to 11
    LDIR_Name2: bytes = bytes(12)
    #: 0
    LDIR_FstClusLO: int = 0
    #: characters 12 and 13
    LDIR_Name3: bytes = bytes(4)

    def __init__(
        self,
        LDIR_Ord: int = 0,
        LDIR_Name1: bytes = bytes(10),
        LDIR_Attr: int = 0,
        LDIR_Type: int = 0,
        LDIR_Chksum: int = 0,
        LDIR_Name2: bytes = bytes(12),
        LDIR_FstClusLO: int = 0,
        LDIR_Name3: bytes = bytes(4),
    ) -> None:
        self.LDIR_Ord = LDIR_Ord
        self.LDIR_Name1 = LDIR_Name1
        self.LDIR_Attr = LDIR_Attr
        self.LDIR_Type = LDIR_Type
        self.LDIR_Chksum = LDIR_Chksum
        self.LDIR_Name2 = LDIR_Name2
        self.LDIR_FstClusLO = LDIR_FstClusLO
        self.LDIR_Name3 = LDIR_Name3

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "LongNameEntry",
        (
            Field("LDIR_Ord", "B"),
            Field("LDIR_Name1", "s", 10),
            Field("LDIR_Attr", "B"),
            Field("LDIR_Type", "B"),
            Field("LDIR_Chksum", "B"),
            Field("LDIR_Name2", "s", 12),
            Field("LDIR_FstClusLO", "H"),
            Field("LDIR_Name3", "s", 4),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 32

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            self.LDIR_Ord,
            exactly("LongNameEntry", "LDIR_Name1", 10, self.LDIR_Name1),
            self.LDIR_Attr,
            self.LDIR_Type,
            self.LDIR_Chksum,
            exactly("LongNameEntry", "LDIR_Name2", 12, self.LDIR_Name2),
            self.LDIR_FstClusLO,
            exactly("LongNameEntry", "LDIR_Name3", 4, self.LDIR_Name3),
        )
