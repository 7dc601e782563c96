"""The gates drive a real OVMF: what it did and what the firmware in this process did are the same."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

import cloudboot_ufs2
from cloudboot_base import MemoryStorage, Storage, UsageError
from cloudboot_base.gates import Gate, Verdict, run_stages
from cloudboot_base.testing import judge, judge_file, run
from cloudboot_fat.volume import FatVolume
from cloudboot_gpt import partition_types
from cloudboot_qemu import Firmware as FirmwareFiles
from cloudboot_uefi_abi.protocols.storage import EFI_BLOCK_IO_PROTOCOL
from cloudboot_uefi_abi.status import Status, is_error
from cloudboot_uefi_host import (
    Access,
    Budget,
    Firmware,
    Typed,
    boot_path,
    publish_block_io,
    unpublish_block_io,
    vendor_path,
)
from cloudboot_uefi_host.compiling import pe_image
from cloudboot_uefi_host.core.device_paths import body
from cloudboot_uefi_host.core.host import BootHost
from cloudboot_uefi_host.core.keys import parse_keys
from cloudboot_uefi_host.core.protocols import DEVICE_PATH, protocol_name
from cloudboot_uefi_host.edk2 import DISK_DRIVERS, FIRMWARE_IMAGES, installed_modules, load_drivers
from cloudboot_uefi_host.errors import BackEndError, ServiceError
from cloudboot_uefi_host.gates import BootPlan, FirmwareBoot, HostedBoot, stages
from cloudboot_uefi_host.live import LiveBoot, LiveFirmware
from cloudboot_uefi_host.live.console import serial_bytes
from cloudboot_uefi_host.programs import standin
from cloudboot_uefi_host.protocols.block_io import BLOCK_IO
from cloudboot_uefi_host.testing import ESP_OFFSET, MODULES, boot_disk, fat_volume, grub_loader
from cloudboot_ufs2 import UFS2, File
from cloudboot_vfs import FileSystem

pytestmark = pytest.mark.live
CONF = b'autoboot_delay="3"\n'
SCRIPT = "set pager=0\nls\ncat (hd0,gpt1)/hello.txt\ncat (hd0,gpt2)/boot/loader.conf\necho END-OF-SCRIPT\n"
STANDIN = {"banner": r"(?P<evidence>cloudboot stand-in EFI loader, Revision [0-9.]+)\n"}
GRUB = {
    "banner": r"(?P<evidence>END-OF-SCRIPT)",
    "keys": [Typed("grub> $", "ls (hd0,gpt2)/boot\n")],
    "until": r"loader\.conf *\r?\n",
}


@dataclass
class Seen:
    """What one boot showed: gates, the protocols of each handle below the disk, reads before and after StartImage."""

    gates: list[Gate]
    handles: dict[str, list[str]]
    outcome: str
    loading: list[tuple[int, int]]
    running: list[tuple[int, int]]
    console: str
    accesses: list[Access]
    picture: bytes = b""


def below(firmware: BootHost) -> dict[str, list[str]]:
    """The names of the protocols of each handle at and below the disk, by device path."""
    found = {}
    for handle in firmware.handles.with_protocol(DEVICE_PATH):
        path = firmware.path_of(handle)
        if path is not None and path.startswith(body(vendor_path())):
            found[firmware.path_text(handle)] = sorted(map(protocol_name, firmware.handles.protocols(handle)))
    return found


def boot(boot: FirmwareBoot) -> Seen:
    """Run all gates."""
    gates, handles, loading = [], {}, 0
    for gate in run_stages(stages(), boot):
        gates.append(gate)
        if gate.name == "ufs-root" and boot.device is not None:
            handles, loading = below(boot.firmware), len(boot.device.reads)
    reads = [] if boot.device is None else [(read.lba, read.size) for read in boot.device.reads]
    return Seen(
        gates, handles, str(boot.outcome), reads[:loading], reads[loading:], boot.text(), boot.firmware.accesses
    )


def lines_of_text(picture: bytes) -> int:
    """The lines of text on a screen of 800 by 600 pixels: 25 of 19 pixels, in the middle, with a black frame."""
    head = b"P6\n800 600\n255\n"
    assert picture.startswith(head)
    rows = [picture[at : at + 2400] for at in range(len(head), len(picture), 2400)]
    assert len(rows) == 600
    assert not any(map(any, rows[:62]))
    return sum(any(map(any, rows[62 + 19 * line : 81 + 19 * line])) for line in range(25))


def open_ufs(storage: Storage) -> FileSystem:
    """The opener that a probe injects."""
    return UFS2(storage)


def plan(image: bytes, memory: int, more: Mapping[str, object]) -> BootPlan:
    """A plan for the disk."""
    return BootPlan(
        "amd64",
        MemoryStorage(image),
        ("/EFI/BOOT/BOOTX64.EFI",),
        root_types=frozenset({partition_types.FREEBSD_UFS}),
        open_root=open_ufs,
        memory=memory,
        budget=Budget(seconds=300),
        **more,  # type: ignore[arg-type]  # a test's keywords
    )


def three(image: bytes, more: Mapping[str, object]) -> tuple[Seen, Seen, Seen]:
    """What the firmware in this process, the same with EDK2's drivers, and OVMF saw."""
    judge("qemu-system-x86_64", "qemu-system-x86")
    modules = installed_modules("amd64") if judge_file(*FIRMWARE_IMAGES["amd64"]) else {}
    with HostedBoot(plan(image, 512 << 20, more)) as hosted:
        ours = boot(hosted)
    described = plan(image, 512 << 20, more)
    firmware = Firmware("amd64", memory=described.memory, budget=described.budget, drivers=False)
    load_drivers(firmware, modules, DISK_DRIVERS)
    with FirmwareBoot(described, firmware) as edk2:
        theirs = boot(edk2)
    code = FIRMWARE_IMAGES["amd64"][0]
    files = FirmwareFiles("amd64", code, code.with_name("OVMF_VARS_4M.fd"), "", "")
    with LiveBoot(plan(image, 1 << 30, more), files) as live:
        seen = boot(live)
        assert (live.live.screenshot() or b"").startswith(b"\x89PNG")
        seen.picture = live.live.agent.qemu.screendump("ppm")
        return ours, theirs, seen


