"""Assembly stubs that prove what a callback preserves.

A stub fills every register that the calling convention gives to the caller with a value of its own, all bits that are
the caller's, calls a function, compares, and returns one bit for each register that differs. A boot that succeeds is no
proof: loaders and firmware hardly ever hold values in those registers across a call.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from .cpu.architecture import architecture_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cloudboot_uefi_abi.conventions import Register

#: Arguments the stub passes on; no service of UEFI has more than Blt.
ARGUMENTS: Final = 10
_MASK64: Final = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Guarded:
    """A register whose preservation a stub checks, by the bit of the stub's result. ``bits`` are compared."""

    name: str
    bits: int
    bit: int


def guarded(architecture: str) -> list[Guarded]:
    """The registers a stub checks: the convention's, then the stack pointer, then the floating-point control."""
    convention = architecture_of(architecture).convention
    names = [(register.name, register.bits) for register in convention.preserved]
    names.append((convention.stack_pointer.name, 64))
    names += _CONTROLS[architecture]
    return [Guarded(name, bits, bit) for bit, (name, bits) in enumerate(names)]


_CONTROLS: Final = {
    "amd64": [("mxcsr", 32), ("fpcw", 16)],
    "arm64": [("fpcr", 64)],
    "riscv64": [("fcsr", 32)],
    "loong64": [("fcsr", 32)],
}


def _values(register: Register, position: int) -> tuple[int, int]:
    """The low and the high half of a register's sentinel; 0 for a high half that is not checked."""
    low = 0xA5A5_0000_5A5A_0000 | position << 32 | 0x0101 * (position + 1)
    return low, (low ^ _MASK64 if register.bits > 64 else 0)


def _amd64() -> Iterator[str]:
    convention = architecture_of("amd64").convention
    integers, vectors = convention.callee_saved, convention.floating_callee_saved
    yield ".intel_syntax noprefix"
    yield '.section .text.entry,"ax"'
    yield ".globl efi_main"
    yield "efi_main:"
    for register in integers:
        yield f"push {register.name}"
    yield "sub rsp, 0x1a8"  # eight pushes and the return address: 16-byte aligned
    for index, register in enumerate(vectors):
        yield f"movdqu [rsp + {0x60 + 16 * index}], {register.name}"
    yield "mov rax, rcx"
    yield "mov r10, rdx"
    for index in range(4, ARGUMENTS):
        yield f"mov r11, [r10 + {8 * index}]"
        yield f"mov [rsp + {8 * index}], r11"
    for index, name in enumerate(("rcx", "rdx", "r8", "r9")):
        yield f"mov {name}, [r10 + {8 * index}]"
    for position, register in enumerate(integers):
        yield f"movabs {register.name}, {_values(register, position)[0]:#x}"
    for position, register in enumerate(vectors, len(integers)):
        yield f"movdqu {register.name}, [rip + value_{position}]"
    yield "ldmxcsr [rip + mxcsr_value]"
    yield "fldcw [rip + fpcw_value]"
    yield "mov [rip + kept_sp], rsp"
    yield "call rax"
    yield "xor eax, eax"
    bit = 0
    for position, register in enumerate(integers):
        yield f"movabs r10, {_values(register, position)[0]:#x}"
        yield f"cmp {register.name}, r10"
        yield from _amd64_bit("je", bit)
        bit += 1
    for position, register in enumerate(vectors, len(integers)):
        yield f"movdqu xmm0, [rip + value_{position}]"
        yield f"pcmpeqb xmm0, {register.name}"
        yield "pmovmskb r10d, xmm0"
        yield "cmp r10d, 0xffff"
        yield from _amd64_bit("je", bit)
        bit += 1
    yield "cmp rsp, [rip + kept_sp]"
    yield from _amd64_bit("je", bit)
    yield "mov rsp, [rip + kept_sp]"
    yield "stmxcsr [rip + scratch]"
    yield "mov r10d, [rip + scratch]"
    yield "xor r10d, [rip + mxcsr_value]"
    yield "test r10d, 0xffc0"  # the control bits: the status bits are volatile
    yield from _amd64_bit("jz", bit + 1)
    yield "fnstcw [rip + scratch]"
    yield "mov r10w, [rip + scratch]"
    yield "cmp r10w, [rip + fpcw_value]"
    yield from _amd64_bit("je", bit + 2)
    yield "ldmxcsr [rip + mxcsr_default]"
    yield "fninit"
    for index, register in enumerate(vectors):
        yield f"movdqu {register.name}, [rsp + {0x60 + 16 * index}]"
    yield "add rsp, 0x1a8"
    for register in reversed(integers):
        yield f"pop {register.name}"
    yield "ret"
    yield ".balign 16"
    for position, register in enumerate(vectors, len(integers)):
        low, high = _values(register, position)
        yield f"value_{position}: .quad {low:#x}, {high:#x}"
    yield "kept_sp: .quad 0"
    yield "scratch: .quad 0"
    yield "mxcsr_value: .long 0x9f80"  # flush to zero: not the default
    yield "mxcsr_default: .long 0x1f80"
    yield "fpcw_value: .word 0x27f"  # double precision: not the default


