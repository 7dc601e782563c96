"""The state UEFI promises to a program on amd64 (UEFI 2.10 section 2.3.4).

Long mode with paging on and an identity mapping, a flat GDT, one stack, SSE enabled. Interrupts are enabled, and the
timer's is the only one: no program sees it, but HLT waits for it.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from cloudboot_uefi_host.memory import GuestMemory

#: Selectors as EDK2 sets them: programs that save and reload them get segments that mean the same.
CODE_SELECTOR: Final = 0x38
DATA_SELECTOR: Final = 0x30
_DATA32, _CODE32, _CODE64 = 0x00CF92000000FFFF, 0x00CF9A000000FFFF, 0x00AF9A000000FFFF
_GDT = (0, _DATA32, _CODE32, _DATA32, _CODE32, 0, _DATA32, _CODE64)
_PRESENT_WRITABLE, _LARGE = 0x3, 0x80
_TABLE = 4096

CR0: Final = 0x80010033
"""PG, WP, NE, ET, MP, PE."""
CR4: Final = 0x668
"""PAE, OSFXSR, OSXMMEXCPT, and DE and MCE as EDK2 sets them."""
EFER: Final = 0x500
"""LME, LMA."""
MXCSR: Final = 0x1F80
FPU_CONTROL: Final = 0x37F
"""All exceptions masked, double extended precision, round to nearest (section 2.3.4.2)."""


#: Memory type range registers as firmware of a PC leaves them: everything is write-back, but the window of the display
#: adapter and the ROMs from 640 KiB on (Intel SDM volume 3, section 12.11). Caches are not emulated.
_MTRR_DEFAULT, _WRITE_BACK = 0x2FF, 0x0606060606060606
_ENABLED_WRITE_BACK: Final = 0xC06
_FIXED_BELOW_640K: Final = (0x250, 0x258)
MODEL_REGISTERS: Final = ((_MTRR_DEFAULT, _ENABLED_WRITE_BACK), *((each, _WRITE_BACK) for each in _FIXED_BELOW_640K))
"""Model-specific registers and their values."""
#: Registers that Unicorn's processor has with the wrong content: the host's time, and nothing.
TIME_STAMP, APIC_BASE = 0x10, 0x1B
APIC_ENABLED: Final = 0xFEE00900
"""The local APIC is at its place and enabled, and this processor is the first (Intel SDM volume 3, section 11.4.4)."""
FLAGS: Final = 0x202
"""Interrupts are enabled."""
INTERRUPT_FLAG: Final = 0x200
#: Where the descriptor tables are, and in front of the page tables the firmware's handlers of exceptions.
GDT: Final = 0x1000
HANDLERS: Final = range(0x1100, 0x1200)
IDT: Final = 0x2000
PAGE_TABLES: Final = 0x3000
_HLT: Final = b"\xf4"


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


UNDEFINED, DOUBLE_FAULT, GENERAL_PROTECTION, PAGE_FAULT = 6, 8, 13, 14
WITH_ERROR_CODE: Final = frozenset({8, 10, 11, 12, 13, 14, 17, 21})
#: The bits of a page fault's error code.
PAGE_PRESENT, PAGE_WRITE, PAGE_FETCH = 0x01, 0x02, 0x10
_GATE: Final = struct.Struct("<HHBBHII")
_PRESENT, _INTERRUPT_GATE, _TRAP_GATE = 0x80, 0xE, 0xF
_TRAP_FLAG, _INTERRUPT_FLAG, _NESTED_TASK, _RESUME = 0x100, 0x200, 0x4000, 0x10000
_INTERRUPT_STACKS: Final = 0x24
"""Where IST1 stands in the task state segment."""


def handlers() -> bytes:
    """The code of the firmware's handlers, a byte for each vector: the processor stops there."""
    return _HLT * len(HANDLERS)


def idt() -> bytes:
    """The firmware's interrupt descriptor table, whose gates lead to :data:`HANDLERS`: programs copy and change it."""
    return b"".join(_GATE.pack(handler, CODE_SELECTOR, 0, _PRESENT | _INTERRUPT_GATE, 0, 0, 0) for handler in HANDLERS)


class Frame(NamedTuple):
    """What an exception finds: the values that are pushed."""

    ip: int
    cs: int
    flags: int
    sp: int
    ss: int


class Entry(NamedTuple):
    """What an exception's handler begins with."""

    ip: int
    cs: int
    flags: int
    sp: int


def deliver(
    memory: GuestMemory, exception: tuple[int, int], table: tuple[int, int], task: int, frame: Frame
) -> Entry | None:
    """Enter a program's handler of an exception in long mode (Intel SDM volume 3, section 6.14).

    Args:
        memory: the RAM; the program's tables and stacks are mapped one to one.
        exception: the vector and the error code.
        table: base and limit of the interrupt descriptor table.
        task: the base of the task state segment.
        frame: the interrupted state.

    Returns:
        The state that the handler begins with; ``None`` if the table has no gate for it.

    Raises:
        GuestPointerError: a table or the stack is outside memory.
    """
    (number, error), (base, limit) = exception, table
    if _GATE.size * number + _GATE.size - 1 > limit:
        return None
    low, selector, stack, kind, middle, high, _ = _GATE.unpack(memory.read(base + _GATE.size * number, _GATE.size))
    if not kind & _PRESENT or kind & 0xF not in {_INTERRUPT_GATE, _TRAP_GATE}:
        return None
    sp = memory.u64(task + _INTERRUPT_STACKS + 8 * ((stack & 7) - 1)) if stack & 7 else frame.sp
    values = [frame.ip, frame.cs, frame.flags, frame.sp, frame.ss]
    if number in WITH_ERROR_CODE:
        values.insert(0, error)
    sp = (sp & ~15) - 8 * len(values)
    memory.write(sp, struct.pack(f"<{len(values)}Q", *values))
    flags = frame.flags & ~(_TRAP_FLAG | _NESTED_TASK | _RESUME)
    if kind & 0xF == _INTERRUPT_GATE:
        flags &= ~_INTERRUPT_FLAG
    return Entry(low | middle << 16 | high << 32, selector, flags, sp)
