"""The calling conventions, against what compilers do and what the four documents say."""

from __future__ import annotations

import re

import pytest

from cloudboot_base.testing import judge, run
from cloudboot_uefi_abi.conventions import (
    AAPCS64,
    CONVENTIONS,
    LOONGARCH_LP64D,
    MS_X64,
    RISCV_LP64D,
    CallingConvention,
    Register,
    StackSlot,
)


def names(registers: tuple[Register, ...]) -> str:
    return " ".join(register.name for register in registers)


def test_arguments() -> None:
    assert [MS_X64.place(index) for index in (0, 3, 4, 5)] == [
        Register("rcx"), Register("r9"), StackSlot(40), StackSlot(48),
    ]  # fmt: skip
    assert [AAPCS64.place(index) for index in (0, 7, 8, 9)] == [
        Register("x0"), Register("x7"), StackSlot(0), StackSlot(8),
    ]  # fmt: skip
    assert RISCV_LP64D.place(0) == Register("x10")
    assert LOONGARCH_LP64D.place(9) == StackSlot(8)
    with pytest.raises(ValueError, match="no argument"):
        AAPCS64.place(-1)


def test_preserved_registers() -> None:
    assert names(MS_X64.preserved) == (
        "rbx rbp rdi rsi r12 r13 r14 r15 xmm6 xmm7 xmm8 xmm9 xmm10 xmm11 xmm12 xmm13 xmm14 xmm15"
    )
    assert {register.bits for register in MS_X64.floating_callee_saved} == {128}
    assert names(AAPCS64.floating_callee_saved) == "d8 d9 d10 d11 d12 d13 d14 d15"
    assert names(AAPCS64.callee_saved) == "x19 x20 x21 x22 x23 x24 x25 x26 x27 x28 x29"
    assert names(RISCV_LP64D.callee_saved) == "x8 x9 x18 x19 x20 x21 x22 x23 x24 x25 x26 x27"
    assert names(RISCV_LP64D.floating_callee_saved) == "f8 f9 f18 f19 f20 f21 f22 f23 f24 f25 f26 f27"
    assert names(LOONGARCH_LP64D.callee_saved) == "r22 r23 r24 r25 r26 r27 r28 r29 r30 r31"
    assert names(LOONGARCH_LP64D.untouched) == "r2 r21"


def test_every_register_has_one_role() -> None:
    totals = {"MS x64": 31, "AAPCS64": 31, "RISC-V LP64D": 31, "LoongArch LP64D": 31}
    for convention in CONVENTIONS.values():
        integer = {*convention.callee_saved, *convention.untouched, convention.stack_pointer}
        integer |= {
            register for register in convention.volatile if register.name[0] in "rx" and "mm" not in register.name
        }
        saved = {register.name for register in convention.preserved}
        assert not saved & {register.name for register in convention.volatile}, convention.name
        expected = 16 if convention is MS_X64 else totals[convention.name] + (convention is AAPCS64)
        assert len(integer) == expected, convention.name


# A function that changes every register it may: what the compiler saves is what a callee has to preserve.
_COMPILERS = {
    MS_X64: ("gcc", "gcc", "__attribute__((ms_abi))"),
    AAPCS64: ("aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu", ""),
    RISCV_LP64D: ("riscv64-linux-gnu-gcc", "gcc-riscv64-linux-gnu", ""),
    LOONGARCH_LP64D: ("clang-19", "clang-19", ""),
}
_CHANGED = {
    MS_X64: ["rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"]
    + [f"xmm{n}" for n in range(16)],
    AAPCS64: [f"x{n}" for n in range(30) if n != 18] + [f"v{n}" for n in range(32)],
    RISCV_LP64D: [f"x{n}" for n in range(5, 32)] + [f"f{n}" for n in range(32)],
    LOONGARCH_LP64D: [f"$r{n}" for n in range(4, 32) if n != 21] + [f"$f{n}" for n in range(32)],
}
_SAVES = {
    MS_X64: r"push(?:q)?\s+%(\w+)|mova?ps\s+%(xmm\d+), ",
    AAPCS64: r"st[rp]\s+((?:[xd]\d+(?:, )?)+), \[sp",
    RISCV_LP64D: r"f?sd\s+(f?s\d+),",
    LOONGARCH_LP64D: r"f?st\.d\s+\$(f?[sp]\d*),",
}
# The assembler's names of registers (RISC-V psABI, chapter 1; LoongArch psABI, register convention).
_NAMES = {
    MS_X64: {},
    AAPCS64: {},
    RISCV_LP64D: {f"s{n}": f"x{8 + n if n < 2 else 16 + n}" for n in range(12)}
    | {f"fs{n}": f"f{8 + n if n < 2 else 16 + n}" for n in range(12)},
    LOONGARCH_LP64D: {"fp": "r22"}
    | {f"s{n}": f"r{23 + n}" for n in range(9)}
    | {f"fs{n}": f"f{24 + n}" for n in range(8)},
}


def assembled(convention: CallingConvention, source: str) -> str:
    """The assembly a compiler makes of ``source``; on amd64 and riscv64 without a frame pointer."""
    program, package, _ = _COMPILERS[convention]
    options = ["-O2", "-fno-asynchronous-unwind-tables", "-S", "-o", "-"]
    if convention is not AAPCS64:
        options.append("-fomit-frame-pointer")
    if convention is LOONGARCH_LP64D:
        options.append("--target=loongarch64-linux-gnu")
    return run(judge(program, package), *options, "-xc", "-", stdin=source.encode())


@pytest.mark.parametrize("convention", _COMPILERS, ids=lambda each: each.name)
def test_a_compiler_saves_the_registers_that_are_callee_saved(convention: CallingConvention) -> None:
    clobbers = ", ".join(f'"{name}"' for name in _CHANGED[convention])
    attribute = _COMPILERS[convention][2]
    source = f'{attribute} void f(void) {{ __asm__ volatile ("" ::: {clobbers}); }}'
    # GCC does not take x29 for clobbered; a function that calls others saves it, with the return address.
    text = assembled(convention, f"{source} {attribute} void g(void); {attribute} void h(void) {{ g(); g(); }}")
    saved = {
        _NAMES[convention].get(name, name)
        for found in re.findall(_SAVES[convention], text)
        for group in ([found] if isinstance(found, str) else found)
        for name in re.findall(r"\w+", group)
    }
    saved -= {convention.return_address.name if convention.return_address else ""}
    assert saved == {register.name for register in convention.callee_saved + convention.floating_callee_saved}


@pytest.mark.parametrize("convention", _COMPILERS, ids=lambda each: each.name)
def test_a_compiler_finds_arguments_at_their_places(convention: CallingConvention) -> None:
    count = len(convention.integer_arguments)
    names = [f"a{index}" for index in range(count + 2)]
    declared = ", ".join(f"unsigned long long {name}" for name in names)
    for index in (count, count + 1):
        head = f"{_COMPILERS[convention][2]} unsigned long long f({declared})"
        text = assembled(convention, f"{head} {{ return {names[index]}; }}")
        place = convention.place(index)
        assert isinstance(place, StackSlot)
        offset = f"{place.offset}" if place.offset else ""
        written = {
            MS_X64: f"{offset}(%rsp), %rax",
            AAPCS64: f"x0, [sp, {offset}]" if offset else "x0, [sp]",
            RISCV_LP64D: f"a0,{place.offset}(sp)",
            LOONGARCH_LP64D: f"$a0, $sp, {place.offset}",
        }
        assert written[convention] in text
