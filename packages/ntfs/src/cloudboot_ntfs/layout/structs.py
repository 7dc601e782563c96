"""The records of NTFS 3.1, in the names of the linux-ntfs documentation and of Linux' ``fs/ntfs3/ntfs.h``.

Declarations only. ``records.py`` is generated from this module. All integers are little-endian.
"""

from __future__ import annotations

from construct import Bytes, Int8sl, Int8ul, Int16ul, Int32ul, Int64sl, Int64ul, Struct

BootSector = (
    Struct(
        "jump" / Bytes(3) * "EB 52 90",
        "oem_id" / Bytes(8) * "'NTFS' and four spaces",
        "bytes_per_sector" / Int16ul * "256 to 4096",
        "sectors_per_cluster" / Int8ul * "a power of two; above 128, 2 to the power of 256 minus the value",
        "zero0" / Bytes(7),
        "media" / Int8ul * "0xF8",
        "zero1" / Int16ul,
        "sectors_per_track" / Int16ul,
        "heads" / Int16ul,
        "hidden_sectors" / Int32ul * "sectors before the volume on its disk",
        "zero2" / Int32ul,
        "signature" / Int32ul * "0x00800080",
        "total_sectors" / Int64ul * "of the volume, without the backup boot sector",
        "mft_lcn" / Int64ul * "first cluster of $MFT",
        "mftmirr_lcn" / Int64ul * "first cluster of $MFTMirr",
        "clusters_per_record" / Int8sl * "negative: 2 to the power of its absolute value, in bytes",
        "reserved0" / Bytes(3),
        "clusters_per_index" / Int8sl * "as clusters_per_record",
        "reserved1" / Bytes(3),
        "serial" / Int64ul,
        "checksum" / Int32ul * "not used",
        "boot_code" / Bytes(426),
        "end_signature" / Int16ul * "0xAA55",
    )
    * "First sector of the volume (struct NTFS_BOOT)."
)

RecordHeader = (
    Struct(
        "signature" / Bytes(4) * "FILE",
        "usa_offset" / Int16ul * "update sequence array",
        "usa_count" / Int16ul * "its 16-bit elements",
        "lsn" / Int64ul * "$LogFile sequence number",
        "sequence" / Int16ul * "incremented when the record is freed",
        "link_count" / Int16ul * "$FILE_NAME attributes, short names included",
        "attributes_offset" / Int16ul,
        "flags" / Int16ul * "1: in use, 2: directory, 4: in $Extend, 8: other indexes",
        "bytes_used" / Int32ul,
        "bytes_allocated" / Int32ul,
        "base_record" / Int64ul * "reference of the base record, in an extension record",
        "next_instance" / Int16ul,
        "reserved" / Int16ul,
        "record_number" / Int32ul,
    )
    * "Head of an MFT record (struct MFT_REC)."
)

AttributeHeader = (
    Struct(
        "type" / Int32ul,
        "length" / Int32ul * "bytes of the attribute, this head included",
        "non_resident" / Int8ul,
        "name_length" / Int8ul * "UTF-16 code units",
        "name_offset" / Int16ul,
        "flags" / Int16ul * "1: compressed, 0x4000: encrypted, 0x8000: sparse",
        "instance" / Int16ul,
    )
    * "Head of every attribute (struct ATTRIB)."
)

ResidentHeader = (
    Struct(
        "value_length" / Int32ul * "bytes",
        "value_offset" / Int16ul,
        "indexed" / Int8ul * "1: the attribute is the key of an index",
        "reserved" / Int8ul,
    )
    * "What follows the head of a resident attribute (struct ATTR_RESIDENT)."
)

NonResidentHeader = (
    Struct(
        "lowest_vcn" / Int64ul,
        "highest_vcn" / Int64sl * "-1 when there are no clusters",
        "runs_offset" / Int16ul,
        "compression_unit" / Int8ul * "log2 of clusters; 0: not compressed",
        "reserved" / Bytes(5),
        "allocated_size" / Int64ul * "bytes, a multiple of the cluster",
        "data_size" / Int64ul * "bytes",
        "initialized_size" / Int64ul * "bytes; what follows reads as zeros",
    )
    * "What follows the head of a non-resident attribute (struct ATTR_NONRESIDENT)."
)

StandardInformation = (
    Struct(
        "created" / Int64ul * "FILETIME, as the three that follow",
        "modified" / Int64ul,
        "changed" / Int64ul * "when the record was last changed",
        "accessed" / Int64ul,
        "attributes" / Int32ul,
        "maximum_versions" / Int32ul,
        "version" / Int32ul,
        "class_id" / Int32ul,
        "owner_id" / Int32ul,
        "security_id" / Int32ul * "in $Secure",
        "quota_charged" / Int64ul,
        "usn" / Int64ul * "in $UsnJrnl",
    )
    * "$STANDARD_INFORMATION of NTFS 3 (struct ATTR_STD_INFO5); before, its first 48 bytes."
)

