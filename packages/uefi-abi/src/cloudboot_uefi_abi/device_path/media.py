"""Media and BIOS boot specification nodes (UEFI 2.10 sections 10.3.5 and 10.3.6)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, ClassVar, Final, Self

from cloudboot_base.lightdata import dataclass
from cloudboot_uefi_abi.guids import GUIDS

from .arguments import guid_from, guid_text, is_plain
from .hardware import VendorNode
from .node import KEYWORDS, LayoutError, Node, keyword, node

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from .arguments import Arguments

__all__ = ["Bbs", "CdRom", "FilePath", "Firmware", "FirmwareFile", "FirmwareVolume", "HardDrive", "MediaProtocol"]
__all__ += ["Offset", "RamDisk", "VendorMedia"]

_NIL: Final = bytes(16)


@node(4, 1)
@dataclass(frozen=True, slots=True)
class HardDrive(Node):
    """A partition: number from 1, first block and count of blocks, signature, partition format, signature type.

    ``signature`` is 16 bytes: a GUID of ``bytes_le``, or the MBR's 32-bit signature and zeros. ``mbr_type`` is 1 for an
    MBR and 2 for a GPT; ``signature_type`` 0 for none, 1 for an MBR signature, 2 for a GUID.
    """

    partition: int
    start: int
    size: int
    signature: bytes
    mbr_type: int = 2
    signature_type: int = 2

    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<IQQ16sBB")

    @classmethod
    def gpt(cls, partition: int, start: int, size: int, guid: UUID) -> Self:
        """A partition of a GPT, by its unique GUID."""
        return cls(partition, start, size, guid.bytes_le)

    @classmethod
    def mbr(cls, partition: int, start: int, size: int, signature: int) -> Self:
        """A partition of an MBR, by the disk's 32-bit signature."""
        return cls(partition, start, size, struct.pack("<I12x", signature), 1, 1)

    @property
    def guid(self) -> UUID | None:
        """The partition's GUID, or ``None`` where the signature is not one."""
        return guid_from(self.signature) if self.signature_type == 2 else None

    def _plain(self) -> str:
        """``HD(1,GPT,C10DDB00-...,0x800,0x8000)``."""
        return f"HD({self._named()},0x{self.start:X},0x{self.size:X})"

    def _displayed(self) -> str:
        """Without start and size."""
        return f"HD({self._named()})"

    def _named(self) -> str:
        if self.signature_type == 2:
            return f"{self.partition},GPT,{guid_text(guid_from(self.signature))}"
        if self.signature_type == 1:
            return f"{self.partition},MBR,0x{int.from_bytes(self.signature[:4], 'little'):08X}"
        return f"{self.partition},{self.signature_type},0"

    def is_lossless(self) -> bool:
        """The format agrees with the signature's type, and nothing follows an MBR's signature."""
        if self.signature_type == 2:
            return self.mbr_type == 2
        if self.signature_type == 1:
            return self.mbr_type == 1 and self.signature[4:] == _NIL[4:]
        return self.mbr_type == 0 and self.signature == _NIL


@keyword("HD")
def _hard_drive(arguments: Arguments) -> Node:
    partition, kind = arguments.integer(32, 0), arguments.choice({"MBR": 1, "GPT": 2}, 8, 2)
    if kind == 2:
        signature, format_ = arguments.guid().bytes_le, 2
    elif kind == 1:
        signature, format_ = struct.pack("<I12x", arguments.integer(32)), 1
    else:
        arguments.word("0")
        signature, format_ = _NIL, 0
    return HardDrive(partition, arguments.integer(64), arguments.integer(64), signature, format_, kind)


@node(4, 2)
@dataclass(frozen=True, slots=True)
class CdRom(Node):
    """An El Torito boot entry, with its first block and count of blocks."""

    entry: int
    start: int
    size: int

    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<IQQ")

    def _plain(self) -> str:
        """``CDROM(0x1,0x50,0x1000)``."""
        return f"CDROM(0x{self.entry:X},0x{self.start:X},0x{self.size:X})"

    def _displayed(self) -> str:
        """The entry only."""
        return f"CDROM(0x{self.entry:X})"


