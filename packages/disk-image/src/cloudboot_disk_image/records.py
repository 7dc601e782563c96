"""The records declared in ``cloudboot_disk_image.structs``. Generated: change the declaration, then run
``python -m cloudboot_records cloudboot_disk_image.structs``.
"""

# ruff: noqa: E501 -- one field's doc may be longer than a line
from __future__ import annotations

from itertools import chain
from typing import Any, ClassVar, Self

from cloudboot_base.lightdata import dataclass, field
from cloudboot_records.model import Field, RecordLayout
from cloudboot_records.record import Record, exactly


@dataclass(slots=True, eq=False, repr=False)
class Qcow2Header(Record):
    """The header of a qcow2 image (112 bytes)"""

    #: 51 46 49 FB
    magic: bytes = bytes(4)
    version: int = 0
    backing_file_offset: int = 0
    backing_file_size: int = 0
    cluster_bits: int = 0
    #: virtual disk size, bytes
    size: int = 0
    crypt_method: int = 0
    #: entries of the active L1 table
    l1_size: int = 0
    l1_table_offset: int = 0
    refcount_table_offset: int = 0
    refcount_table_clusters: int = 0
    nb_snapshots: int = 0
    snapshots_offset: int = 0
    #: from here on, version 3
    incompatible_features: int = 0
    compatible_features: int = 0
    autoclear_features: int = 0
    refcount_order: int = 0
    header_length: int = 0
    #: only where header_length reaches it; 0: zlib, 1: zstd
    compression_type: int = 0
    padding: bytes = bytes(7)

    def __init__(
        self,
        magic: bytes = bytes(4),
        version: int = 0,
        backing_file_offset: int = 0,
        backing_file_size: int = 0,
        cluster_bits: int = 0,
        size: int = 0,
        crypt_method: int = 0,
        l1_size: int = 0,
        l1_table_offset: int = 0,
        refcount_table_offset: int = 0,
        refcount_table_clusters: int = 0,
        nb_snapshots: int = 0,
        snapshots_offset: int = 0,
        incompatible_features: int = 0,
        compatible_features: int = 0,
        autoclear_features: int = 0,
        refcount_order: int = 0,
        header_length: int = 0,
        compression_type: int = 0,
        padding: bytes = bytes(7),
    ) -> None:
        self.magic = magic
        self.version = version
        self.backing_file_offset = backing_file_offset
        self.backing_file_size = backing_file_size
        self.cluster_bits = cluster_bits
        self.size = size
        self.crypt_method = crypt_method
        self.l1_size = l1_size
        self.l1_table_offset = l1_table_offset
        self.refcount_table_offset = refcount_table_offset
        self.refcount_table_clusters = refcount_table_clusters
        self.nb_snapshots = nb_snapshots
        self.snapshots_offset = snapshots_offset
        self.incompatible_features = incompatible_features
        self.compatible_features = compatible_features
        self.autoclear_features = autoclear_features
        self.refcount_order = refcount_order
        self.header_length = header_length
        self.compression_type = compression_type
        self.padding = padding

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "Qcow2Header",
        (
            Field("magic", "s", 4),
            Field("version", "L"),
            Field("backing_file_offset", "Q"),
            Field("backing_file_size", "L"),
            Field("cluster_bits", "L"),
            Field("size", "Q"),
            Field("crypt_method", "L"),
            Field("l1_size", "L"),
            Field("l1_table_offset", "Q"),
            Field("refcount_table_offset", "Q"),
            Field("refcount_table_clusters", "L"),
            Field("nb_snapshots", "L"),
            Field("snapshots_offset", "Q"),
            Field("incompatible_features", "Q"),
            Field("compatible_features", "Q"),
            Field("autoclear_features", "Q"),
            Field("refcount_order", "L"),
            Field("header_length", "L"),
            Field("compression_type", "B"),
            Field("padding", "s", 7),
        ),
        "big",
    )
    SIZE: ClassVar[int] = 112

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            exactly("Qcow2Header", "magic", 4, self.magic),
            self.version,
            self.backing_file_offset,
            self.backing_file_size,
            self.cluster_bits,
            self.size,
            self.crypt_method,
            self.l1_size,
            self.l1_table_offset,
            self.refcount_table_offset,
            self.refcount_table_clusters,
            self.nb_snapshots,
            self.snapshots_offset,
            self.incompatible_features,
            self.compatible_features,
            self.autoclear_features,
            self.refcount_order,
            self.header_length,
            self.compression_type,
            exactly("Qcow2Header", "padding", 7, self.padding),
        )


