"""Virtual time: timers notify programs that only compute, at the same instruction in every run."""

from pathlib import Path

import pytest

from cloudboot_base.testing import judge
from cloudboot_uefi_abi.status import Status
from cloudboot_uefi_host import Budget, Firmware, start
from cloudboot_uefi_host.compiling import COMPILERS, compile_program
from cloudboot_uefi_host.core.device_paths import END

SOURCE = Path(__file__).parent / "programs" / "timer.c"


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
