"""One instruction as text, for error reports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import GuestPointerError

if TYPE_CHECKING:
    from .memory import GuestMemory


def line_at(memory: GuestMemory, architecture: str, address: int) -> str:
    """The instruction at ``address`` of a machine of ``architecture``.

    It is disassembled; where capstone is not installed, its first bytes are given.
    """
    size = min(16, memory.end - address)
    try:
        code = memory.read(address, size)
    except GuestPointerError:
        return f"{address:#x}: outside memory"
    try:
        import capstone  # here: an optional dependency, 20 ms to import
    except ImportError:
        return f"{address:#x}: {code[:8].hex(' ')}"
    kinds = {
        "amd64": (capstone.CS_ARCH_X86, capstone.CS_MODE_64),
        "arm64": (capstone.CS_ARCH_ARM64, capstone.CS_MODE_ARM),
        "riscv64": (capstone.CS_ARCH_RISCV, capstone.CS_MODE_RISCV64 | capstone.CS_MODE_RISCVC),
    }
    kind = kinds.get(architecture)
    if kind is not None:
        for instruction in capstone.Cs(*kind).disasm(code, address, 1):
            return f"{address:#x}: {instruction.mnemonic} {instruction.op_str}".rstrip()
    return f"{address:#x}: {code[:8].hex(' ')}"
