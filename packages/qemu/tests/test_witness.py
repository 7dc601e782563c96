"""What is seen of a machine from outside: its memory, its processor, who drives its disk; whether KVM works here."""

from __future__ import annotations

import itertools
import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudboot_base.testing import judge
from cloudboot_qemu import Drive, Machine, MachineFailedError, Negotiation, StatusChange, kvm, negotiations
from cloudboot_qemu.architectures import ARCHITECTURES, q35_ram
from cloudboot_qemu.memory import GuestMemory
from cloudboot_qemu.processor import physical_of, sample_of
from cloudboot_qemu.trace import BlockTrace

# What QEMU 10.0.2 traced while Debian's 6.1 booted under OVMF, without most of the firmware's resets and of the reads.
RECORDED = b"""\
29454@1795887677.337327:virtio_set_status vdev 0x55ef5afc3680 val 0
29454@1795887677.341997:virtio_set_status vdev 0x55ef5afc3680 val 0
29458@1795887681.635228:virtio_set_status vdev 0x55ef5afc3680 val 0
29458@1795887681.635567:virtio_set_status vdev 0x55ef5afc3680 val 1
29458@1795887681.636275:virtio_set_status vdev 0x55ef5afc3680 val 3
29458@1795887681.638058:virtio_set_status vdev 0x55ef5afc3680 val 7
29454@1795887681.643080:virtio_blk_handle_read vdev 0x55ef5afc3680 req 0x55ef5a2ba6c0 sector 0 nsectors 1
29458@1795887682.310856:virtio_set_status vdev 0x55ef5afc3680 val 0
29458@1795887682.311027:virtio_set_status vdev 0x55ef5afc3680 val 0
29458@1795887692.217243:virtio_set_status vdev 0x55ef5afc3680 val 0
29458@1795887692.217439:virtio_set_status vdev 0x55ef5afc3680 val 1
29458@1795887692.232463:virtio_set_status vdev 0x55ef5afc3680 val 3
29458@1795887692.233183:virtio_set_status vdev 0x55ef5afc3680 val 11
29458@1795887692.252936:virtio_set_status vdev 0x55ef5afc3680 val 15
29458@1795887692.300000:virtio_set_status vdev 0x55ef5afff000 val 15
"""
REGISTERS = """\

CPU#0
RAX=0000000000000009 RBX=ffffffff96953359 RCX=0000000000000004 RDX=0000000000000009
RIP=ffffffff95ff24a2 RFL=00000206 [-----P-] CPL=0 II=0 A20=1 SMM=0 HLT=0
CR0=80050033 CR2=ffff8b1fb7a01000 CR3=0000000027010000 CR4=000000a0
"""


@given(st.lists(st.integers(0, len(RECORDED)), max_size=8))
def test_two_drivers_held_the_disk(cuts: list[int]) -> None:
    trace = BlockTrace({}, epoch=1795887677.0)
    for begin, end in itertools.pairwise([0, *sorted(cuts), len(RECORDED)]):
        trace.feed(RECORDED[begin:end])
    firmware, kernel = negotiations(trace.status_changes())
    assert (firmware.statuses, firmware.features_ok) == ((1, 3, 7), False)
    assert firmware.reset == pytest.approx(4.635228)
    assert firmware.end == pytest.approx(5.310856)
    assert (kernel.statuses, kernel.features_ok, kernel.end) == ((1, 3, 11, 15), True, None)
    assert kernel.reset == pytest.approx(15.217243)
    assert {change.device for change in trace.status_changes()} == {0}  # what never read is no disk


# The same of a CD behind virtio-scsi, with a notification of another device by another thread.
OF_A_CD = b"""\
77@1795887670.100000:virtio_scsi_cmd_req virtio_scsi_req lun=1 tag=0x0 cmd=0x12
77@1795887671.000000:virtio_set_status vdev 0x5500000000a0 val 0
77@1795887671.000001:virtio_set_status vdev 0x5500000000a0 val 7
77@1795887671.000002:virtio_queue_notify vdev 0x5500000000a0 n 2 vq 0x7f00
78@1795887671.000003:virtio_queue_notify vdev 0x5500000000b0 n 0 vq 0x7e00
77@1795887671.000004:virtio_scsi_cmd_req virtio_scsi_req lun=1 tag=0x1 cmd=0x28
78@1795887671.000005:virtio_set_status vdev 0x5500000000b0 val 0
78@1795887671.000006:virtio_set_status vdev 0x5500000000b0 val 7
77@1795887672.000000:virtio_set_status vdev 0x5500000000a0 val 0
"""


def test_the_controller_of_a_cd_is_a_disk() -> None:
    trace = BlockTrace({}, epoch=1795887670.0)
    trace.feed(OF_A_CD)
    (firmware,) = negotiations(trace.status_changes())
    assert (firmware.device, firmware.statuses) == (0, (7,))
    assert firmware.end == pytest.approx(2.0)


