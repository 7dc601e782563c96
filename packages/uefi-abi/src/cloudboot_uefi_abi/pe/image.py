"""Reading a PE32+ image: headers, sections, data directories, and the image as it is in memory.

What is refused is what EDK2's loader refuses (MdePkg/Library/BasePeCoffLib), which is what makes it read or write
outside the file or the image. Fields that no loader reads are kept and not judged.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final

from cloudboot_base.lightdata import dataclass
from cloudboot_records import Cursor
from cloudboot_uefi_abi.constants import Machine, SectionFlag, Subsystem
from cloudboot_uefi_abi.errors import PEError
from cloudboot_uefi_abi.layout.records import (
    IMAGE_DATA_DIRECTORY,
    IMAGE_DOS_HEADER,
    IMAGE_FILE_HEADER,
    IMAGE_OPTIONAL_HEADER64,
    IMAGE_SECTION_HEADER,
)

from .relocations import Relocation, apply_relocations, iter_relocations

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["DataDirectory", "Directory", "PEImage", "Section"]

PE32: Final = 0x10B
PE32_PLUS: Final = 0x20B
RELOCS_STRIPPED: Final = 0x0001
_MAX_DIRECTORIES: Final = 16
_MAX_SECTIONS: Final = 96  # what Windows' loader accepts; a UEFI image has fewer than twenty


class Directory(enum.IntEnum):
    """The data directories by index (PE/COFF section 2.4.3)."""

    EXPORT = 0
    IMPORT = 1
    RESOURCE = 2
    EXCEPTION = 3
    CERTIFICATE = 4
    BASE_RELOCATION = 5
    DEBUG = 6


@dataclass(frozen=True, slots=True)
class DataDirectory:
    """Where a directory is: an RVA, or for CERTIFICATE a file offset; both numbers in bytes."""

    address: int
    size: int


@dataclass(frozen=True, slots=True)
class Section:
    """A section: ``header`` as in the file, ``header_offset`` in bytes from the file's start."""

    header: IMAGE_SECTION_HEADER
    header_offset: int

    @property
    def name(self) -> str:
        """The name without its padding; bytes outside ASCII are escaped."""
        return self.header.Name.rstrip(b"\0").decode("ascii", "backslashreplace")

    @property
    def copied(self) -> int:
        """Bytes a loader copies from the file; the rest of the section is zero.

        A ``VirtualSize`` of zero means the raw size.
        """
        header = self.header
        return min(header.SizeOfRawData, header.VirtualSize) if header.VirtualSize else header.SizeOfRawData

    @property
    def extent(self) -> int:
        """Bytes the section takes in memory."""
        return self.header.VirtualSize or self.header.SizeOfRawData

    @property
    def flags(self) -> SectionFlag:
        """The characteristics."""
        return SectionFlag(self.header.Characteristics)


