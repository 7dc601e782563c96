"""Instructions whose result differs from run to run, found in code so that a back end can give them a fixed one.

A time counter read by RDTSC, RDTSCP, RDMSR or ``csrr time`` is host time in an emulator. Unicorn has no hook for those
instructions, only for addresses: each block of code is searched when it is translated, before it runs, wherever the
program got it from, and the addresses found get a hook. A byte sequence that is data, or the middle of another
instruction, is never executed, so its hook never runs.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

RDMSR: bytes = b"\x0f\x32"
_COUNTERS = re.compile(rb"\x0f[\x31\x32]|\x0f\x01\xf9", re.DOTALL)
# csrrs rd, csr, x0 for csr 0xC00 (cycle), 0xC01 (time), 0xC02 (instret): rd is bits 7 to 11.
_CSRR = re.compile(rb"[\x73\xf3][\x20-\x2f][\x00\x10\x20]\xc0", re.DOTALL)


def x86_counters(code: bytes) -> Iterator[tuple[int, int]]:
    """(offset, length) of every byte sequence of RDTSC, RDTSCP and RDMSR, which may read the same counter."""
    for found in _COUNTERS.finditer(code):
        yield found.start(), len(found.group())


def riscv_counters(code: bytes) -> Iterator[tuple[int, int]]:
    """(offset, length) of every ``csrr rd, cycle|time|instret``."""
    for found in _CSRR.finditer(code):
        if riscv_counter(found.group()) is not None:
            yield found.start(), len(found.group())


def riscv_counter(code: bytes) -> int | None:
    """The number of the destination register of ``csrr rd, cycle|time|instret``; ``None`` if it is none of them."""
    word = int.from_bytes(code, "little")
    return word >> 7 & 31 if _CSRR.fullmatch(code) and word & 0x707F == 0x2073 else None
