r"""Device elements: their bytes, and their text.

The text is what ``cloudboot-bcd`` shows and takes::

    boot                                       the device that the boot manager came from
    gpt={partition GUID},{disk GUID}           a partition of a disk with a GPT
    mbr=12345678,1048576                       disk signature (hexadecimal), offset of the partition in bytes
    ramdisk=[boot]\sources\boot.wim,{GUID}     a RAM disk from a file; the GUID is the object with its options
    file=[boot]\disk.bin                       a file as a device
    unknown=0123...                            the bytes of any other kind
"""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING, Final
from uuid import UUID

from cloudboot_base import Error
from cloudboot_base.guid import NIL, parse_guid
from cloudboot_ntfs.errors import DeviceError

from .records import DeviceDescriptor, FileHead, FilePath, GptPartition, MbrPartition, RamDisk

if TYPE_CHECKING:
    from cloudboot_records import Record

_DISK, _BOOT, _PARTITION = 0, 5, 6
_GPT, _MBR = 0, 1
_RAM_DISK, _FILE = 3, 5
_OPTIONS_SIZE: Final = 16
#: Bytes of a boot device and of a partition after the options GUID.
_FIXED_SIZE: Final = DeviceDescriptor.SIZE + GptPartition.SIZE
_PATH_DEPTH: Final = 4


@dataclasses.dataclass(frozen=True, slots=True)
class BootDevice:
    """The device that the boot manager itself came from."""


@dataclasses.dataclass(frozen=True, slots=True)
class GptDevice:
    """A partition of a disk with a GPT, by its unique GUID; the boot manager looks for nothing else."""

    partition: UUID
    disk: UUID = NIL


@dataclasses.dataclass(frozen=True, slots=True)
class MbrDevice:
    """A partition of a disk with an MBR: the disk's signature, and the first byte of the partition."""

    signature: int
    offset: int


@dataclasses.dataclass(frozen=True, slots=True)
class RamDiskDevice:
    """A RAM disk that is loaded from a file; ``options`` is the object with its options."""

    parent: Device
    path: str
    options: UUID = NIL


@dataclasses.dataclass(frozen=True, slots=True)
class FileDevice:
    """A file as a device."""

    parent: Device
    path: str
    options: UUID = NIL


@dataclasses.dataclass(frozen=True, slots=True)
class UnknownDevice:
    """A device of another kind, by its bytes, options GUID included."""

    data: bytes


Device = BootDevice | GptDevice | MbrDevice | RamDiskDevice | FileDevice | UnknownDevice


def pack(device: Device) -> bytes:
    """The bytes of a device element.

    Raises:
        DeviceError: a value that does not fit its field, or a device that cannot hold a file.
    """
    if isinstance(device, UnknownDevice):
        return device.data
    options = device.options if isinstance(device, RamDiskDevice | FileDevice) else NIL
    return options.bytes_le + _descriptor(device, 0)


def _descriptor(device: Device, depth: int) -> bytes:
    if isinstance(device, BootDevice):
        return _with_head(_BOOT, 0, bytes(GptPartition.SIZE))
    if isinstance(device, GptDevice):
        body: Record = GptPartition(device.partition.bytes_le, 0, _GPT, device.disk.bytes_le)
        return _with_head(_PARTITION, 0, body.pack())
    if isinstance(device, MbrDevice):
        if not (0 <= device.signature < 1 << 32 and 0 <= device.offset < 1 << 64):
            raise DeviceError(
                "the signature or the offset is too large", structure="MbrPartition", actual=device.signature
            )
        return _with_head(_PARTITION, 0, MbrPartition(device.offset, 0, 0, _MBR, device.signature).pack())
    if isinstance(device, UnknownDevice) or depth == _PATH_DEPTH:
        raise DeviceError("a file on a device that cannot be", structure="FilePath", actual=type(device).__name__)
    head: Record = RamDisk(_RAM_DISK) if isinstance(device, RamDiskDevice) else FileHead(_FILE)
    path = _descriptor(device.parent, depth + 1) + (device.path + "\0").encode("utf-16-le", "surrogatepass")
    path = FilePath(1, FilePath.SIZE + len(path), 5).pack() + path
    return _with_head(_DISK, 1, head.pack() + path)


def _with_head(kind: int, flags: int, body: bytes) -> bytes:
    return DeviceDescriptor(kind, flags, DeviceDescriptor.SIZE + len(body)).pack() + body


