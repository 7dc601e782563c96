"""Machines that are driven through qtest: shared memory, registers, posted writes, and the end of QEMU."""

from __future__ import annotations

import os
import signal

import pytest

from cloudboot_base.testing import judge
from cloudboot_qemu.architectures import ARCHITECTURES
from cloudboot_qemu.errors import MachineFailedError, QmpError
from cloudboot_qemu.qtest import BOARDS, QtestMachine

pytestmark = pytest.mark.live


@pytest.mark.parametrize("architecture", BOARDS)
def test_memory_is_shared_and_writes_stay_in_order(architecture: str) -> None:
    judge(ARCHITECTURES[architecture].program, ARCHITECTURES[architecture].program_package)
    with QtestMachine(["virtio-rng-pci,addr=3"], architecture=architecture) as machine:
        assert machine.qmp("query-status")["status"] == "running"
        address = machine.memory_base + 0x10_0000
        machine.memory[0x10_0000:0x10_0008] = b"\x01\x02\x03\x04\x05\x06\x07\x08"
        assert machine.read(address, 8) == 0x0807060504030201
        assert machine.read_bytes(address, 5) == b"\x01\x02\x03\x04\x05"
        for value in range(1000):
            machine.post(address, 4, value)
        assert machine.read(address, 4) == 999
        assert machine.memory[0x10_0000:0x10_0004] == (999).to_bytes(4, "little")
        if machine.ecam is None:
            machine.port_out(0xCF8, 4, 0x80000000 | 3 << 11)
            assert machine.port_in(0xCFC, 4) == 0x10051AF4
        else:
            assert machine.read(machine.ecam + (3 << 15), 4) == 0x10051AF4


def test_a_stopped_machine_does_not_answer_and_nothing_gets_out_of_step() -> None:
    with QtestMachine() as machine:
        machine.write(0x10_0000, 4, 5)
        os.kill(machine.pid, signal.SIGSTOP)
        assert machine.try_read(0x10_0000, 4, 0.05) is None
        machine.post(0x10_0000, 4, 6)
        assert machine.try_read(0x10_0000, 4, 0.05) is None
        os.kill(machine.pid, signal.SIGCONT)
        assert machine.read(0x10_0000, 4) == 6


def test_a_killed_machine_is_an_error_with_the_exit_code() -> None:
    with QtestMachine() as machine:
        os.kill(machine.pid, signal.SIGKILL)
        with pytest.raises(MachineFailedError, match="QEMU is gone") as caught:
            for _ in range(100):
                machine.read(0, 4)
        assert caught.value.status == -signal.SIGKILL
        with pytest.raises(QmpError):
            machine.qmp("query-status")


def test_what_cannot_be_started() -> None:
    with pytest.raises(ValueError, match="no board"):
        QtestMachine(architecture="vax")
    with pytest.raises(ValueError, match="bytes of RAM"):
        QtestMachine(memory=1 << 20)
    with pytest.raises(MachineFailedError, match="no-such-device"):
        QtestMachine(["no-such-device"])
