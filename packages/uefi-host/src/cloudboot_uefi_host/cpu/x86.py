"""The state UEFI promises to a program on amd64 (UEFI 2.10 section 2.3.4).

Long mode with paging on and an identity mapping, a flat GDT, one stack, SSE enabled, interrupts off in this firmware
(no device raises any).
"""

from __future__ import annotations

import struct
from typing import Final

#: Selectors as EDK2 sets them: programs that save and reload them get segments that mean the same.
CODE_SELECTOR: Final = 0x38
DATA_SELECTOR: Final = 0x30
_DATA32, _CODE32, _CODE64 = 0x00CF92000000FFFF, 0x00CF9A000000FFFF, 0x00AF9A000000FFFF
_GDT = (0, _DATA32, _CODE32, _DATA32, _CODE32, 0, _DATA32, _CODE64)
_PRESENT_WRITABLE, _LARGE = 0x3, 0x80
_TABLE = 4096

CR0: Final = 0x80010033
"""PG, WP, NE, ET, MP, PE."""
CR4: Final = 0x620
"""PAE, OSFXSR, OSXMMEXCPT."""
EFER: Final = 0x500
"""LME, LMA."""
MXCSR: Final = 0x1F80
FPU_CONTROL: Final = 0x37F
"""All exceptions masked, double extended precision, round to nearest (section 2.3.4.2)."""


def gdt() -> bytes:
    """The global descriptor table."""
    return struct.pack(f"<{len(_GDT)}Q", *_GDT)


def page_tables(address: int, gigabytes: int) -> bytes:
    """Page tables at ``address`` that map the first ``gigabytes`` GiB onto themselves, in pages of 2 MiB."""
    pdpt = address + _TABLE
    directories = [pdpt + _TABLE * (1 + index) for index in range(gigabytes)]
    tables = [
        struct.pack("<Q", pdpt | _PRESENT_WRITABLE).ljust(_TABLE, b"\0"),
        struct.pack(f"<{gigabytes}Q", *(at | _PRESENT_WRITABLE for at in directories)).ljust(_TABLE, b"\0"),
    ]
    tables += [
        struct.pack("<512Q", *((gigabyte << 30 | index << 21) | _PRESENT_WRITABLE | _LARGE for index in range(512)))
        for gigabyte in range(gigabytes)
    ]
    return b"".join(tables)
