"""Virtual time: timers notify programs that only compute, and countdowns take calls instead of seconds."""

from pathlib import Path

import pytest

from cloudboot_base.testing import judge
from cloudboot_uefi_abi.status import Status
from cloudboot_uefi_host import Budget, Ending, Firmware, Typed, start
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


def test_a_program_that_waits_for_ever_ends_the_run() -> None:
    # mov r12, [rdx+0x30] (ConIn); loop: mov rcx, r12; lea rdx, [rsp+0x20]; call [r12+8] (ReadKeyStroke); jmp loop
    code = bytes.fromhex("4c8b6230 4883ec28 4c89e1 488d542420 41ff542408 ebf1".replace(" ", ""))
    with Firmware("amd64", memory=64 << 20, budget=Budget(seconds=60)) as firmware:
        image = firmware.images.load(pe_image("amd64", code), END, parent=firmware.handle)
        assert start(firmware, image).ending is Ending.AWAITING_INPUT
        assert 120 <= firmware.clock.seconds() < 130
        assert firmware.trace.number > 3000