@keyword("CDROM")
def _cdrom(arguments: Arguments) -> Node:
    return CdRom(arguments.integer(32, 0), arguments.integer(64), arguments.integer(64))


@node(4, 3)
@dataclass(frozen=True, slots=True)
class VendorMedia(VendorNode):
    """Vendor-defined media."""

    NAME: ClassVar[str] = "VenMedia"


@keyword("VenMedia")
def _vendor_media(arguments: Arguments) -> Node:
    return VendorMedia(arguments.guid(), arguments.hexdump(default=""))


@node(4, 4)
@dataclass(frozen=True, slots=True)
class FilePath(Node):
    r"""A path in a file system, with ``\`` between names."""

    path: str

    @classmethod
    def unpack(cls, body: bytes) -> Self:
        """UTF-16 text and its null."""
        if len(body) < 2 or len(body) % 2 or body[-2:] != b"\0\0":
            raise LayoutError
        path = body[:-2].decode("utf-16-le", "surrogatepass")
        if "\0" in path:
            raise LayoutError
        return cls(path)

    def body(self) -> bytes:
        """The text and its null."""
        return self.path.encode("utf-16-le", "surrogatepass") + b"\0\0"

    def _plain(self) -> str:
        """The path itself."""
        return self.path

    def is_lossless(self) -> bool:
        """Nothing in the path ends a node, an instance or an argument list, and it does not look like a node."""
        path = self.path
        if not path or path[0] == "(" or "/" in path or "," in path:
            return False
        if not _balanced(path) or (path[-1] == ")" and path.partition("(")[0] in KEYWORDS):
            return False
        return path.isascii() or not any("\ud800" <= each <= "\udfff" for each in path)


@keyword("File")
def _file(arguments: Arguments) -> Node:
    r"""``File(\EFI\BOOT\BOOTX64.EFI)``, which is not in the specification, but what efibootmgr prints."""
    path = arguments.rest()
    if "\0" in path:
        raise arguments.error("a file's path has no null character")
    return FilePath(path)


def _balanced(text: str) -> bool:
    if "(" not in text and ")" not in text:
        return True
    depth = 0
    for each in text:
        depth += (each == "(") - (each == ")")
        if depth < 0:
            return False
    return depth == 0


@dataclass(frozen=True, slots=True)
class Firmware(Node):
    """A node that holds a GUID and nothing else."""

    guid: UUID

    NAME: ClassVar[str]

    @classmethod
    def unpack(cls, body: bytes) -> Self:
        """Sixteen bytes of GUID."""
        if len(body) != 16:
            raise LayoutError
        return cls(guid_from(body))

    def body(self) -> bytes:
        """The GUID."""
        return self.guid.bytes_le

    def _plain(self) -> str:
        """``Fv(7CB8BDC9-...)``."""
        return f"{self.NAME}({guid_text(self.guid)})"


@node(4, 5)
@dataclass(frozen=True, slots=True)
class MediaProtocol(Firmware):
    """A protocol that the device path names, such as a file system's."""

    NAME: ClassVar[str] = "Media"


@node(4, 6)
@dataclass(frozen=True, slots=True)
class FirmwareFile(Firmware):
    """A file of a firmware volume (PI 1.8 volume 2 section 8.3)."""

    NAME: ClassVar[str] = "FvFile"


@node(4, 7)
@dataclass(frozen=True, slots=True)
class FirmwareVolume(Firmware):
    """A firmware volume (PI 1.8 volume 2 section 8.2)."""

    NAME: ClassVar[str] = "Fv"


def _guid_only(kind: type[Firmware]) -> Callable[[Arguments], Node]:
    return lambda arguments: kind(arguments.guid())


for _kind in (MediaProtocol, FirmwareFile, FirmwareVolume):
    keyword(_kind.NAME)(_guid_only(_kind))


@node(4, 8)
@dataclass(frozen=True, slots=True)
class Offset(Node):
    """A range of offsets, first and last, in bytes."""

    reserved: int
    start: int
    end: int

    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<IQQ")

    def _plain(self) -> str:
        """``Offset(0x10,0x20)``."""
        return f"Offset(0x{self.start:X},0x{self.end:X})"

    def is_lossless(self) -> bool:
        """The reserved field is zero."""
        return not self.reserved