@dataclass(slots=True, eq=False, repr=False)
class VHDFooter(Record):
    """The footer of a VHD, its last 512 bytes; a dynamic disk begins with a copy (512 bytes)"""

    #: conectix
    Cookie: bytes = bytes(8)
    Features: int = 0
    #: 0x00010000
    FileFormatVersion: int = 0
    #: of the dynamic disk header, bytes; all ones for a fixed disk
    DataOffset: int = 0
    #: seconds since 2000-01-01 UTC
    TimeStamp: int = 0
    CreatorApplication: bytes = bytes(4)
    CreatorVersion: int = 0
    CreatorHostOS: bytes = bytes(4)
    OriginalSize: int = 0
    #: size of the disk, bytes
    CurrentSize: int = 0
    Cylinders: int = 0
    Heads: int = 0
    SectorsPerTrack: int = 0
    #: 2: fixed, 3: dynamic, 4: differencing
    DiskType: int = 0
    #: one's complement of the sum of all other bytes
    Checksum: int = 0
    UniqueId: bytes = bytes(16)
    SavedState: int = 0
    Reserved: bytes = bytes(427)

    def __init__(
        self,
        Cookie: bytes = bytes(8),
        Features: int = 0,
        FileFormatVersion: int = 0,
        DataOffset: int = 0,
        TimeStamp: int = 0,
        CreatorApplication: bytes = bytes(4),
        CreatorVersion: int = 0,
        CreatorHostOS: bytes = bytes(4),
        OriginalSize: int = 0,
        CurrentSize: int = 0,
        Cylinders: int = 0,
        Heads: int = 0,
        SectorsPerTrack: int = 0,
        DiskType: int = 0,
        Checksum: int = 0,
        UniqueId: bytes = bytes(16),
        SavedState: int = 0,
        Reserved: bytes = bytes(427),
    ) -> None:
        self.Cookie = Cookie
        self.Features = Features
        self.FileFormatVersion = FileFormatVersion
        self.DataOffset = DataOffset
        self.TimeStamp = TimeStamp
        self.CreatorApplication = CreatorApplication
        self.CreatorVersion = CreatorVersion
        self.CreatorHostOS = CreatorHostOS
        self.OriginalSize = OriginalSize
        self.CurrentSize = CurrentSize
        self.Cylinders = Cylinders
        self.Heads = Heads
        self.SectorsPerTrack = SectorsPerTrack
        self.DiskType = DiskType
        self.Checksum = Checksum
        self.UniqueId = UniqueId
        self.SavedState = SavedState
        self.Reserved = Reserved

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "VHDFooter",
        (
            Field("Cookie", "s", 8),
            Field("Features", "L"),
            Field("FileFormatVersion", "L"),
            Field("DataOffset", "Q"),
            Field("TimeStamp", "L"),
            Field("CreatorApplication", "s", 4),
            Field("CreatorVersion", "L"),
            Field("CreatorHostOS", "s", 4),
            Field("OriginalSize", "Q"),
            Field("CurrentSize", "Q"),
            Field("Cylinders", "H"),
            Field("Heads", "B"),
            Field("SectorsPerTrack", "B"),
            Field("DiskType", "L"),
            Field("Checksum", "L"),
            Field("UniqueId", "s", 16),
            Field("SavedState", "B"),
            Field("Reserved", "s", 427),
        ),
        "big",
    )
    SIZE: ClassVar[int] = 512

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            exactly("VHDFooter", "Cookie", 8, self.Cookie),
            self.Features,
            self.FileFormatVersion,
            self.DataOffset,
            self.TimeStamp,
            exactly("VHDFooter", "CreatorApplication", 4, self.CreatorApplication),
            self.CreatorVersion,
            exactly("VHDFooter", "CreatorHostOS", 4, self.CreatorHostOS),
            self.OriginalSize,
            self.CurrentSize,
            self.Cylinders,
            self.Heads,
            self.SectorsPerTrack,
            self.DiskType,
            self.Checksum,
            exactly("VHDFooter", "UniqueId", 16, self.UniqueId),
            self.SavedState,
            exactly("VHDFooter", "Reserved", 427, self.Reserved),
        )


