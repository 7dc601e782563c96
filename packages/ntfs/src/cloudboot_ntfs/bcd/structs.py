"""The records of a device element of a boot configuration.

Declarations only, in the names that ReactOS' ``boot/environ/include/bl.h`` gives the same structures. ``records.py`` is
generated from this module. All integers are little-endian.
"""

from __future__ import annotations

from construct import Bytes, Int16ul, Int32ul, Int64ul, Struct

DeviceDescriptor = (
    Struct(
        "DeviceType" / Int32ul * "0: disk, 5: boot device, 6: partition, 8: locate",
        "Flags" / Int32ul,
        "Size" / Int32ul * "bytes, this head included",
        "Unknown" / Int32ul,
    )
    * "Head of a device; the GUID of the object with its options stands before it in an element (BL_DEVICE_DESCRIPTOR)."
)

GptPartition = (
    Struct(
        "PartitionGuid" / Bytes(16) * "unique GUID of the partition, mixed-endian",
        "LocalType" / Int32ul * "0: hard disk",
        "PartitionType" / Int32ul * "0: GPT",
        "DiskGuid" / Bytes(16) * "GUID of the disk, mixed-endian",
        "Reserved" / Bytes(16),
    )
    * "A partition of a disk with a GPT."
)

MbrPartition = (
    Struct(
        "PartitionOffset" / Int64ul * "first byte of the partition",
        "Reserved1" / Int64ul,
        "LocalType" / Int32ul * "0: hard disk",
        "PartitionType" / Int32ul * "1: MBR",
        "DiskSignature" / Int32ul,
        "Reserved2" / Bytes(28),
    )
    * "A partition of a disk with an MBR."
)

RamDisk = (
    Struct(
        "LocalType" / Int32ul * "3: RAM disk",
        "ImageBase" / Int64ul * "physical address; 0: to be loaded",
        "ImageSize" / Int64ul,
        "ImageOffset" / Int32ul,
    )
    * "A RAM disk; the descriptor of the file's path follows (BL_LOCAL_DEVICE)."
)

FileHead = (
    Struct("LocalType" / Int32ul * "5: file")
    * "A file as a device; the descriptor of the file's path follows (BL_LOCAL_DEVICE)."
)

VirtualDisk = (
    Struct("LocalType" / Int32ul * "6: virtual disk", "Reserved" / Bytes(20))
    * "A disk in a file; the descriptor of that file's device follows (BL_LOCAL_DEVICE)."
)

Locate = (
    Struct(
        "LocateType" / Int32ul * "0: by the path that an element has",
        "Element" / Int32ul * "number of that element",
        "ParentOffset"
        / Int32ul
        * "of the device to look on, from the start of this device's descriptor; 0: all of them",
        "Path" / Int16ul * "an empty path in UTF-16",
    )
    * "A device that is found by a file on it; the descriptor of its parent follows."
)

FilePath = (
    Struct(
        "Version" / Int32ul * "1",
        "Length" / Int32ul * "bytes, this head included",
        "PathType" / Int32ul * "5: a device and then the path in UTF-16",
    )
    * "Head of the path of a file; a device follows, and the path (BL_FILE_PATH_DESCRIPTOR)."
)