@keyword("Offset")
def _offset(arguments: Arguments) -> Node:
    return Offset(0, arguments.integer(64), arguments.integer(64))


_DISKS: Final = {
    "VirtualDisk": GUIDS["EFI_VIRTUAL_DISK"],
    "VirtualCD": GUIDS["EFI_VIRTUAL_CD"],
    "PersistentVirtualDisk": GUIDS["EFI_PERSISTENT_VIRTUAL_DISK"],
    "PersistentVirtualCD": GUIDS["EFI_PERSISTENT_VIRTUAL_CD"],
}
_DISK_NAMES: Final = {guid: name for name, guid in _DISKS.items()}


@node(4, 9)
@dataclass(frozen=True, slots=True)
class RamDisk(Node):
    """A RAM disk: first and last address, type, instance."""

    start: int
    end: int
    disk_type: UUID
    instance: int = 0

    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<QQ16sH")

    @classmethod
    def unpack(cls, body: bytes) -> Self:
        """The fields, the type as a GUID."""
        if len(body) != cls.LAYOUT.size:
            raise LayoutError
        start, end, guid, instance = cls.LAYOUT.unpack(body)
        return cls(start, end, guid_from(guid), instance)

    def body(self) -> bytes:
        """The fields."""
        return self._packed(self.LAYOUT, self.start, self.end, self.disk_type.bytes_le, self.instance)

    def _plain(self) -> str:
        """``VirtualDisk(0x1000,0x1FFF,0)``, or ``RamDisk(...)`` with the type's GUID."""
        name = _DISK_NAMES.get(self.disk_type)
        kind = "" if name else f",{guid_text(self.disk_type)}"
        return f"{name or 'RamDisk'}(0x{self.start:X},0x{self.end:X},{self.instance}{kind})"


@keyword("RamDisk")
def _ram_disk(arguments: Arguments) -> Node:
    start, end, instance = arguments.integer(64), arguments.integer(64), arguments.integer(16, 0)
    return RamDisk(start, end, arguments.guid(), instance)


def _typed_disk(guid: UUID) -> Callable[[Arguments], Node]:
    return lambda arguments: RamDisk(arguments.integer(64), arguments.integer(64), guid, arguments.integer(16, 0))


for _disk, _guid in _DISKS.items():
    keyword(_disk)(_typed_disk(_guid))

_BBS_TYPES: Final = {"Floppy": 1, "HD": 2, "CDROM": 3, "PCMCIA": 4, "USB": 5, "Network": 6}
_BBS_NAMES: Final = {number: name for name, number in _BBS_TYPES.items()}


@node(5, 1)
@dataclass(frozen=True, slots=True)
class Bbs(Node):
    """A legacy boot device: its type, status flags, description (bytes outside ASCII as Latin-1)."""

    device_type: int
    status_flags: int
    description: str

    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<HH")

    @classmethod
    def unpack(cls, body: bytes) -> Self:
        """The numbers, then text and its null."""
        if len(body) < 5 or body[-1] or b"\0" in body[4:-1]:
            raise LayoutError
        kind, flags = cls.LAYOUT.unpack(body[:4])
        return cls(kind, flags, body[4:-1].decode("latin-1"))

    def body(self) -> bytes:
        """The numbers and the text."""
        return (
            self._packed(self.LAYOUT, self.device_type, self.status_flags) + self.description.encode("latin-1") + b"\0"
        )

    def _plain(self) -> str:
        """``BBS(HD,disk,0x0)``."""
        return f"BBS({self._named()},0x{self.status_flags:X})"

    def _displayed(self) -> str:
        """Without the flags."""
        return f"BBS({self._named()})"

    def _named(self) -> str:
        return f"{_BBS_NAMES.get(self.device_type) or f'0x{self.device_type:X}'},{self.description}"

    def is_lossless(self) -> bool:
        """The description fits into an argument."""
        return is_plain(self.description) and self.description == self.description.strip(" ")


@keyword("BBS")
def _bbs(arguments: Arguments) -> Node:
    kind, description = arguments.choice(_BBS_TYPES, 16), arguments.word("")
    return Bbs(kind, arguments.integer(16, 0), description)