@pytest.fixture(scope="module")
def ufs() -> bytes:
    """A UFS2 volume with a loader.conf."""
    volume = bytearray(8 << 20)
    cloudboot_ufs2.build(MemoryStorage(volume), {"boot/loader.conf": File(CONF)})
    return bytes(volume)


def test_the_stand_in_sees_the_same_under_ovmf(ufs: bytes) -> None:
    ours, theirs, real = three(boot_disk("amd64", standin("amd64"), ufs=ufs), STANDIN)
    assert {gate.verdict for gate in real.gates} == {Verdict.PASS}, [str(gate.error) for gate in real.gates]
    assert real.outcome == ours.outcome == theirs.outcome == "returned EFI_SUCCESS"
    assert len(real.handles) == 3
    assert ours.handles == real.handles
    assert theirs.handles == real.handles
    # EDK2's own drivers ask for the same blocks in the same order, whoever's core they run on.
    assert theirs.loading + theirs.running == real.loading + real.running
    assert len(real.loading) > 12
    assert ours.console == real.console
    assert theirs.accesses == real.accesses != []
    evidence = {gate.name: gate.evidence for gate in real.gates}
    assert evidence["loader-banner"]["printed_by"] == "BOOTX64.EFI"
    assert evidence["start-image"]["files"] == {"/boot/loader.conf": len(CONF)}


def test_grub_sees_the_same_under_ovmf(ufs: bytes, tmp_path: Path) -> None:
    loader = grub_loader("amd64", tmp_path, SCRIPT)
    ours, theirs, real = three(boot_disk("amd64", loader, {"/hello.txt": b"hello from FAT\n"}, ufs), GRUB)
    assert {gate.verdict for gate in real.gates} == {Verdict.PASS}, [str(gate.error) for gate in real.gates]
    assert real.outcome == ours.outcome == theirs.outcome == "text-seen"
    assert ours.handles == real.handles
    assert theirs.handles == real.handles
    assert theirs.loading == real.loading
    # GRUB forgets what it has read after two seconds, so how often it reads a block again depends on the time.
    assert set(theirs.running) == set(real.running)
    # The screen is as large as hosted's, and shows lines of text on black; the serial line has the same text.
    assert lines_of_text(real.picture) > 5
    for line in ("(hd0) (hd0,gpt2) (hd0,gpt1)", "hello from FAT", 'autoboot_delay="3"', "END-OF-SCRIPT", "loader.conf"):
        assert line in real.console
    assert ours.console == real.console


