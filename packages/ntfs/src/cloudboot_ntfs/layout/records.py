"""The records declared in ``cloudboot_ntfs.layout.structs``. Generated: change the declaration, then run
``python -m cloudboot_records cloudboot_ntfs.layout.structs``.
"""

# ruff: noqa: E501 -- one field's doc may be longer than a line
from __future__ import annotations

from typing import Any, ClassVar, Self

from cloudboot_base.lightdata import dataclass
from cloudboot_records.model import Field, RecordLayout
from cloudboot_records.record import Record, exactly


@dataclass(slots=True, eq=False, repr=False)
class BootSector(Record):
    """First sector of the volume (struct NTFS_BOOT). (512 bytes)"""

    #: EB 52 90
    jump: bytes = bytes(3)
    #: 'NTFS' and four spaces
    oem_id: bytes = bytes(8)
    #: 256 to 4096
    bytes_per_sector: int = 0
    #: a power of two; above 128, 2 to the power of 256 minus the value
    sectors_per_cluster: int = 0
    zero0: bytes = bytes(7)
    #: 0xF8
    media: int = 0
    zero1: int = 0
    sectors_per_track: int = 0
    heads: int = 0
    #: sectors before the volume on its disk
    hidden_sectors: int = 0
    zero2: int = 0
    #: 0x00800080
    signature: int = 0
    #: of the volume, without the backup boot sector
    total_sectors: int = 0
    #: first cluster of $MFT
    mft_lcn: int = 0
    #: first cluster of $MFTMirr
    mftmirr_lcn: int = 0
    #: negative: 2 to the power of its absolute value, in bytes
    clusters_per_record: int = 0
    reserved0: bytes = bytes(3)
    #: as clusters_per_record
    clusters_per_index: int = 0
    reserved1: bytes = bytes(3)
    serial: int = 0
    #: not used
    checksum: int = 0
    boot_code: bytes = bytes(426)
    #: 0xAA55
    end_signature: int = 0

    def __init__(
        self,
        jump: bytes = bytes(3),
        oem_id: bytes = bytes(8),
        bytes_per_sector: int = 0,
        sectors_per_cluster: int = 0,
        zero0: bytes = bytes(7),
        media: int = 0,
        zero1: int = 0,
        sectors_per_track: int = 0,
        heads: int = 0,
        hidden_sectors: int = 0,
        zero2: int = 0,
        signature: int = 0,
        total_sectors: int = 0,
        mft_lcn: int = 0,
        mftmirr_lcn: int = 0,
        clusters_per_record: int = 0,
        reserved0: bytes = bytes(3),
        clusters_per_index: int = 0,
        reserved1: bytes = bytes(3),
        serial: int = 0,
        checksum: int = 0,
        boot_code: bytes = bytes(426),
        end_signature: int = 0,
    ) -> None:
        self.jump = jump
        self.oem_id = oem_id
        self.bytes_per_sector = bytes_per_sector
        self.sectors_per_cluster = sectors_per_cluster
        self.zero0 = zero0
        self.media = media
        self.zero1 = zero1
        self.sectors_per_track = sectors_per_track
        self.heads = heads
        self.hidden_sectors = hidden_sectors
        self.zero2 = zero2
        self.signature = signature
        self.total_sectors = total_sectors
        self.mft_lcn = mft_lcn
        self.mftmirr_lcn = mftmirr_lcn
        self.clusters_per_record = clusters_per_record
        self.reserved0 = reserved0
        self.clusters_per_index = clusters_per_index
        self.reserved1 = reserved1
        self.serial = serial
        self.checksum = checksum
        self.boot_code = boot_code
        self.end_signature = end_signature

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "BootSector",
        (
            Field("jump", "s", 3),
            Field("oem_id", "s", 8),
            Field("bytes_per_sector", "H"),
            Field("sectors_per_cluster", "B"),
            Field("zero0", "s", 7),
            Field("media", "B"),
            Field("zero1", "H"),
            Field("sectors_per_track", "H"),
            Field("heads", "H"),
            Field("hidden_sectors", "L"),
            Field("zero2", "L"),
            Field("signature", "L"),
            Field("total_sectors", "Q"),
            Field("mft_lcn", "Q"),
            Field("mftmirr_lcn", "Q"),
            Field("clusters_per_record", "b"),
            Field("reserved0", "s", 3),
            Field("clusters_per_index", "b"),
            Field("reserved1", "s", 3),
            Field("serial", "Q"),
            Field("checksum", "L"),
            Field("boot_code", "s", 426),
            Field("end_signature", "H"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 512

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            exactly("BootSector", "jump", 3, self.jump),
            exactly("BootSector", "oem_id", 8, self.oem_id),
            self.bytes_per_sector,
            self.sectors_per_cluster,
            exactly("BootSector", "zero0", 7, self.zero0),
            self.media,
            self.zero1,
            self.sectors_per_track,
            self.heads,
            self.hidden_sectors,
            self.zero2,
            self.signature,
            self.total_sectors,
            self.mft_lcn,
            self.mftmirr_lcn,
            self.clusters_per_record,
            exactly("BootSector", "reserved0", 3, self.reserved0),
            self.clusters_per_index,
            exactly("BootSector", "reserved1", 3, self.reserved1),
            self.serial,
            self.checksum,
            exactly("BootSector", "boot_code", 426, self.boot_code),
            self.end_signature,
        )


@dataclass(slots=True, eq=False, repr=False)
class RecordHeader(Record):
    """Head of an MFT record (struct MFT_REC). (48 bytes)"""

    #: FILE
    signature: bytes = bytes(4)
    #: update sequence array
    usa_offset: int = 0
    #: its 16-bit elements
    usa_count: int = 0
    #: $LogFile sequence number
    lsn: int = 0
    #: incremented when the record is freed
    sequence: int = 0
    #: $FILE_NAME attributes, short names included
    link_count: int = 0
    attributes_offset: int = 0
    #: 1: in use, 2: directory, 4: in $Extend, 8: other indexes
    flags: int = 0
    bytes_used: int = 0
    bytes_allocated: int = 0
    #: reference of the base record, in an extension record
    base_record: int = 0
    next_instance: int = 0
    reserved: int = 0
    record_number: int = 0

    def __init__(
        self,
        signature: bytes = bytes(4),
        usa_offset: int = 0,
        usa_count: int = 0,
        lsn: int = 0,
        sequence: int = 0,
        link_count: int = 0,
        attributes_offset: int = 0,
        flags: int = 0,
        bytes_used: int = 0,
        bytes_allocated: int = 0,
        base_record: int = 0,
        next_instance: int = 0,
        reserved: int = 0,
        record_number: int = 0,
    ) -> None:
        self.signature = signature
        self.usa_offset = usa_offset
        self.usa_count = usa_count
        self.lsn = lsn
        self.sequence = sequence
        self.link_count = link_count
        self.attributes_offset = attributes_offset
        self.flags = flags
        self.bytes_used = bytes_used
        self.bytes_allocated = bytes_allocated
        self.base_record = base_record
        self.next_instance = next_instance
        self.reserved = reserved
        self.record_number = record_number

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "RecordHeader",
        (
            Field("signature", "s", 4),
            Field("usa_offset", "H"),
            Field("usa_count", "H"),
            Field("lsn", "Q"),
            Field("sequence", "H"),
            Field("link_count", "H"),
            Field("attributes_offset", "H"),
            Field("flags", "H"),
            Field("bytes_used", "L"),
            Field("bytes_allocated", "L"),
            Field("base_record", "Q"),
            Field("next_instance", "H"),
            Field("reserved", "H"),
            Field("record_number", "L"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 48

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            exactly("RecordHeader", "signature", 4, self.signature),
            self.usa_offset,
            self.usa_count,
            self.lsn,
            self.sequence,
            self.link_count,
            self.attributes_offset,
            self.flags,
            self.bytes_used,
            self.bytes_allocated,
            self.base_record,
            self.next_instance,
            self.reserved,
            self.record_number,
        )


@dataclass(slots=True, eq=False, repr=False)
class AttributeHeader(Record):
    """Head of every attribute (struct ATTRIB). (16 bytes)"""

    type: int = 0
    #: bytes of the attribute, this head included
    length: int = 0
    non_resident: int = 0
    #: UTF-16 code units
    name_length: int = 0
    name_offset: int = 0
    #: 1: compressed, 0x4000: encrypted, 0x8000: sparse
    flags: int = 0
    instance: int = 0

    def __init__(
        self,
        type: int = 0,
        length: int = 0,
        non_resident: int = 0,
        name_length: int = 0,
        name_offset: int = 0,
        flags: int = 0,
        instance: int = 0,
    ) -> None:
        self.type = type
        self.length = length
        self.non_resident = non_resident
        self.name_length = name_length
        self.name_offset = name_offset
        self.flags = flags
        self.instance = instance

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "AttributeHeader",
        (
            Field("type", "L"),
            Field("length", "L"),
            Field("non_resident", "B"),
            Field("name_length", "B"),
            Field("name_offset", "H"),
            Field("flags", "H"),
            Field("instance", "H"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 16

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            self.type,
            self.length,
            self.non_resident,
            self.name_length,
            self.name_offset,
            self.flags,
            self.instance,
        )


@dataclass(slots=True, eq=False, repr=False)
class ResidentHeader(Record):
    """What follows the head of a resident attribute (struct ATTR_RESIDENT). (8 bytes)"""

    #: bytes
    value_length: int = 0
    value_offset: int = 0
    #: 1: the attribute is the key of an index
    indexed: int = 0
    reserved: int = 0

    def __init__(
        self,
        value_length: int = 0,
        value_offset: int = 0,
        indexed: int = 0,
        reserved: int = 0,
    ) -> None:
        self.value_length = value_length
        self.value_offset = value_offset
        self.indexed = indexed
        self.reserved = reserved

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "ResidentHeader",
        (
            Field("value_length", "L"),
            Field("value_offset", "H"),
            Field("indexed", "B"),
            Field("reserved", "B"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 8

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            self.value_length,
            self.value_offset,
            self.indexed,
            self.reserved,
        )


@dataclass(slots=True, eq=False, repr=False)
class NonResidentHeader(Record):
    """What follows the head of a non-resident attribute (struct ATTR_NONRESIDENT). (48 bytes)"""

    lowest_vcn: int = 0
    #: -1 when there are no clusters
    highest_vcn: int = 0
    runs_offset: int = 0
    #: log2 of clusters; 0: not compressed
    compression_unit: int = 0
    reserved: bytes = bytes(5)
    #: bytes, a multiple of the cluster
    allocated_size: int = 0
    #: bytes
    data_size: int = 0
    #: bytes; what follows reads as zeros
    initialized_size: int = 0

    def __init__(
        self,
        lowest_vcn: int = 0,
        highest_vcn: int = 0,
        runs_offset: int = 0,
        compression_unit: int = 0,
        reserved: bytes = bytes(5),
        allocated_size: int = 0,
        data_size: int = 0,
        initialized_size: int = 0,
    ) -> None:
        self.lowest_vcn = lowest_vcn
        self.highest_vcn = highest_vcn
        self.runs_offset = runs_offset
        self.compression_unit = compression_unit
        self.reserved = reserved
        self.allocated_size = allocated_size
        self.data_size = data_size
        self.initialized_size = initialized_size

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "NonResidentHeader",
        (
            Field("lowest_vcn", "Q"),
            Field("highest_vcn", "q"),
            Field("runs_offset", "H"),
            Field("compression_unit", "B"),
            Field("reserved", "s", 5),
            Field("allocated_size", "Q"),
            Field("data_size", "Q"),
            Field("initialized_size", "Q"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 48

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            self.lowest_vcn,
            self.highest_vcn,
            self.runs_offset,
            self.compression_unit,
            exactly("NonResidentHeader", "reserved", 5, self.reserved),
            self.allocated_size,
            self.data_size,
            self.initialized_size,
        )


@dataclass(slots=True, eq=False, repr=False)
class StandardInformation(Record):
    """$STANDARD_INFORMATION of NTFS 3 (struct ATTR_STD_INFO5); before, its first 48 bytes. (72 bytes)"""

    #: FILETIME, as the three that follow
    created: int = 0
    modified: int = 0
    #: when the record was last changed
    changed: int = 0
    accessed: int = 0
    attributes: int = 0
    maximum_versions: int = 0
    version: int = 0
    class_id: int = 0
    owner_id: int = 0
    #: in $Secure
    security_id: int = 0
    quota_charged: int = 0
    #: in $UsnJrnl
    usn: int = 0

    def __init__(
        self,
        created: int = 0,
        modified: int = 0,
        changed: int = 0,
        accessed: int = 0,
        attributes: int = 0,
        maximum_versions: int = 0,
        version: int = 0,
        class_id: int = 0,
        owner_id: int = 0,
        security_id: int = 0,
        quota_charged: int = 0,
        usn: int = 0,
    ) -> None:
        self.created = created
        self.modified = modified
        self.changed = changed
        self.accessed = accessed
        self.attributes = attributes
        self.maximum_versions = maximum_versions
        self.version = version
        self.class_id = class_id
        self.owner_id = owner_id
        self.security_id = security_id
        self.quota_charged = quota_charged
        self.usn = usn

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "StandardInformation",
        (
            Field("created", "Q"),
            Field("modified", "Q"),
            Field("changed", "Q"),
            Field("accessed", "Q"),
            Field("attributes", "L"),
            Field("maximum_versions", "L"),
            Field("version", "L"),
            Field("class_id", "L"),
            Field("owner_id", "L"),
            Field("security_id", "L"),
            Field("quota_charged", "Q"),
            Field("usn", "Q"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 72

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            self.created,
            self.modified,
            self.changed,
            self.accessed,
            self.attributes,
            self.maximum_versions,
            self.version,
            self.class_id,
            self.owner_id,
            self.security_id,
            self.quota_charged,
            self.usn,
        )


@dataclass(slots=True, eq=False, repr=False)
class FileName(Record):
    """$FILE_NAME; the name follows (struct ATTR_FILE_NAME). (66 bytes)"""

    #: reference of the directory
    parent: int = 0
    #: FILETIME, as the three that follow
    created: int = 0
    modified: int = 0
    changed: int = 0
    accessed: int = 0
    #: of the unnamed $DATA
    allocated_size: int = 0
    #: of the unnamed $DATA
    data_size: int = 0
    attributes: int = 0
    #: or the size of the extended attributes
    reparse_tag: int = 0
    #: UTF-16 code units
    name_length: int = 0
    #: 0: POSIX, 1: Win32, 2: DOS, 3: Win32 and DOS
    name_type: int = 0

    def __init__(
        self,
        parent: int = 0,
        created: int = 0,
        modified: int = 0,
        changed: int = 0,
        accessed: int = 0,
        allocated_size: int = 0,
        data_size: int = 0,
        attributes: int = 0,
        reparse_tag: int = 0,
        name_length: int = 0,
        name_type: int = 0,
    ) -> None:
        self.parent = parent
        self.created = created
        self.modified = modified
        self.changed = changed
        self.accessed = accessed
        self.allocated_size = allocated_size
        self.data_size = data_size
        self.attributes = attributes
        self.reparse_tag = reparse_tag
        self.name_length = name_length
        self.name_type = name_type

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "FileName",
        (
            Field("parent", "Q"),
            Field("created", "Q"),
            Field("modified", "Q"),
            Field("changed", "Q"),
            Field("accessed", "Q"),
            Field("allocated_size", "Q"),
            Field("data_size", "Q"),
            Field("attributes", "L"),
            Field("reparse_tag", "L"),
            Field("name_length", "B"),
            Field("name_type", "B"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 66

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            self.parent,
            self.created,
            self.modified,
            self.changed,
            self.accessed,
            self.allocated_size,
            self.data_size,
            self.attributes,
            self.reparse_tag,
            self.name_length,
            self.name_type,
        )


@dataclass(slots=True, eq=False, repr=False)
class AttributeListEntry(Record):
    """An entry of $ATTRIBUTE_LIST; the name follows (struct ATTR_LIST_ENTRY). (26 bytes)"""

    type: int = 0
    #: bytes of the entry
    length: int = 0
    #: UTF-16 code units
    name_length: int = 0
    name_offset: int = 0
    lowest_vcn: int = 0
    #: record that holds the attribute
    reference: int = 0
    instance: int = 0

    def __init__(
        self,
        type: int = 0,
        length: int = 0,
        name_length: int = 0,
        name_offset: int = 0,
        lowest_vcn: int = 0,
        reference: int = 0,
        instance: int = 0,
    ) -> None:
        self.type = type
        self.length = length
        self.name_length = name_length
        self.name_offset = name_offset
        self.lowest_vcn = lowest_vcn
        self.reference = reference
        self.instance = instance

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "AttributeListEntry",
        (
            Field("type", "L"),
            Field("length", "H"),
            Field("name_length", "B"),
            Field("name_offset", "B"),
            Field("lowest_vcn", "Q"),
            Field("reference", "Q"),
            Field("instance", "H"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 26

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            self.type,
            self.length,
            self.name_length,
            self.name_offset,
            self.lowest_vcn,
            self.reference,
            self.instance,
        )


@dataclass(slots=True, eq=False, repr=False)
class VolumeInformation(Record):
    """$VOLUME_INFORMATION (struct VOLUME_INFO). (12 bytes)"""

    reserved: int = 0
    major_version: int = 0
    minor_version: int = 0
    #: 1: dirty
    flags: int = 0

    def __init__(
        self,
        reserved: int = 0,
        major_version: int = 0,
        minor_version: int = 0,
        flags: int = 0,
    ) -> None:
        self.reserved = reserved
        self.major_version = major_version
        self.minor_version = minor_version
        self.flags = flags

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "VolumeInformation",
        (
            Field("reserved", "Q"),
            Field("major_version", "B"),
            Field("minor_version", "B"),
            Field("flags", "H"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 12

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            self.reserved,
            self.major_version,
            self.minor_version,
            self.flags,
        )


@dataclass(slots=True, eq=False, repr=False)
class IndexRoot(Record):
    """Head of $INDEX_ROOT; an IndexHeader follows (struct INDEX_ROOT). (16 bytes)"""

    #: of the indexed attribute; 0 for other indexes
    type: int = 0
    collation: int = 0
    #: bytes of an index block
    block_size: int = 0
    #: in the unit of the index' VCNs
    clusters_per_block: int = 0
    reserved: bytes = bytes(3)

    def __init__(
        self,
        type: int = 0,
        collation: int = 0,
        block_size: int = 0,
        clusters_per_block: int = 0,
        reserved: bytes = bytes(3),
    ) -> None:
        self.type = type
        self.collation = collation
        self.block_size = block_size
        self.clusters_per_block = clusters_per_block
        self.reserved = reserved

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "IndexRoot",
        (
            Field("type", "L"),
            Field("collation", "L"),
            Field("block_size", "L"),
            Field("clusters_per_block", "B"),
            Field("reserved", "s", 3),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 16

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            self.type,
            self.collation,
            self.block_size,
            self.clusters_per_block,
            exactly("IndexRoot", "reserved", 3, self.reserved),
        )


@dataclass(slots=True, eq=False, repr=False)
class IndexHeader(Record):
    """Head of the entries of a node (struct INDEX_HDR). (16 bytes)"""

    #: from this head
    entries_offset: int = 0
    #: bytes from this head on
    used: int = 0
    #: bytes from this head on
    allocated: int = 0
    #: 1: entries have nodes below
    flags: int = 0

    def __init__(
        self,
        entries_offset: int = 0,
        used: int = 0,
        allocated: int = 0,
        flags: int = 0,
    ) -> None:
        self.entries_offset = entries_offset
        self.used = used
        self.allocated = allocated
        self.flags = flags

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "IndexHeader",
        (
            Field("entries_offset", "L"),
            Field("used", "L"),
            Field("allocated", "L"),
            Field("flags", "L"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 16

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            self.entries_offset,
            self.used,
            self.allocated,
            self.flags,
        )


@dataclass(slots=True, eq=False, repr=False)
class IndexBlock(Record):
    """Head of an index block; an IndexHeader follows (struct INDEX_BUFFER). (24 bytes)"""

    #: INDX
    signature: bytes = bytes(4)
    usa_offset: int = 0
    usa_count: int = 0
    lsn: int = 0
    #: of this block in $INDEX_ALLOCATION
    vcn: int = 0

    def __init__(
        self,
        signature: bytes = bytes(4),
        usa_offset: int = 0,
        usa_count: int = 0,
        lsn: int = 0,
        vcn: int = 0,
    ) -> None:
        self.signature = signature
        self.usa_offset = usa_offset
        self.usa_count = usa_count
        self.lsn = lsn
        self.vcn = vcn

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "IndexBlock",
        (
            Field("signature", "s", 4),
            Field("usa_offset", "H"),
            Field("usa_count", "H"),
            Field("lsn", "Q"),
            Field("vcn", "Q"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 24

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            exactly("IndexBlock", "signature", 4, self.signature),
            self.usa_offset,
            self.usa_count,
            self.lsn,
            self.vcn,
        )


@dataclass(slots=True, eq=False, repr=False)
class IndexEntry(Record):
    """Head of an index entry; the key follows (struct NTFS_DE). (16 bytes)"""

    #: of the file; other indexes have the place and size of data here
    reference: int = 0
    #: bytes of the entry
    length: int = 0
    #: bytes
    key_length: int = 0
    #: 1: a node is below, 2: last of its node
    flags: int = 0
    reserved: int = 0

    def __init__(
        self,
        reference: int = 0,
        length: int = 0,
        key_length: int = 0,
        flags: int = 0,
        reserved: int = 0,
    ) -> None:
        self.reference = reference
        self.length = length
        self.key_length = key_length
        self.flags = flags
        self.reserved = reserved

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "IndexEntry",
        (
            Field("reference", "Q"),
            Field("length", "H"),
            Field("key_length", "H"),
            Field("flags", "H"),
            Field("reserved", "H"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 16

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            self.reference,
            self.length,
            self.key_length,
            self.flags,
            self.reserved,
        )


@dataclass(slots=True, eq=False, repr=False)
class SdsEntry(Record):
    """Head of a security descriptor in $Secure:$SDS; the data of $SII and $SDH too (struct SECURITY_HDR). (20 bytes)"""

    hash: int = 0
    security_id: int = 0
    #: of this entry in $SDS
    offset: int = 0
    #: bytes, this head included
    size: int = 0

    def __init__(
        self,
        hash: int = 0,
        security_id: int = 0,
        offset: int = 0,
        size: int = 0,
    ) -> None:
        self.hash = hash
        self.security_id = security_id
        self.offset = offset
        self.size = size

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "SdsEntry",
        (
            Field("hash", "L"),
            Field("security_id", "L"),
            Field("offset", "Q"),
            Field("size", "L"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 20

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            self.hash,
            self.security_id,
            self.offset,
            self.size,
        )


@dataclass(slots=True, eq=False, repr=False)
class ReparseHead(Record):
    """Head of $REPARSE_POINT (MS-FSCC 2.1.2.2). (8 bytes)"""

    tag: int = 0
    #: bytes that follow
    data_length: int = 0
    reserved: int = 0

    def __init__(
        self,
        tag: int = 0,
        data_length: int = 0,
        reserved: int = 0,
    ) -> None:
        self.tag = tag
        self.data_length = data_length
        self.reserved = reserved

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "ReparseHead",
        (
            Field("tag", "L"),
            Field("data_length", "H"),
            Field("reserved", "H"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 8

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            self.tag,
            self.data_length,
            self.reserved,
        )


@dataclass(slots=True, eq=False, repr=False)
class AttrDefEntry(Record):
    """An entry of $AttrDef (struct ATTR_DEF_ENTRY). (160 bytes)"""

    #: UTF-16
    label: bytes = bytes(128)
    type: int = 0
    display_rule: int = 0
    collation: int = 0
    #: 0x02: indexable, 0x40: resident, 0x80: may be non-resident
    flags: int = 0
    minimum_size: int = 0
    #: -1: no limit
    maximum_size: int = 0

    def __init__(
        self,
        label: bytes = bytes(128),
        type: int = 0,
        display_rule: int = 0,
        collation: int = 0,
        flags: int = 0,
        minimum_size: int = 0,
        maximum_size: int = 0,
    ) -> None:
        self.label = label
        self.type = type
        self.display_rule = display_rule
        self.collation = collation
        self.flags = flags
        self.minimum_size = minimum_size
        self.maximum_size = maximum_size

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "AttrDefEntry",
        (
            Field("label", "s", 128),
            Field("type", "L"),
            Field("display_rule", "L"),
            Field("collation", "L"),
            Field("flags", "L"),
            Field("minimum_size", "q"),
            Field("maximum_size", "q"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 160

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            exactly("AttrDefEntry", "label", 128, self.label),
            self.type,
            self.display_rule,
            self.collation,
            self.flags,
            self.minimum_size,
            self.maximum_size,
        )


@dataclass(slots=True, eq=False, repr=False)
class UsnRecord(Record):
    """A record of $UsnJrnl:$J; the name follows (MS-FSCC 2.3.63, USN_RECORD_V2). (60 bytes)"""

    #: bytes of the record
    length: int = 0
    #: 2
    major_version: int = 0
    minor_version: int = 0
    reference: int = 0
    parent: int = 0
    #: offset of this record in $J
    usn: int = 0
    #: FILETIME
    timestamp: int = 0
    reason: int = 0
    source: int = 0
    security_id: int = 0
    attributes: int = 0
    #: bytes
    name_length: int = 0
    name_offset: int = 0

    def __init__(
        self,
        length: int = 0,
        major_version: int = 0,
        minor_version: int = 0,
        reference: int = 0,
        parent: int = 0,
        usn: int = 0,
        timestamp: int = 0,
        reason: int = 0,
        source: int = 0,
        security_id: int = 0,
        attributes: int = 0,
        name_length: int = 0,
        name_offset: int = 0,
    ) -> None:
        self.length = length
        self.major_version = major_version
        self.minor_version = minor_version
        self.reference = reference
        self.parent = parent
        self.usn = usn
        self.timestamp = timestamp
        self.reason = reason
        self.source = source
        self.security_id = security_id
        self.attributes = attributes
        self.name_length = name_length
        self.name_offset = name_offset

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "UsnRecord",
        (
            Field("length", "L"),
            Field("major_version", "H"),
            Field("minor_version", "H"),
            Field("reference", "Q"),
            Field("parent", "Q"),
            Field("usn", "Q"),
            Field("timestamp", "Q"),
            Field("reason", "L"),
            Field("source", "L"),
            Field("security_id", "L"),
            Field("attributes", "L"),
            Field("name_length", "H"),
            Field("name_offset", "H"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 60

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            self.length,
            self.major_version,
            self.minor_version,
            self.reference,
            self.parent,
            self.usn,
            self.timestamp,
            self.reason,
            self.source,
            self.security_id,
            self.attributes,
            self.name_length,
            self.name_offset,
        )
