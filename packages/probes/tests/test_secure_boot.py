"""Probes with Microsoft's keys of Secure Boot, which Debian's OVMF has: shim, and GRUB, which shim verifies."""

import json
from pathlib import Path

import pytest

from cloudboot_base import run_stages
from cloudboot_base.testing import FOREIGN, flipped, judge_file
from cloudboot_oci_stream import push_image
from cloudboot_probes import systems
from cloudboot_probes.cli.dispatch import run
from cloudboot_probes.probe import Probe, ProbeOptions, stages
from cloudboot_uefi_abi.commands.variables import load_variables

SHIM = FOREIGN / "usr/lib/shim/shimx64.efi.signed"
GRUB = FOREIGN / "usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed"


@pytest.fixture
def keys() -> str:
    """Variables with Microsoft's keys."""
    return str(judge_file(Path("/usr/share/OVMF/OVMF_VARS_4M.ms.fd"), "ovmf"))


def disk_of(shim: bytes, tmp_path: Path) -> str:
    """A disk that starts shim."""
    (tmp_path / "shim.efi").write_bytes(shim)
    grub = judge_file(GRUB, "grub-efi-amd64-signed")
    words = ["--loader", str(tmp_path / "shim.efi"), "--esp-file", f"/EFI/BOOT/grubx64.efi={grub}"]
    assert run(["image", "build", "demo", "-o", str(tmp_path / "disk.img"), *words]) == 0
    return str(tmp_path / "disk.img")


def probed(tmp_path: Path, disk: str, *words: str) -> dict[str, dict[str, object]]:
    """The gates of a probe by name."""
    record = tmp_path / "record.json"
    run(["probe", "demo", disk, "--record", str(record), *words])
    return {gate["gate"]: gate for gate in json.loads(record.read_text())["gates"]}


def test_shim_runs_and_so_does_what_it_verifies(keys: str, tmp_path: Path) -> None:
    shim = judge_file(SHIM, "shim-signed").read_bytes()
    found = probed(tmp_path, disk_of(shim, tmp_path), "--variables", keys)
    assert found["load-image"]["verdict"] == "pass"
    evidence = found["start-image"]["evidence"]
    assert isinstance(evidence, dict)
    assert str(evidence["first_line"]).startswith("GNU GRUB")


@pytest.mark.parametrize("kind", ["changed", "unsigned"])
def test_another_loader_is_refused_with_the_reason(kind: str, keys: str, tmp_path: Path) -> None:
    if kind == "changed":
        shim = judge_file(SHIM, "shim-signed").read_bytes()
        disk = disk_of(flipped(shim, 0x2000), tmp_path)
    else:
        disk = str(tmp_path / "disk.img")
        assert run(["image", "build", "demo", "-o", disk]) == 0
    assert probed(tmp_path, disk)["load-image"]["verdict"] == "pass"
    found = probed(tmp_path, disk, "--variables", keys)
    assert found["load-image"]["verdict"] == "fail"
    error = found["load-image"]["error"]
    assert isinstance(error, dict)
    assert error["message"].startswith("LoadImage: Secure Boot: ")
    assert "EFI_ACCESS_DENIED" in error["message"]
    assert found["start-image"]["verdict"] == "not-reached"


@pytest.mark.parametrize("state", ["off", "on"])
def test_the_machine_says_whether_secure_boot_is_on(state: str, keys: str, tmp_path: Path) -> None:
    assert run(["image", "build", "demo", "-o", str(tmp_path / "disk.img")]) == 0
    reference = f"oci:{tmp_path}/store:demo"
    push_image(tmp_path / "disk.img", reference)
    system = systems.load("demo")
    options = ProbeOptions(variables=load_variables(keys) if state == "on" else ())
    with Probe(system, reference, options) as probe:
        for _ in run_stages(stages("hosted", system), probe):
            pass
        assert probe.session is not None
        assert probe.session.facts()["secure_boot"] == state


def test_other_firmwares_have_variables_of_their_own(keys: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["probe", "linux", "disk.img", "--variables", keys]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "cloudboot: error: --variables is for the hosted firmware alone",
        "cloudboot: hint: give --firmware hosted as well",
    ]


def test_what_is_no_store_of_variables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "flash").write_bytes(bytes(5000))
    disk = str(tmp_path / "disk.img")
    assert run(["image", "build", "demo", "-o", disk]) == 0
    assert run(["probe", "demo", disk, "--variables", str(tmp_path / "flash")]) == 3
    assert f"{tmp_path}/flash: " in capsys.readouterr().err
