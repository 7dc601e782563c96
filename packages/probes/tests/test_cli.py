"""The command as people run it: what it prints, what it refuses, and with which exit code."""

from __future__ import annotations

import gzip
import hashlib
import json
import lzma
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cloudboot_base.testing import judge, run
from cloudboot_oci_stream.testing import docker_registry

FORCE = {"qcow2": "cluster_size=64k", "vpc": "force_size=on"}


def cloudboot(*arguments: str | Path, code: int = 0, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "cloudboot_probes", *arguments],
        capture_output=True, text=True, check=False, cwd=cwd, env={**os.environ, "COLUMNS": "120", "NO_COLOR": "1"},
    )  # fmt: skip
    assert done.returncode == code, done.stderr + done.stdout
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image too small to boot anything, large enough to be one."""
    folder = tmp_path_factory.mktemp("small")
    (folder / "root" / "boot").mkdir(parents=True)
    (folder / "root" / "boot" / "kernel").write_bytes(b"kernel" * 1000)
    (folder / "loader.efi").write_bytes(b"MZ" + bytes(1000))
    cloudboot("image", "build", "custom", "-o", "disk.img", "--loader", "loader.efi", "--root", "root", cwd=folder)
    return folder / "disk.img"


def test_help_names_every_command_and_exit_code() -> None:
    text = cloudboot("--help").stdout
    for word in (
        "copy",
        "image",
        "inspect",
        "push",
        "pull",
        "probe",
        "sign",
        "verify",
        "exit codes:",
        " 12  A machine could not be started.",
    ):
        assert word in text
    assert cloudboot("--version").stdout.startswith("cloudboot 0.")


def test_a_dry_run_prints_the_plan_and_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "file").write_bytes(b"x" * 5000)
    flags = ("--root", "root", "--block-size", "8K", "--esp-size", "2M", "--dry-run")
    text = cloudboot("image", "build", "custom", *flags, cwd=tmp_path).stdout
    assert "would write disk.img" in text
    assert "/file" in text
    plan = json.loads(cloudboot("image", "build", "custom", *flags, "--json", cwd=tmp_path).stdout)
    assert plan["root"] == {"/": None, "/file": 5000}
    assert [part["first_lba"] for part in plan["partitions"]] == [64, 6144]
    assert os.listdir(tmp_path) == ["root"]


def test_an_image_is_not_overwritten_unless_told(small: Path) -> None:
    before = small.read_bytes()
    arguments = ("image", "build", "custom", "-o", small, "--root", small.parent / "root")
    refused = cloudboot(*arguments, code=5)
    assert "--force" in refused.stderr
    assert small.read_bytes() == before
    cloudboot("image", "build", "custom", "-o", small.with_name("two.img"), "--root", small.parent / "root")
    cloudboot("image", "build", "custom", "-o", small.with_name("two.img"), "--root", small.parent / "root", "--force")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("image", "build", "none.toml"), 2, "cannot read the recipe none.toml"),
        (("image", "build", "custom", "--root", "nowhere"), 2, "nowhere is not there"),
        (("image", "build", "custom", "--block-size", "5K", "--root", "."), 2, "power of two"),
        (("image", "build", "custom", "--block-size", "big"), 2, "is not a size"),
        (("image", "build", "custom", "--esp-file", "a=b"), 2, "is not /PATH=FILE"),
        (("image", "inspect", "nothing-here"), 2, "no registry is named"),
        (("push", "missing.img", "oci:layout:v1"), 2, "missing.img"),
        (("pull", "oci:no-layout:v1"), 3, "no-layout"),
        (("copy", "oci:no-layout:v1", "oci:other:v1"), 3, "no-layout"),
        (("inspect", "127.0.0.1:1/a/b:v1"), 10, "127.0.0.1:1"),
        (("pull", "127.0.0.1:1/a/b:v1"), 10, "127.0.0.1:1"),
        (("probe", "plan9", "oci:x:v1"), 2, "no operating system is called"),
    ],
)
def test_mistakes_give_one_line_and_their_code(
    arguments: tuple[str, ...], code: int, words: str, tmp_path: Path
) -> None:
    done = cloudboot(*arguments, code=code, cwd=tmp_path)
    assert words in done.stderr
    assert done.stdout == ""
    assert not (tmp_path / "disk.img").exists()


@pytest.mark.parametrize("kind", ["qcow2", "vpc", "gz", "xz"])
def test_inspect_reads_containers_as_it_reads_raw_disks(small: Path, kind: str, tmp_path: Path) -> None:
    target = tmp_path / f"disk.{kind}"
    if kind in ("qcow2", "vpc"):
        run(judge("qemu-img", "qemu-utils"), "convert", "-O", kind, "-o", FORCE[kind], small, target)
    else:
        data = small.read_bytes()
        target.write_bytes(gzip.compress(data) if kind == "gz" else lzma.compress(data))
    raw = json.loads(cloudboot("image", "inspect", small, "--json").stdout)
    assert json.loads(cloudboot("image", "inspect", target, "--json").stdout) == raw
    cut = tmp_path / "cut"
    cut.write_bytes(target.read_bytes()[: target.stat().st_size // 2])
    assert "error: " in cloudboot("image", "inspect", cut, code=3).stderr


def test_inspect_shows_partitions_and_files_and_finds_damage(small: Path, tmp_path: Path) -> None:
    text = cloudboot("image", "inspect", small).stdout
    for word in ("freebsd-ufs", "34816", "/boot/kernel", "/EFI/BOOT/BOOTX64.EFI", "no defect found"):
        assert word in text
    facts = json.loads(cloudboot("image", "inspect", small, "--json").stdout)
    assert facts["findings"] == []
    data = bytearray(small.read_bytes())
    group = data.find((0x90255).to_bytes(4, "little"), 34816 * 512) - 4  # cg_magic of the first cylinder group
    data[group + 32] ^= 1  # cg_cs.cs_nifree
    broken = tmp_path / "broken.img"
    broken.write_bytes(data)
    found = cloudboot("image", "inspect", broken, code=1)
    assert "defect" in found.stdout
    assert json.loads(cloudboot("image", "inspect", broken, "--json", code=1).stdout)["findings"]
    data[34816 * 512 + 65536 + 1372] ^= 1  # fs_magic
    broken.write_bytes(data)
    text = cloudboot("image", "inspect", broken, code=1).stdout
    assert "fs_magic" in text
    assert "/EFI/BOOT/BOOTX64.EFI" in text


@pytest.mark.parametrize("place", ["folder", "registry"])
def test_push_and_pull_give_the_same_bytes(small: Path, tmp_path: Path, place: str) -> None:
    with docker_registry() as server:
        reference = f"oci:{tmp_path / 'layout'}:v1" if place == "folder" else f"{server.host}/team/disk:v1"
        pushed = json.loads(cloudboot("push", small, reference, "--json").stdout)
        again = cloudboot("push", small, reference).stdout
        assert again.strip().endswith(pushed["digest"])
        pulled = json.loads(cloudboot("pull", reference, "-o", tmp_path / "back.img", "--json").stdout)
        assert pulled["digest"] == "sha256:" + hashlib.sha256(small.read_bytes()).hexdigest()
        assert (tmp_path / "back.img").read_bytes() == small.read_bytes()
        assert "no defect found" in cloudboot("image", "inspect", reference).stdout
        refused = cloudboot("pull", reference, "-o", tmp_path / "back.img", code=5)
        assert "--force" in refused.stderr
        copied = json.loads(cloudboot("copy", reference, f"oci:{tmp_path / 'copy'}:v2", "--json").stdout)
        assert copied["digest"] == pushed["digest"]
        assert copied["sent"] == small.stat().st_size + 2
        assert "0 bytes sent" in cloudboot("copy", reference, f"oci:{tmp_path / 'copy'}:v2").stdout
        described = json.loads(cloudboot("inspect", f"oci:{tmp_path / 'copy'}:v2", "--json").stdout)
        assert (described["manifest"], described["layer"]["digest"]) == (pushed["digest"], pulled["digest"])
        assert pulled["digest"] in cloudboot("inspect", reference).stdout


def test_a_flipped_bit_is_never_pulled(small: Path, tmp_path: Path) -> None:
    reference = f"oci:{tmp_path / 'layout'}:v1"
    cloudboot("push", small, reference)
    digest = hashlib.sha256(small.read_bytes()).hexdigest()
    blob = tmp_path / "layout" / "blobs" / "sha256" / digest
    blob.chmod(0o644)
    data = bytearray(blob.read_bytes())
    data[len(data) // 2] ^= 1
    blob.write_bytes(data)
    refused = cloudboot("pull", reference, "-o", tmp_path / "back.img", code=3)
    assert digest in refused.stderr
    assert not (tmp_path / "back.img").exists()
    gates = probe_gates(reference)
    assert [gate["verdict"] for gate in gates[:4]] == ["pass", "pass", "fail", "not-reached"]
    facts = gates[2]["error"]
    assert isinstance(facts, dict)
    assert facts["error"] == "DigestMismatchError"


def probe_gates(reference: str, code: int = 1) -> list[dict[str, object]]:
    lines = cloudboot("probe", "linux", reference, "--json", code=code).stdout.splitlines()
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize(
    ("damage", "error"),
    [
        (lambda data: data.__setitem__(510, 0), "MBRSignatureError"),
        (lambda data: data.__setitem__(512 + 16, data[512 + 16] ^ 1), "HeaderChecksumError"),
        (lambda data: data.__setitem__(-512, 0), "MissingBackupError"),
        (lambda data: data.__setitem__(slice(64 * 512, 65 * 512), bytes(512)), "BootSectorError"),
        (lambda data: data.__setitem__(data.find(b"MZ", 64 * 512) + 500, 1), "GateFailedError"),
    ],
)
def test_a_damaged_header_stops_the_probe_before_any_machine(
    small: Path, tmp_path: Path, damage: object, error: str
) -> None:
    data = bytearray(small.read_bytes())
    assert callable(damage)
    damage(data)
    broken = tmp_path / "broken.img"
    broken.write_bytes(data)
    reference = f"oci:{tmp_path / 'layout'}:v1"
    cloudboot("push", broken, reference)
    gates = probe_gates(reference)
    assert len(gates) == 13
    assert [gate["verdict"] for gate in gates] == ["pass"] * 3 + ["fail"] + ["not-reached"] * 9
    assert {gate.get("reason") for gate in gates[4:]} == {"the gate header failed"}
    facts = gates[3]["error"]
    assert isinstance(facts, dict)
    assert facts["error"] == error


def test_a_failed_probe_still_writes_its_reports(small: Path, tmp_path: Path) -> None:
    report, junit = tmp_path / "report.html", tmp_path / "junit.xml"
    done = cloudboot("probe", "linux", f"oci:{tmp_path}/none:v1", "--report", report, "--junit", junit, code=1)
    assert "FAIL resolve" in done.stdout
    assert "0 of 13 gates passed" in done.stdout
    assert "0 of 13 gates passed" in report.read_text()
    assert 'failures="1"' in junit.read_text()
