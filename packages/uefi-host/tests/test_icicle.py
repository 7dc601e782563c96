"""The processor seam takes a third back end: icicle-emu, with memory of its own, runs the same program to the same end.

Its memory cannot be shared, so the parts that differ are copied at each trap: slow, and enough for a program of some
service calls.
"""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import icicle

from cloudboot_base import MemoryStorage
from cloudboot_uefi_abi.status import Status
from cloudboot_uefi_host import Budget, Firmware, boot_path, publish_block_io, start, vendor_path
from cloudboot_uefi_host.cpu.architecture import TRAP_SIZE, Architecture
from cloudboot_uefi_host.cpu.processor import CounterSource, Stop, StopReason
from cloudboot_uefi_host.memory import GuestMemory
from cloudboot_uefi_host.programs import standin
from cloudboot_uefi_host.testing import boot_disk

if TYPE_CHECKING:
    from cloudboot_uefi_host.cpu.create import BackEnd

CHUNK: Final = 1 << 16
GENERAL: Final = (
    "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
)  # fmt: skip


class IcicleProcessor:
    """What the seam asks for, over icicle's interpreter and its just-in-time compiler."""

    name = "icicle"

    def __init__(self, architecture: Architecture, memory_size: int, _counter: CounterSource) -> None:
        self.architecture = architecture
        self._vm = icicle.Icicle("x86_64", shadow_stack=False)
        self._vm.mem_map(0, memory_size, icicle.MemoryProtection.ExecuteReadWrite)
        self.memory = GuestMemory(memoryview(mmap.mmap(-1, memory_size)), 0)
        self._theirs = bytes(memory_size)
        self._traps = range(0)

    def read(self, register: str) -> int:
        return int(self._vm.pc if register == "rip" else self._vm.reg_read(register))

    def write(self, register: str, value: int) -> None:
        self._vm.reg_write(register, value & (1 << 64) - 1)

    def read_many(self, registers: Sequence[str]) -> list[int]:
        return [self.read(register) for register in registers]

    def place_traps(self, address: int, size: int) -> None:
        self._traps = range(address, address + size, TRAP_SIZE)
        self.memory.write(address, self.architecture.trap_code.ljust(TRAP_SIZE, b"\0") * (size // TRAP_SIZE))
        for trap in self._traps:
            self._vm.add_breakpoint(trap)

    def guard(self, address: int, size: int) -> None:
        self._vm.mem_protect(address, size, icicle.MemoryProtection.NoAccess)

    def load_code(self, address: int, size: int) -> None:
        """Icicle sees every write to code."""

    def _give(self) -> None:
        """Copy to the machine what this process changed since the last stop."""
        for at in range(0, self.memory.size, CHUNK):
            ours = bytes(self.memory.view[at : at + CHUNK])
            if ours != self._theirs[at : at + CHUNK]:
                self._vm.mem_write(at, ours)

    def _take(self) -> None:
        self._theirs = self._vm.mem_read(0, self.memory.size)
        self.memory.view[:] = self._theirs

    def run(self, pc: int, instructions: int = 0) -> Stop:
        del instructions
        self._give()
        self._vm.pc = pc
        status = self._vm.run()
        self._take()
        if status == icicle.RunStatus.Breakpoint and self._vm.pc in self._traps:
            return Stop(StopReason.TRAP, self._vm.pc)
        return Stop(StopReason.FAULT, self._vm.pc, f"{status}", self._vm.exception_value)

    def interrupt(self) -> None:
        raise AssertionError("this program ends by itself")

    def save(self) -> object:
        return {register: self.read(register) for register in (*GENERAL, "rip")}

    def restore(self, state: object) -> None:
        assert isinstance(state, dict)
        for register in GENERAL:
            self.write(register, state[register])

    def close(self) -> None:
        """Drop the machine here: it refuses to be dropped in another thread, where the garbage collector may run."""
        del self._vm


def test_a_third_back_end_leaves_the_same_trace() -> None:
    disk = boot_disk("amd64", standin("amd64"))
    seen = []
    back_ends: list[str | BackEnd] = ["unicorn", IcicleProcessor]
    for back_end in back_ends:
        trace: list[str] = []
        with Firmware(
            "amd64",
            memory=32 << 20,
            back_end=back_end,
            budget=Budget(seconds=120),
            listener=lambda record, into=trace: into.append(str(record)),  # type: ignore[misc]  # a default's type is not inferred
        ) as firmware:
            device = publish_block_io(firmware, MemoryStorage(disk), vendor_path())
            firmware.drivers.connect(device.handle)
            image = firmware.images.load_from(boot_path(firmware, device), parent=firmware.handle)
            outcome = start(firmware, image)
            seen.append((trace, firmware.console.text, outcome.status))
    assert seen[0] == seen[1]
    assert len(seen[0][0]) > 20
    assert seen[0][2] == Status.NOT_FOUND
