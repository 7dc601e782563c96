"""Two programs ask 804 questions of the services; this firmware on four processors and OVMF give the same answers.

OVMF, untouched in a QEMU machine, is the judge. Where it departs from the specification the difference is listed.
"""

from pathlib import Path

import pytest

from cloudboot_base import MemoryStorage
from cloudboot_base.testing import judge, ovmf
from cloudboot_uefi_abi.status import Status
from cloudboot_uefi_host import Budget, Firmware, boot_path, publish_block_io, start, vendor_path
from cloudboot_uefi_host.compiling import COMPILERS, compile_program
from cloudboot_uefi_host.core.device_paths import END
from cloudboot_uefi_host.protocols.collation import publish_unicode_collation
from cloudboot_uefi_host.testing import Answers, answers, boot_disk

ARCHITECTURES = ("amd64", "arm64", "riscv64", "loong64")
PROGRAMS = Path(__file__).parent / "programs"
SOURCES = {name: PROGRAMS / f"{name}.c" for name in ("conformance", "boot_manager")}
RUNTIME = PROGRAMS / "runtime.c"
FILES = {"/hello.txt": b"hello, world\n", "/aa.txt": b""}
#: Name, and why OVMF's answer is another one.
DIFFERENCES = {
    "load-nothing": "section 7.4.1: EFI_NOT_FOUND if both SourceBuffer and DevicePath are NULL",
    "block-media": "section 13.9.2: EFI_MEDIA_CHANGED; OVMF's virtio driver does not look at MediaId",
    "block-null": "OVMF reads into address 0",
    "info-count": "OVMF lists an open of its own",
    "memory-map-types": "this firmware's functions are runtime code, all of them",
    "collation-lower-latin": "EDK2 extends the sign of characters from U+0080 on",
    "collation-from-fat-latin": "EDK2 extends the sign of characters from U+0080 on",
    "pc-kernel-16m": "OVMF's own modules are at 16 MiB",
    "connect": "section 7.3.12: EFI_NOT_FOUND if no driver was connected; EDK2's partition driver starts a second time",
    "pc-stamp": "QEMU without KVM reads 0 from the time-stamp counter's register",
    "pc-stamp-ticks": "QEMU without KVM reads 0 from the time-stamp counter's register",
}


def hosted(architecture: str, source: Path) -> Answers:
    """What this firmware answers."""
    for program in COMPILERS[architecture][:2]:
        judge(program, COMPILERS[architecture][2])
    disk = boot_disk(architecture, compile_program(architecture, source), FILES)
    with Firmware(architecture, memory=256 << 20, budget=Budget(seconds=120)) as firmware:
        publish_unicode_collation(firmware)
        device = publish_block_io(firmware, MemoryStorage(disk), vendor_path())
        firmware.drivers.connect(device.handle)
        path = boot_path(firmware, device)
        firmware.variables.set_boot_option(path)
        image = firmware.images.load_from(path, parent=firmware.handle)
        assert start(firmware, image).status == Status.SUCCESS
        return answers(firmware.console.text)


def taken_over(architecture: str) -> tuple[int, Answers]:
    """What this firmware answers to a program that has exited boot services: a hash, and what the serial port got."""
    for program in COMPILERS[architecture][:2]:
        judge(program, COMPILERS[architecture][2])
    with Firmware(architecture, memory=256 << 20, budget=Budget(seconds=60)) as firmware:
        firmware.images.stop_at_exit = False
        image = firmware.images.load(compile_program(architecture, RUNTIME), END, parent=firmware.handle)
        outcome = start(firmware, image)
        assert outcome.status is not None, outcome
        serial = firmware.machine.processor.serial if architecture == "amd64" else b""  # type: ignore[attr-defined]  # Unicorn's
        return outcome.status, answers(serial.decode())


def real(folder: Path, source: Path) -> Answers:
    """What OVMF answers in a QEMU machine."""
    disk = folder / "disk"
    disk.write_bytes(boot_disk("amd64", compile_program("amd64", source), FILES))
    return answers(ovmf(folder, disk, lambda text: ("end", 0) in answers(text)))


@pytest.fixture(scope="module", params=SOURCES)
def program(request: pytest.FixtureRequest) -> str:
    """The name of a program that asks."""
    return str(request.param)


@pytest.fixture(scope="module")
def ours(program: str) -> dict[str, Answers]:
    """The answers of this firmware to a program, by processor."""
    return {name: hosted(name, SOURCES[program]) for name in ARCHITECTURES}


def test_four_processors_give_the_same_answers(ours: dict[str, Answers]) -> None:
    common = [answer for answer in ours["amd64"] if not answer[0].startswith("pc-")]
    assert len(common) > 200
    assert ours["arm64"] == common
    assert ours["riscv64"] == common
    assert ours["loong64"] == common


def test_answers_that_the_specification_states() -> None:
    known = dict(hosted("amd64", SOURCES["conformance"]))
    assert known["crc-value"] == 0xCBF43926
    assert known["order"] == 0x231, "TPL_NOTIFY first, then TPL_CALLBACK in the order of signalling"
    assert known["exit-boot-services-stale"] == Status.INVALID_PARAMETER
    assert known["open-driver-same"] == Status.ALREADY_STARTED
    assert known["block-media"] == Status.MEDIA_CHANGED
    assert known["load-nothing"] == Status.NOT_FOUND
    known = dict(hosted("amd64", SOURCES["boot_manager"]))
    assert (known["table-crc"], known["boot-crc"], known["runtime-crc"]) == (1, 1, 1)
    assert (known["boot-null"], known["runtime-null"]) == (1, 0), "only the reserved member is null"
    assert known["set-no-data"] == known["set-volatile-nv"] == Status.INVALID_PARAMETER
    assert (known["next-end"], known["next-errors"], known["next-found"]) == (Status.NOT_FOUND, 0, 1)
    assert (known["pc-apic-base"], known["pc-stamp"], known["pc-stamp-ticks"]) == (0xFEE00900, 1, 1)
    assert (known["pc-mtrr-default"], known["pc-mtrr-video"]) == (0xC06, 0)


@pytest.mark.live
def test_ovmf_gives_the_same_answers(program: str, ours: dict[str, Answers], tmp_path: Path) -> None:
    theirs = real(tmp_path, SOURCES[program])
    assert [name for name, _ in theirs] == [name for name, _ in ours["amd64"]]
    different = {
        name: (f"{mine:#x}", f"{value:#x}")
        for (name, mine), (_, value) in zip(ours["amd64"], theirs, strict=True)
        if mine != value
    }
    assert set(different) <= set(DIFFERENCES), different


def test_the_machine_is_taken_over_on_four_processors_alike() -> None:
    seen = {architecture: taken_over(architecture) for architecture in ARCHITECTURES}
    assert len({status for status, _ in seen.values()}) == 1, {name: hex(status) for name, (status, _) in seen.items()}
    known = dict(seen["amd64"][1])
    assert known["exit-stale"] == Status.INVALID_PARAMETER
    assert (known["exit"], known["change"], known["variable-boot-only"]) == (0, 0, Status.NOT_FOUND)


@pytest.mark.live
def test_ovmf_hands_the_machine_over_alike(tmp_path: Path) -> None:
    theirs, (_, mine) = real(tmp_path, RUNTIME), taken_over("amd64")
    different = {
        name: (f"{value:#x}", f"{other:#x}")
        for (name, value), (_, other) in zip(mine, theirs, strict=True)
        if value != other
    }
    # Debian 12's OVMF does not have the event group that UEFI 2.9 added.
    assert set(different) == {"told-before", "told-before-once"}, different