@given(st.lists(st.tuples(st.integers(0, 1), st.sampled_from([0, 1, 3, 7, 11, 15])), max_size=40))
def test_negotiations_never_overlap_on_a_device(changes: list[tuple[int, int]]) -> None:
    found = negotiations(StatusChange(float(time), device, status) for time, (device, status) in enumerate(changes))
    for device in (0, 1):
        held = [each for each in found if each.device == device]
        for before, after in itertools.pairwise(held):
            assert before.end is not None
            assert before.end <= after.reset
        assert all(each.reset < each.ready and (each.end is None or each.ready < each.end) for each in held)
    assert all(any(status & 4 for status in each.statuses) for each in found)


def test_resets_without_a_start_are_no_driver() -> None:
    assert negotiations([StatusChange(1.0, 0, 0), StatusChange(2.0, 0, 1), StatusChange(3.0, 0, 0)]) == []
    found = negotiations([StatusChange(1.0, 0, 0), StatusChange(2.0, 0, 7)])
    assert found == [Negotiation(0, 1.0, 2.0, None, (7,))]


def test_registers_are_read_from_the_monitors_text() -> None:
    sample = sample_of(REGISTERS, physical_of("gpa: 0x25ff24a2\n"), 1.5)
    assert sample is not None
    assert (sample.instruction, sample.physical, sample.level) == (0xFFFFFFFF95FF24A2, 0x25FF24A2, 0)
    assert (sample.cr0, sample.cr3, sample.paging, sample.halted) == (0x80050033, 0x27010000, True, False)
    assert physical_of("Unmapped\n") is None
    assert sample_of("PC=0000000040001000 PSTATE=600003c5", None, 0.0) is None


@given(st.integers(1, 1 << 40))
def test_ram_is_in_place_once_and_whole(size: int) -> None:
    places = q35_ram(size)
    assert sum(length for _, _, length in places) == size
    assert [start for _, start, _ in places] == [sum(p[2] for p in places[:n]) for n in range(len(places))]
    assert places[0][2] <= 0xB0000000


def test_memory_is_searched_where_it_was_used() -> None:
    fd = os.memfd_create("ram")
    try:
        os.ftruncate(fd, 1 << 30)
        memory = GuestMemory(fd, 1 << 30, ARCHITECTURES["amd64"])
        assert list(memory.used()) == []
        for offset in ((1 << 20) - 3, 700 << 20, (1 << 30) - 6):
            os.pwrite(fd, b"needle", offset)
        assert list(memory.find(b"needle")) == [(1 << 20) - 3, 700 << 20, (1 << 30) - 6]
        assert memory.read((1 << 30) - 6, 100) == b"needle"
        assert sum(end - start for start, end in memory.used()) < 1 << 20
        assert os.fstat(fd).st_blocks * 512 < 1 << 20  # looking allocated nothing
        with pytest.raises(ValueError, match="empty"):
            next(memory.find(b""))
    finally:
        os.close(fd)


@pytest.mark.live
@pytest.mark.parametrize("size", [1 << 30, 3 << 30])
def test_the_monitor_sees_the_same_bytes_at_the_same_addresses(size: int) -> None:
    """The judge is QEMU: ``xp`` prints guest physical memory."""
    judge("qemu-system-x86_64", "qemu-system-x86")
    with Machine(memory=size, shared_memory=True) as machine:
        machine.expect(rb"BdsDxe")
        sample = machine.sample()
        assert sample is not None
        assert sample.paging
        machine.qmp("stop")
        addresses = [0x1000, 0x100000, 0x3F000000, (4 << 30) + 0x1000]
        os.pwrite(machine._private.memory or 0, b"written from outside", size - (1 << 20))
        addresses += [start for start, _ in machine.memory.addresses(size - (1 << 20), size)]
        seen = b""
        for address in addresses:
            offset = machine.memory.offset_of(address)
            if offset is None:
                assert size == 1 << 30
                continue
            shown = machine.qmp("human-monitor-command", {"command-line": f"xp /32xb {address:#x}"})
            seen = bytes(int(text, 16) for line in shown.splitlines() for text in re.findall(r" 0x([0-9a-f]{2})", line))
            assert machine.memory.read(offset, 32) == seen
        assert seen.startswith(b"written from outside")


@pytest.mark.live
def test_what_eight_bytes_say_of_kvm_is_true() -> None:
    """The judge is QEMU with KVM: where guest code runs, firmware comes to its first words; elsewhere it never does."""
    judge("qemu-system-x86_64", "qemu-system-x86")
    problem = kvm.problem()

    def boots() -> bool:
        try:
            with Machine(accelerator="kvm") as machine:
                machine.expect(rb"BdsDxe|UEFI", 30)
        except (MachineFailedError, TimeoutError):
            return False
        return True

    assert boots() is (problem is None), problem
    with Machine([], accelerator="auto") as machine:
        assert machine.description.accelerator == ("tcg" if problem else "kvm")
        assert machine.notices == ([f"KVM is not used, software emulation is: {problem}."] if problem else [])


def test_drives_that_are_no_files_are_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    for source in (path, "/dev/zero", tmp_path):
        with pytest.raises(ValueError, match=r"neither a file nor a block device|folder|directory"):
            Machine([Drive(source)])
