"""The records declared in ``cloudboot_ntfs.registry.structs``. Generated: change the declaration, then run
``python -m cloudboot_records cloudboot_ntfs.registry.structs``.
"""

# ruff: noqa: E501 -- one field's doc may be longer than a line
from __future__ import annotations

from typing import Any, ClassVar, Self

from cloudboot_base.lightdata import dataclass
from cloudboot_records.model import Field, RecordLayout
from cloudboot_records.record import Record, exactly


@dataclass(slots=True, eq=False, repr=False)
class BaseBlock(Record):
    """The first 512 of the 4,096 bytes of the base block; a log begins with them too (section Base block). (512 bytes)"""

    #: regf
    signature: bytes = bytes(4)
    #: incremented before a write
    primary_sequence: int = 0
    #: incremented after a write; equal in a clean hive
    secondary_sequence: int = 0
    #: FILETIME
    last_written: int = 0
    #: 1
    major_version: int = 0
    #: 3, 4, 5 or 6
    minor_version: int = 0
    #: 0: primary file, 1 and 2: old log, 6: new log
    file_type: int = 0
    #: 1: direct memory load
    file_format: int = 0
    #: offset of the root key from the start of the hive bins
    root_cell: int = 0
    #: bytes of the hive bins
    hive_bins_size: int = 0
    #: sector size divided by 512
    clustering_factor: int = 0
    #: UTF-16, the last part of the path
    file_name: bytes = bytes(64)
    #: resource manager of transactions
    rm_id: bytes = bytes(16)
    log_id: bytes = bytes(16)
    flags: int = 0
    tm_id: bytes = bytes(16)
    #: rmtm
    guid_signature: bytes = bytes(4)
    #: FILETIME
    last_reorganized: int = 0
    reserved: bytes = bytes(332)
    #: of the 508 bytes before
    checksum: int = 0

    def __init__(
        self,
        signature: bytes = bytes(4),
        primary_sequence: int = 0,
        secondary_sequence: int = 0,
        last_written: int = 0,
        major_version: int = 0,
        minor_version: int = 0,
        file_type: int = 0,
        file_format: int = 0,
        root_cell: int = 0,
        hive_bins_size: int = 0,
        clustering_factor: int = 0,
        file_name: bytes = bytes(64),
        rm_id: bytes = bytes(16),
        log_id: bytes = bytes(16),
        flags: int = 0,
        tm_id: bytes = bytes(16),
        guid_signature: bytes = bytes(4),
        last_reorganized: int = 0,
        reserved: bytes = bytes(332),
        checksum: int = 0,
    ) -> None:
        self.signature = signature
        self.primary_sequence = primary_sequence
        self.secondary_sequence = secondary_sequence
        self.last_written = last_written
        self.major_version = major_version
        self.minor_version = minor_version
        self.file_type = file_type
        self.file_format = file_format
        self.root_cell = root_cell
        self.hive_bins_size = hive_bins_size
        self.clustering_factor = clustering_factor
        self.file_name = file_name
        self.rm_id = rm_id
        self.log_id = log_id
        self.flags = flags
        self.tm_id = tm_id
        self.guid_signature = guid_signature
        self.last_reorganized = last_reorganized
        self.reserved = reserved
        self.checksum = checksum

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "BaseBlock",
        (
            Field("signature", "s", 4),
            Field("primary_sequence", "L"),
            Field("secondary_sequence", "L"),
            Field("last_written", "Q"),
            Field("major_version", "L"),
            Field("minor_version", "L"),
            Field("file_type", "L"),
            Field("file_format", "L"),
            Field("root_cell", "L"),
            Field("hive_bins_size", "L"),
            Field("clustering_factor", "L"),
            Field("file_name", "s", 64),
            Field("rm_id", "s", 16),
            Field("log_id", "s", 16),
            Field("flags", "L"),
            Field("tm_id", "s", 16),
            Field("guid_signature", "s", 4),
            Field("last_reorganized", "Q"),
            Field("reserved", "s", 332),
            Field("checksum", "L"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 512

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            exactly("BaseBlock", "signature", 4, self.signature),
            self.primary_sequence,
            self.secondary_sequence,
            self.last_written,
            self.major_version,
            self.minor_version,
            self.file_type,
            self.file_format,
            self.root_cell,
            self.hive_bins_size,
            self.clustering_factor,
            exactly("BaseBlock", "file_name", 64, self.file_name),
            exactly("BaseBlock", "rm_id", 16, self.rm_id),
            exactly("BaseBlock", "log_id", 16, self.log_id),
            self.flags,
            exactly("BaseBlock", "tm_id", 16, self.tm_id),
            exactly("BaseBlock", "guid_signature", 4, self.guid_signature),
            self.last_reorganized,
            exactly("BaseBlock", "reserved", 332, self.reserved),
            self.checksum,
        )


@dataclass(slots=True, eq=False, repr=False)
class HiveBin(Record):
    """Head of a hive bin (section Hive bin header). (32 bytes)"""

    #: hbin
    signature: bytes = bytes(4)
    #: from the start of the hive bins
    offset: int = 0
    #: bytes, a multiple of 4,096
    size: int = 0
    reserved: int = 0
    #: FILETIME; of the first bin only
    timestamp: int = 0
    spare: int = 0

    def __init__(
        self,
        signature: bytes = bytes(4),
        offset: int = 0,
        size: int = 0,
        reserved: int = 0,
        timestamp: int = 0,
        spare: int = 0,
    ) -> None:
        self.signature = signature
        self.offset = offset
        self.size = size
        self.reserved = reserved
        self.timestamp = timestamp
        self.spare = spare

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "HiveBin",
        (
            Field("signature", "s", 4),
            Field("offset", "L"),
            Field("size", "L"),
            Field("reserved", "Q"),
            Field("timestamp", "Q"),
            Field("spare", "L"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 32

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            exactly("HiveBin", "signature", 4, self.signature),
            self.offset,
            self.size,
            self.reserved,
            self.timestamp,
            self.spare,
        )


@dataclass(slots=True, eq=False, repr=False)
class KeyNode(Record):
    """A key; its name follows (section Key node). (76 bytes)"""

    #: nk
    signature: bytes = bytes(2)
    flags: int = 0
    #: FILETIME
    last_written: int = 0
    #: access bits of Windows 8 and later
    access: int = 0
    #: cell of the parent key
    parent: int = 0
    subkey_count: int = 0
    volatile_subkey_count: int = 0
    #: cell, or 0xFFFFFFFF
    subkey_list: int = 0
    #: has no meaning on disk
    volatile_subkey_list: int = 0
    value_count: int = 0
    #: cell, or 0xFFFFFFFF
    value_list: int = 0
    #: cell of the security descriptor
    security: int = 0
    #: cell, or 0xFFFFFFFF
    class_name: int = 0
    #: bytes in UTF-16, in the low 16 bits
    largest_subkey_name: int = 0
    #: bytes
    largest_subkey_class: int = 0
    #: bytes in UTF-16
    largest_value_name: int = 0
    #: bytes
    largest_value_data: int = 0
    work_var: int = 0
    #: bytes
    name_length: int = 0
    #: bytes
    class_length: int = 0

    def __init__(
        self,
        signature: bytes = bytes(2),
        flags: int = 0,
        last_written: int = 0,
        access: int = 0,
        parent: int = 0,
        subkey_count: int = 0,
        volatile_subkey_count: int = 0,
        subkey_list: int = 0,
        volatile_subkey_list: int = 0,
        value_count: int = 0,
        value_list: int = 0,
        security: int = 0,
        class_name: int = 0,
        largest_subkey_name: int = 0,
        largest_subkey_class: int = 0,
        largest_value_name: int = 0,
        largest_value_data: int = 0,
        work_var: int = 0,
        name_length: int = 0,
        class_length: int = 0,
    ) -> None:
        self.signature = signature
        self.flags = flags
        self.last_written = last_written
        self.access = access
        self.parent = parent
        self.subkey_count = subkey_count
        self.volatile_subkey_count = volatile_subkey_count
        self.subkey_list = subkey_list
        self.volatile_subkey_list = volatile_subkey_list
        self.value_count = value_count
        self.value_list = value_list
        self.security = security
        self.class_name = class_name
        self.largest_subkey_name = largest_subkey_name
        self.largest_subkey_class = largest_subkey_class
        self.largest_value_name = largest_value_name
        self.largest_value_data = largest_value_data
        self.work_var = work_var
        self.name_length = name_length
        self.class_length = class_length

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "KeyNode",
        (
            Field("signature", "s", 2),
            Field("flags", "H"),
            Field("last_written", "Q"),
            Field("access", "L"),
            Field("parent", "L"),
            Field("subkey_count", "L"),
            Field("volatile_subkey_count", "L"),
            Field("subkey_list", "L"),
            Field("volatile_subkey_list", "L"),
            Field("value_count", "L"),
            Field("value_list", "L"),
            Field("security", "L"),
            Field("class_name", "L"),
            Field("largest_subkey_name", "L"),
            Field("largest_subkey_class", "L"),
            Field("largest_value_name", "L"),
            Field("largest_value_data", "L"),
            Field("work_var", "L"),
            Field("name_length", "H"),
            Field("class_length", "H"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 76

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            exactly("KeyNode", "signature", 2, self.signature),
            self.flags,
            self.last_written,
            self.access,
            self.parent,
            self.subkey_count,
            self.volatile_subkey_count,
            self.subkey_list,
            self.volatile_subkey_list,
            self.value_count,
            self.value_list,
            self.security,
            self.class_name,
            self.largest_subkey_name,
            self.largest_subkey_class,
            self.largest_value_name,
            self.largest_value_data,
            self.work_var,
            self.name_length,
            self.class_length,
        )


@dataclass(slots=True, eq=False, repr=False)
class KeyValue(Record):
    """A value; its name follows (section Key value). (20 bytes)"""

    #: vk
    signature: bytes = bytes(2)
    #: bytes; 0 for the default value
    name_length: int = 0
    #: bytes; bit 31: the data is the offset field itself
    data_size: int = 0
    #: cell of the data
    data_offset: int = 0
    data_type: int = 0
    #: bit 0: the name is in Latin-1
    flags: int = 0
    spare: int = 0

    def __init__(
        self,
        signature: bytes = bytes(2),
        name_length: int = 0,
        data_size: int = 0,
        data_offset: int = 0,
        data_type: int = 0,
        flags: int = 0,
        spare: int = 0,
    ) -> None:
        self.signature = signature
        self.name_length = name_length
        self.data_size = data_size
        self.data_offset = data_offset
        self.data_type = data_type
        self.flags = flags
        self.spare = spare

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "KeyValue",
        (
            Field("signature", "s", 2),
            Field("name_length", "H"),
            Field("data_size", "L"),
            Field("data_offset", "L"),
            Field("data_type", "L"),
            Field("flags", "H"),
            Field("spare", "H"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 20

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            exactly("KeyValue", "signature", 2, self.signature),
            self.name_length,
            self.data_size,
            self.data_offset,
            self.data_type,
            self.flags,
            self.spare,
        )


@dataclass(slots=True, eq=False, repr=False)
class KeySecurity(Record):
    """A security descriptor, shared by keys; the descriptor follows (section Key security). (20 bytes)"""

    #: sk
    signature: bytes = bytes(2)
    reserved: int = 0
    #: next security cell
    flink: int = 0
    #: previous security cell
    blink: int = 0
    #: keys that use it
    reference_count: int = 0
    #: bytes
    descriptor_size: int = 0

    def __init__(
        self,
        signature: bytes = bytes(2),
        reserved: int = 0,
        flink: int = 0,
        blink: int = 0,
        reference_count: int = 0,
        descriptor_size: int = 0,
    ) -> None:
        self.signature = signature
        self.reserved = reserved
        self.flink = flink
        self.blink = blink
        self.reference_count = reference_count
        self.descriptor_size = descriptor_size

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "KeySecurity",
        (
            Field("signature", "s", 2),
            Field("reserved", "H"),
            Field("flink", "L"),
            Field("blink", "L"),
            Field("reference_count", "L"),
            Field("descriptor_size", "L"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 20

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            exactly("KeySecurity", "signature", 2, self.signature),
            self.reserved,
            self.flink,
            self.blink,
            self.reference_count,
            self.descriptor_size,
        )


@dataclass(slots=True, eq=False, repr=False)
class BigData(Record):
    """Data of more than 16,344 bytes, in segments (section Big data). (8 bytes)"""

    #: db
    signature: bytes = bytes(2)
    segment_count: int = 0
    #: cell with the offsets of the segments
    segment_list: int = 0

    def __init__(
        self,
        signature: bytes = bytes(2),
        segment_count: int = 0,
        segment_list: int = 0,
    ) -> None:
        self.signature = signature
        self.segment_count = segment_count
        self.segment_list = segment_list

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "BigData",
        (
            Field("signature", "s", 2),
            Field("segment_count", "H"),
            Field("segment_list", "L"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 8

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            exactly("BigData", "signature", 2, self.signature),
            self.segment_count,
            self.segment_list,
        )


@dataclass(slots=True, eq=False, repr=False)
class LogEntry(Record):
    """Head of an entry of a new transaction log (section New format). (40 bytes)"""

    #: HvLE
    signature: bytes = bytes(4)
    #: bytes, a multiple of 512
    size: int = 0
    #: those of the base block after the entry is applied
    flags: int = 0
    #: of the primary file after the entry is applied
    sequence: int = 0
    #: bytes after the entry is applied
    hive_bins_size: int = 0
    #: dirty pages
    page_count: int = 0
    #: Marvin32 of the bytes from 40 to the end
    hash_1: int = 0
    #: Marvin32 of the first 32 bytes
    hash_2: int = 0

    def __init__(
        self,
        signature: bytes = bytes(4),
        size: int = 0,
        flags: int = 0,
        sequence: int = 0,
        hive_bins_size: int = 0,
        page_count: int = 0,
        hash_1: int = 0,
        hash_2: int = 0,
    ) -> None:
        self.signature = signature
        self.size = size
        self.flags = flags
        self.sequence = sequence
        self.hive_bins_size = hive_bins_size
        self.page_count = page_count
        self.hash_1 = hash_1
        self.hash_2 = hash_2

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "LogEntry",
        (
            Field("signature", "s", 4),
            Field("size", "L"),
            Field("flags", "L"),
            Field("sequence", "L"),
            Field("hive_bins_size", "L"),
            Field("page_count", "L"),
            Field("hash_1", "Q"),
            Field("hash_2", "Q"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 40

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            exactly("LogEntry", "signature", 4, self.signature),
            self.size,
            self.flags,
            self.sequence,
            self.hive_bins_size,
            self.page_count,
            self.hash_1,
            self.hash_2,
        )


@dataclass(slots=True, eq=False, repr=False)
class DirtyPage(Record):
    """Where a page of a log entry belongs. (8 bytes)"""

    #: from the start of the hive bins
    offset: int = 0
    #: bytes
    size: int = 0

    def __init__(
        self,
        offset: int = 0,
        size: int = 0,
    ) -> None:
        self.offset = offset
        self.size = size

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "DirtyPage",
        (
            Field("offset", "L"),
            Field("size", "L"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 8

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            self.offset,
            self.size,
        )


@dataclass(slots=True, eq=False, repr=False)
class CellHead(Record):
    """Head of a cell. (4 bytes)"""

    #: bytes, this field included; negative when allocated
    size: int = 0

    def __init__(
        self,
        size: int = 0,
    ) -> None:
        self.size = size

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "CellHead",
        (
            Field("size", "l"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 4

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            self.size,
        )


@dataclass(slots=True, eq=False, repr=False)
class ListHead(Record):
    """Head of a list of subkeys (sections Index leaf, Fast leaf, Hash leaf, Index root). (4 bytes)"""

    #: lf, lh, li or ri
    signature: bytes = bytes(2)
    #: elements that follow
    count: int = 0

    def __init__(
        self,
        signature: bytes = bytes(2),
        count: int = 0,
    ) -> None:
        self.signature = signature
        self.count = count

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "ListHead",
        (
            Field("signature", "s", 2),
            Field("count", "H"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 4

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            exactly("ListHead", "signature", 2, self.signature),
            self.count,
        )
