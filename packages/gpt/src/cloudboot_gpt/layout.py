"""The records of a GPT disk: declarations only (UEFI 2.10 sections 5.2 and 5.3).

Every integer is little-endian (section 5.1: "all multi-byte values are little endian") and GUIDs are stored as
``uuid.UUID.bytes_le`` gives them (appendix A).
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