def test_grub_on_a_cd_sees_the_same_under_ovmf(tmp_path: Path) -> None:
    """A CD with one boot image, which EDK2 finds in the boot catalogue, in blocks of 2048 bytes."""
    script = "set pager=0\nls\nsearch --set=root --file /hello.txt\ncat /hello.txt\necho END-OF-SCRIPT\n"
    loader = grub_loader("amd64", tmp_path, script, modules=[*MODULES, "iso9660", "search"])
    tree, output = tmp_path / "tree", tmp_path / "cd.iso"
    tree.mkdir()
    (tree / "efi.img").write_bytes(fat_volume({"/EFI/BOOT/BOOTX64.EFI": loader}, 2 << 20))
    (tree / "hello.txt").write_text("hello from ISO 9660\n")
    options = ("-e", "efi.img", "-no-emul-boot", "-c", "boot.cat")
    run(judge("xorriso", "xorriso"), "-as", "mkisofs", "-quiet", "-R", "-o", output, *options, tree)
    more = {"banner": GRUB["banner"], "until": "END-OF-SCRIPT", "cd": True}
    ours, theirs, real = three(output.read_bytes(), more)
    verdicts = {gate.name: gate.verdict for gate in real.gates}
    assert verdicts.pop("ufs-root") is Verdict.NOT_APPLICABLE
    assert set(verdicts.values()) == {Verdict.PASS}, [str(gate.error) for gate in real.gates]
    assert ours.handles == real.handles == theirs.handles
    assert any("/CDROM(0x0," in path for path in real.handles)
    assert theirs.loading == real.loading
    assert {size % 2048 for _, size in real.loading} == {0}
    assert set(theirs.running) == set(real.running)
    assert "hello from ISO 9660" in real.console
    assert ours.console == real.console


@pytest.fixture(scope="module")
def live() -> Iterator[LiveFirmware]:
    """A firmware in a machine, without a disk."""
    judge("qemu-system-x86_64", "qemu-system-x86")
    judge_file(*FIRMWARE_IMAGES["amd64"])
    with LiveFirmware(budget=Budget(seconds=300)) as firmware:
        yield firmware


def test_a_disk_is_published_and_taken_away_again(live: LiveFirmware) -> None:
    assert live.handles.with_protocol(BLOCK_IO) == []
    disk = MemoryStorage(boot_disk("amd64", standin("amd64")))
    for _ in range(2):
        device = publish_block_io(live, disk, vendor_path())
        assert live.drivers.connect(device.handle) == Status.SUCCESS
        assert len(below(live)) == 2
        assert unpublish_block_io(live, device) == Status.SUCCESS
        assert below(live) == {}
        assert live.handles.with_protocol(BLOCK_IO) == []


def test_the_firmware_cannot_write_to_a_published_disk(live: LiveFirmware) -> None:
    content = boot_disk("amd64", standin("amd64"))
    device = publish_block_io(live, MemoryStorage(content), vendor_path())
    write = live.memory.u64(device.interface + EFI_BLOCK_IO_PROTOCOL.offset("WriteBlocks"))
    with live.services.cells(64) as buffer:
        assert live.machine.call(write, device.interface, 1, 0, 512, buffer) == Status.WRITE_PROTECTED
    assert unpublish_block_io(live, device) == Status.SUCCESS


def test_a_refused_image_is_a_gate_that_fails_with_the_firmwares_status(live: LiveFirmware) -> None:
    image = boot_disk("amd64", standin("arm64"))
    context = FirmwareBoot(plan(image, 1 << 30, STANDIN), live)
    found = list(run_stages(stages(), context))
    failed = [gate for gate in found if gate.verdict is Verdict.FAIL]
    assert [gate.name for gate in failed] == ["load-image"]
    assert "EFI_UNSUPPORTED" in str(failed[0].error)
    assert context.device is not None
    assert not is_error(unpublish_block_io(live, context.device))


