"""Base relocations of a PE image (PE/COFF section 5.6)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from cloudboot_base.lightdata import dataclass
from cloudboot_records import Cursor, OpenEnum
from cloudboot_uefi_abi.errors import PEError
from cloudboot_uefi_abi.layout.records import IMAGE_BASE_RELOCATION

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from typing_extensions import Buffer

__all__ = ["Relocation", "RelocationType", "apply_relocations", "iter_relocations", "pack_relocations"]


class RelocationType(OpenEnum):
    """What a relocation changes (PE/COFF section 5.6.2)."""

    ABSOLUTE = 0
    HIGH = 1
    LOW = 2
    HIGHLOW = 3
    DIR64 = 10


@dataclass(frozen=True, slots=True)
class Relocation:
    """A place that holds an address: ``rva`` in bytes from the image's base."""

    rva: int
    type: RelocationType


_WIDTH = {RelocationType.HIGH: 2, RelocationType.LOW: 2, RelocationType.HIGHLOW: 4, RelocationType.DIR64: 8}
_FORMAT = {2: "<H", 4: "<I", 8: "<Q"}


def iter_relocations(data: Buffer, *, rva: int = 0) -> Iterator[Relocation]:
    """The relocations of a ``.reloc`` directory, whose bytes ``data`` are; padding entries are passed over.

    ``rva`` is where the directory is in the image, for errors.

    Raises:
        PEError: a block is smaller than its header, or its size is odd.
        TruncatedError: a block leaves the directory.
    """
    cursor = Cursor(data, base=rva, structure="IMAGE_BASE_RELOCATION")
    while cursor.remaining >= IMAGE_BASE_RELOCATION.SIZE:
        start = cursor.offset
        block = cursor.record(IMAGE_BASE_RELOCATION)
        size = block.SizeOfBlock - IMAGE_BASE_RELOCATION.SIZE
        if size < 0 or size % 2:
            raise PEError(
                "a relocation block's size is not that of its entries",
                structure="IMAGE_BASE_RELOCATION", field="SizeOfBlock", offset=start,
                expected="8 and a multiple of 2", actual=block.SizeOfBlock,
            )  # fmt: skip
        for (entry,) in struct.iter_unpack("<H", cursor.view(size)):
            if entry >> 12 != RelocationType.ABSOLUTE:
                yield Relocation(block.VirtualAddress + (entry & 0xFFF), RelocationType(entry >> 12))


def apply_relocations(image: bytearray, relocations: Iterable[Relocation], delta: int) -> int:
    """Add ``delta`` (the load address less ImageBase) at every relocation; the count of them is returned.

    Raises:
        PEError: a relocation leaves the image, or is of a type no 64-bit UEFI image uses.
    """
    count = 0
    for relocation in relocations:
        width = _WIDTH.get(relocation.type)
        if width is None:
            raise PEError(
                "unsupported type of relocation",
                structure="IMAGE_BASE_RELOCATION", field="Type", offset=relocation.rva,
                expected="ABSOLUTE, HIGH, LOW, HIGHLOW or DIR64", actual=int(relocation.type),
            )  # fmt: skip
        if relocation.rva + width > len(image):
            raise PEError(
                "a relocation leaves the image",
                structure="IMAGE_BASE_RELOCATION", offset=relocation.rva, expected=f"below {len(image) - width + 1:#x}",
            )  # fmt: skip
        form = _FORMAT[width]
        (value,) = struct.unpack_from(form, image, relocation.rva)
        added = delta >> 16 if relocation.type is RelocationType.HIGH else delta
        struct.pack_into(form, image, relocation.rva, (value + added) & (1 << 8 * width) - 1)
        count += 1
    return count


def pack_relocations(places: Iterable[int]) -> bytes:
    """A ``.reloc`` directory of 64-bit relocations at the RVAs ``places``, in blocks of one page each."""
    pages: dict[int, list[int]] = {}
    for place in sorted(places):
        pages.setdefault(place & ~0xFFF, []).append(RelocationType.DIR64 << 12 | place & 0xFFF)
    packed = bytearray()
    for page, entries in pages.items():
        if len(entries) % 2:
            entries.append(0)  # blocks start at multiples of 4
        packed += IMAGE_BASE_RELOCATION(page, IMAGE_BASE_RELOCATION.SIZE + 2 * len(entries)).pack()
        packed += struct.pack(f"<{len(entries)}H", *entries)
    return bytes(packed)
