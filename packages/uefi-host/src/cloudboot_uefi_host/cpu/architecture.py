"""What differs between the processors UEFI runs on, as data."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

from cloudboot_base import UsageError
from cloudboot_uefi_abi.constants import Machine
from cloudboot_uefi_abi.conventions import CONVENTIONS, StackSlot

if TYPE_CHECKING:
    from cloudboot_uefi_abi.conventions import CallingConvention

#: Bytes from one trap to the next.
TRAP_SIZE: Final = 16


@dataclass(frozen=True)
class Architecture:
    r"""A processor architecture.

    ``machine`` is the machine type in a PE header, ``removable_name`` the file name in ``\EFI\BOOT`` (UEFI 2.10
    section 3.5.1.1), ``ram_base`` where RAM starts. ``trap_code`` is the code of one trap: the instruction the back end
    stops at, ``trap_size`` bytes long, then a return. ``registers`` are those a report shows, ``counter_frequency`` is
    that of the time counter in Hz: amd64's time stamp counter at 1 GHz, QEMU's for the others. ``runtime_alignment`` is
    the granularity of runtime memory in bytes (section 2.3.6), ``max_memory`` the bytes in one piece from ``ram_base``.
    """

    name: str
    machine: Machine
    removable_name: str
    ram_base: int
    pc: str
    trap_code: bytes
    trap_size: int
    registers: tuple[str, ...]
    counter_frequency: int
    runtime_alignment: int = 4096
    max_memory: int = 1 << 40

    @cached_property
    def convention(self) -> CallingConvention:
        """How functions are called."""
        return CONVENTIONS[self.machine]

    @cached_property
    def arguments(self) -> tuple[str, ...]:
        """The registers of the first arguments."""
        return tuple(register.name for register in self.convention.integer_arguments)

    @cached_property
    def result(self) -> str:
        """The register of the returned value."""
        return self.convention.return_value.name

    @cached_property
    def sp(self) -> str:
        """The stack pointer."""
        return self.convention.stack_pointer.name

    @cached_property
    def link(self) -> str | None:
        """The register of the return address; ``None`` where the call pushes it."""
        register = self.convention.return_address
        return None if register is None else register.name

    @cached_property
    def stack_arguments(self) -> int:
        """Where the first argument on the stack is at the callee's entry, in bytes from the stack pointer."""
        place = self.convention.place(len(self.arguments))
        return place.offset if isinstance(place, StackSlot) else 0


def _numbered(prefix: str, first: int, last: int) -> tuple[str, ...]:
    return tuple(f"{prefix}{number}" for number in range(first, last + 1))


AMD64: Final = Architecture(
    name="amd64",
    machine=Machine.AMD64,
    removable_name="BOOTX64.EFI",
    ram_base=0,
    pc="rip",
    trap_code=b"\xf4\xc3",  # hlt; ret
    trap_size=1,
    counter_frequency=1_000_000_000,
    registers=(
        "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp",
        "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "rip", "rflags",
    ),
    max_memory=3 << 30,  # above, up to 4 GiB, a PC has its devices: the local APIC, the I/O APIC
)  # fmt: skip

ARM64: Final = Architecture(
    name="arm64",
    machine=Machine.ARM64,
    removable_name="BOOTAA64.EFI",
    ram_base=0x4000_0000,
    pc="pc",
    trap_code=bytes.fromhex("1f2003d5c0035fd6"),  # nop; ret
    trap_size=4,
    counter_frequency=62_500_000,
    registers=(*_numbered("x", 0, 30), "sp", "pc", "nzcv"),
    runtime_alignment=65536,
)

RISCV64: Final = Architecture(
    name="riscv64",
    machine=Machine.RISCV64,
    removable_name="BOOTRISCV64.EFI",
    ram_base=0x8000_0000,
    pc="pc",
    trap_code=bytes.fromhex("1300000067800000"),  # nop; ret
    trap_size=4,
    counter_frequency=10_000_000,
    registers=(*_numbered("x", 1, 31), "pc"),
)

LOONG64: Final = Architecture(
    name="loong64",
    machine=Machine.LOONGARCH64,
    removable_name="BOOTLOONGARCH64.EFI",
    ram_base=0x20_0000,
    pc="pc",
    trap_code=bytes.fromhex("000040032000004c"),  # nop; jr ra
    trap_size=4,
    counter_frequency=100_000_000,
    registers=(*_numbered("r", 1, 31), "pc"),
    max_memory=252 << 20,
)

ARCHITECTURES: Final = {each.name: each for each in (AMD64, ARM64, RISCV64, LOONG64)}


def architecture_of(name: str) -> Architecture:
    """The architecture called ``name``.

    Raises:
        UsageError: no such architecture is known.
    """
    found = ARCHITECTURES.get(name)
    if found is None:
        raise UsageError(f"{name!r} is not an architecture", hint=f"one of {', '.join(ARCHITECTURES)}")
    return found