def parse(data: bytes) -> Device:
    """The device of an element's bytes. Kinds without a name here are :class:`UnknownDevice`.

    Raises:
        DeviceError: too short for any device, or a size that is wrong.
    """
    if len(data) < _OPTIONS_SIZE + DeviceDescriptor.SIZE:
        raise DeviceError(
            "too short for a device",
            structure="DeviceDescriptor",
            expected=_OPTIONS_SIZE + DeviceDescriptor.SIZE,
            actual=len(data),
        )
    head = DeviceDescriptor.unpack_from(data, _OPTIONS_SIZE)
    if not DeviceDescriptor.SIZE <= head.Size <= len(data) - _OPTIONS_SIZE:
        raise DeviceError(
            "the size of the device passes the end of the element",
            structure="DeviceDescriptor",
            field="Size",
            offset=_OPTIONS_SIZE + 8,
            expected=f"at most {len(data) - _OPTIONS_SIZE}",
            actual=head.Size,
        )
    device = _parsed(data[_OPTIONS_SIZE:], UUID(bytes_le=data[:_OPTIONS_SIZE]), 0)
    # What would not be written back the same way stays bytes.
    return device if device is not None and pack(device) == data else UnknownDevice(data)


def _parsed(data: bytes, options: UUID, depth: int) -> Device | None:
    head = DeviceDescriptor.unpack_from(data)
    body = data[DeviceDescriptor.SIZE : head.Size]
    if head.DeviceType == _BOOT:
        return BootDevice()
    if head.DeviceType == _PARTITION and len(body) == GptPartition.SIZE:
        gpt = GptPartition.unpack_from(body)
        if gpt.PartitionType == _GPT:
            return GptDevice(UUID(bytes_le=gpt.PartitionGuid), UUID(bytes_le=gpt.DiskGuid))
        mbr = MbrPartition.unpack_from(body)
        return MbrDevice(mbr.DiskSignature, mbr.PartitionOffset) if mbr.PartitionType == _MBR else None
    if head.DeviceType != _DISK or len(body) < RamDisk.SIZE or depth == _PATH_DEPTH:
        return None
    local = RamDisk.unpack_from(body).LocalType
    if local not in (_RAM_DISK, _FILE):
        return None
    found = _file_path(body[RamDisk.SIZE if local == _RAM_DISK else FileHead.SIZE :], depth)
    if found is None:
        return None
    return RamDiskDevice(*found, options) if local == _RAM_DISK else FileDevice(*found, options)


def _file_path(data: bytes, depth: int) -> tuple[Device, str] | None:
    if len(data) < FilePath.SIZE + DeviceDescriptor.SIZE:
        return None
    head = DeviceDescriptor.unpack_from(data, FilePath.SIZE)
    end = FilePath.SIZE + head.Size
    if head.Size < DeviceDescriptor.SIZE or end > len(data):
        return None
    parent = _parsed(data[FilePath.SIZE : end], NIL, depth + 1)
    name = data[end:]
    if parent is None or len(name) % 2:
        return None
    return parent, name.decode("utf-16-le", "surrogatepass").split("\0", 1)[0]


def to_text(device: Device) -> str:
    """The text of a device."""
    if isinstance(device, BootDevice):
        return "boot"
    if isinstance(device, GptDevice):
        return f"gpt={{{device.partition}}},{{{device.disk}}}"
    if isinstance(device, MbrDevice):
        return f"mbr={device.signature:08x},{device.offset}"
    if isinstance(device, UnknownDevice):
        return f"unknown={device.data.hex()}"
    kind = "ramdisk" if isinstance(device, RamDiskDevice) else "file"
    options = f",{{{device.options}}}" if device.options != NIL else ""
    return f"{kind}=[{to_text(device.parent)}]{device.path}{options}"


def from_text(text: str) -> Device:
    """The device of a text.

    Raises:
        DeviceError: the text is not one of a device.
    """
    try:
        device = _from_text(text.strip(), 0)
    except (Error, ValueError):
        device = None
    if device is None:
        raise DeviceError(
            "not a device",
            structure="device",
            actual=text,
            hint="write boot, gpt=PARTITION,DISK, mbr=..., ramdisk=[...]...",
        )
    return device


def _from_text(text: str, depth: int) -> Device | None:
    if text == "boot":
        return BootDevice()
    kind, _, rest = text.partition("=")
    if kind == "gpt":
        partition, _, disk = rest.partition(",")
        return GptDevice(parse_guid(partition), parse_guid(disk) if disk else NIL)
    if kind == "mbr":
        signature, _, offset = rest.partition(",")
        return MbrDevice(int(signature, 16), int(offset))
    if kind == "unknown":
        return UnknownDevice(bytes.fromhex(rest))
    found = re.fullmatch(r"(ramdisk|file)=\[(.*)\](\\[^,\]]*)(?:,(\{[^}]*\}))?", text)
    if found is None or depth == _PATH_DEPTH:
        return None
    parent = _from_text(found[2], depth + 1)
    if parent is None:
        return None
    options = parse_guid(found[4]) if found[4] else NIL
    return RamDiskDevice(parent, found[3], options) if found[1] == "ramdisk" else FileDevice(parent, found[3], options)
