from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudboot_qemu import ARCHITECTURES, FirmwareMissingError, find_firmware, list_firmware
from cloudboot_qemu.firmware import parse_descriptor

# The shape of docs/interop/firmware.json, as edk2's packages fill it in.
GOOD: dict[str, object] = {
    "description": "UEFI firmware for x86_64",
    "interface-types": ["uefi"],
    "mapping": {
        "device": "flash",
        "executable": {"filename": "/code.fd", "format": "raw"},
        "nvram-template": {"filename": "/vars.fd", "format": "raw"},
    },
    "targets": [{"architecture": "x86_64", "machines": ["pc-i440fx-*", "pc-q35-*"]}],
    "features": ["acpi-s3"],
    "tags": [],
}
LEAF = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
JSON = st.recursive(LEAF, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner))


def descriptor(folder: Path, name: str, code: str, **changes: object) -> None:
    for file in (code, "vars.fd"):
        (folder.parent / file).write_bytes(b"firmware")
    mapping = {
        "device": "flash",
        "executable": {"filename": str(folder.parent / code), "format": "raw"},
        "nvram-template": {"filename": str(folder.parent / "vars.fd"), "format": "raw"},
    }
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(json.dumps({**GOOD, "mapping": mapping, **changes}))


def test_a_descriptor_is_read() -> None:
    (firmware,) = parse_descriptor(json.dumps(GOOD), "here")
    assert (firmware.architecture, str(firmware.executable), str(firmware.variables)) == (
        "amd64",
        "/code.fd",
        "/vars.fd",
    )
    assert firmware.plain
    assert firmware.source == "here"


@pytest.mark.parametrize(
    "changes",
    [
        {"interface-types": ["bios"]},
        {"mapping": {"device": "memory", "filename": "/x"}},
        {"mapping": {"device": "flash", "executable": {"filename": "/code.qcow2", "format": "qcow2"}}},
        {"targets": [{"architecture": "s390x", "machines": ["virt-*"]}]},
        {"targets": [{"architecture": "aarch64", "machines": ["sbsa-ref"]}]},
        {"targets": [{"architecture": "x86_64", "machines": ["microvm"]}]},
    ],
)
def test_other_firmware_is_passed_over(changes: dict[str, object]) -> None:
    assert parse_descriptor(json.dumps({**GOOD, **changes}), "here") == []


@pytest.mark.parametrize("features", [["requires-smm"], ["secure-boot", "enrolled-keys"]])
def test_firmware_that_needs_more_is_listed_but_not_chosen(tmp_path: Path, features: list[str]) -> None:
    folder = tmp_path / "firmware"
    descriptor(folder, "10-secure.json", "secure.fd", features=features)
    descriptor(folder, "60-plain.json", "plain.fd")
    assert [item.executable.name for item in list_firmware("amd64", folders=[folder])][:2] == ["secure.fd", "plain.fd"]
    assert find_firmware("amd64", folders=[folder]).executable.name == "plain.fd"


@given(st.sampled_from(sorted(GOOD)), JSON)
def test_damaged_descriptors_offer_nothing_or_firmware(key: str, value: object) -> None:
    for firmware in parse_descriptor(json.dumps({**GOOD, key: value}), "here"):
        assert firmware.architecture in ARCHITECTURES


@given(st.text())
def test_text_that_is_no_descriptor_offers_nothing(text: str) -> None:
    assert parse_descriptor(text, "here") == []
    assert parse_descriptor("[" * 100_000, "here") == []


def test_folders_come_in_order_and_hide_namesakes(tmp_path: Path) -> None:
    mine, system = tmp_path / "mine", tmp_path / "system"
    descriptor(system, "50-a.json", "system-a.fd")
    descriptor(system, "60-b.json", "system-b.fd")
    descriptor(mine, "60-b.json", "mine-b.fd")
    (mine / "50-a.json").write_text("")
    found = [item.executable.name for item in list_firmware("amd64", folders=[mine, system])]
    assert found[0] == "mine-b.fd"
    assert "system-a.fd" not in found
    assert "system-b.fd" not in found


def test_a_missing_firmware_names_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloudboot_qemu.firmware._well_known", lambda _row: [])
    with pytest.raises(FirmwareMissingError) as caught:
        find_firmware("amd64", folders=[tmp_path])
    assert caught.value.hint == "on Debian: apt install ovmf"
    with pytest.raises(ValueError, match="vax"):
        find_firmware("vax")


def test_the_command_lists_what_the_library_finds() -> None:
    command = [sys.executable, "-m", "cloudboot_qemu", "firmware", "--json"]
    done = subprocess.run(command, capture_output=True, check=False)
    assert json.loads(done.stdout) == [firmware.as_dict() for firmware in list_firmware()]


def test_a_reader_that_goes_away_is_no_error() -> None:
    command = [sys.executable, "-m", "cloudboot_qemu", "firmware", "--json"]
    expected = subprocess.run(command, capture_output=True, check=False).returncode
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "wb") as stdout:
        buffered = {**os.environ, "PYTHONUNBUFFERED": ""}
        done = subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, env=buffered, check=False)
    assert (done.returncode, done.stderr) == (expected, b"")
