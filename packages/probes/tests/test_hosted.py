"""Probes on the firmware in this process: real loaders, the same gates as on a machine, nothing else installed."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from cloudboot_base import new_image, run_stages
from cloudboot_base.testing import judge
from cloudboot_base.testing import run as execute
from cloudboot_gpt import partition_types
from cloudboot_gpt.records import MasterBootRecord, MBRPartitionRecord
from cloudboot_gpt.testing import disklabel
from cloudboot_oci_stream import push_image
from cloudboot_probes import demo, systems
from cloudboot_probes.cli.dispatch import run
from cloudboot_probes.probe import BOOT_GATES, IMAGE_GATES, Probe, default_firmware, stages
from cloudboot_probes.probe.hosted import HostedSession
from cloudboot_uefi_host.programs import standin
from cloudboot_uefi_host.testing import MODULES, boot_disk, disk, fat_volume, grub_loader
from cloudboot_ufs2 import build

ARCHITECTURES = ("amd64", "arm64", "riscv64")
ROOT_SIZE = 4 << 20


def gates_of(record: Path) -> dict[str, dict[str, object]]:
    """The gates of a record by name."""
    return {gate["gate"]: gate for gate in json.loads(record.read_text())["gates"]}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_demonstration_passes_every_gate(
    architecture: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record, report = tmp_path / "record.json", tmp_path / "report.html"
    code = run(["demo", "--architecture", architecture, "--record", str(record), "--report", str(report)])
    assert code == 0, capsys.readouterr().out
    found = gates_of(record)
    assert list(found) == [*IMAGE_GATES, *BOOT_GATES]
    assert {gate["verdict"] for gate in found.values()} == {"pass"}
    assert found["start-image"]["evidence"]["files"] == {"/boot/loader.conf": len(demo.LOADER_CONF)}  # type: ignore[index]  # JSON
    page = report.read_text()
    assert "cloudboot stand-in EFI loader, Revision 1.0" in page
    assert "in this process" in page


def push(tmp_path: Path, image: bytes) -> str:
    """Push an image to a folder; its reference."""
    reference = f"oci:{tmp_path / 'store'}:image"
    path = tmp_path / "disk.img"
    with new_image(path, len(image)) as storage:
        storage.write_at(0, image)
    push_image(path, reference)
    return reference


@pytest.mark.parametrize(
    "firmware", ["hosted", *(pytest.param(name, marks=pytest.mark.live) for name in ("ovmf", "qemu"))]
)
def test_an_esp_that_is_larger_than_its_partition_starts_its_loader(firmware: str, tmp_path: Path) -> None:
    """EDK2 does not compare the volume's size with the partition's, and reads what is there."""
    record = tmp_path / "record.json"
    loader = grub_loader(
        "amd64", tmp_path, "set pager=0\necho cloudboot: loader GRUB\necho cloudboot: configuration none\n"
    )
    volume = fat_volume({"/EFI/BOOT/BOOTX64.EFI": loader, "/EFI/later/behind": bytes(6 << 20)}, 16 << 20)
    image = disk([(partition_types.ESP, 64 * 512, volume[: 4 << 20])])
    run(["probe", "linux", push(tmp_path, image), "--firmware", firmware, "--record", str(record)])
    found = gates_of(record)
    header = found["header"]["evidence"]
    assert any("the storage ends before the volume" in line for line in header["warnings"])  # type: ignore[index]  # JSON
    started = ("header", "connect-controller", "sfs-child", "load-image", "start-image", "loader-banner")
    assert {name: found[name]["verdict"] for name in started} == dict.fromkeys(started, "pass"), found


def test_a_foreign_disk_without_a_root_is_probed_as_far_as_it_goes(tmp_path: Path) -> None:
    record = tmp_path / "record.json"
    reference = push(tmp_path, boot_disk("arm64", standin("arm64")))
    assert run(["probe", "demo", reference, "--architecture", "arm64", "--record", str(record)]) == 0
    found = gates_of(record)
    assert found["ufs-root"]["verdict"] == "not-applicable"
    assert "ESP alone" in str(found["ufs-root"]["reason"])
    assert found["loader-banner"]["evidence"]["gave_up"] == ["Failed to find bootable partition"]  # type: ignore[index]  # JSON


@pytest.mark.parametrize("firmware", ["hosted", pytest.param("ovmf", marks=pytest.mark.live)])
@pytest.mark.parametrize("kind", ["mbr-hybrid", "header-alternate-lba"])
def test_what_firmware_accepts_of_a_foreign_disk_is_a_warning(kind: str, firmware: str, tmp_path: Path) -> None:
    """A hybrid MBR, as on CDs for sticks, and an image written to a larger disk."""
    image = boot_disk("amd64", standin("amd64"))
    if kind == "mbr-hybrid":
        (tmp_path / "hybrid.img").write_bytes(image)
        execute(judge("sgdisk", "gdisk"), "-h", "1", tmp_path / "hybrid.img")
        image = (tmp_path / "hybrid.img").read_bytes()
    else:
        image += bytes(1 << 20)
    record = tmp_path / "record.json"
    words = ["probe", "demo", push(tmp_path, image), "--firmware", firmware, "--record", str(record)]
    assert run(words) == 0
    header = gates_of(record)["header"]
    assert any(kind in warning for warning in header["evidence"]["warnings"])  # type: ignore[index]  # JSON


def memory_stick(loader: bytes, folder: Path) -> bytes:
    """A disk as FreeBSD's memory sticks are: an MBR, an ESP, and a slice whose disklabel places the root."""
    tree = folder / "tree"
    (tree / "boot").mkdir(parents=True)
    (tree / "boot/loader.conf").write_text('autoboot_delay="7"\n')
    build(folder / "root.ufs", tree, size=ROOT_SIZE)
    root, esp = (folder / "root.ufs").read_bytes(), fat_volume({"/EFI/BOOT/BOOTX64.EFI": loader})
    sectors = len(root) // 512
    disk = bytearray((65536 + 16 + sectors) * 512)
    label = disklabel({"a": (7, 16, sectors), "c": (0, 0, 16 + sectors)})
    for sector, part in ((2048, esp), (65537, label), (65552, root)):
        disk[sector * 512 : sector * 512 + len(part)] = part
    slices = ((0xEF, 2048, len(esp) // 512), (0xA5, 65536, 16 + sectors))
    records = [MBRPartitionRecord(OSType=kind, StartingLBA=start, SizeInLBA=count) for kind, start, count in slices]
    records += [MBRPartitionRecord(), MBRPartitionRecord()]
    MasterBootRecord(PartitionRecord=tuple(records), Signature=0xAA55, UniqueMBRDiskSignature=0xB69B5312).pack_into(
        disk
    )
    return bytes(disk)


@pytest.mark.parametrize("firmware", ["hosted", pytest.param("ovmf", marks=pytest.mark.live)])
def test_a_disk_with_an_mbr_boots_and_its_loader_reads_the_slice(firmware: str, tmp_path: Path) -> None:
    """GRUB has readers of its own for the MBR, the disklabel and UFS2."""
    script = f"set pager=0\nls\nloopback root (hd0,msdos2)16+{ROOT_SIZE // 512}\ncat (root)/boot/loader.conf\n"
    loader = grub_loader("amd64", tmp_path, script, modules=[*MODULES, "part_bsd", "loopback"])
    record = tmp_path / "record.json"
    reference = push(tmp_path, memory_stick(loader, tmp_path))
    run(["probe", "freebsd", reference, "--firmware", firmware, "--record", str(record)])
    found = gates_of(record)
    assert found["header"]["verdict"] == "pass", found["header"]
    assert found["header"]["evidence"]["disk_guid"] == "MBR 0xb69b5312"  # type: ignore[index]  # JSON
    assert found["load-image"]["verdict"] == "pass"
    assert "an MBR, which does not name a root" in str(found["ufs-root"]["reason"])
    console = "\n".join(line["text"] for line in json.loads(record.read_text())["console"])
    assert "(hd0,msdos2,bsd1)" in console  # which GRUB of Debian lists and cannot open
    assert 'autoboot_delay="7"' in console


def test_another_systems_loader_fails_the_banner_gate_alone(tmp_path: Path) -> None:
    record = tmp_path / "record.json"
    loader = grub_loader("amd64", tmp_path, "set pager=0\necho hello from GRUB\n")
    reference = push(tmp_path, boot_disk("amd64", loader))
    assert run(["probe", "freebsd", reference, "--record", str(record)]) == 1
    found = gates_of(record)
    failed = [name for name, gate in found.items() if gate["verdict"] == "fail"]
    assert failed == ["loader-banner"]
    assert found["start-image"]["evidence"]["ending"] == "awaiting-input"  # type: ignore[index]  # JSON
    assert any("hello from GRUB" in line["text"] for line in json.loads(record.read_text())["console"])


def test_a_systems_keys_answer_its_prompt(tmp_path: Path) -> None:
    reference = push(tmp_path, boot_disk("amd64", grub_loader("amd64", tmp_path, "")))
    system = replace(systems.load("freebsd"), keys=(("grub> $", "echo typed-by-script\n"),))
    with Probe(system, reference) as probe:
        for _ in run_stages(stages("hosted", system), probe):
            pass
        text = probe.boot().console
    assert re.search(r"grub> echo typed-by-script\s+typed-by-script\s+grub>", text)


@pytest.mark.parametrize("name", ["freebsd", "windows"])
def test_a_loader_that_draws_its_text_is_given_no_display(name: str, tmp_path: Path) -> None:
    reference = push(tmp_path, boot_disk("amd64", standin("amd64")))
    with Probe(systems.load(name), reference) as probe:
        for _ in run_stages(stages("hosted", systems.load("demo")), probe):
            pass
        session = probe.session
        assert isinstance(session, HostedSession)
        assert session.hosted.firmware.with_protocol("EFI_GRAPHICS_OUTPUT_PROTOCOL") == []


def test_what_lies_beyond_this_firmware_says_so(tmp_path: Path) -> None:
    record = tmp_path / "record.json"
    reference = push(tmp_path, boot_disk("amd64", standin("amd64")))
    assert run(["probe", "linux", reference, "--firmware", "hosted", "--record", str(record)]) == 1
    found = gates_of(record)
    assert list(found)[-2:] == ["kernel-banner", "root-mounted"]
    assert found["loader-banner"]["verdict"] == "fail"


def test_the_default_firmware_is_the_systems() -> None:
    assert {name: default_firmware(systems.load(name)) for name in systems.names()} == {
        "demo": "hosted", "freebsd": "hosted", "linux": "qemu", "netbsd": "hosted", "openbsd": "hosted",
        "windows": "hosted",
    }  # fmt: skip


def test_the_stand_in_prints_what_freebsds_pattern_would_not_take() -> None:
    assert not re.search(systems.load("freebsd").loader_pattern, "cloudboot stand-in EFI loader, Revision 1.0\n")
