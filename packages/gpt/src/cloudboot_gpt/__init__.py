"""GUID partition tables and protective MBRs: create, read, check, repair; partitions as sliced files.

:func:`plan` turns :class:`PartitionSpec` objects into a :class:`Table` without touching a disk; :func:`create` writes
one; :func:`read` gives the table of a disk after verifying it; :func:`check` lists everything wrong with both copies;
:func:`repair` rebuilds one from the other. A :class:`Partition` opens as a window, a file or a memoryview.
"""

from . import partition_types
from .check import check
from .errors import (
    AlternateLBAError,
    DisagreementError,
    DiskGUIDError,
    DiskTooSmallError,
    EntryArrayChecksumError,
    EntryArrayError,
    EntryArrayPlaceError,
    EntryCountError,
    EntrySizeError,
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
    OverlapError,
    PartitionAttributesError,
    PartitionError,
    PartitionGUIDError,
    PartitionRangeError,
    ProtectiveRecordError,
    ReservedError,
    RevisionError,
    SignatureError,
    SpecificationError,
    TruncatedDiskError,
    UnrepairableError,
    UsableRangeError,
)
from .mbr import MBRPolicy
from .planner import PartitionSpec, PlanOptions, plan
from .reader import BackupPolicy, read
from .repair import repair
from .table import SECTOR_SIZES, Attribute, Partition, Table, find_ufs_partition
from .writer import create, metadata

__all__ = [
    "SECTOR_SIZES",
    "AlternateLBAError",
    "Attribute",
    "BackupPolicy",
    "DisagreementError",
    "DiskGUIDError",
    "DiskTooSmallError",
    "EntryArrayChecksumError",
    "EntryArrayError",
    "EntryArrayPlaceError",
    "EntryCountError",
    "EntrySizeError",
    "GPTError",
    "HeaderChecksumError",
    "HeaderError",
    "HeaderSizeError",
    "HybridMBRError",
    "MBRError",
    "MBRPolicy",
    "MBRSignatureError",
    "MissingBackupError",
    "MyLBAError",
    "NoProtectiveMBRError",
    "OverlapError",
    "Partition",
    "PartitionAttributesError",
    "PartitionError",
    "PartitionGUIDError",
    "PartitionRangeError",
    "PartitionSpec",
    "PlanOptions",
    "ProtectiveRecordError",
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
    "metadata",
    "partition_types",
    "plan",
    "read",
    "repair",
]
