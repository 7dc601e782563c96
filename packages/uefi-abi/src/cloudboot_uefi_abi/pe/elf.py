"""From a position-independent ELF file to a PE32+ image, for programs built with an ELF tool chain.

What is taken: ELF64 little-endian, type ET_DYN, loadable segments, and relative relocations (DT_RELA). Anything that
needs a dynamic linker is refused.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from cloudboot_base.lightdata import dataclass
from cloudboot_records import Cursor
from cloudboot_uefi_abi.constants import Machine, SectionFlag, Subsystem
from cloudboot_uefi_abi.errors import PEError

from .writer import CODE, CONSTANTS, DATA, SECTION_ALIGNMENT, NewSection, write_image

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["image_from_elf"]

_ET_DYN, _PT_LOAD, _PT_DYNAMIC = 3, 1, 2
_DT_RELA, _DT_RELASZ, _DT_RELAENT = 7, 8, 9
_EXECUTE, _WRITE = 1, 2
_HEADER: Final = struct.Struct("<HH4xQQ16xH")  # e_type, e_machine, e_entry, e_phoff, e_phnum, from byte 16
_SEGMENT: Final = struct.Struct("<IIQQQQQQ")
_RELA: Final = struct.Struct("<QQq")
_MOST: Final = 64 << 20
# e_machine -> Machine, and the processor's R_*_RELATIVE and R_*_NONE
_MACHINES: Final = {
    62: (Machine.AMD64, 8), 183: (Machine.ARM64, 1027), 243: (Machine.RISCV64, 3), 258: (Machine.LOONGARCH64, 3),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Segment:
    flags: int
    address: int
    data: bytes
    size: int


def image_from_elf(data: Buffer, *, subsystem: Subsystem = Subsystem.EFI_APPLICATION) -> bytes:
    """The PE32+ image of a static position-independent ELF program, every address one page higher for the headers.

    Raises:
        PEError: not such an ELF file, or one with other relocations than relative ones.
        TruncatedError: the file ends inside a structure.
    """
    cursor = Cursor(data, structure="Elf64_Ehdr")
    head = cursor.take(64)
    kind, machine, entry, table, count = _HEADER.unpack_from(head, 16)
    if head[:6] != b"\x7fELF\x02\x01" or kind != _ET_DYN or machine not in _MACHINES:
        raise PEError(
            "not a position-independent 64-bit ELF file of a known processor",
            structure="Elf64_Ehdr", offset=0, expected="ELFCLASS64, ELFDATA2LSB, ET_DYN", actual=head[:20],
        )  # fmt: skip
    segments, dynamic = _segments(cursor, table, count)
    pe_machine, relative = _MACHINES[machine]
    places = _relocate(segments, dynamic, relative)
    sections = [
        NewSection(name, segment.address + SECTION_ALIGNMENT, bytes(contents), flags, segment.size)
        for (segment, contents), (name, flags) in zip(segments, _names(segments), strict=True)
    ]
    return write_image(pe_machine, sections, entry + SECTION_ALIGNMENT, relocations=places, subsystem=subsystem)


_Segments = list[tuple[_Segment, bytearray]]


def _segments(cursor: Cursor, table: int, count: int) -> tuple[_Segments, bytes]:
    found: _Segments = []
    dynamic = b""
    for index in range(count):
        entry = cursor.at(table + index * _SEGMENT.size, _SEGMENT.size, "Elf64_Phdr").rest()
        kind, flags, offset, address, _, file_size, size, _ = _SEGMENT.unpack(entry)
        if kind == _PT_DYNAMIC:
            dynamic = cursor.at(offset, file_size, "Elf64_Dyn").rest()
        if kind != _PT_LOAD or not size:
            continue
        if size < file_size or address + size > _MOST:
            raise PEError(
                "a segment is larger in the file than in memory, or ends above 64 MiB",
                structure="Elf64_Phdr", field="p_memsz", offset=table + index * _SEGMENT.size, actual=address + size,
            )  # fmt: skip
        # A segment starts anywhere in its page; what is before it in the page belongs to no other.
        lead = address % SECTION_ALIGNMENT
        contents = bytearray(lead) + cursor.at(offset, file_size, "segment").rest()
        found.append((_Segment(flags, address - lead, bytes(contents), size + lead), contents))
    return found, dynamic


def _names(segments: _Segments) -> list[tuple[str, SectionFlag]]:
    names: list[tuple[str, SectionFlag]] = []
    for segment, _ in segments:
        if segment.flags & _EXECUTE:
            names.append((".text", CODE))
        else:
            names.append((".data", DATA) if segment.flags & _WRITE else (".rodata", CONSTANTS))
    return names


def _relocate(segments: _Segments, dynamic: bytes, relative: int) -> list[int]:
    """Write every relative relocation's address into its place, and give the places' RVAs."""
    tags = dict(struct.iter_unpack("<QQ", dynamic[: len(dynamic) // 16 * 16]))
    size, table = tags.get(_DT_RELASZ, 0), tags.get(_DT_RELA, 0)
    if not size:
        return []
    if tags.get(_DT_RELAENT) != _RELA.size or size % _RELA.size:
        raise PEError("not a table of Elf64_Rela", structure="Elf64_Dyn", field="DT_RELAENT", expected=_RELA.size)
    places = []
    for offset, info, addend in _RELA.iter_unpack(bytes(_place(segments, table, size))):
        if info == 0:
            continue
        if info != relative:
            raise PEError(
                "a relocation that needs a dynamic linker",
                structure="Elf64_Rela", field="r_info", offset=table, expected=relative, actual=info,
            )  # fmt: skip
        _place(segments, offset, 8)[:] = struct.pack("<q", addend + SECTION_ALIGNMENT)
        places.append(offset + SECTION_ALIGNMENT)
    return places


def _place(segments: _Segments, address: int, size: int) -> memoryview:
    for segment, contents in segments:
        start = address - segment.address
        if start >= 0 and start + size <= segment.size:
            contents.extend(bytes(max(0, start + size - len(contents))))
            return memoryview(contents)[start : start + size]
    raise PEError("an address is in no segment", structure="Elf64_Rela", offset=address)
