"""SBAT metadata: which generation of which component an image is (shim's SBAT.md; UEFI 2.10 does not define it)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from cloudboot_base.lightdata import dataclass
from cloudboot_uefi_abi.errors import PEError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .image import PEImage

__all__ = ["SbatEntry", "pack_sbat", "parse_sbat", "sbat"]

SECTION: Final = ".sbat"
_FIELDS: Final = 6
_LINE_ENDS: Final = re.compile(r"[\r\n]+")


@dataclass(frozen=True, slots=True)
class SbatEntry:
    """One component: its generation is what a revocation list compares."""

    component: str
    generation: int
    vendor: str
    package: str
    version: str
    url: str


def parse_sbat(data: bytes, *, offset: int = 0) -> tuple[SbatEntry, ...]:
    """The entries of an ``.sbat`` section: lines of six fields with commas between, up to a null byte.

    They are read as shim reads them: a byte order mark is passed over, quotation marks are ordinary characters, and
    fields after the sixth are ignored. ``offset`` is where the data start in the image, for errors.

    Raises:
        PEError: a line has fewer fields, or a generation is not a positive number.
    """
    text = data.partition(b"\0")[0].decode("utf-8", "backslashreplace").removeprefix("\ufeff")
    found = []
    for line in _LINE_ENDS.split(text):
        if not line:
            continue
        row = line.split(",")
        if len(row) < _FIELDS or not row[1].isascii() or not row[1].isdigit() or not 0 < int(row[1][:10]) < 1 << 31:
            raise PEError(
                "not an SBAT entry",
                structure=SECTION, field=row[0], offset=offset,
                expected="component,generation,vendor,package,version,url", actual=",".join(row),
            )  # fmt: skip
        found.append(SbatEntry(row[0], int(row[1]), *row[2:_FIELDS]))
    return tuple(found)


def pack_sbat(entries: Sequence[SbatEntry]) -> bytes:
    """The section that :func:`parse_sbat` reads.

    Raises:
        PEError: a field has a comma or a line break.
    """
    lines = []
    for entry in entries:
        fields = [entry.component, str(entry.generation), entry.vendor, entry.package, entry.version, entry.url]
        for field in fields:
            if set(field) & set(',"\r\n\0'):
                raise PEError("a field of an SBAT entry has a mark of its own", structure=SECTION, actual=field)
        lines.append(",".join(fields))
    return "".join(f"{line}\n" for line in lines).encode()


def sbat(image: PEImage) -> tuple[SbatEntry, ...] | None:
    """The image's SBAT entries, or ``None`` where it has no ``.sbat`` section; raises as :func:`parse_sbat`."""
    section = image.section(SECTION)
    if section is None:
        return None
    return parse_sbat(bytes(image.section_data(section)), offset=section.header.PointerToRawData)
