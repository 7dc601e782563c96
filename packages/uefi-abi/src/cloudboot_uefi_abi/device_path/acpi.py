"""ACPI device path nodes (UEFI 2.10 section 10.3.3)."""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING, ClassVar, Final, Self

from cloudboot_base.lightdata import dataclass

from .arguments import is_plain
from .node import LayoutError, Node, keyword, node

if TYPE_CHECKING:
    from collections.abc import Callable

    from .arguments import Arguments

__all__ = ["Acpi", "AcpiAdr", "AcpiExtended", "NvdimmAcpiAdr", "eisa_id", "eisa_text"]

_PNP: Final = 0x41D0
_NAMES: Final = {
    0x0A03: "PciRoot", 0x0A08: "PcieRoot", 0x0604: "Floppy", 0x0301: "Keyboard", 0x0501: "Serial",
    0x0401: "ParallelPort",
}  # fmt: skip
_EISA = re.compile(r"([@-_a-z]{3})([0-9a-fA-F]{4})")
_HID = re.compile(r"0[xX][0-9a-fA-F]{1,8}|[0-9]{1,10}")


def eisa_id(text: str) -> int:
    """``"PNP0A03"`` -> 0x0A0341D0: three letters of five bits in the low half, four digits in the high half.

    Raises:
        ValueError: the text is not three letters and four hexadecimal digits.
    """
    found = _EISA.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not an EISA identifier")
    first, second, third = (ord(letter) - 0x40 & 0x1F for letter in found[1])
    return int(found[2], 16) << 16 | first << 10 | second << 5 | third


def eisa_text(value: int) -> str:
    """0x0A0341D0 -> ``"PNP0A03"``; bit 15 is not part of the text."""
    letters = "".join(chr(0x40 + (value >> shift & 0x1F)) for shift in (10, 5, 0))
    return f"{letters}{value >> 16:04X}"


def _is_eisa(value: int) -> bool:
    return not value & 0x8000


@node(2, 1)
@dataclass(frozen=True, slots=True)
class Acpi(Node):
    """A device by its _HID (a compressed EISA identifier) and _UID."""

    hid: int
    uid: int

    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<II")

    def _plain(self) -> str:
        """``PciRoot(0x0)``, ``Acpi(PNP0C0F,0x3)``, or ``Acpi(0x12345678,0x3)`` where the _HID is not a PNP number."""
        if self.hid & 0xFFFF != _PNP:
            return f"Acpi(0x{self.hid:08X},0x{self.uid:X})"
        name = _NAMES.get(self.hid >> 16)
        if name is None:
            return f"Acpi(PNP{self.hid >> 16:04X},0x{self.uid:X})"
        return f"{name}(0x{self.uid:X})"


def _named(number: int) -> Callable[[Arguments], Node]:
    def read(arguments: Arguments) -> Node:
        return Acpi(number << 16 | _PNP, arguments.integer(32, 0))

    return read


for _number, _name in _NAMES.items():
    keyword(_name)(_named(_number))


def _hid(arguments: Arguments, default: str | None = None) -> int:
    text = arguments.word(default)
    if _HID.fullmatch(text) and not _EISA.fullmatch(text):
        value = int(text, 16 if text[:2] in {"0x", "0X"} else 10)
        if value <= 0xFFFFFFFF:
            return value
    try:
        return eisa_id(text)
    except ValueError:
        raise arguments.error("not an EISA identifier", actual=text) from None


@keyword("Acpi")
def _acpi(arguments: Arguments) -> Node:
    return Acpi(_hid(arguments), arguments.integer(32, 0))


