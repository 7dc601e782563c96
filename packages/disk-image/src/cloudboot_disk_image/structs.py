"""The headers of disk image containers: declarations only.

qcow2: QEMU, ``docs/interop/qcow2.rst``. VHD: Microsoft, "Virtual Hard Disk Image Format Specification" 1.0. Both are
big-endian. ``records.py`` is generated from this module.
"""

from __future__ import annotations

from construct import Array, Bytes, Int8ub, Int16ub, Int32ub, Int64ub, Struct

Qcow2Header = (
    Struct(
        "magic" / Bytes(4) * "51 46 49 FB",
        "version" / Int32ub,
        "backing_file_offset" / Int64ub,
        "backing_file_size" / Int32ub,
        "cluster_bits" / Int32ub,
        "size" / Int64ub * "virtual disk size, bytes",
        "crypt_method" / Int32ub,
        "l1_size" / Int32ub * "entries of the active L1 table",
        "l1_table_offset" / Int64ub,
        "refcount_table_offset" / Int64ub,
        "refcount_table_clusters" / Int32ub,
        "nb_snapshots" / Int32ub,
        "snapshots_offset" / Int64ub,
        "incompatible_features" / Int64ub * "from here on, version 3",
        "compatible_features" / Int64ub,
        "autoclear_features" / Int64ub,
        "refcount_order" / Int32ub,
        "header_length" / Int32ub,
        "compression_type" / Int8ub * "only where header_length reaches it; 0: zlib, 1: zstd",
        "padding" / Bytes(7),
    )
    * "The header of a qcow2 image"
)

VHDFooter = (
    Struct(
        "Cookie" / Bytes(8) * "conectix",
        "Features" / Int32ub,
        "FileFormatVersion" / Int32ub * "0x00010000",
        "DataOffset" / Int64ub * "of the dynamic disk header, bytes; all ones for a fixed disk",
        "TimeStamp" / Int32ub * "seconds since 2000-01-01 UTC",
        "CreatorApplication" / Bytes(4),
        "CreatorVersion" / Int32ub,
        "CreatorHostOS" / Bytes(4),
        "OriginalSize" / Int64ub,
        "CurrentSize" / Int64ub * "size of the disk, bytes",
        "Cylinders" / Int16ub,
        "Heads" / Int8ub,
        "SectorsPerTrack" / Int8ub,
        "DiskType" / Int32ub * "2: fixed, 3: dynamic, 4: differencing",
        "Checksum" / Int32ub * "one's complement of the sum of all other bytes",
        "UniqueId" / Bytes(16),
        "SavedState" / Int8ub,
        "Reserved" / Bytes(427),
    )
    * "The footer of a VHD, its last 512 bytes; a dynamic disk begins with a copy"
)

VHDParentLocator = (
    Struct(
        "PlatformCode" / Bytes(4),
        "PlatformDataSpace" / Int32ub,
        "PlatformDataLength" / Int32ub,
        "Reserved" / Int32ub,
        "PlatformDataOffset" / Int64ub,
    )
    * "Where a differencing disk looks for its parent"
)

VHDDynamicHeader = (
    Struct(
        "Cookie" / Bytes(8) * "cxsparse",
        "DataOffset" / Int64ub * "all ones",
        "TableOffset" / Int64ub * "of the block allocation table, bytes",
        "HeaderVersion" / Int32ub * "0x00010000",
        "MaxTableEntries" / Int32ub,
        "BlockSize" / Int32ub * "bytes of a block without its bitmap, 2 MiB by default",
        "Checksum" / Int32ub * "one's complement of the sum of all other bytes",
        "ParentUniqueId" / Bytes(16),
        "ParentTimeStamp" / Int32ub,
        "Reserved1" / Int32ub,
        "ParentUnicodeName" / Bytes(512),
        "ParentLocators" / Array(8, VHDParentLocator),
        "Reserved2" / Bytes(256),
    )
    * "The header of a dynamic VHD"
)
