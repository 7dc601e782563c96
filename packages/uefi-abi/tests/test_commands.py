"""The commands: what they print, as text and as JSON, and their exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cloudboot_base.testing import flipped, judge
from cloudboot_uefi_abi.__main__ import main
from cloudboot_uefi_abi.device_path import DevicePath
from cloudboot_uefi_abi.guids import CATEGORIES, GUIDS
from cloudboot_uefi_abi.load_option import LoadOption, LoadOptionAttribute
from cloudboot_uefi_abi.variables import Variable, VariableStore, efivarfs_file, efivarfs_name

DATA = Path(__file__).parent / "data"
TEXT = r"PciRoot(0x0)/Pci(0x1,0x0)/\EFI\BOOT\BOOTX64.EFI"
FLASH = "/usr/share/OVMF/OVMF_VARS_4M.ms.fd"


def printed(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    assert main(arguments) == code
    return capsys.readouterr().out


def as_json(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> Any:
    return json.loads(printed(capsys, *arguments, "--json", code=code))


def test_devpath(capsys: pytest.CaptureFixture[str]) -> None:
    data = printed(capsys, "devpath", TEXT).strip()
    assert data == DevicePath.from_text(TEXT).pack().hex()
    assert printed(capsys, "devpath", data) == TEXT + "\n"
    (facts,) = as_json(capsys, "devpath", data)
    assert facts["text"] == TEXT
    assert facts["instances"][0][1] == {
        "kind": "Pci", "type": 1, "subtype": 1, "text": "Pci(0x1,0x0)", "hex": "010106000001",
        "fields": {"function": 0, "device": 1},
    }  # fmt: skip
    assert "1/1   Pci(0x1,0x0)  010106000001" in printed(capsys, "devpath", "--nodes", data)
    terminal = "030a1400d6a015adec8bcf4aa073d01de77e2d887fff0400"
    assert printed(capsys, "devpath", "--shortcuts", terminal) == "VenUtf8()\n"
    assert printed(capsys, "devpath", "--display", "030c1b00" + "00" * 23 + "7fff0400") == "IPv4(0.0.0.0)\n"
    assert as_json(capsys, "devpath", "Pci(0x100,0)", code=3)["structure"] == "Pci"


def test_loadoption(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    option = LoadOption("loader", (DevicePath.from_text(TEXT),), "quiet".encode("utf-16-le"))
    variable = Variable("Boot0001", GUIDS["EFI_GLOBAL_VARIABLE"], option.pack())
    path = tmp_path / efivarfs_name(variable)
    path.write_bytes(efivarfs_file(variable))
    bare = tmp_path / "option"
    bare.write_bytes(option.pack())
    text = printed(capsys, "loadoption", str(path))
    assert text == printed(capsys, "loadoption", str(bare)) == printed(capsys, "loadoption", option.pack().hex())
    assert text.splitlines() == [
        "description:  loader",
        "attributes:   0x1 (active)",
        f"device path:  {TEXT}",
        "data:         'quiet'",
    ]
    assert as_json(capsys, "loadoption", str(path))[0]["optional_text"] == "quiet"
    printed(capsys, "loadoption", "neither", code=2)


@pytest.mark.parametrize("active", [LoadOptionAttribute.ACTIVE, LoadOptionAttribute(0)])
@pytest.mark.parametrize("stored", [b"", b"\3\0\0\0", b"\7\0\0\0"])
def test_a_copy_of_a_file_of_efivarfs(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, active: LoadOptionAttribute, stored: bytes
) -> None:
    option = LoadOption("loader", (DevicePath.from_text(TEXT),), b"data", active)
    path = tmp_path / "boot.bin"
    path.write_bytes(stored + option.pack())
    for given in (str(path), path.read_bytes().hex()):
        (facts,) = as_json(capsys, "loadoption", given)
        assert (facts["description"], facts["active"]) == ("loader", bool(active))
        assert facts["paths"][0]["text"] == TEXT
    path.write_bytes(stored + b"\1\0\0\0\xff\xff")
    assert main(["loadoption", str(path)]) == 3


def test_variables(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    if not Path(FLASH).exists():
        judge(FLASH, "ovmf")
    lines = printed(capsys, "variables", FLASH).splitlines()
    assert "EFI_GLOBAL_VARIABLE Timeout NV+BS+RT: 0" in lines
    assert "EFI_GLOBAL_VARIABLE PK NV+BS+RT+AT: 1 of EFI_CERT_X509" in lines
    facts = as_json(capsys, "variables", FLASH, "--name", "PK")
    assert (facts[0]["vendor_name"], facts[0]["attributes"]) == ("EFI_GLOBAL_VARIABLE", 0x27)
    for variable in VariableStore.parse(Path(FLASH).read_bytes()).variables:
        (tmp_path / efivarfs_name(variable)).write_bytes(efivarfs_file(variable))
    assert sorted(printed(capsys, "variables", str(tmp_path)).splitlines()) == sorted(lines)
    boot = printed(capsys, "variables", "--boot", FLASH).splitlines()
    assert boot[0].startswith("   - Boot0000* UiApp  Fv(7CB8BDC9")
    entries = as_json(capsys, "variables", "--boot", FLASH)
    assert [(entry["name"], entry["position"]) for entry in entries] == [(f"Boot000{n}", None) for n in range(3)]


def test_variables_of_virt_firmware_s_json(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "vars.json"
    guid = str(GUIDS["EFI_GLOBAL_VARIABLE"])
    rows = [
        {"name": "BootOrder", "guid": guid, "attr": 7, "data": "01000200"},
        {"name": "Boot0001", "guid": guid, "attr": 7, "data": "00"},
    ]
    path.write_text(json.dumps({"version": 2, "variables": rows}))
    assert (
        printed(capsys, "variables", str(path)).splitlines()[0] == "EFI_GLOBAL_VARIABLE BootOrder NV+BS+RT: 0001,0002"
    )
    lines = printed(capsys, "variables", "--boot", str(path)).splitlines()
    assert lines[0].startswith(
        "   1 Boot0001  not usable: EFI_LOAD_OPTION at byte 0: the structure reaches past the end"
    )
    assert lines[1] == "   2 Boot0002  not usable: the variable does not exist"
    for text in (
        '{"variables": 1}',
        '{"variables": [{}]}',
        "{",
        '{"variables": [{"name":"a","guid":"x","data":"","attr":1}]}',
    ):
        path.write_text(text)
        printed(capsys, "variables", str(path), code=3)


def test_eventlog(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    log = DATA / "eventlog-plain-sha1.bin"
    lines = printed(capsys, "eventlog", str(log)).splitlines()
    assert "  4 EV_EFI_ACTION 'Calling EFI Application from Boot Option'" in lines
    assert lines[-9:-6] == [
        "sha1:",
        "  0 8aca5299970b4e7375dd1747a56ee00021aff068",
        "  1 abaf18a0e553bda15655501f2d46bd32dca42150",
    ]
    facts = as_json(capsys, "eventlog", str(log))
    assert facts["pcrs"]["sha1"]["0"] == "8aca5299970b4e7375dd1747a56ee00021aff068"
    assert len(facts["events"]) == 26
    assert "no problems" in printed(capsys, "eventlog", "--check", str(log))
    changed = tmp_path / "log"
    changed.write_bytes(flipped(log.read_bytes(), log.read_bytes().index(b"Calling")))
    assert "1 problem found" in printed(capsys, "eventlog", "--check", str(changed), code=1)
    changed.write_bytes(log.read_bytes() + bytes(100))
    assert printed(capsys, "eventlog", str(changed)).splitlines() == lines
    changed.write_bytes(log.read_bytes() + bytes(100) + b"other data")
    printed(capsys, "eventlog", str(changed), code=3)
    assert printed(capsys, "eventlog", "--padded", str(changed)).splitlines() == lines
    changed.write_bytes(b"")
    for words in ((), ("--check",)):
        assert as_json(capsys, "eventlog", str(changed), *words, code=3)["message"] == "the log is empty"


def test_pe(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, "pe", str(DATA / "measured.efi"))
    assert "sha256:         cdcafd7b206fde9208acdcd5f8d75189916bb8cc2cbf7cbe02092a7a7ead6320" in text
    facts = as_json(capsys, "pe", str(DATA / "measured.efi"))
    assert (facts["machine"], facts["relocations"], facts["sections"][1]["name"]) == ("AMD64", 1, ".text")
    assert as_json(capsys, "pe", str(DATA / "hello.c"), code=3)["field"] == "e_magic"
    printed(capsys, "pe", str(DATA / "absent"), code=5)


def test_guid(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, "guid", "964e5b21-6459-11d2-8e39-00a0c969723b") == (
        "964E5B21-6459-11D2-8E39-00A0C969723B EFI_BLOCK_IO_PROTOCOL 215b4e965964d2118e3900a0c969723b\n"
    )
    assert printed(capsys, "guid", "00000000-0000-0000-0000-000000000001").split()[1] == "unknown"
    assert len(as_json(capsys, "guid")) == len(GUIDS)
    assert len(as_json(capsys, "guid", "--category", "protocol")) == len(CATEGORIES["protocol"])
    printed(capsys, "guid", "EFI_NOTHING", code=2)


def test_table(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, "table", "BOOT_SERVICES")
    assert text.startswith("EFI_BOOT_SERVICES: 376 bytes\n")
    assert "  264 EFI_STATUS ConnectController(" in text
    (facts,) = as_json(capsys, "table", "DISK_IO")
    assert facts["members"][1]["offset"] == 8
    assert "EFI_RNG_PROTOCOL 16" in printed(capsys, "table").splitlines()
    printed(capsys, "table", "NOTHING_AT_ALL", code=2)


def test_help_and_the_module(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, "--help")
    assert all(
        f"  {name}" in text for name in ("devpath", "loadoption", "variables", "eventlog", "pe", "guid", "table")
    )
