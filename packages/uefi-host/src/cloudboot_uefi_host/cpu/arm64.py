"""The state UEFI promises to a program on AArch64 (UEFI 2.10 section 2.3.6.1).

EL1 with the MMU and the caches on and an identity mapping, alignment checks off, floating point enabled. One table of
512 blocks of 1 GiB maps 39 bits of addresses: RAM as normal memory, what is below it as a device's.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

TABLE_SIZE: Final = 4096
"""Bytes of the translation table, which is the last page of RAM."""
_ENTRIES, _GIB = 512, 30
_BLOCK, _ACCESSED, _INNER_SHAREABLE, _NORMAL = 0x1, 1 << 10, 3 << 8, 1 << 2
_NEVER_EXECUTE: Final = 3 << 53
"""PXN and UXN."""
FLOATING_POINT: Final = 3 << 20
"""CPACR_EL1.FPEN: no traps."""


class SystemRegister(NamedTuple):
    """How an instruction names a register."""

    op0: int
    op1: int
    crn: int
    crm: int
    op2: int

    def move(self, source: int) -> bytes:
        """The instruction that sets the register from a general one (MSR)."""
        name = self.op0 << 19 | self.op1 << 16 | self.crn << 12 | self.crm << 8 | self.op2 << 5
        return struct.pack("<I", 0xD5000000 | name | source)


SCTLR: Final = SystemRegister(3, 0, 1, 0, 0)
#: Device-nGnRnE, and normal memory that is written back.
_MAIR: Final = 0xFF00
#: T0SZ: 39 bits; walks are cached, inner shareable; TTBR1 is not used; tables of 4 KiB; physical addresses of 40 bits.
_TCR: Final = 25 | 1 << 8 | 1 << 10 | 3 << 12 | 1 << 23 | 2 << 32
_RESET_CONTROL: Final = 0xC50838
"""SCTLR_EL1 of a Cortex-A72 after a reset."""
MMU, CACHES, ALIGNMENT = 1 << 0, 1 << 2 | 1 << 12, 1 << 1
"""Bits of SCTLR_EL1: M; C and I; A."""
#: Unicorn's processor has EL2 and EL3. Without these bits it translates addresses in EL1 as AArch32 does.
LOWER_IS_AARCH64: Final = (
    (SystemRegister(3, 6, 1, 1, 0), 1 << 10 | 1),  # SCR_EL3: RW, NS
    (SystemRegister(3, 4, 1, 1, 0), 1 << 31),  # HCR_EL2: RW
)


def registers(table: int) -> tuple[tuple[SystemRegister, int], ...]:
    """What is set before SCTLR_EL1: CPACR_EL1, MAIR_EL1, TCR_EL1, TTBR0_EL1."""
    return (
        (SystemRegister(3, 0, 1, 0, 2), FLOATING_POINT),
        (SystemRegister(3, 0, 10, 2, 0), _MAIR),
        (SystemRegister(3, 0, 2, 0, 2), _TCR),
        (SystemRegister(3, 0, 2, 0, 0), table),
    )


_BARRIER: Final = bytes.fromhex("df3f03d5")
"""ISB."""


def enabling(table: int) -> tuple[bytes, dict[str, int]]:
    """Instructions that put a processor of EL1 after a reset into this state, and the registers they need."""
    values = [*registers(table), (SCTLR, enabled(_RESET_CONTROL))]
    code = b"".join(register.move(source) + _BARRIER for source, (register, _) in enumerate(values))
    return code, {f"x{source}": value for source, (_, value) in enumerate(values)}


def enabled(control: int) -> int:
    """SCTLR_EL1 with MMU and caches on and no alignment checks, from what it was."""
    return (control | MMU | CACHES) & ~ALIGNMENT


def translation_table(ram: int) -> bytes:
    """A table of level 1 that maps every block of 1 GiB onto itself; RAM begins at ``ram``."""
    first = ram >> _GIB
    device = _BLOCK | _ACCESSED | _NEVER_EXECUTE
    normal = _BLOCK | _ACCESSED | _INNER_SHAREABLE | _NORMAL
    return struct.pack(
        f"<{_ENTRIES}Q", *(index << _GIB | (normal if index >= first else device) for index in range(_ENTRIES))
    )
