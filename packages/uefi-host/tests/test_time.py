"""Virtual time: timers notify programs that only compute, and countdowns take calls instead of seconds."""

from pathlib import Path

import pytest

from cloudboot_base.testing import judge
from cloudboot_uefi_abi.status import Status
from cloudboot_uefi_host import Budget, Ending, Firmware, GuestFaultError, Typed, start
from cloudboot_uefi_host.compiling import COMPILERS, compile_program, pe_image
from cloudboot_uefi_host.core.device_paths import END

SOURCE = Path(__file__).parent / "programs" / "timer.c"
WAITS = Path(__file__).parent / "programs" / "waits.c"


@pytest.mark.parametrize("architecture", ["amd64", "arm64", "riscv64"])
def test_a_timer_reaches_a_program_that_spins(architecture: str) -> None:
    for program in COMPILERS[architecture][:2]:
        judge(program, COMPILERS[architecture][2])
    program_image = compile_program(architecture, SOURCE)
    ends = []
    for _ in range(2):
        with Firmware(architecture, memory=64 << 20, budget=Budget(seconds=60)) as firmware:
            image = firmware.images.load(program_image, END, parent=firmware.handle)
            outcome = start(firmware, image)
            assert outcome.status == Status.SUCCESS, str(outcome)
            ends.append((firmware.clock.now, firmware.trace.number))
    assert ends[0] == ends[1]
    assert ends[0][0] >= 15 * 10_000


@pytest.mark.parametrize("architecture", ["amd64", "arm64", "riscv64"])
@pytest.mark.parametrize("way", "REWC")
def test_a_countdown_ends_by_itself_or_with_a_key(architecture: str, way: str) -> None:
    for program in COMPILERS[architecture][:2]:
        judge(program, COMPILERS[architecture][2])
    program_image = compile_program(architecture, WAITS)
    options = f"{way}\0".encode("utf-16-le")
    for keys in ([], [Typed("waiting", "x")]):
        with Firmware(architecture, memory=64 << 20, budget=Budget(seconds=60)) as firmware:
            image = firmware.images.load(program_image, END, parent=firmware.handle, options=options)
            firmware.console.type(keys)
            outcome = start(firmware, image)
            text, seconds = firmware.console.text, firmware.clock.seconds()
            calls = firmware.trace.number
        assert outcome.ending is Ending.RETURNED
        if keys:
            assert (outcome.status, text) == (Status.SUCCESS, "waiting\r\na key\r\n")
            assert seconds < 2
        else:
            assert (outcome.status, text) == (Status.NOT_READY, "waiting\r\nno key\r\n")
            assert 90 <= seconds < 93
            assert calls < 20_000, "time passes with the calls, not with the host's clock"


#: Wait for an interrupt and return; wait for ever.
HALTS = {
    "amd64": ("f4 31c0 c3", "f4 ebfd"),
    "arm64": ("7f2003d5 000080d2 c0035fd6", "7f2003d5 ffffff17"),
    "riscv64": ("73005010 13050000 67800000", "73005010 6ff0dfff"),
}


@pytest.mark.parametrize("architecture", sorted(HALTS))
def test_the_timer_wakes_a_program_that_waits_for_an_interrupt(architecture: str) -> None:
    with Firmware(architecture, memory=64 << 20, budget=Budget(seconds=60)) as firmware:
        once, ever = (pe_image(architecture, bytes.fromhex(code)) for code in HALTS[architecture])
        before = firmware.clock.now
        image = firmware.images.load(once, END, parent=firmware.handle)
        assert start(firmware, image).status == Status.SUCCESS
        assert 100_000 <= firmware.clock.now - before < 200_000, "10 ms: the period of the timer"
        with pytest.raises(GuestFaultError, match="halted 10000 times without a service call"):
            start(firmware, firmware.images.load(ever, END, parent=firmware.handle))


def test_a_program_that_masks_interrupts_is_halted_for_good() -> None:
    with Firmware("amd64", memory=64 << 20) as firmware:
        image = firmware.images.load(pe_image("amd64", b"\xfa\xf4"), END, parent=firmware.handle)  # cli; hlt
        with pytest.raises(GuestFaultError, match="interrupts that never come"):
            start(firmware, image)


def test_an_exception_passed_on_to_the_firmware_ends_the_run() -> None:
    # sub rsp, 24; sidt [rsp]; mov rax, [rsp+2]; movzx eax, word [rax+0x30] (gate 3, low half); jmp rax
    code = bytes.fromhex("4883ec18 0f010c24 488b442402 0fb74030 ffe0")
    with Firmware("amd64", memory=64 << 20) as firmware:
        image = firmware.images.load(pe_image("amd64", code), END, parent=firmware.handle)
        with pytest.raises(GuestFaultError, match="exception 3 was passed on to the firmware's handler"):
            start(firmware, image)


def test_a_program_that_waits_for_ever_ends_the_run() -> None:
    # mov r12, [rdx+0x30] (ConIn); loop: mov rcx, r12; lea rdx, [rsp+0x20]; call [r12+8] (ReadKeyStroke); jmp loop
    code = bytes.fromhex("4c8b6230 4883ec28 4c89e1 488d542420 41ff542408 ebf1".replace(" ", ""))
    with Firmware("amd64", memory=64 << 20, budget=Budget(seconds=60)) as firmware:
        image = firmware.images.load(pe_image("amd64", code), END, parent=firmware.handle)
        assert start(firmware, image).ending is Ending.AWAITING_INPUT
        assert 120 <= firmware.clock.seconds() < 130
        assert firmware.trace.number > 3000
