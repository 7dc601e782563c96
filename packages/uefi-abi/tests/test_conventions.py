"""The calling conventions, against what compilers do and what the four documents say."""

from __future__ import annotations

import pytest

from cloudboot_uefi_abi.conventions import (
    AAPCS64,
    CONVENTIONS,
    LOONGARCH_LP64D,
    MS_X64,
    RISCV_LP64D,
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
