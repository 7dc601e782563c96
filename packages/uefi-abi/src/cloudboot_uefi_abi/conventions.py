"""The calling conventions of UEFI's 64-bit processors as data (UEFI 2.10 section 2.3).

What a callback that firmware calls must preserve is stated per register, with the number of bits that are the caller's:
all 128 of XMM6 to XMM15 under MS x64, the low 64 of V8 to V15 under AAPCS64. Register names are the assembler's.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from cloudboot_base.lightdata import dataclass

from .constants import Machine

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "AAPCS64",
    "CONVENTIONS",
    "LOONGARCH_LP64D",
    "MS_X64",
    "RISCV_LP64D",
    "CallingConvention",
    "Register",
    "StackSlot",
]


@dataclass(frozen=True, slots=True)
class Register:
    """A register, and how many of its low bits the rule is about."""

    name: str
    bits: int = 64


@dataclass(frozen=True, slots=True)
class StackSlot:
    """An argument on the stack: ``offset`` in bytes from the stack pointer at the callee's first instruction."""

    offset: int


@dataclass(frozen=True)
class CallingConvention:
    """How a function is called, and what it gives back unchanged.

    ``integer_arguments`` take integers, pointers and everything else UEFI passes; ``shadow_space`` bytes below the
    stack arguments belong to the callee. ``return_address`` is the register that holds it, or ``None`` where the call
    pushes it. At the callee's first instruction the stack pointer is ``entry_misalignment`` bytes modulo
    ``stack_alignment``. ``extends_narrow_arguments`` tells whether a caller
    must extend values narrower than a register; where it is false the upper bits hold anything. ``callee_saved`` and
    ``floating_callee_saved`` are preserved by the callee, ``untouched`` registers belong to the platform. ``state``
    lists what else is preserved or fixed, in words.
    """

    name: str
    machine: Machine
    document: str
    integer_arguments: tuple[Register, ...]
    return_value: Register
    stack_pointer: Register
    return_address: Register | None
    callee_saved: tuple[Register, ...]
    floating_callee_saved: tuple[Register, ...]
    volatile: tuple[Register, ...]
    untouched: tuple[Register, ...]
    stack_alignment: int
    entry_misalignment: int
    shadow_space: int
    extends_narrow_arguments: bool
    state: tuple[str, ...]

    def place(self, index: int) -> Register | StackSlot:
        """Where the argument ``index`` (from 0) of a prototype without floating-point arguments is.

        Variadic arguments are in the same places: none of UEFI's variadic services takes floating-point values.

        Raises:
            ValueError: ``index`` is negative.
        """
        if index < 0:
            raise ValueError(f"there is no argument {index}")
        if index < len(self.integer_arguments):
            return self.integer_arguments[index]
        pushed = 8 if self.return_address is None else 0
        return StackSlot(pushed + self.shadow_space + 8 * (index - len(self.integer_arguments)))

    @property
    def preserved(self) -> tuple[Register, ...]:
        """Every register the callee gives back unchanged: integer, floating-point, and the platform's."""
        return self.callee_saved + self.floating_callee_saved + self.untouched


def _registers(names: str, bits: int = 64) -> tuple[Register, ...]:
    return tuple(Register(name, bits) for name in names.split())


def _numbered(prefix: str, *ranges: range, bits: int = 64) -> tuple[Register, ...]:
    return tuple(Register(f"{prefix}{number}", bits) for each in ranges for number in each)


MS_X64: Final = CallingConvention(
    name="MS x64",
    machine=Machine.AMD64,
    document="UEFI 2.10 section 2.3.4; Microsoft x64 software conventions",
    integer_arguments=_registers("rcx rdx r8 r9"),
    return_value=Register("rax"),
    stack_pointer=Register("rsp"),
    return_address=None,
    callee_saved=_registers("rbx rbp rdi rsi r12 r13 r14 r15"),
    floating_callee_saved=_numbered("xmm", range(6, 16), bits=128),
    volatile=_registers("rax rcx rdx r8 r9 r10 r11") + _numbered("xmm", range(6), bits=128),
    untouched=(),
    stack_alignment=16,
    entry_misalignment=8,
    shadow_space=32,
    extends_narrow_arguments=False,
    state=(
        "the direction flag is clear at entry and at return",
        "the control bits of MXCSR and the x87 control word are preserved",
    ),
)

AAPCS64: Final = CallingConvention(
    name="AAPCS64",
    machine=Machine.ARM64,
    document="UEFI 2.10 section 2.3.6; Procedure Call Standard for the Arm 64-bit Architecture, section 6",
    integer_arguments=_numbered("x", range(8)),
    return_value=Register("x0"),
    stack_pointer=Register("sp"),
    return_address=Register("x30"),
    callee_saved=_numbered("x", range(19, 30)),
    floating_callee_saved=_numbered("d", range(8, 16)),
    volatile=_numbered("x", range(18), range(30, 31)) + _numbered("v", range(8), range(16, 32), bits=128),
    untouched=_registers("x18"),
    stack_alignment=16,
    entry_misalignment=0,
    shadow_space=0,
    extends_narrow_arguments=False,
    state=("FPCR is preserved", "d8 to d15 are the low 64 bits of v8 to v15; the high 64 bits are volatile"),
)

RISCV_LP64D: Final = CallingConvention(
    name="RISC-V LP64D",
    machine=Machine.RISCV64,
    document="UEFI 2.10 section 2.3.7; RISC-V ELF psABI, chapter 1",
    integer_arguments=_numbered("x", range(10, 18)),
    return_value=Register("x10"),
    stack_pointer=Register("x2"),
    return_address=Register("x1"),
    callee_saved=_numbered("x", range(8, 10), range(18, 28)),
    floating_callee_saved=_numbered("f", range(8, 10), range(18, 28)),
    volatile=_numbered("x", range(1, 2), range(5, 8), range(10, 18), range(28, 32))
    + _numbered("f", range(8), range(10, 18), range(28, 32)),
    untouched=_registers("x3 x4"),
    stack_alignment=16,
    entry_misalignment=0,
    shadow_space=0,
    extends_narrow_arguments=True,
    state=("x3 is gp and x4 is tp", "fcsr has thread storage duration"),
)

LOONGARCH_LP64D: Final = CallingConvention(
    name="LoongArch LP64D",
    machine=Machine.LOONGARCH64,
    document="UEFI 2.10 section 2.3.8; LoongArch ELF psABI",
    integer_arguments=_numbered("r", range(4, 12)),
    return_value=Register("r4"),
    stack_pointer=Register("r3"),
    return_address=Register("r1"),
    callee_saved=_numbered("r", range(22, 32)),
    floating_callee_saved=_numbered("f", range(24, 32)),
    volatile=_numbered("r", range(1, 2), range(4, 21)) + _numbered("f", range(24)),
    untouched=_registers("r2 r21"),
    stack_alignment=16,
    entry_misalignment=0,
    shadow_space=0,
    extends_narrow_arguments=True,
    state=("r2 is tp; r21 is reserved",),
)

CONVENTIONS: Final[Mapping[Machine, CallingConvention]] = MappingProxyType(
    {each.machine: each for each in (MS_X64, AAPCS64, RISCV_LP64D, LOONGARCH_LP64D)}
)
"""The conventions by the Machine of a PE image."""
