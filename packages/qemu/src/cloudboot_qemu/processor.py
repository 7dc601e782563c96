"""What a processor does at a moment, as QEMU's monitor shows it."""

from __future__ import annotations

import dataclasses
import re

# `info registers` and `gva2gpa` of QEMU's human monitor, x86 (target/i386/cpu-dump.c, monitor/hmp-cmds-target.c).
_RIP = re.compile(r"\b[RE]IP=([0-9a-f]{8,16})")
_LEVEL = re.compile(r"\bCPL=([0-3])")
_CONTROL = re.compile(r"\bCR([034])=([0-9a-f]{8,16})")
_HALTED = re.compile(r"\bHLT=(\d)")
_PHYSICAL = re.compile(r"gpa: (?:0x)?([0-9a-f]+)")

PAGING = 1 << 31


@dataclasses.dataclass(frozen=True, slots=True)
class Sample:
    """The state of an x86 processor at ``time``, in seconds since the machine started.

    ``physical`` is the guest physical address of the instruction (``None`` where nothing is mapped), ``level`` the
    privilege level (3: a user's program), ``cr0`` and ``cr3`` the control registers.
    """

    time: float
    instruction: int
    physical: int | None
    level: int
    cr0: int
    cr3: int
    halted: bool

    @property
    def paging(self) -> bool:
        """Whether addresses go through page tables."""
        return bool(self.cr0 & PAGING)

    def as_dict(self) -> dict[str, object]:
        """The facts, ready for JSON; addresses in hexadecimal, as everybody writes them."""
        return {
            "time": self.time,
            "instruction": f"{self.instruction:#x}",
            "physical": None if self.physical is None else f"{self.physical:#x}",
            "level": self.level,
            "cr0": f"{self.cr0:#x}",
            "cr3": f"{self.cr3:#x}",
            "halted": self.halted,
        }


def instruction_of(registers: str) -> int | None:
    """The instruction pointer in the text of ``info registers``; ``None`` where there is none (another processor)."""
    found = _RIP.search(registers)
    return None if found is None else int(found[1], 16)


def physical_of(answer: str) -> int | None:
    """The address in the text of ``gva2gpa``; ``None`` where the page is not mapped."""
    found = _PHYSICAL.search(answer)
    return None if found is None else int(found[1], 16)


def sample_of(registers: str, physical: int | None, time: float) -> Sample | None:
    """What ``info registers`` says; ``None`` where it is not the text of an x86 processor."""
    instruction = instruction_of(registers)
    control = {int(number): int(value, 16) for number, value in _CONTROL.findall(registers)}
    level, halted = _LEVEL.search(registers), _HALTED.search(registers)
    if instruction is None or level is None or 0 not in control:
        return None
    return Sample(
        time=time,
        instruction=instruction,
        physical=physical,
        level=int(level[1]),
        cr0=control[0],
        cr3=control.get(3, 0),
        halted=halted is not None and halted[1] == "1",
    )