@node(2, 2)
@dataclass(frozen=True, slots=True)
class AcpiExtended(Node):
    """A device by _HID, _UID and _CID, each as a number or as a string; an empty string leaves the number."""

    hid: int
    uid: int
    cid: int
    hid_string: str = ""
    uid_string: str = ""
    cid_string: str = ""

    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<III")

    @classmethod
    def unpack(cls, body: bytes) -> Self:
        """Three numbers, then three strings, each ended by a null."""
        strings = body[12:].split(b"\0")
        if len(body) < 15 or len(strings) != 4 or strings[3]:
            raise LayoutError
        return cls(*cls.LAYOUT.unpack(body[:12]), *(text.decode("latin-1") for text in strings[:3]))

    def body(self) -> bytes:
        """The numbers and the strings."""
        strings = (self.hid_string, self.uid_string, self.cid_string)
        return self._packed(self.LAYOUT, self.hid, self.uid, self.cid) + b"".join(
            text.encode("latin-1") + b"\0" for text in strings
        )

    def _plain(self) -> str:
        """``AcpiEx(HID,CID,UID,HIDSTR,CIDSTR,UIDSTR)``, or ``AcpiExp(HID,CID,UIDSTR)`` where only UIDSTR is given."""
        if self._uid_string_only():
            return self._expanded()
        hid, cid = eisa_text(self.hid), eisa_text(self.cid)
        return f"AcpiEx({hid},{cid},0x{self.uid:X},{self.hid_string},{self.cid_string},{self.uid_string})"

    def _displayed(self) -> str:
        """``PciRoot(UIDSTR)`` and ``PcieRoot(UIDSTR)`` for root bridges, and strings in place of the numbers."""
        roots = {value >> 16 for value in (self.hid, self.cid) if value & 0xFFFF == _PNP}
        if 0x0A03 in roots and self.hid >> 16 != 0x0A08:
            return f"PciRoot({self.uid_string})"
        if 0x0A08 in roots:
            return f"PcieRoot({self.uid_string})"
        if self._uid_string_only():
            return self._expanded()
        hid, cid = self.hid_string or eisa_text(self.hid), self.cid_string or eisa_text(self.cid)
        return f"AcpiEx({hid},{cid},{self.uid_string or f'0x{self.uid:X}'})"

    def _uid_string_only(self) -> bool:
        return bool(self.uid_string) and not self.hid_string and not self.cid_string

    def _expanded(self) -> str:
        return f"AcpiExp({eisa_text(self.hid)},{eisa_text(self.cid) if self.cid else '0'},{self.uid_string})"

    def is_lossless(self) -> bool:
        """Identifiers of three letters, strings that fit into an argument, and no _UID that AcpiExp leaves out."""
        strings = (self.hid_string, self.uid_string, self.cid_string)
        return (
            _is_eisa(self.hid)
            and _is_eisa(self.cid)
            and not (self._uid_string_only() and self.uid)
            and all(is_plain(text) and text == text.strip(" ") for text in strings)
        )


@keyword("AcpiEx")
def _acpi_extended(arguments: Arguments) -> Node:
    hid, cid, uid = _hid(arguments, "0"), _hid(arguments, "0"), arguments.integer(32, 0)
    hid_string, cid_string, uid_string = arguments.word(""), arguments.word(""), arguments.word("")
    return AcpiExtended(hid, uid, cid, hid_string, uid_string, cid_string)


@keyword("AcpiExp")
def _acpi_expanded(arguments: Arguments) -> Node:
    hid, cid = _hid(arguments), _hid(arguments, "0")
    return AcpiExtended(hid, 0, cid, "", arguments.word(""), "")


@node(2, 3)
@dataclass(frozen=True, slots=True)
class AcpiAdr(Node):
    """Display devices by their _ADR."""

    addresses: tuple[int, ...]

    @classmethod
    def unpack(cls, body: bytes) -> Self:
        """One 32-bit number or more."""
        if not body or len(body) % 4:
            raise LayoutError
        return cls(struct.unpack(f"<{len(body) // 4}I", body))

    def body(self) -> bytes:
        """The numbers."""
        return self._packed(struct.Struct(f"<{len(self.addresses)}I"), *self.addresses)

    def _plain(self) -> str:
        """``AcpiAdr(0x80010100,0x80010200)``."""
        return f"AcpiAdr({','.join(f'0x{address:X}' for address in self.addresses)})"


@keyword("AcpiAdr")
def _acpi_adr(arguments: Arguments) -> Node:
    addresses = [arguments.integer(32)]
    while arguments.remaining:
        addresses.append(arguments.integer(32))
    return AcpiAdr(tuple(addresses))


@node(2, 4)
@dataclass(frozen=True, slots=True)
class NvdimmAcpiAdr(Node):
    """A non-volatile memory module by its NFIT device handle."""

    handle: int

    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<I")

    def _plain(self) -> str:
        """``NvdimmAcpiAdr(0x11)``."""
        return f"NvdimmAcpiAdr(0x{self.handle:X})"


@keyword("NvdimmAcpiAdr")
def _nvdimm_acpi(arguments: Arguments) -> Node:
    return NvdimmAcpiAdr(arguments.integer(32))
