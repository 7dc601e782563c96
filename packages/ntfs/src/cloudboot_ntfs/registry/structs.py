"""The records of a registry hive, in the terms of Maxim Suhanov's "Windows registry file format specification".

Declarations only. ``records.py`` is generated from this module. All integers are little-endian.
"""

from __future__ import annotations

from construct import Bytes, Int16ul, Int32sl, Int32ul, Int64ul, Struct

BaseBlock = (
    Struct(
        "signature" / Bytes(4) * "regf",
        "primary_sequence" / Int32ul * "incremented before a write",
        "secondary_sequence" / Int32ul * "incremented after a write; equal in a clean hive",
        "last_written" / Int64ul * "FILETIME",
        "major_version" / Int32ul * "1",
        "minor_version" / Int32ul * "3, 4, 5 or 6",
        "file_type" / Int32ul * "0: primary file, 1 and 2: old log, 6: new log",
        "file_format" / Int32ul * "1: direct memory load",
        "root_cell" / Int32ul * "offset of the root key from the start of the hive bins",
        "hive_bins_size" / Int32ul * "bytes of the hive bins",
        "clustering_factor" / Int32ul * "sector size divided by 512",
        "file_name" / Bytes(64) * "UTF-16, the last part of the path",
        "rm_id" / Bytes(16) * "resource manager of transactions",
        "log_id" / Bytes(16),
        "flags" / Int32ul,
        "tm_id" / Bytes(16),
        "guid_signature" / Bytes(4) * "rmtm",
        "last_reorganized" / Int64ul * "FILETIME",
        "reserved" / Bytes(332),
        "checksum" / Int32ul * "of the 508 bytes before",
    )
    * "The first 512 of the 4,096 bytes of the base block; a log begins with them too (section Base block)."
)

HiveBin = (
    Struct(
        "signature" / Bytes(4) * "hbin",
        "offset" / Int32ul * "from the start of the hive bins",
        "size" / Int32ul * "bytes, a multiple of 4,096",
        "reserved" / Int64ul,
        "timestamp" / Int64ul * "FILETIME; of the first bin only",
        "spare" / Int32ul,
    )
    * "Head of a hive bin (section Hive bin header)."
)

KeyNode = (
    Struct(
        "signature" / Bytes(2) * "nk",
        "flags" / Int16ul,
        "last_written" / Int64ul * "FILETIME",
        "access" / Int32ul * "access bits of Windows 8 and later",
        "parent" / Int32ul * "cell of the parent key",
        "subkey_count" / Int32ul,
        "volatile_subkey_count" / Int32ul,
        "subkey_list" / Int32ul * "cell, or 0xFFFFFFFF",
        "volatile_subkey_list" / Int32ul * "has no meaning on disk",
        "value_count" / Int32ul,
        "value_list" / Int32ul * "cell, or 0xFFFFFFFF",
        "security" / Int32ul * "cell of the security descriptor",
        "class_name" / Int32ul * "cell, or 0xFFFFFFFF",
        "largest_subkey_name" / Int32ul * "bytes in UTF-16, in the low 16 bits",
        "largest_subkey_class" / Int32ul * "bytes",
        "largest_value_name" / Int32ul * "bytes in UTF-16",
        "largest_value_data" / Int32ul * "bytes",
        "work_var" / Int32ul,
        "name_length" / Int16ul * "bytes",
        "class_length" / Int16ul * "bytes",
    )
    * "A key; its name follows (section Key node)."
)

KeyValue = (
    Struct(
        "signature" / Bytes(2) * "vk",
        "name_length" / Int16ul * "bytes; 0 for the default value",
        "data_size" / Int32ul * "bytes; bit 31: the data is the offset field itself",
        "data_offset" / Int32ul * "cell of the data",
        "data_type" / Int32ul,
        "flags" / Int16ul * "bit 0: the name is in Latin-1",
        "spare" / Int16ul,
    )
    * "A value; its name follows (section Key value)."
)

KeySecurity = (
    Struct(
        "signature" / Bytes(2) * "sk",
        "reserved" / Int16ul,
        "flink" / Int32ul * "next security cell",
        "blink" / Int32ul * "previous security cell",
        "reference_count" / Int32ul * "keys that use it",
        "descriptor_size" / Int32ul * "bytes",
    )
    * "A security descriptor, shared by keys; the descriptor follows (section Key security)."
)

BigData = (
    Struct(
        "signature" / Bytes(2) * "db",
        "segment_count" / Int16ul,
        "segment_list" / Int32ul * "cell with the offsets of the segments",
    )
    * "Data of more than 16,344 bytes, in segments (section Big data)."
)

LogEntry = (
    Struct(
        "signature" / Bytes(4) * "HvLE",
        "size" / Int32ul * "bytes, a multiple of 512",
        "flags" / Int32ul * "those of the base block after the entry is applied",
        "sequence" / Int32ul * "of the primary file after the entry is applied",
        "hive_bins_size" / Int32ul * "bytes after the entry is applied",
        "page_count" / Int32ul * "dirty pages",
        "hash_1" / Int64ul * "Marvin32 of the bytes from 40 to the end",
        "hash_2" / Int64ul * "Marvin32 of the first 32 bytes",
    )
    * "Head of an entry of a new transaction log (section New format)."
)

DirtyPage = (
    Struct("offset" / Int32ul * "from the start of the hive bins", "size" / Int32ul * "bytes")
    * "Where a page of a log entry belongs."
)

CellHead = Struct("size" / Int32sl * "bytes, this field included; negative when allocated") * "Head of a cell."

ListHead = (
    Struct("signature" / Bytes(2) * "lf, lh, li or ri", "count" / Int16ul * "elements that follow")
    * "Head of a list of subkeys (sections Index leaf, Fast leaf, Hash leaf, Index root)."
)
