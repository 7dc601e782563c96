"""Probes on the firmware in this process: real loaders, the same gates as on a machine, nothing else installed."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from cloudboot_base import new_image, run_stages
from cloudboot_oci_stream import push_image
from cloudboot_probes import demo, systems
from cloudboot_probes.cli.dispatch import run
from cloudboot_probes.probe import BOOT_GATES, IMAGE_GATES, Probe, default_firmware, stages
from cloudboot_probes.probe.hosted import HostedSession
from cloudboot_uefi_host.programs import standin
from cloudboot_uefi_host.testing import boot_disk, grub_loader

ARCHITECTURES = ("amd64", "arm64", "riscv64")


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


def test_a_foreign_disk_without_a_root_is_probed_as_far_as_it_goes(tmp_path: Path) -> None:
    record = tmp_path / "record.json"
    reference = push(tmp_path, boot_disk("arm64", standin("arm64")))
    assert run(["probe", "demo", reference, "--architecture", "arm64", "--record", str(record)]) == 0
    found = gates_of(record)
    assert found["ufs-root"]["verdict"] == "not-applicable"
    assert "ESP alone" in str(found["ufs-root"]["reason"])
    assert found["loader-banner"]["evidence"]["gave_up"] == ["Failed to find bootable partition"]  # type: ignore[index]  # JSON


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