@dataclass(frozen=True)
class PEImage:
    """A PE32+ file, its headers read and its sections checked against both the file and the image.

    ``optional_offset`` is where the optional header starts in the file, in bytes.
    """

    data: memoryview
    dos: IMAGE_DOS_HEADER
    file: IMAGE_FILE_HEADER
    optional: IMAGE_OPTIONAL_HEADER64
    optional_offset: int
    directories: tuple[DataDirectory, ...]
    sections: tuple[Section, ...]

    @classmethod
    def parse(cls, data: Buffer) -> PEImage:
        """Read the headers of a PE32+ file.

        Raises:
            PEError: not a PE32+ image, or one whose headers or sections contradict the file or each other.
            TruncatedError: the file ends inside its headers.
        """
        view = memoryview(data).cast("B").toreadonly()
        cursor = Cursor(view, structure="IMAGE_DOS_HEADER")
        dos = cursor.record(IMAGE_DOS_HEADER)
        if dos.e_magic != b"MZ":
            raise PEError(
                "not a PE image",
                structure="IMAGE_DOS_HEADER",
                field="e_magic",
                offset=0,
                expected=b"MZ",
                actual=dos.e_magic,
            )
        start = dos.e_lfanew
        head = cursor.at(start, structure="IMAGE_NT_HEADERS64")
        signature = head.take(4)
        if signature != b"PE\0\0":
            raise PEError(
                "not a PE image",
                structure="IMAGE_NT_HEADERS64", field="Signature", offset=start, expected=b"PE\0\0", actual=signature,
            )  # fmt: skip
        file = head.record(IMAGE_FILE_HEADER)
        optional_offset = head.offset
        magic = head.at(head.position, 2).u16()
        if magic != PE32_PLUS:
            kind = "a 32-bit image (PE32)" if magic == PE32 else "an image of another kind"
            raise PEError(
                f"{kind} for {Machine(file.Machine).title}, not a 64-bit image (PE32+)",
                structure="IMAGE_OPTIONAL_HEADER64", field="Magic", offset=optional_offset,
                expected=hex(PE32_PLUS), actual=hex(magic),
                hint="images for amd64, arm64, riscv64 and loong64 are 64-bit images",
            )  # fmt: skip
        optional = head.record(IMAGE_OPTIONAL_HEADER64)
        directories = _directories(head, file, optional, optional_offset)
        table = cursor.at(optional_offset + file.SizeOfOptionalHeader, structure="IMAGE_SECTION_HEADER")
        sections = _sections(table, file)
        image = cls(view, dos, file, optional, optional_offset, directories, sections)
        _check_sizes(image)
        return image

    @property
    def machine(self) -> Machine:
        """The processor the image is for."""
        return Machine(self.file.Machine)

    @property
    def subsystem(self) -> Subsystem:
        """Application, boot services driver, runtime driver, or what else the image says it is."""
        return Subsystem(self.optional.Subsystem)

    @property
    def entry_point(self) -> int:
        """The RVA of the entry point, in bytes; 0 where the image has none."""
        return self.optional.AddressOfEntryPoint

    @property
    def size_of_image(self) -> int:
        """Bytes the image takes in memory, headers included."""
        return self.optional.SizeOfImage

    @property
    def alignment(self) -> int:
        """The alignment of the sections in memory, in bytes."""
        return self.optional.SectionAlignment

    def directory(self, which: Directory) -> DataDirectory | None:
        """A data directory, or ``None`` where the image has none of that kind."""
        if which >= len(self.directories) or not self.directories[which].size:
            return None
        return self.directories[which]

    def directory_offset(self, which: Directory) -> int:
        """Where the entry of a data directory is in the file, in bytes."""
        return self.optional_offset + IMAGE_OPTIONAL_HEADER64.SIZE + which * IMAGE_DATA_DIRECTORY.SIZE

    def section(self, name: str) -> Section | None:
        """The first section of that name."""
        return next((section for section in self.sections if section.name == name), None)

    def section_data(self, section: Section) -> memoryview:
        """The bytes a loader copies for ``section``, not copied."""
        start = section.header.PointerToRawData
        return self.data[start : start + section.copied]

    def mapped(self, *, limit: int = 1 << 30) -> bytearray:
        """The image as it is in memory at ImageBase: headers and sections in place, ``size_of_image`` bytes.

        Raises:
            PEError: the image would take more than ``limit`` bytes.
        """
        if self.size_of_image > limit:
            raise PEError(
                "the image is larger than the limit",
                structure="IMAGE_OPTIONAL_HEADER64", field="SizeOfImage", offset=self.optional_offset + 56,
                expected=f"at most {limit}", actual=self.size_of_image,
            )  # fmt: skip
        image = bytearray(self.size_of_image)
        headers = min(self.optional.SizeOfHeaders, len(self.data))
        image[:headers] = self.data[:headers]
        for section in self.sections:
            start = section.header.VirtualAddress
            image[start : start + section.copied] = self.section_data(section)
        return image

    def relocations(self, image: Buffer | None = None) -> list[Relocation]:
        """The base relocations; ``image`` is the mapped image, where the caller has it already.

        Raises:
            PEError: the directory is malformed, or leaves the image.
        """
        directory = self.directory(Directory.BASE_RELOCATION)
        if directory is None:
            return []
        mapped = memoryview(self.mapped() if image is None else image).cast("B")
        if directory.address + directory.size > len(mapped):
            raise PEError(
                "the relocation directory leaves the image",
                structure="IMAGE_DATA_DIRECTORY", field="BASE_RELOCATION",
                offset=self.directory_offset(Directory.BASE_RELOCATION),
                expected=f"at most {len(mapped)}", actual=directory.address + directory.size,
            )  # fmt: skip
        window = mapped[directory.address : directory.address + directory.size]
        return list(iter_relocations(window, rva=directory.address))

    def load(self, base: int, *, limit: int = 1 << 30) -> bytearray:
        """The image as it is in memory at ``base``, relocated; ``limit`` as for :meth:`mapped`.

        Raises:
            PEError: the image cannot be relocated to ``base``, or :meth:`mapped` or :meth:`relocations` refuse it.
        """
        image = self.mapped(limit=limit)
        delta = base - self.optional.ImageBase
        if not delta:
            return image
        if self.file.Characteristics & RELOCS_STRIPPED:
            raise PEError(
                "the image has no relocations and its base is taken",
                structure="IMAGE_FILE_HEADER", field="Characteristics", offset=self.optional_offset - 2,
                expected=f"base {self.optional.ImageBase:#x}", actual=base,
            )  # fmt: skip
        apply_relocations(image, self.relocations(image), delta)
        return image


