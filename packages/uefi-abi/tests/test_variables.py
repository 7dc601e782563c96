"""Variables: real OVMF stores as virt-firmware and efibootmgr read them, and stores that lie."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudboot_base import RangeError, TruncatedError
from cloudboot_base.testing import judge, run
from cloudboot_uefi_abi.__main__ import main
from cloudboot_uefi_abi.commands.variables import load_variables
from cloudboot_uefi_abi.constants import VariableAttribute
from cloudboot_uefi_abi.device_path import DevicePath
from cloudboot_uefi_abi.errors import DevicePathError, LoadOptionError, VariableError
from cloudboot_uefi_abi.guids import GUIDS
from cloudboot_uefi_abi.layout.records import EFI_TIME
from cloudboot_uefi_abi.load_option import KeyOption, LoadOption, LoadOptionAttribute
from cloudboot_uefi_abi.variables import (
    AuthenticatedUpdate,
    Certificate,
    EnhancedUpdate,
    EnhancedValue,
    Signature,
    SignatureList,
    Variable,
    VariableStore,
    boot_entries,
    boot_order,
    describe,
    efivarfs_file,
    efivarfs_name,
    format_store,
    option_number,
    pack_boot_order,
    pack_signature_lists,
    parse_signature_lists,
    variable_from_efivarfs,
    variables_from_dump,
)
from cloudboot_uefi_abi.variables.authentication import signed_contents

GLOBAL = GUIDS["EFI_GLOBAL_VARIABLE"]
STORES = ["OVMF_VARS.fd", "OVMF_VARS.ms.fd", "OVMF_VARS_4M.fd", "OVMF_VARS_4M.ms.fd", "OVMF_VARS_4M.snakeoil.fd"]
LIVE: dict[str, str] = json.loads((Path(__file__).parent / "data" / "device-paths-ovmf-live.json").read_text())


def store(name: str = "OVMF_VARS_4M.ms.fd") -> bytes:
    path = Path("/usr/share/OVMF") / name
    if not path.exists():
        judge(name, "ovmf")
    return path.read_bytes()


def virt_firmware(folder: Path, *arguments: str) -> str:
    """What virt-fw-vars prints; it is installed with the packages the tests need."""
    return run(Path(sys.executable).with_name("virt-fw-vars"), *arguments)


def as_judge_reads(folder: Path, flash: bytes) -> list[dict[str, object]]:
    (folder / "vars.fd").write_bytes(flash)
    virt_firmware(folder, "-i", str(folder / "vars.fd"), "--output-json", str(folder / "vars.json"))
    found: list[dict[str, object]] = json.loads((folder / "vars.json").read_text())["variables"]
    return found


def as_json(variable: Variable) -> dict[str, object]:
    facts: dict[str, object] = {
        "name": variable.name,
        "guid": str(variable.vendor),
        "attr": int(variable.attributes),
        "data": variable.data.hex(),
    }
    if any(variable.timestamp.pack()):
        facts["time"] = variable.timestamp.pack().hex()
    return facts


@pytest.mark.parametrize("name", STORES)
def test_debian_s_stores_are_virt_firmware_s(name: str, tmp_path: Path) -> None:
    flash = store(name)
    ours = VariableStore.parse(flash)
    assert ours.authenticated
    theirs = as_judge_reads(tmp_path, flash)
    key = lambda each: (each["guid"], each["name"])  # noqa: E731 -- the order of two lists
    assert sorted(map(as_json, ours.variables), key=key) == sorted(theirs, key=key)
    assert variables_from_dump(flash) == ours.variables
    dumped = {(each.name, each.vendor): each for each in variables_from_dump((tmp_path / "vars.json").read_bytes())}
    assert dumped == {(each.name, each.vendor): each for each in ours.variables}
    assert (name.count(".") == 1) == (not theirs)  # OVMF_VARS.fd and OVMF_VARS_4M.fd are empty


def test_what_is_written_is_what_virt_firmware_reads(tmp_path: Path) -> None:
    empty = VariableStore.parse(store("OVMF_VARS_4M.fd"))
    certificate = SignatureList(GUIDS["EFI_CERT_SHA256"], (Signature(UUID(int=1), bytes(32)),))
    option = LoadOption(
        "Übung", (DevicePath.from_text(r"HD(1,GPT,C10DDB00-7E1A-4001-91B0-070CB1EC80B1,0x40,0x8000)/\EFI\x.efi"),)
    )
    variables = (
        Variable("BootOrder", GLOBAL, pack_boot_order([1, 0])),
        Variable("Boot0001", GLOBAL, option.pack()),
        Variable("odd", UUID(int=5), b"x", VariableAttribute.BOOTSERVICE_ACCESS),
        Variable(
            "db",
            GUIDS["EFI_IMAGE_SECURITY_DATABASE"],
            certificate.pack(),
            VariableAttribute(0x27),
            EFI_TIME(2026, 11, 28),
        ),
    )
    flash = empty.replace(variables)
    assert VariableStore.parse(flash).variables == variables
    assert as_judge_reads(tmp_path, flash) == [as_json(variable) for variable in variables]
    printed = virt_firmware(tmp_path, "-i", str(tmp_path / "vars.fd"), "-p")
    assert 'title="Übung"' in printed
    assert flash[: empty.start] == empty.flash[: empty.start]
    assert flash[empty.start + empty.size :] == empty.flash[empty.start + empty.size :]
    with pytest.raises(RangeError, match="do not fit"):
        empty.replace([Variable("large", GLOBAL, bytes(empty.size))])
    with pytest.raises(RangeError, match="no null"):
        empty.replace([Variable("a\0b", GLOBAL, b"")])


def test_deleted_and_half_written_records() -> None:
    base = VariableStore.parse(store("OVMF_VARS_4M.fd"))
    first, second = Variable("Timeout", GLOBAL, b"\1\0"), Variable("Timeout", GLOBAL, b"\2\0")
    flash = bytearray(base.replace([first, second]))
    records = VariableStore.parse(flash).records
    assert [record.variable for record in records] == [first, second]

    def seen(*states: int) -> list[bytes]:
        for record, state in zip(records, states, strict=True):
            flash[record.offset + 2] = state
        return [variable.data for variable in VariableStore.parse(flash).variables]

    assert seen(0x3C, 0x3F) == [b"\2\0"]  # the old copy is deleted
    assert seen(0x3E, 0x7F) == [b"\1\0"]  # power was lost while the new copy was written
    assert seen(0x3E, 0x3F) == [b"\2\0"]  # power was lost before the old copy was deleted
    assert seen(0x3C, 0x3C) == []


def damaged(offset: int, form: str, *values: int) -> bytes:
    flash = bytearray(store())
    struct.pack_into(form, flash, offset, *values)
    return bytes(flash)


@pytest.mark.parametrize(
    ("offset", "form", "value", "message"),
    [
        (40, "<I", 0, "not a firmware volume"),
        (60, "<B", 1, "checksum"),
        (72, "<I", 0, "not a variable store"),
        (72 + 16, "<I", 0x7FFFFFFF, "leaves the flash"),
        (72 + 16, "<I", 8, "not a variable store"),
        (72 + 20, "<H", 0, "not formatted"),
        (72 + 28 + 36, "<I", 0x7FFFFFFF, "leaves the store"),
        (72 + 28 + 36, "<I", 3, "no name"),
    ],
)
def test_stores_that_lie(offset: int, form: str, value: int, message: str) -> None:
    with pytest.raises(VariableError, match=message):
        VariableStore.parse(damaged(offset, form, value))


def test_a_record_that_leaves_the_store_ends_the_variables_as_it_does_for_firmware(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    variables = [Variable(name, GLOBAL, b"\1\0") for name in ("Timeout", "BootNext", "PlatformLang", "Lang")]
    flash = bytearray(VariableStore.parse(store("OVMF_VARS_4M.fd")).replace(variables))
    third = VariableStore.parse(flash).records[2].offset
    struct.pack_into("<I", flash, third + 40, 1 << 24)  # DataSize
    with pytest.raises(VariableError, match="leaves the store"):
        variables_from_dump(flash)
    told: list[VariableError] = []
    assert variables_from_dump(flash, told.append) == tuple(variables[:2])
    assert [error.offset for error in told] == [third]
    (tmp_path / "vars.fd").write_bytes(flash)
    assert main(["variables", str(tmp_path / "vars.fd")]) == 0
    printed = capsys.readouterr()
    assert [line.split()[1] for line in printed.out.splitlines()] == ["Timeout", "BootNext"]
    assert f"the variables end there: AUTHENTICATED_VARIABLE_HEADER.NameSize at byte {third}" in printed.err


def padded(flash: bytes) -> bytes:
    return flash + bytes(1 << 20)


def behind_erased_memory(flash: bytes) -> bytes:
    return b"\xff" * (1 << 20) + flash


def behind_code(flash: bytes) -> bytes:
    """As in the flash of boards: a firmware volume of code comes first."""
    volume = bytearray(flash[:72])
    volume[16:32] = GUIDS["EFI_FIRMWARE_FILE_SYSTEM2"].bytes_le
    return bytes(volume).ljust(0x37C000, b"\xff") + flash


@pytest.mark.parametrize("place", [padded, behind_erased_memory, behind_code])
def test_a_store_inside_a_larger_flash(tmp_path: Path, place: Callable[[bytes], bytes]) -> None:
    flash = place(store())
    ours = VariableStore.parse(flash)
    key = lambda each: (each["guid"], each["name"])  # noqa: E731 -- the order of two lists
    assert sorted(map(as_json, ours.variables), key=key) == sorted(as_judge_reads(tmp_path, flash), key=key)
    assert ours.variables == VariableStore.parse(store()).variables
    first = ours.records[0]
    assert flash[first.offset : first.offset + 2] == b"\xaa\x55"
    assert ours.replace(ours.variables) == place(VariableStore.parse(store()).replace(ours.variables))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ((2, "<B"), 0xFF),
        ((4, "<I"), 0xFFFFFFFF),
        ((36, "<I"), 0xFFFFFFFF),
        ((40, "<I"), 0xFFFFFFFF),
    ],
    ids=["state", "attributes", "NameSize", "DataSize"],
)
def test_a_head_that_was_not_written_whole_has_no_data(field: tuple[int, str], value: int) -> None:
    lost, kept = Variable("Lost", GLOBAL, b"1234"), Variable("Kept", GLOBAL, b"1")
    empty = VariableStore.parse(format_store())
    flash = bytearray(empty.replace([kept, lost]))
    first, second = VariableStore.parse(flash).records
    head = bytearray(flash[second.offset : second.offset + 60])
    struct.pack_into(field[1], head, field[0], value)
    record = flash[first.offset : first.offset + 60 + 10 + 1]
    written = flash[: first.offset] + head + record
    flash[: len(written)] = written
    assert [variable.name for variable in VariableStore.parse(flash).variables] == ["Kept"]


@pytest.mark.parametrize("magic", [b"QFI\xfb", b"\x1f\x8b\x08", b"AMZNUEFI", base64.b64encode(b"AMZNUEFI\x12\x34\0")])
def test_other_containers_have_a_hint(magic: bytes) -> None:
    with pytest.raises(VariableError) as caught:
        VariableStore.parse(magic + bytes(100))
    assert caught.value.hint is not None


def test_a_qcow2_image_is_not_searched_for_its_flash(tmp_path: Path) -> None:
    """Its clusters need not be in order: QEMU writes them where they come."""
    flash, image = tmp_path / "vars.fd", tmp_path / "vars.qcow2"
    flash.write_bytes(store())
    run(judge("qemu-img", "qemu-utils"), "convert", "-f", "raw", "-O", "qcow2", str(flash), str(image))
    assert b"_FVH" in image.read_bytes()
    with pytest.raises(VariableError, match="not a firmware volume") as caught:
        VariableStore.parse(image.read_bytes())
    assert "qemu-img convert" in (caught.value.hint or "")


def test_half_a_number_at_the_end_of_boot_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    option = LoadOption("loader", (DevicePath.from_text(r"PciRoot(0x0)/\EFI\loader.efi"),))
    order = Variable("BootOrder", GLOBAL, pack_boot_order([9, 7]) + b"\1")
    variables = [order, Variable("Boot0007", GLOBAL, option.pack())]
    for variable in variables:
        (tmp_path / efivarfs_name(variable)).write_bytes(efivarfs_file(variable))
    environment = {**os.environ, "EFIVARFS_PATH": f"{tmp_path}/"}
    printed = subprocess.run(
        [judge("efibootmgr", "efibootmgr")], env=environment, check=False, capture_output=True, text=True
    ).stdout
    assert "BootOrder: 0009,0007" in printed
    assert [(entry.number, entry.position) for entry in boot_entries(variables)] == [(9, 0), (7, 1)]
    assert main(["variables", "--boot", str(tmp_path)]) == 0
    assert "BootOrder ends in half a number" in capsys.readouterr().err


def test_json_with_a_byte_order_mark() -> None:
    row = {"name": "A", "guid": str(GLOBAL), "attr": 7, "data": "31"}
    text = json.dumps({"version": 2, "variables": [row]}).encode("utf-8-sig")
    assert variables_from_dump(text) == (Variable("A", GLOBAL, b"1"),)


def test_a_folder_of_efivarfs_with_other_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    order = Variable("BootOrder", GLOBAL, pack_boot_order([10]))
    assert main(["variables", str(tmp_path)]) == 3
    assert "no files of efivarfs" in capsys.readouterr().err
    upper = f"BootOrder-{str(GLOBAL).upper()}"
    (tmp_path / upper).write_bytes(efivarfs_file(order))
    (tmp_path / ".DS_Store").write_bytes(b"x")
    (tmp_path / f"Boot0001-{GLOBAL}").write_bytes(b"")  # read while it was deleted
    (tmp_path / "folder").mkdir()
    option = LoadOption("x", (DevicePath.from_text("PciRoot(0x0)"),)).pack()
    (tmp_path / f"Boot000a-{GLOBAL}").write_bytes(b"\7\0\0\0" + option)
    assert main(["variables", str(tmp_path), "--boot"]) == 0
    printed = capsys.readouterr()
    assert printed.err.count("passed over") == 3
    assert "the variable does not exist; Boot000a is another" in printed.out
    with pytest.raises(VariableError):
        load_variables(tmp_path)


def test_truncated_stores() -> None:
    flash = store()
    for size in (0, 20, 55, 60, 80):
        with pytest.raises(TruncatedError):
            VariableStore.parse(flash[:size])


def test_efibootmgr_reads_the_same_entries(tmp_path: Path) -> None:
    variables = list(VariableStore.parse(store()).variables)
    text = r"PciRoot(0x0)/Pci(0x1,0x0)/HD(1,GPT,C10DDB00-7E1A-4001-91B0-070CB1EC80B1,0x40,0x8000)/\EFI\BOOT\BOOTX64.EFI"
    option = LoadOption("loader", (DevicePath.from_text(text),), "quiet".encode("utf-16-le"), LoadOptionAttribute(0))
    variables += [
        Variable("Boot0007", GLOBAL, option.pack()),
        Variable("BootOrder", GLOBAL, pack_boot_order([7, 1, 9])),
    ]
    for variable in variables:
        (tmp_path / efivarfs_name(variable)).write_bytes(efivarfs_file(variable))
    environment = {**os.environ, "EFIVARFS_PATH": f"{tmp_path}/"}
    program = judge("efibootmgr", "efibootmgr")
    printed = subprocess.run([program, "-v"], env=environment, check=False, capture_output=True, text=True).stdout
    assert "BootOrder: 0007,0001,0009" in printed
    entries = boot_entries(variables)
    assert [(entry.number, entry.position) for entry in entries] == [(7, 0), (1, 1), (9, 2), (0, None), (2, None)]
    assert entries[2].problem == "the variable does not exist"
    for entry in entries:
        if entry.option is not None:
            mark = "*" if entry.option.active else " "
            assert f"{entry.name}{mark} {entry.option.description}\t" in printed
    theirs = next(line for line in printed.splitlines() if line.startswith("Boot0007")).partition("\t")[2]
    theirs = theirs[: theirs.rindex(")") + 1]  # the optional data follow without a space
    assert "HD(1,GPT,c10ddb00-7e1a-4001-91b0-070cb1ec80b1,0x40,0x8000)/File(\\EFI\\BOOT\\BOOTX64.EFI)" in theirs
    assert DevicePath.from_text(theirs) == option.paths[0]
    again = [variable_from_efivarfs(path.name, path.read_bytes()) for path in tmp_path.iterdir()]
    assert {(each.name, each.data) for each in again} == {(each.name, each.data) for each in variables}


@pytest.mark.parametrize("name", [name for name in LIVE if name.startswith("Boot")])
def test_load_options_of_a_live_firmware(name: str) -> None:
    data = bytes.fromhex(LIVE[name])
    option = LoadOption.parse(data)
    assert option.pack() == data
    assert option.paths


def test_load_options() -> None:
    path = DevicePath.from_text(r"HD(1,GPT,C10DDB00-7E1A-4001-91B0-070CB1EC80B1,0x40,0x8000)/\EFI\x.efi")
    option = LoadOption("a", (path, DevicePath.from_text("Pci(0,0),Pci(1,0)")), "root=/dev/vda2\0".encode("utf-16-le"))
    data = option.pack()
    assert LoadOption.parse(data) == option
    assert option.optional_text == "root=/dev/vda2"
    assert LoadOption("a", (path,), b"\1\2\3").optional_text is None
    assert LoadOption("a", (path,), b"\1\2\3\4").optional_text is None
    for padding in (b"\1", bytes(5), b"\1\2\3\4\5", b"\x7f\xff\5\0x"):
        padded = LoadOption("a", (path,), b"data", padding=padding)
        assert LoadOption.parse(padded.pack()) == padded
    with pytest.raises(LoadOptionError, match="leave the load option"):
        LoadOption.parse(data[:4] + b"\xff\xff" + data[6:])
    with pytest.raises(LoadOptionError, match="no null"):
        LoadOption.parse(data[:8])
    with pytest.raises(TruncatedError):
        LoadOption.parse(data[:5])
    with pytest.raises(DevicePathError) as caught:
        LoadOption.parse(data[:4] + b"\x08\0" + data[6:])  # the list ends inside a node
    assert caught.value.offset == 12
    with pytest.raises(RangeError):
        LoadOption("a\0b", (path,)).pack()
    with pytest.raises(RangeError):
        LoadOption("a", (path,) * 2000).pack()


def test_one_malformed_entry_does_not_hide_the_others() -> None:
    # efibootmgr issue 133: one path that could not be read ended the listing.
    path = DevicePath.from_text("PciRoot(0x0)")
    variables = [
        Variable("Boot0000", GLOBAL, b"\1\0\0\0\xff\xff" + b"x\0\0\0"),
        Variable("Boot0001", GLOBAL, LoadOption("good", (path,)).pack()),
        Variable("Boot0002", UUID(int=1), b"another vendor's"),
        Variable("Boot000a", GLOBAL, b"not an option: small letters"),
        Variable("BootNext", GLOBAL, b"\1\0"),
    ]
    first, second = boot_entries(variables)
    assert (first.name, first.is_next, first.option and first.option.description) == ("Boot0001", True, "good")
    assert second.option is None
    assert "leave the load option" in (second.problem or "")
    assert option_number("Driver0010", "Driver") == 16
    assert option_number("Driver0010") is None
    with pytest.raises(VariableError, match="whole number"):
        boot_order(b"\1\0\2")


def test_key_options() -> None:
    (key,) = [each for each in VariableStore.parse(store()).variables if each.name == "Key0000"]
    parsed = KeyOption.parse(key.data)
    assert parsed.pack() == key.data
    assert describe(key) == "Boot0000 on 0xc/0x0"
    with pytest.raises(LoadOptionError, match="counts"):
        KeyOption.parse(key.data + b"x")


def test_signature_lists_of_the_store(tmp_path: Path) -> None:
    found = {each.name: each for each in VariableStore.parse(store()).variables}
    lists = parse_signature_lists(found["db"].data)
    assert pack_signature_lists(lists) == found["db"].data
    assert {each.type for each in lists} == {GUIDS["EFI_CERT_X509"]}
    assert {signature.owner for each in lists for signature in each.signatures} == {GUIDS["MICROSOFT_VENDOR"]}
    text = run(
        judge("openssl", "openssl"), "x509", "-inform", "DER", "-noout", "-subject", stdin=lists[0].signatures[0].data
    )
    assert "Microsoft" in text
    assert describe(found["dbx"]) == "1 of EFI_CERT_SHA256"
    data = found["db"].data
    for damage in (
        data[:16] + b"\xff\xff\xff\x7f" + data[20:],
        data[:24] + b"\x0f\0\0\0" + data[28:],
        data[:16] + b"\1\0\0\0" + data[20:],
    ):
        with pytest.raises(VariableError):
            parse_signature_lists(damage)
    with pytest.raises(TruncatedError):
        parse_signature_lists(data[:20])
    with pytest.raises(RangeError, match="one size"):
        SignatureList(UUID(int=1), (Signature(UUID(int=2), b"a"), Signature(UUID(int=2), b"ab"))).pack()
    empty = SignatureList(GUIDS["EFI_CERT_SHA256"], (), b"", 48)
    assert parse_signature_lists(empty.pack()) == (empty,)


def test_authenticated_updates_are_virt_firmware_s(tmp_path: Path) -> None:
    key = tmp_path / "cert.pem"
    make = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(tmp_path / "key.pem"), "-out", str(key)]
    run(judge("openssl", "openssl"), *make, "-subj", "/CN=x")
    (tmp_path / "empty.fd").write_bytes(store("OVMF_VARS_4M.fd"))
    virt_firmware(
        tmp_path, "-i", str(tmp_path / "empty.fd"), "--add-db", str(UUID(int=7)), str(key),
        "--output-auth", str(tmp_path),
    )  # fmt: skip
    data = (tmp_path / "db.auth").read_bytes()
    update = AuthenticatedUpdate.parse(data)
    assert update.pack() == data
    (each,) = parse_signature_lists(update.data)
    assert each.signatures[0].owner == UUID(int=7)
    with pytest.raises(VariableError, match="WIN_CERTIFICATE_UEFI_GUID"):
        AuthenticatedUpdate.parse(data[:16] + b"\xff\xff\xff\x7f" + data[20:])
    with pytest.raises(TruncatedError):
        AuthenticatedUpdate.parse(data[:30])


_TIMES = st.builds(
    EFI_TIME, st.integers(0, 0xFFFF), *[st.integers(0, 0xFF)] * 5, Nanosecond=st.integers(0, 0xFFFFFFFF)
)  # fmt: skip
_CERTIFICATES = st.builds(Certificate, st.binary(max_size=40), st.uuids())
_FLAGS = st.integers(0, 0xFFFFFFFF).map(lambda flags: flags & ~1)


@given(
    st.builds(
        EnhancedUpdate, _TIMES | st.binary(max_size=40), _CERTIFICATES, st.binary(max_size=40),
        st.none() | _CERTIFICATES, _FLAGS,
    )
)  # fmt: skip
def test_enhanced_updates_come_back(update: EnhancedUpdate) -> None:
    packed = update.pack()
    assert EnhancedUpdate.parse(packed) == update
    (size,) = struct.unpack_from("<I", packed, 2)
    assert packed[size:] == update.data


@given(
    st.builds(
        EnhancedValue, _TIMES | st.binary(max_size=40), st.binary(max_size=40), st.binary(max_size=40),
        st.integers(0, 0xFF), st.integers(0, 0xFFFFFFFF),
    )
)  # fmt: skip
def test_enhanced_values_come_back(value: EnhancedValue) -> None:
    assert EnhancedValue.parse(value.pack()) == value


def test_enhanced_writes_are_laid_out_as_the_specification_says() -> None:
    # Section 8.2.2: Version, Type, MetadataSize, Flags; NonceSize, Nonce; NewCert; SigningCert; Data.
    pkcs7 = "9dd2af4adf68ee498aa9347d375665a7"
    written = bytes.fromhex(
        f"01 02 46000000 01000000 03000000 616263 1a000000 0002 f10e {pkcs7} 6e6e 1b000000 0002 f10e {pkcs7} 737373 "
        "64617461".replace(" ", "")
    )
    update = EnhancedUpdate(b"abc", Certificate(b"sss"), b"data", Certificate(b"nn"))
    assert update.pack() == written
    # Section 8.2.1: the header, the time, Type, IdSize, Id; Data.
    value = EnhancedValue(EFI_TIME(2026, 1, 2), bytes(32), b"data")
    assert value.pack() == (
        b"\1\1"
        + struct.pack("<II", 10 + 16 + 5 + 32, 0)
        + EFI_TIME(2026, 1, 2).pack()
        + b"\1\x20\0\0\0"
        + bytes(32)
        + b"data"
    )


def test_enhanced_writes_that_are_wrong_say_where() -> None:
    good = EnhancedUpdate(EFI_TIME(2026), Certificate(b"sss"), b"data").pack()
    for at, value, field in ((0, 2, "Version, Type"), (1, 3, "Version, Type"), (2, 52, "MetadataSize")):
        with pytest.raises(VariableError) as caught:
            EnhancedUpdate.parse(good[:at] + bytes([value]) + good[at + 1 :])
        assert (caught.value.structure, caught.value.field) == ("EFI_VARIABLE_AUTHENTICATION_3", field)
    with pytest.raises(VariableError, match="leaves the data"):
        EnhancedUpdate.parse(good[:-6])
    for size in (*range(26), 40):
        with pytest.raises(TruncatedError):
            EnhancedUpdate.parse(good[:size])
    stored = EnhancedValue(b"n", b"id", b"").pack()
    for size in range(len(stored)):
        with pytest.raises(TruncatedError):
            EnhancedValue.parse(stored[:size])


def test_what_a_signature_covers() -> None:
    variable = Variable("db", UUID(int=0), b"data", VariableAttribute(0x27), EFI_TIME(2026, 1, 2))
    assert (
        signed_contents(variable)
        == "db".encode("utf-16-le") + bytes(16) + b"\x27\0\0\0" + EFI_TIME(2026, 1, 2).pack() + b"data"
    )


def test_descriptions() -> None:
    texts = {each.name: describe(each) for each in VariableStore.parse(store()).variables}
    assert texts["Boot0001"].startswith(
        "* 'UEFI QEMU HARDDISK QM00001 ' PciRoot(0x0)/Pci(0x1F,0x2)/Sata(0x0,0xFFFF,0x0) data 4eac08"
    )
    assert (texts["Timeout"], texts["PlatformLang"]) == ("0", "'en'")
    assert texts["ConIn"].startswith("PciRoot(0x0)/Pci(0x1F,0x0)/Acpi(PNP0303,0x0),/PciRoot")
    assert texts["MTC"] == "4 bytes 01000000"
    assert "(BootOrder at byte 0" in describe(Variable("BootOrder", GLOBAL, b"x"))


def test_names_of_efivarfs() -> None:
    for name, contents in (("BootOrder", b"1234"), (f"x-{GLOBAL}", b"123"), (f"-{GLOBAL}", b"1234")):
        with pytest.raises(VariableError):
            variable_from_efivarfs(name, contents)
    assert variable_from_efivarfs(f"a-b-{GLOBAL}", b"\7\0\0\0x").name == "a-b"


@given(st.binary(max_size=120))
def test_any_bytes_are_lists_or_a_typed_error(data: bytes) -> None:
    with contextlib.suppress(VariableError, TruncatedError):
        assert pack_signature_lists(parse_signature_lists(data)) == data
    with contextlib.suppress(LoadOptionError, TruncatedError, DevicePathError):
        assert LoadOption.parse(data).pack() == data


def test_a_formatted_store_is_debian_s_empty_one(tmp_path: Path) -> None:
    ours, theirs = format_store(), store("OVMF_VARS_4M.fd")
    assert len(ours) == len(theirs)
    assert ours[:0x40000] == theirs[:0x40000]
    variable = Variable("Timeout", GLOBAL, b"\5\0")
    assert as_judge_reads(tmp_path, VariableStore.parse(ours).replace([variable])) == [as_json(variable)]
    for sizes in ((0x84001, 0x40000), (0x1000, 0x2000), (0x1000, 0)):
        with pytest.raises(RangeError, match="multiples"):
            format_store(*sizes)