def _amd64_bit(jump: str, bit: int) -> Iterator[str]:
    yield f"{jump} 1f"
    yield f"bts rax, {bit}"
    yield "1:"


def _arm64() -> Iterator[str]:
    convention = architecture_of("arm64").convention
    integers, vectors, platform = (
        convention.callee_saved, convention.floating_callee_saved, convention.untouched,
    )  # fmt: skip
    whole = (*integers, *platform)
    yield '.section .text.entry,"ax"'
    yield ".globl efi_main"
    yield "efi_main:"
    yield "sub sp, sp, #0x140"
    yield "str x30, [sp, #0x40]"
    for index, register in enumerate(whole):
        yield f"str {register.name}, [sp, #{0x50 + 8 * index}]"
    for index, register in enumerate(vectors):
        yield f"str {register.name}, [sp, #{0xC0 + 8 * index}]"
    yield "mov x16, x0"
    yield "mov x17, x1"
    for index in range(8, ARGUMENTS):
        yield f"ldr x9, [x17, #{8 * index}]"
        yield f"str x9, [sp, #{8 * (index - 8)}]"
    for index in range(8):
        yield f"ldr x{index}, [x17, #{8 * index}]"
    order = (*integers, *vectors, *platform)
    for position, register in enumerate(order):
        yield f"ldr x9, ={_values(register, position)[0]:#x}"
        yield f"fmov {register.name}, x9" if register in vectors else f"mov {register.name}, x9"
    yield "mov x9, #0x400000"  # round towards plus infinity: not the default
    yield "msr fpcr, x9"
    yield "adr x9, kept_sp"
    yield "mov x10, sp"
    yield "str x10, [x9]"
    yield "blr x16"
    yield "mov x10, #0"
    for position, register in enumerate(order):
        yield f"ldr x9, ={_values(register, position)[0]:#x}"
        if register in vectors:
            yield f"fmov x11, {register.name}"
        yield f"cmp {'x11' if register in vectors else register.name}, x9"
        yield from _arm64_bit(position)
    yield "adr x9, kept_sp"
    yield "ldr x9, [x9]"
    yield "mov x11, sp"
    yield "cmp x11, x9"
    yield from _arm64_bit(len(order))
    yield "mov sp, x9"
    yield "mrs x11, fpcr"
    yield "mov x9, #0x400000"
    yield "cmp x11, x9"
    yield from _arm64_bit(len(order) + 1)
    yield "msr fpcr, xzr"
    yield "mov x0, x10"
    for index, register in enumerate(vectors):
        yield f"ldr {register.name}, [sp, #{0xC0 + 8 * index}]"
    for index, register in enumerate(whole):
        yield f"ldr {register.name}, [sp, #{0x50 + 8 * index}]"
    yield "ldr x30, [sp, #0x40]"
    yield "add sp, sp, #0x140"
    yield "ret"
    yield ".ltorg"
    yield ".balign 8"
    yield "kept_sp: .quad 0"


def _arm64_bit(bit: int) -> Iterator[str]:
    yield "b.eq 1f"
    yield f"orr x10, x10, #{1 << bit:#x}"
    yield "1:"


def _riscv64() -> Iterator[str]:
    convention = architecture_of("riscv64").convention
    integers, vectors, platform = (
        convention.callee_saved, convention.floating_callee_saved, convention.untouched,
    )  # fmt: skip
    whole = (*integers, *platform)
    yield ".option norelax"
    yield '.section .text.entry,"ax"'
    yield ".globl efi_main"
    yield "efi_main:"
    yield "addi sp, sp, -0x140"
    yield "sd ra, 0x40(sp)"
    for index, register in enumerate(whole):
        yield f"sd {register.name}, {0x50 + 8 * index}(sp)"
    for index, register in enumerate(vectors):
        yield f"fsd {register.name}, {0xC8 + 8 * index}(sp)"
    yield "mv t1, a0"
    yield "mv t2, a1"
    for index in range(8, ARGUMENTS):
        yield f"ld t0, {8 * index}(t2)"
        yield f"sd t0, {8 * (index - 8)}(sp)"
    for index in range(8):
        yield f"ld a{index}, {8 * index}(t2)"
    order = (*integers, *vectors, *platform)
    for position, register in enumerate(order):
        yield f"li t0, {_values(register, position)[0]:#x}"
        yield f"fmv.d.x {register.name}, t0" if register in vectors else f"mv {register.name}, t0"
    yield "li t0, 3"  # round towards plus infinity: not the default
    yield "fsrm t0"
    yield "lla t0, kept_sp"
    yield "sd sp, 0(t0)"
    yield "jalr t1"
    yield "li t2, 0"
    for position, register in enumerate(order):
        yield f"li t0, {_values(register, position)[0]:#x}"
        if register in vectors:
            yield f"fmv.x.d t3, {register.name}"
        yield f"beq {'t3' if register in vectors else register.name}, t0, 1f"
        yield from _riscv64_bit(position)
    yield "lla t0, kept_sp"
    yield "ld t0, 0(t0)"
    yield "beq sp, t0, 1f"
    yield from _riscv64_bit(len(order))
    yield "mv sp, t0"
    yield "frrm t0"
    yield "li t3, 3"
    yield "beq t0, t3, 1f"
    yield from _riscv64_bit(len(order) + 1)
    yield "fsrm zero"
    yield "mv a0, t2"
    for index, register in enumerate(vectors):
        yield f"fld {register.name}, {0xC8 + 8 * index}(sp)"
    for index, register in enumerate(whole):
        yield f"ld {register.name}, {0x50 + 8 * index}(sp)"
    yield "ld ra, 0x40(sp)"
    yield "addi sp, sp, 0x140"
    yield "ret"
    yield ".balign 8"
    yield "kept_sp: .dword 0"