@dataclass(slots=True, eq=False, repr=False)
class VHDParentLocator(Record):
    """Where a differencing disk looks for its parent (24 bytes)"""

    PlatformCode: bytes = bytes(4)
    PlatformDataSpace: int = 0
    PlatformDataLength: int = 0
    Reserved: int = 0
    PlatformDataOffset: int = 0

    def __init__(
        self,
        PlatformCode: bytes = bytes(4),
        PlatformDataSpace: int = 0,
        PlatformDataLength: int = 0,
        Reserved: int = 0,
        PlatformDataOffset: int = 0,
    ) -> None:
        self.PlatformCode = PlatformCode
        self.PlatformDataSpace = PlatformDataSpace
        self.PlatformDataLength = PlatformDataLength
        self.Reserved = Reserved
        self.PlatformDataOffset = PlatformDataOffset

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "VHDParentLocator",
        (
            Field("PlatformCode", "s", 4),
            Field("PlatformDataSpace", "L"),
            Field("PlatformDataLength", "L"),
            Field("Reserved", "L"),
            Field("PlatformDataOffset", "Q"),
        ),
        "big",
    )
    SIZE: ClassVar[int] = 24

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            exactly("VHDParentLocator", "PlatformCode", 4, self.PlatformCode),
            self.PlatformDataSpace,
            self.PlatformDataLength,
            self.Reserved,
            self.PlatformDataOffset,
        )


@dataclass(slots=True, eq=False, repr=False)
class VHDDynamicHeader(Record):
    """The header of a dynamic VHD (1024 bytes)"""

    #: cxsparse
    Cookie: bytes = bytes(8)
    #: all ones
    DataOffset: int = 0
    #: of the block allocation table, bytes
    TableOffset: int = 0
    #: 0x00010000
    HeaderVersion: int = 0
    MaxTableEntries: int = 0
    #: bytes of a block without its bitmap, 2 MiB by default
    BlockSize: int = 0
    #: one's complement of the sum of all other bytes
    Checksum: int = 0
    ParentUniqueId: bytes = bytes(16)
    ParentTimeStamp: int = 0
    Reserved1: int = 0
    ParentUnicodeName: bytes = bytes(512)
    ParentLocators: tuple[VHDParentLocator, ...] = field(default_factory=lambda: tuple(VHDParentLocator() for _ in range(8)))
    Reserved2: bytes = bytes(256)

    def __init__(
        self,
        Cookie: bytes = bytes(8),
        DataOffset: int = 0,
        TableOffset: int = 0,
        HeaderVersion: int = 0,
        MaxTableEntries: int = 0,
        BlockSize: int = 0,
        Checksum: int = 0,
        ParentUniqueId: bytes = bytes(16),
        ParentTimeStamp: int = 0,
        Reserved1: int = 0,
        ParentUnicodeName: bytes = bytes(512),
        ParentLocators: tuple[VHDParentLocator, ...] | None = None,
        Reserved2: bytes = bytes(256),
    ) -> None:
        self.Cookie = Cookie
        self.DataOffset = DataOffset
        self.TableOffset = TableOffset
        self.HeaderVersion = HeaderVersion
        self.MaxTableEntries = MaxTableEntries
        self.BlockSize = BlockSize
        self.Checksum = Checksum
        self.ParentUniqueId = ParentUniqueId
        self.ParentTimeStamp = ParentTimeStamp
        self.Reserved1 = Reserved1
        self.ParentUnicodeName = ParentUnicodeName
        self.ParentLocators = tuple(VHDParentLocator() for _ in range(8)) if ParentLocators is None else ParentLocators
        self.Reserved2 = Reserved2

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "VHDDynamicHeader",
        (
            Field("Cookie", "s", 8),
            Field("DataOffset", "Q"),
            Field("TableOffset", "Q"),
            Field("HeaderVersion", "L"),
            Field("MaxTableEntries", "L"),
            Field("BlockSize", "L"),
            Field("Checksum", "L"),
            Field("ParentUniqueId", "s", 16),
            Field("ParentTimeStamp", "L"),
            Field("Reserved1", "L"),
            Field("ParentUnicodeName", "s", 512),
            Field("ParentLocators", "", 8, VHDParentLocator.LAYOUT),
            Field("Reserved2", "s", 256),
        ),
        "big",
    )
    SIZE: ClassVar[int] = 1024

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
            tuple(VHDParentLocator._from_values(values[at : at + 5]) for at in range(11, 51, 5)),
            values[51],
        )

    def _values(self) -> tuple[Any, ...]:
        return (
            exactly("VHDDynamicHeader", "Cookie", 8, self.Cookie),
            self.DataOffset,
            self.TableOffset,
            self.HeaderVersion,
            self.MaxTableEntries,
            self.BlockSize,
            self.Checksum,
            exactly("VHDDynamicHeader", "ParentUniqueId", 16, self.ParentUniqueId),
            self.ParentTimeStamp,
            self.Reserved1,
            exactly("VHDDynamicHeader", "ParentUnicodeName", 512, self.ParentUnicodeName),
            *chain.from_iterable(item._values() for item in exactly("VHDDynamicHeader", "ParentLocators", 8, self.ParentLocators)),
            exactly("VHDDynamicHeader", "Reserved2", 256, self.Reserved2),
        )
