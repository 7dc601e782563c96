"""The records of a GPT disk (UEFI 2.10 sections 5.2 and 5.3) and of a BSD disklabel: declarations only.

Every integer is little-endian (section 5.1: "all multi-byte values are little endian"; of disklabels only such are
read) and GUIDs are stored as ``uuid.UUID.bytes_le`` gives them (appendix A).
"""

from __future__ import annotations

from construct import Array, Bytes, Int8ul, Int16ul, Int32ul, Int64ul, Struct

MBRPartitionRecord = (
    Struct(
        "BootIndicator" / Int8ul * "0x80 marks the record legacy firmware boots from",
        "StartingCHS" / Bytes(3),
        "OSType" / Int8ul * "0xEE: GPT protective, 0xEF: an ESP, 0: the record is unused",
        "EndingCHS" / Bytes(3),
        "StartingLBA" / Int32ul,
        "SizeInLBA" / Int32ul,
    )
    * "A legacy MBR partition record, UEFI 2.10 table 5.2"
)

MasterBootRecord = (
    Struct(
        "BootCode" / Bytes(440),
        "UniqueMBRDiskSignature" / Int32ul,
        "Unknown" / Int16ul,
        "PartitionRecord" / Array(4, MBRPartitionRecord),
        "Signature" / Int16ul * "0xAA55",
    )
    * "The legacy or protective MBR, UEFI 2.10 tables 5.1 and 5.3"
)

GPTHeader = (
    Struct(
        "Signature" / Bytes(8) * "EFI PART",
        "Revision" / Int32ul * "0x00010000: version 1.0",
        "HeaderSize" / Int32ul * "bytes HeaderCRC32 covers; at least 92, at most a logical block",
        "HeaderCRC32" / Int32ul * "computed with this field as zero",
        "Reserved" / Int32ul,
        "MyLBA" / Int64ul,
        "AlternateLBA" / Int64ul,
        "FirstUsableLBA" / Int64ul,
        "LastUsableLBA" / Int64ul,
        "DiskGUID" / Bytes(16),
        "PartitionEntryLBA" / Int64ul,
        "NumberOfPartitionEntries" / Int32ul,
        "SizeOfPartitionEntry" / Int32ul * "128 times a power of two",
        "PartitionEntryArrayCRC32" / Int32ul,
    )
    * "The GPT header, UEFI 2.10 table 5.5; the rest of its block is reserved and zero"
)

GPTPartitionEntry = (
    Struct(
        "PartitionTypeGUID" / Bytes(16) * "all zeros: the entry is unused",
        "UniquePartitionGUID" / Bytes(16),
        "StartingLBA" / Int64ul,
        "EndingLBA" / Int64ul * "the last block, inclusive",
        "Attributes" / Int64ul,
        "PartitionName" / Bytes(72) * "36 UTF-16LE code units, ended by a zero where shorter",
    )
    * "A partition entry, UEFI 2.10 table 5.6"
)

BSDPartitionEntry = (
    Struct(
        "p_size" / Int32ul * "in sectors",
        "p_offset" / Int32ul * "in sectors",
        "p_offseth" / Int16ul * "OpenBSD: the upper 16 bits of p_offset; elsewhere the lower half of p_fsize",
        "p_sizeh" / Int16ul * "OpenBSD: the upper 16 bits of p_size; elsewhere the upper half of p_fsize",
        "p_fstype" / Int8ul * "0: the entry is unused",
        "p_frag" / Int8ul,
        "p_cpg" / Int16ul,
    )
    * "A partition of a BSD disklabel (OpenBSD's and FreeBSD's sys/disklabel.h, struct partition)"
)

BSDDisklabel = (
    Struct(
        "d_magic" / Int32ul * "0x82564557",
        "d_type" / Int16ul,
        "d_subtype" / Int16ul,
        "d_typename" / Bytes(16),
        "d_packname" / Bytes(16),
        "d_secsize" / Int32ul * "bytes in a sector",
        "d_nsectors" / Int32ul,
        "d_ntracks" / Int32ul,
        "d_ncylinders" / Int32ul,
        "d_secpercyl" / Int32ul,
        "d_secperunit" / Int32ul,
        "d_uid" / Bytes(8) * "OpenBSD: the label's identifier; elsewhere geometry",
        "d_geometry" / Bytes(40) * "from d_acylinders on; of no use to a reader",
        "d_secperunith" / Int16ul * "OpenBSD only",
        "d_version" / Int16ul * "OpenBSD: 1 where p_offseth and p_sizeh count",
        "d_spare" / Bytes(16),
        "d_magic2" / Int32ul * "0x82564557",
        "d_checksum" / Int16ul * "so that the 16-bit words from d_magic to the last partition give 0 by exclusive or",
        "d_npartitions" / Int16ul,
        "d_bbsize" / Int32ul,
        "d_sbsize" / Int32ul,
    )
    * "The head of a BSD disklabel (sys/disklabel.h, struct disklabel); d_npartitions BSDPartitionEntry follow"
)
