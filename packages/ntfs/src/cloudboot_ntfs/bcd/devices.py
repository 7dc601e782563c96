r"""Device elements: their bytes, and their text.

The text is what ``cloudboot-bcd`` shows and takes::

    boot                                       the device that the boot manager came from
    gpt={partition GUID},{disk GUID}           a partition of a disk with a GPT
    mbr=12345678,1048576                       disk signature (hexadecimal), offset of the partition in bytes
    ramdisk=[boot]\sources\boot.wim,{GUID}     a RAM disk from a file; the GUID is the object with its options
    file=[boot]\disk.bin                       a file as a device
    vhd=[boot]\disk.vhdx,locate=custom:12000002    in a virtual disk, the partition that has the file of this element
    locate=custom:12000002                     the partition, of any disk, that has the file of this element
    unknown=0123...                            the bytes of any other kind
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from uuid import UUID

from cloudboot_base import Error
from cloudboot_base.guid import NIL, parse_guid
from cloudboot_base.lightdata import dataclass
from cloudboot_ntfs.errors import DeviceError

from .records import DeviceDescriptor, FileHead, FilePath, GptPartition, Locate, MbrPartition, RamDisk, VirtualDisk

if TYPE_CHECKING:
    from cloudboot_records import Record

_DISK, _BOOT, _PARTITION, _LOCATE = 0, 5, 6, 8
_GPT, _MBR = 0, 1
_RAM_DISK, _FILE, _VIRTUAL_DISK = 3, 5, 6
#: Flag of a descriptor whose object has further options: a RAM disk.
_HAS_OPTIONS = 1
_OPTIONS_SIZE: Final = 16
#: Bytes of a boot device and of a partition after the options GUID.
_FIXED_SIZE: Final = DeviceDescriptor.SIZE + GptPartition.SIZE
_PATH_DEPTH: Final = 4


@dataclass(frozen=True, slots=True)
class BootDevice:
    """The device that the boot manager itself came from."""


@dataclass(frozen=True, slots=True)
class GptDevice:
    """A partition of a disk with a GPT, by its unique GUID; the boot manager looks for nothing else."""

    partition: UUID
    disk: UUID = NIL


@dataclass(frozen=True, slots=True)
class MbrDevice:
    """A partition of a disk with an MBR: the disk's signature, and the first byte of the partition."""

    signature: int
    offset: int


@dataclass(frozen=True, slots=True)
class RamDiskDevice:
    """A RAM disk that is loaded from a file; ``options`` is the object with its options."""

    parent: Device
    path: str
    options: UUID = NIL


@dataclass(frozen=True, slots=True)
class FileDevice:
    """A file as a device."""

    parent: Device
    path: str
    options: UUID = NIL


@dataclass(frozen=True, slots=True)
class LocateDevice:
    """The partition that has the file whose path is in the element ``element`` of the same object.

    ``disk`` is the virtual disk to look on, a file; ``None`` stands for every disk of the machine.
    """

    element: int = 0x12000002
    disk: FileDevice | None = None


@dataclass(frozen=True, slots=True)
class UnknownDevice:
    """A device of another kind, by its bytes, options GUID included."""

    data: bytes


Device = BootDevice | GptDevice | MbrDevice | RamDiskDevice | FileDevice | LocateDevice | UnknownDevice


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
    if isinstance(device, LocateDevice):
        return _locate(device, depth)
    head: Record = RamDisk(_RAM_DISK) if isinstance(device, RamDiskDevice) else FileHead(_FILE)
    path = _descriptor(device.parent, depth + 1) + (device.path + "\0").encode("utf-16-le", "surrogatepass")
    path = FilePath(1, FilePath.SIZE + len(path), 5).pack() + path
    return _with_head(_DISK, _HAS_OPTIONS if isinstance(device, RamDiskDevice) else 0, head.pack() + path)


def _locate(device: LocateDevice, depth: int) -> bytes:
    if not 0 <= device.element < 1 << 32:
        raise DeviceError("not the number of an element", structure="Locate", field="Element", actual=device.element)
    if device.disk is None:
        return _with_head(_LOCATE, 0, Locate(0, device.element, 0, 0).pack())
    disk = _with_head(_DISK, 0, VirtualDisk(_VIRTUAL_DISK).pack() + _descriptor(device.disk, depth + 1))
    place = DeviceDescriptor.SIZE + Locate.SIZE
    return _with_head(_LOCATE, 0, Locate(0, device.element, place, 0).pack() + disk)


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
    if head.DeviceType == _LOCATE:
        return _located(body, depth)
    if head.DeviceType != _DISK or len(body) < RamDisk.SIZE or depth == _PATH_DEPTH:
        return None
    local = RamDisk.unpack_from(body).LocalType
    if local not in (_RAM_DISK, _FILE):
        return None
    found = _file_path(body[RamDisk.SIZE if local == _RAM_DISK else FileHead.SIZE :], depth)
    if found is None:
        return None
    return RamDiskDevice(*found, options) if local == _RAM_DISK else FileDevice(*found, options)


def _located(body: bytes, depth: int) -> LocateDevice | None:
    if len(body) < Locate.SIZE or depth == _PATH_DEPTH:
        return None
    locate, rest = Locate.unpack_from(body), body[Locate.SIZE :]
    if not rest:
        return LocateDevice(locate.Element)
    inner = DeviceDescriptor.SIZE + VirtualDisk.SIZE
    if len(rest) < inner + DeviceDescriptor.SIZE:
        return None
    # The whole is compared with what would be written, so what is passed over here is seen there.
    disk = _parsed(rest[inner:], NIL, depth + 1)
    return LocateDevice(locate.Element, disk) if isinstance(disk, FileDevice) else None


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
    if isinstance(device, LocateDevice):
        place = f"locate=custom:{device.element:08x}"
        return place if device.disk is None else f"vhd={to_text(device.disk).removeprefix('file=')},{place}"
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
    if kind == "locate":
        return LocateDevice(int(rest.removeprefix("custom:"), 16))
    if kind == "vhd":
        place, _, element = rest.rpartition(",locate=custom:")
        file = _from_text(f"file={place or rest}", depth + 1)
        number = int(element, 16) if place else LocateDevice().element
        return LocateDevice(number, file) if isinstance(file, FileDevice) else None
    parent_text, path = _bracketed(rest)
    if kind not in {"ramdisk", "file"} or not path.startswith("\\") or depth == _PATH_DEPTH:
        return None
    parent = _from_text(parent_text, depth + 1)
    if parent is None:
        return None
    named = re.fullmatch(r"(.*),(\{[-0-9a-fA-F]{36}\})", path)
    path, options = (named[1], parse_guid(named[2])) if named is not None else (path, NIL)
    return RamDiskDevice(parent, path, options) if kind == "ramdisk" else FileDevice(parent, path, options)


def _bracketed(text: str) -> tuple[str, str]:
    """``"[a[b]c]d"`` as ``("a[b]c", "d")``; both are empty where no bracket begins, or it does not end."""
    depth = 0
    for index, each in enumerate(text):
        depth += (each == "[") - (each == "]")
        if not depth:
            return text[1:index], text[index + 1 :]
    return "", ""