def _riscv64_bit(bit: int) -> Iterator[str]:
    yield f"li t4, {1 << bit:#x}"
    yield "or t2, t2, t4"
    yield "1:"


def _loong64() -> Iterator[str]:
    convention = architecture_of("loong64").convention
    integers, vectors, platform = (
        convention.callee_saved, convention.floating_callee_saved, convention.untouched,
    )  # fmt: skip
    whole = (*integers, *platform)
    yield '.section .text.entry,"ax"'
    yield ".globl efi_main"
    yield "efi_main:"
    yield "addi.d $sp, $sp, -0x140"
    yield "st.d $ra, $sp, 0x40"
    for index, register in enumerate(whole):
        yield f"st.d ${register.name}, $sp, {0x50 + 8 * index}"
    for index, register in enumerate(vectors):
        yield f"fst.d ${register.name}, $sp, {0xC8 + 8 * index}"
    yield "move $t1, $a0"
    yield "move $t2, $a1"
    for index in range(8, ARGUMENTS):
        yield f"ld.d $t0, $t2, {8 * index}"
        yield f"st.d $t0, $sp, {8 * (index - 8)}"
    for index in range(8):
        yield f"ld.d $a{index}, $t2, {8 * index}"
    order = (*integers, *vectors, *platform)
    for position, register in enumerate(order):
        yield f"li.d $t0, {_values(register, position)[0]:#x}"
        yield f"movgr2fr.d ${register.name}, $t0" if register in vectors else f"move ${register.name}, $t0"
    yield "li.w $t0, 0x200"  # round towards plus infinity: not the default
    yield "movgr2fcsr $fcsr0, $t0"
    yield "la.local $t0, kept_sp"
    yield "st.d $sp, $t0, 0"
    yield "jirl $ra, $t1, 0"
    yield "move $t2, $zero"
    for position, register in enumerate(order):
        yield f"li.d $t0, {_values(register, position)[0]:#x}"
        if register in vectors:
            yield f"movfr2gr.d $t3, ${register.name}"
        yield f"beq {'$t3' if register in vectors else f'${register.name}'}, $t0, 1f"
        yield from _loong64_bit(position)
    yield "la.local $t0, kept_sp"
    yield "ld.d $t0, $t0, 0"
    yield "beq $sp, $t0, 1f"
    yield from _loong64_bit(len(order))
    yield "move $sp, $t0"
    yield "movfcsr2gr $t0, $fcsr0"
    yield "andi $t0, $t0, 0x31f"  # rounding and enables: the flags and causes are volatile
    yield "li.w $t3, 0x200"
    yield "beq $t0, $t3, 1f"
    yield from _loong64_bit(len(order) + 1)
    yield "movgr2fcsr $fcsr0, $zero"
    yield "move $a0, $t2"
    for index, register in enumerate(vectors):
        yield f"fld.d ${register.name}, $sp, {0xC8 + 8 * index}"
    for index, register in enumerate(whole):
        yield f"ld.d ${register.name}, $sp, {0x50 + 8 * index}"
    yield "ld.d $ra, $sp, 0x40"
    yield "addi.d $sp, $sp, 0x140"
    yield "jr $ra"
    yield ".balign 8"
    yield "kept_sp: .dword 0"


def _loong64_bit(bit: int) -> Iterator[str]:
    yield f"li.d $t4, {1 << bit:#x}"
    yield "or $t2, $t2, $t4"
    yield "1:"


_WRITERS: Final[dict[str, Callable[[], Iterator[str]]]] = {
    "amd64": _amd64,
    "arm64": _arm64,
    "riscv64": _riscv64,
    "loong64": _loong64,
}


def stub(architecture: str) -> str:
    """The assembly of the stub ``uint64_t (function, uint64_t arguments[10])`` for the GNU assembler."""
    return "\n".join(_WRITERS[architecture]()) + "\n"
