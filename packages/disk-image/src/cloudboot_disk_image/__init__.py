"""Disk images as storage, whatever file they come in, and the choice of a partition in them.

- :mod:`.opening`: :func:`open_disk` and :func:`open_partition` take raw, compressed, qcow2 and VHD images alike;
- :mod:`.partitions`: partitions by number, name, GUID or type, through readers that other packages register;
- :mod:`.qcow2`, :mod:`.vhd`, :mod:`.compression`, :mod:`.spool`: the containers.
"""

from .errors import (
    ContainerError,
    ContainerTruncatedError,
    DiskImageError,
    NoPartitionReaderError,
    PartitionChoiceError,
    PartitionError,
    UnsupportedContainerError,
)
from .opening import Disk, in_place, open_disk, open_partition, require_raw, window
from .partitions import (
    InstalledReaders,
    Partition,
    PartitionReader,
    PartitionTable,
    Place,
    choose,
    installed_readers,
    locate,
    read_partitions,
    stated_place,
)
from .qcow2 import Qcow2
from .vhd import DynamicVHD, open_vhd

__all__ = [
    "ContainerError",
    "ContainerTruncatedError",
    "Disk",
    "DiskImageError",
    "DynamicVHD",
    "InstalledReaders",
    "NoPartitionReaderError",
    "Partition",
    "PartitionChoiceError",
    "PartitionError",
    "PartitionReader",
    "PartitionTable",
    "Place",
    "Qcow2",
    "UnsupportedContainerError",
    "choose",
    "in_place",
    "installed_readers",
    "locate",
    "open_disk",
    "open_partition",
    "open_vhd",
    "read_partitions",
    "require_raw",
    "stated_place",
    "window",
]