def test_an_image_that_cannot_be_read_has_the_firmwares_status(live: LiveFirmware) -> None:
    """A missing file, a directory, and a file whose cluster chain leaves the volume."""
    content = bytearray(boot_disk("amd64", standin("amd64"), {"/broken.efi": standin("amd64") * 3}))
    with FatVolume(MemoryStorage(memoryview(content)[ESP_OFFSET:])) as fat:
        place, layout = fat.extents("/broken.efi")[0], fat.reader.geometry
    link = ESP_OFFSET + layout.fat_offset() + 2 * (2 + (place.offset - layout.data_offset) // layout.cluster_size)
    content[link : link + 2] = b"\xf0\xfe"  # FAT16: the cluster after the file's first
    with Firmware("amd64") as hosted:
        seen: list[list[int]] = []
        for firmware in (hosted, live):
            device = publish_block_io(firmware, MemoryStorage(content), vendor_path())
            assert firmware.drivers.connect(device.handle) == Status.SUCCESS
            seen.append([])
            for name in (r"\none.efi", r"\EFI\BOOT", r"\broken.efi"):
                with pytest.raises(ServiceError) as caught:
                    firmware.images.load_from(boot_path(firmware, device, name), parent=firmware.handle)
                seen[-1].append(caught.value.status)
            assert unpublish_block_io(firmware, device) == Status.SUCCESS
    assert seen[0] == seen[1] == [Status.NOT_FOUND] * 3


def test_an_exception_of_the_processor_ends_the_run_with_its_place() -> None:
    judge("qemu-system-x86_64", "qemu-system-x86")
    judge_file(*FIRMWARE_IMAGES["amd64"])
    image = boot_disk("amd64", pe_image("amd64", b"\x90\x0f\x0b"))  # nop; ud2
    with LiveBoot(plan(image, 1 << 30, STANDIN)) as live:
        found = {gate.name: gate for gate in run_stages(stages(), live)}
        loaded = live.image
    assert loaded is not None
    failed = found["start-image"]
    assert failed.verdict is Verdict.FAIL
    assert failed.error is not None
    assert "06(#UD - Invalid Opcode)" in str(failed.error["message"])
    assert (failed.error["where"]["image"], failed.error["where"]["pc"]) == ("BOOTX64.EFI", loaded.entry + 1)  # type: ignore[index]  # JSON


def test_a_firmware_that_is_none_does_not_start_the_agent(tmp_path: Path) -> None:
    judge("qemu-system-x86_64", "qemu-system-x86")
    code = tmp_path / "code.fd"
    code.write_bytes(bytes(1 << 20))
    with pytest.raises(BackEndError, match="agent"):
        LiveFirmware(memory=256 << 20, budget=Budget(seconds=1), firmware=FirmwareFiles("amd64", code, None, "", ""))


def test_other_architectures_are_refused() -> None:
    other = BootPlan("arm64", MemoryStorage(bytes(512)), (), "")
    with pytest.raises(UsageError, match="arm64"):
        LiveBoot(other)


def test_keys_are_what_a_terminal_sends() -> None:
    assert serial_bytes(parse_keys("ls\n<UP><ESC><F1>")) == b"ls\r\x1b[A\x1b\x1b[OP"


def test_a_program_that_polls_for_keys_ends_the_run() -> None:
    judge("qemu-system-x86_64", "qemu-system-x86")
    judge_file(*FIRMWARE_IMAGES["amd64"])
    # mov rbx, [rdx+48] (ConIn); sub rsp, 64; loop: mov rcx, rbx; lea rdx, [rsp+48]; call [rbx+8]; jmp loop
    code = bytes.fromhex("488b5a304883ec404889d9488d542430ff5308ebf3")
    with LiveBoot(plan(boot_disk("amd64", pe_image("amd64", code)), 1 << 30, STANDIN)) as live:
        found = {gate.name: gate for gate in run_stages(stages(), live)}
    assert str(live.outcome) == "awaiting-input"
    assert found["start-image"].verdict is Verdict.FAIL
    assert "printed nothing" in str(found["start-image"].error)