def _directories(
    head: Cursor, file: IMAGE_FILE_HEADER, optional: IMAGE_OPTIONAL_HEADER64, offset: int
) -> tuple[DataDirectory, ...]:
    count = optional.NumberOfRvaAndSizes
    if count > _MAX_DIRECTORIES:
        raise PEError(
            "too many data directories",
            structure="IMAGE_OPTIONAL_HEADER64", field="NumberOfRvaAndSizes", offset=offset + 108,
            expected=f"at most {_MAX_DIRECTORIES}", actual=count,
        )  # fmt: skip
    size = IMAGE_OPTIONAL_HEADER64.SIZE + count * IMAGE_DATA_DIRECTORY.SIZE
    if file.SizeOfOptionalHeader != size:
        raise PEError(
            "the optional header's size is not that of its fields and data directories",
            structure="IMAGE_FILE_HEADER", field="SizeOfOptionalHeader", offset=offset - 4,
            expected=size, actual=file.SizeOfOptionalHeader,
        )  # fmt: skip
    records = (head.record(IMAGE_DATA_DIRECTORY) for _ in range(count))
    return tuple(DataDirectory(record.VirtualAddress, record.Size) for record in records)


def _sections(table: Cursor, file: IMAGE_FILE_HEADER) -> tuple[Section, ...]:
    if file.NumberOfSections > _MAX_SECTIONS:
        raise PEError(
            "too many sections",
            structure="IMAGE_FILE_HEADER", field="NumberOfSections", expected=f"at most {_MAX_SECTIONS}",
            actual=file.NumberOfSections,
        )  # fmt: skip
    found = []
    for _ in range(file.NumberOfSections):
        offset = table.offset
        found.append(Section(table.record(IMAGE_SECTION_HEADER), offset))
    return tuple(found)


def _check_sizes(image: PEImage) -> None:
    """Every section and the certificate table inside the file, sections and entry point inside the image."""
    optional, offset = image.optional, image.optional_offset
    table_end = offset + image.file.SizeOfOptionalHeader + IMAGE_SECTION_HEADER.SIZE * len(image.sections)
    if not table_end <= optional.SizeOfHeaders <= min(len(image.data), optional.SizeOfImage):
        raise PEError(
            "the headers do not hold the section table, or leave the file or the image",
            structure="IMAGE_OPTIONAL_HEADER64", field="SizeOfHeaders", offset=offset + 60,
            expected=f"{table_end} to {min(len(image.data), optional.SizeOfImage)}", actual=optional.SizeOfHeaders,
        )  # fmt: skip
    if optional.AddressOfEntryPoint >= optional.SizeOfImage:
        raise PEError(
            "the entry point leaves the image",
            structure="IMAGE_OPTIONAL_HEADER64", field="AddressOfEntryPoint", offset=offset + 16,
            expected=f"below {optional.SizeOfImage:#x}", actual=optional.AddressOfEntryPoint,
        )  # fmt: skip
    if optional.SectionAlignment == 0:
        raise PEError(
            "the alignment of sections is zero",
            structure="IMAGE_OPTIONAL_HEADER64", field="SectionAlignment", offset=offset + 32,
            expected="a power of two", actual=0,
        )  # fmt: skip
    table = image.directory(Directory.CERTIFICATE)
    if table is not None and table.address + table.size > len(image.data):
        raise PEError(
            "the certificate table leaves the file",
            structure="IMAGE_DATA_DIRECTORY", field="CERTIFICATE", offset=image.directory_offset(Directory.CERTIFICATE),
            expected=f"an end of at most {len(image.data)}", actual=table.address + table.size,
        )  # fmt: skip
    for index, section in enumerate(image.sections):
        header = section.header
        where: dict[str, int | str] = {"section": index, "name": section.name}
        if header.VirtualAddress + section.extent > optional.SizeOfImage:
            raise PEError(
                "a section leaves the image",
                structure="IMAGE_SECTION_HEADER", field="VirtualAddress", offset=section.header_offset + 12,
                expected=f"an end of at most {optional.SizeOfImage:#x}",
                actual=header.VirtualAddress + section.extent, where=where,
            )  # fmt: skip
        if not header.SizeOfRawData:
            continue
        if header.PointerToRawData + header.SizeOfRawData > len(image.data):
            raise PEError(
                "a section leaves the file",
                structure="IMAGE_SECTION_HEADER", field="PointerToRawData", offset=section.header_offset + 20,
                expected=f"an end of at most {len(image.data):#x}",
                actual=header.PointerToRawData + header.SizeOfRawData, where=where,
            )  # fmt: skip
        for field, at in (("VirtualAddress", 12), ("PointerToRawData", 20)):
            if getattr(header, field) < optional.SizeOfHeaders:
                raise PEError(
                    "a section is inside the headers",
                    structure="IMAGE_SECTION_HEADER", field=field, offset=section.header_offset + at,
                    expected=f"at least {optional.SizeOfHeaders:#x}", actual=getattr(header, field), where=where,
                )  # fmt: skip
