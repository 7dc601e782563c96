"""GUID partition tables and protective MBRs: create, read, check, repair; partitions as sliced files.

:func:`plan` turns :class:`PartitionSpec` objects into a :class:`Table` without touching a disk; :func:`create` writes
one; :func:`read` gives the table of a disk after verifying it; :func:`check` lists everything wrong with both copies;
:func:`repair` rebuilds one from the other; :func:`grow` and :func:`resize` change a table where it is. A
:class:`Partition` opens as a window, a file or a memoryview. :func:`read_partitions` also reads disks with a plain MBR.
"""

from . import partition_types
from .change import grow, resize
from .check import check, notices
from .disklabel import BSDPartition, DisklabelTable, read_disklabel
from .errors import (
    AlternateLBAError,
    DisagreementError,
    DiskGUIDError,
    DisklabelError,
    DiskTooSmallError,
    EntryArrayChecksumError,
    EntryArrayError,
    EntryArrayPlaceError,
    EntryCountError,
    EntrySizeError,
    ExtendedPartitionError,
    GPTError,
    HeaderChecksumError,
    HeaderError,
    HeaderSizeError,
    HybridMBRError,
    MBRError,
    MBRSignatureError,
    MissingBackupError,
    MyLBAError,
    NoProtectiveMBRError,
    OccupiedError,
    OverlapError,
    PartitionAttributesError,
    PartitionError,
    PartitionGUIDError,
    PartitionRangeError,
    ProtectiveRecordError,
    RecordRangeError,
    ReservedError,
    RevisionError,
    SignatureError,
    SpecificationError,
    TruncatedDiskError,
    UnrepairableError,
    UsableRangeError,
)
from .legacy import MBRPartition, MBRTable, read_mbr
from .mbr import MBRPolicy
from .partitions import read_partitions
from .planner import PartitionSpec, PlanOptions, plan
from .reader import BackupPolicy, read
from .repair import repair
from .table import SECTOR_SIZES, Attribute, Partition, Table, find_ufs_partition
from .writer import create, metadata

__all__ = [
    "SECTOR_SIZES",
    "AlternateLBAError",
    "Attribute",
    "BSDPartition",
    "BackupPolicy",
    "DisagreementError",
    "DiskGUIDError",
    "DiskTooSmallError",
    "DisklabelError",
    "DisklabelTable",
    "EntryArrayChecksumError",
    "EntryArrayError",
    "EntryArrayPlaceError",
    "EntryCountError",
    "EntrySizeError",
    "ExtendedPartitionError",
    "GPTError",
    "HeaderChecksumError",
    "HeaderError",
    "HeaderSizeError",
    "HybridMBRError",
    "MBRError",
    "MBRPartition",
    "MBRPolicy",
    "MBRSignatureError",
    "MBRTable",
    "MissingBackupError",
    "MyLBAError",
    "NoProtectiveMBRError",
    "OccupiedError",
    "OverlapError",
    "Partition",
    "PartitionAttributesError",
    "PartitionError",
    "PartitionGUIDError",
    "PartitionRangeError",
    "PartitionSpec",
    "PlanOptions",
    "ProtectiveRecordError",
    "RecordRangeError",
    "ReservedError",
    "RevisionError",
    "SignatureError",
    "SpecificationError",
    "Table",
    "TruncatedDiskError",
    "UnrepairableError",
    "UsableRangeError",
    "check",
    "create",
    "find_ufs_partition",
    "grow",
    "metadata",
    "notices",
    "partition_types",
    "plan",
    "read",
    "read_disklabel",
    "read_mbr",
    "read_partitions",
    "repair",
    "resize",
]