FileName = (
    Struct(
        "parent" / Int64ul * "reference of the directory",
        "created" / Int64ul * "FILETIME, as the three that follow",
        "modified" / Int64ul,
        "changed" / Int64ul,
        "accessed" / Int64ul,
        "allocated_size" / Int64ul * "of the unnamed $DATA",
        "data_size" / Int64ul * "of the unnamed $DATA",
        "attributes" / Int32ul,
        "reparse_tag" / Int32ul * "or the size of the extended attributes",
        "name_length" / Int8ul * "UTF-16 code units",
        "name_type" / Int8ul * "0: POSIX, 1: Win32, 2: DOS, 3: Win32 and DOS",
    )
    * "$FILE_NAME; the name follows (struct ATTR_FILE_NAME)."
)

AttributeListEntry = (
    Struct(
        "type" / Int32ul,
        "length" / Int16ul * "bytes of the entry",
        "name_length" / Int8ul * "UTF-16 code units",
        "name_offset" / Int8ul,
        "lowest_vcn" / Int64ul,
        "reference" / Int64ul * "record that holds the attribute",
        "instance" / Int16ul,
    )
    * "An entry of $ATTRIBUTE_LIST; the name follows (struct ATTR_LIST_ENTRY)."
)

VolumeInformation = (
    Struct(
        "reserved" / Int64ul,
        "major_version" / Int8ul,
        "minor_version" / Int8ul,
        "flags" / Int16ul * "1: dirty",
    )
    * "$VOLUME_INFORMATION (struct VOLUME_INFO)."
)

IndexRoot = (
    Struct(
        "type" / Int32ul * "of the indexed attribute; 0 for other indexes",
        "collation" / Int32ul,
        "block_size" / Int32ul * "bytes of an index block",
        "clusters_per_block" / Int8ul * "in the unit of the index' VCNs",
        "reserved" / Bytes(3),
    )
    * "Head of $INDEX_ROOT; an IndexHeader follows (struct INDEX_ROOT)."
)

IndexHeader = (
    Struct(
        "entries_offset" / Int32ul * "from this head",
        "used" / Int32ul * "bytes from this head on",
        "allocated" / Int32ul * "bytes from this head on",
        "flags" / Int32ul * "1: entries have nodes below",
    )
    * "Head of the entries of a node (struct INDEX_HDR)."
)

IndexBlock = (
    Struct(
        "signature" / Bytes(4) * "INDX",
        "usa_offset" / Int16ul,
        "usa_count" / Int16ul,
        "lsn" / Int64ul,
        "vcn" / Int64ul * "of this block in $INDEX_ALLOCATION",
    )
    * "Head of an index block; an IndexHeader follows (struct INDEX_BUFFER)."
)

IndexEntry = (
    Struct(
        "reference" / Int64ul * "of the file; other indexes have the place and size of data here",
        "length" / Int16ul * "bytes of the entry",
        "key_length" / Int16ul * "bytes",
        "flags" / Int16ul * "1: a node is below, 2: last of its node",
        "reserved" / Int16ul,
    )
    * "Head of an index entry; the key follows (struct NTFS_DE)."
)

SdsEntry = (
    Struct(
        "hash" / Int32ul,
        "security_id" / Int32ul,
        "offset" / Int64ul * "of this entry in $SDS",
        "size" / Int32ul * "bytes, this head included",
    )
    * "Head of a security descriptor in $Secure:$SDS; the data of $SII and $SDH too (struct SECURITY_HDR)."
)

ReparseHead = (
    Struct("tag" / Int32ul, "data_length" / Int16ul * "bytes that follow", "reserved" / Int16ul)
    * "Head of $REPARSE_POINT (MS-FSCC 2.1.2.2)."
)

AttrDefEntry = (
    Struct(
        "label" / Bytes(128) * "UTF-16",
        "type" / Int32ul,
        "display_rule" / Int32ul,
        "collation" / Int32ul,
        "flags" / Int32ul * "0x02: indexable, 0x40: resident, 0x80: may be non-resident",
        "minimum_size" / Int64sl,
        "maximum_size" / Int64sl * "-1: no limit",
    )
    * "An entry of $AttrDef (struct ATTR_DEF_ENTRY)."
)

UsnRecord = (
    Struct(
        "length" / Int32ul * "bytes of the record",
        "major_version" / Int16ul * "2",
        "minor_version" / Int16ul,
        "reference" / Int64ul,
        "parent" / Int64ul,
        "usn" / Int64ul * "offset of this record in $J",
        "timestamp" / Int64ul * "FILETIME",
        "reason" / Int32ul,
        "source" / Int32ul,
        "security_id" / Int32ul,
        "attributes" / Int32ul,
        "name_length" / Int16ul * "bytes",
        "name_offset" / Int16ul,
    )
    * "A record of $UsnJrnl:$J; the name follows (MS-FSCC 2.3.63, USN_RECORD_V2)."
)
