"""Writing a small PE32+ image: headers, sections, relocations, checksum. The same input gives the same bytes."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from cloudboot_base.lightdata import dataclass
from cloudboot_uefi_abi.constants import Machine, SectionFlag, Subsystem
from cloudboot_uefi_abi.errors import PEError
from cloudboot_uefi_abi.layout.records import (
    IMAGE_DATA_DIRECTORY,
    IMAGE_DOS_HEADER,
    IMAGE_FILE_HEADER,
    IMAGE_OPTIONAL_HEADER64,
    IMAGE_SECTION_HEADER,
)

from .authenticode import checksum
from .image import PE32_PLUS, RELOCS_STRIPPED, Directory, PEImage
from .relocations import pack_relocations

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["NewSection", "write_image"]

FILE_ALIGNMENT: Final = 512
SECTION_ALIGNMENT: Final = 4096
_DIRECTORIES: Final = 16
_OPTIONAL_SIZE: Final = IMAGE_OPTIONAL_HEADER64.SIZE + _DIRECTORIES * IMAGE_DATA_DIRECTORY.SIZE
_EXECUTABLE: Final = 0x0002
_LINE_NUMBERS_STRIPPED: Final = 0x0004
_LARGE_ADDRESS_AWARE: Final = 0x0020
_NX_COMPAT: Final = 0x0100
CODE: Final = SectionFlag.CODE | SectionFlag.EXECUTE | SectionFlag.READ
DATA: Final = SectionFlag.INITIALIZED_DATA | SectionFlag.READ | SectionFlag.WRITE
CONSTANTS: Final = SectionFlag.INITIALIZED_DATA | SectionFlag.READ
_RELOCATIONS: Final = SectionFlag.INITIALIZED_DATA | SectionFlag.READ | SectionFlag.DISCARDABLE


@dataclass(frozen=True, slots=True)
class NewSection:
    """A section to write.

    ``rva`` is a multiple of 4096; ``virtual_size`` in bytes is the size of the data unless zeros follow it in memory.
    """

    name: str
    rva: int
    data: bytes
    flags: SectionFlag
    virtual_size: int = 0

    @property
    def extent(self) -> int:
        """Bytes in memory."""
        return max(self.virtual_size, len(self.data))


def _up(value: int, alignment: int) -> int:
    return -(-value // alignment) * alignment


def write_image(
    machine: Machine,
    sections: Sequence[NewSection],
    entry_point: int,
    *,
    relocations: Iterable[int] = (),
    subsystem: Subsystem = Subsystem.EFI_APPLICATION,
    image_base: int = 0,
    timestamp: int = 0,
) -> bytes:
    """The file of an image.

    Args:
        machine: the processor.
        sections: in the order of their RVAs; a ``.reloc`` section is added behind them where there are relocations.
        entry_point: its RVA.
        relocations: the RVAs of 64-bit addresses that are relative to ``image_base``.
        subsystem: what kind of UEFI image it is.
        image_base: the address the image is linked for.
        timestamp: seconds since 1970; zero keeps the file reproducible.

    Raises:
        PEError: sections overlap, are not aligned, have a name of more than 8 bytes or nothing in them, or the entry
            point is in none of them.
    """
    places = list(relocations)
    written = list(sections)
    if places:
        last = max((section.rva + section.extent for section in written), default=0)
        block = pack_relocations(places)
        written.append(NewSection(".reloc", _up(last, SECTION_ALIGNMENT), block, _RELOCATIONS))
    table_end = IMAGE_DOS_HEADER.SIZE + 4 + IMAGE_FILE_HEADER.SIZE + _OPTIONAL_SIZE
    headers_size = _up(table_end + len(written) * IMAGE_SECTION_HEADER.SIZE, FILE_ALIGNMENT)
    _check(written, headers_size, entry_point)
    body, table = bytearray(), bytearray()
    for section in written:
        raw = _up(len(section.data), FILE_ALIGNMENT)
        start = headers_size + len(body) if raw else 0
        name = section.name.encode("ascii")
        table += IMAGE_SECTION_HEADER(
            name.ljust(8, b"\0"), section.extent, section.rva, raw, start, Characteristics=int(section.flags)
        ).pack()
        body += section.data.ljust(raw, b"\0")
    directories = bytearray(_DIRECTORIES * IMAGE_DATA_DIRECTORY.SIZE)
    if places:
        reloc = written[-1]
        struct.pack_into("<II", directories, Directory.BASE_RELOCATION * 8, reloc.rva, len(reloc.data))
    head = _headers(
        machine,
        written,
        entry_point,
        subsystem=subsystem,
        image_base=image_base,
        timestamp=timestamp,
        headers_size=headers_size,
        stripped=not places,
    )
    file = bytearray((head + directories + table).ljust(headers_size, b"\0") + body)
    image = PEImage.parse(file)
    struct.pack_into("<I", file, image.optional_offset + 64, checksum(image))
    return bytes(file)


def _headers(
    machine: Machine,
    sections: Sequence[NewSection],
    entry_point: int,
    *,
    subsystem: Subsystem,
    image_base: int,
    timestamp: int,
    headers_size: int,
    stripped: bool,
) -> bytes:
    def sizes(flag: SectionFlag) -> int:
        return sum(_up(len(section.data), FILE_ALIGNMENT) for section in sections if section.flags & flag)

    # An image without relocations can still be loaded anywhere if it has no absolute address, which UEFI's loaders
    # take from the flag being clear; so it is set only where there is an ImageBase to insist on.
    flags = _EXECUTABLE | _LINE_NUMBERS_STRIPPED | _LARGE_ADDRESS_AWARE
    if stripped and image_base:
        flags |= RELOCS_STRIPPED
    file = IMAGE_FILE_HEADER(
        machine, len(sections), timestamp, 0, 0,
        _OPTIONAL_SIZE, flags,
    )  # fmt: skip
    last = max(section.rva + section.extent for section in sections)
    code = min((section.rva for section in sections if section.flags & SectionFlag.CODE), default=0)
    optional = IMAGE_OPTIONAL_HEADER64(
        Magic=PE32_PLUS,
        SizeOfCode=sizes(SectionFlag.CODE),
        SizeOfInitializedData=sizes(SectionFlag.INITIALIZED_DATA),
        AddressOfEntryPoint=entry_point,
        BaseOfCode=code,
        ImageBase=image_base,
        SectionAlignment=SECTION_ALIGNMENT,
        FileAlignment=FILE_ALIGNMENT,
        SizeOfImage=_up(last, SECTION_ALIGNMENT),
        SizeOfHeaders=headers_size,
        Subsystem=subsystem,
        DllCharacteristics=_NX_COMPAT,
        NumberOfRvaAndSizes=_DIRECTORIES,
    )
    dos = IMAGE_DOS_HEADER(b"MZ", e_lfanew=IMAGE_DOS_HEADER.SIZE)
    return dos.pack() + b"PE\0\0" + file.pack() + optional.pack()


def _check(sections: Sequence[NewSection], headers_size: int, entry_point: int) -> None:
    free = _up(headers_size, SECTION_ALIGNMENT)
    for index, section in enumerate(sections):
        where: dict[str, int | str] = {"section": index, "name": section.name}
        if section.rva % SECTION_ALIGNMENT or section.rva < free:
            raise PEError(
                "a section is not aligned, or overlaps what is before it",
                structure="IMAGE_SECTION_HEADER", field="VirtualAddress", expected=f"at least {free:#x}",
                actual=section.rva, where=where,
            )  # fmt: skip
        if not section.name.isascii() or len(section.name) > 8 or not section.extent:
            raise PEError(
                "a section has a name of more than 8 bytes, or nothing in it",
                structure="IMAGE_SECTION_HEADER", field="Name", actual=section.name, where=where,
            )  # fmt: skip
        free = _up(section.rva + section.extent, SECTION_ALIGNMENT)
    if not any(section.rva <= entry_point < section.rva + section.extent for section in sections):
        raise PEError(
            "the entry point is in no section",
            structure="IMAGE_OPTIONAL_HEADER64", field="AddressOfEntryPoint", actual=entry_point,
        )  # fmt: skip
