"""Offsets, sizes and arguments of tables, protocols and records are what a C compiler sees in gnu-efi's headers."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from cloudboot_base import RangeError, TruncatedError
from cloudboot_base.testing import judge
from cloudboot_uefi_abi import (
    EFI_BOOT_SERVICES,
    EFI_CONFIGURATION_TABLE,
    EFI_RUNTIME_SERVICES,
    EFI_SYSTEM_TABLE,
    GUIDS,
    PROTOCOLS,
    PROTOCOLS_BY_GUID,
    Direction,
    Kind,
)
from cloudboot_uefi_abi.declarations import prototype, structure
from cloudboot_uefi_abi.layout import records

# gnu-efi's names where they differ from the specification's.
_STRUCTURES = {
    "EFI_SIMPLE_TEXT_INPUT_PROTOCOL": "SIMPLE_INPUT_INTERFACE",
    "EFI_SIMPLE_TEXT_OUTPUT_PROTOCOL": "SIMPLE_TEXT_OUTPUT_INTERFACE",
    "EFI_SERIAL_IO_PROTOCOL": "SERIAL_IO_INTERFACE",
    "EFI_FILE_PROTOCOL": "EFI_FILE",
}
_MEMBERS = {("EFI_BOOT_SERVICES", "Reserved"): "PCHandleProtocol"}
_ABSENT = {  # not in gnu-efi 3.0.15
    "EFI_PARTITION_INFO_PROTOCOL",
    "EFI_LOAD_FILE2_PROTOCOL",
    "EFI_DEVICE_PATH_UTILITIES_PROTOCOL",
    "EFI_DEVICE_PATH_TO_TEXT_PROTOCOL",
    "EFI_DEVICE_PATH_FROM_TEXT_PROTOCOL",
    "EFI_CONSOLE_CONTROL_PROTOCOL",
    "EFI_UNICODE_COLLATION_PROTOCOL2",
    "EFI_HII_DATABASE_PROTOCOL",
    "EFI_HII_STRING_PROTOCOL",
    "EFI_TCG2_PROTOCOL",
    "EFI_CC_MEASUREMENT_PROTOCOL",
    "EFI_MEMORY_ATTRIBUTE_PROTOCOL",
    "RISCV_EFI_BOOT_PROTOCOL",
    "SHIM_LOCK",
}
_NEWER = {("EFI_SERIAL_IO_PROTOCOL", "DeviceTypeGuid")}  # revision 1.1 of the protocol
# gnu-efi declares CreateEventEx's context and group const, and ResetSystem's data as CHAR16, as EFI 1.10 did.
_OTHER_TYPES = {("EFI_BOOT_SERVICES", "CreateEventEx"), ("EFI_RUNTIME_SERVICES", "ResetSystem")}
_TABLES = (EFI_SYSTEM_TABLE, EFI_BOOT_SERVICES, EFI_RUNTIME_SERVICES, EFI_CONFIGURATION_TABLE)
_JUDGED = [each for each in (*_TABLES, *PROTOCOLS.values()) if each.name not in _ABSENT]
_RECORDS = [
    "EFI_TABLE_HEADER",
    "EFI_TIME",
    "EFI_TIME_CAPABILITIES",
    "EFI_MEMORY_DESCRIPTOR",
    "EFI_BLOCK_IO_MEDIA",
    "EFI_FILE_SYSTEM_INFO",
    "EFI_INPUT_KEY",
    "EFI_KEY_DATA",
    "SIMPLE_TEXT_OUTPUT_MODE",
    "EFI_GRAPHICS_OUTPUT_PROTOCOL_MODE",
    "SERIAL_IO_MODE",
    "EFI_SIMPLE_POINTER_MODE",
    "EFI_SIMPLE_POINTER_STATE",
    "EFI_OPEN_PROTOCOL_INFORMATION_ENTRY",
    "EFI_FILE_INFO",
]
_HEADERS = """
#include <efi.h>
#include <efiprot.h>
#include <stdio.h>
#include <stddef.h>
typedef SIMPLE_INPUT_INTERFACE EFI_SIMPLE_TEXT_INPUT_PROTOCOL;
typedef SIMPLE_TEXT_OUTPUT_INTERFACE EFI_SIMPLE_TEXT_OUTPUT_PROTOCOL;
typedef SERIAL_IO_INTERFACE EFI_SERIAL_IO_PROTOCOL;
int main(void) {
"""


def compiled(folder: Path, lines: list[str]) -> list[str]:
    """What a program made of ``lines`` prints, compiled against gnu-efi's headers."""
    compiler = judge("gcc", "gcc")
    if not Path("/usr/include/efi/efi.h").exists():
        judge("gnu-efi's headers", "gnu-efi")
    source, program = folder / "judge.c", folder / "judge"
    source.write_text(_HEADERS + "\n".join(lines) + "\nreturn 0;\n}\n")
    include = ["-I/usr/include/efi", "-I/usr/include/efi/x86_64", "-DEFI_FUNCTION_WRAPPER", "-fshort-wchar"]
    subprocess.run([compiler, *include, "-o", program, source], check=True, capture_output=True)
    return subprocess.run([program], check=True, capture_output=True, text=True).stdout.splitlines()


def test_offsets_and_sizes(tmp_path: Path) -> None:
    lines, expected = [], []
    for table in _JUDGED:
        name = _STRUCTURES.get(table.name, table.name)
        if table.name != "EFI_FILE_PROTOCOL" and not any(key[0] == table.name for key in _NEWER):
            lines.append(f'printf("{table.name} %zu\\n", sizeof({name}));')
            expected.append(f"{table.name} {table.size}")
        for member in table.members:
            if (table.name, member.name) in _NEWER:
                continue
            field = _MEMBERS.get((table.name, member.name), member.name)
            lines.append(f'printf("{table.name} {member.name} %zu\\n", offsetof({name}, {field}));')
            expected.append(f"{table.name} {member.name} {member.offset}")
    assert len(expected) == 200
    assert compiled(tmp_path, lines) == expected


def test_prototypes_are_type_compatible(tmp_path: Path) -> None:
    lines = []
    for table in _JUDGED:
        name = _STRUCTURES.get(table.name, table.name)
        for member in table.services:
            service = member.prototype
            assert service is not None
            types = [argument.type.name for argument in service.arguments] + ["..."] * service.variadic
            theirs = f"typeof((({name} *)0)->{member.name})"
            ours = f"{service.returns.name} (EFIAPI *)({', '.join(types) or 'VOID'})"
            lines.append(f'if (!__builtin_types_compatible_p({theirs}, {ours})) puts("{table.name} {member.name}");')
    assert len(lines) > 120
    assert {tuple(line.split()) for line in compiled(tmp_path, lines)} == _OTHER_TYPES


def test_records(tmp_path: Path) -> None:
    lines, expected = [], []
    for name in _RECORDS:
        layout = getattr(records, name).LAYOUT
        for field in layout.fields:
            if field.name.startswith("Padding") or (name, field.name) == ("EFI_TABLE_HEADER", "Signature"):
                continue
            theirs = {"KeyShiftState": "KeyState.KeyShiftState", "KeyToggleState": "KeyState.KeyToggleState"}
            lines.append(
                f'printf("{name} {field.name} %zu\\n", offsetof({name}, {theirs.get(field.name, field.name)}));'
            )
            expected.append(f"{name} {field.name} {layout.offsets[field.name]}")
        if name not in {"EFI_FILE_SYSTEM_INFO", "EFI_FILE_INFO"}:  # these end in a text of any length
            lines.append(f'printf("{name} %zu\\n", sizeof({name}));')
            expected.append(f"{name} {layout.size}")
    assert compiled(tmp_path, lines) == expected


@pytest.mark.parametrize(
    ("service", "offset"),
    [
        ("ConnectController", 264),
        ("DisconnectController", 272),
        ("ProtocolsPerHandle", 304),
        ("LocateHandleBuffer", 312),
        ("LocateProtocol", 320),
        ("InstallMultipleProtocolInterfaces", 328),
        ("CreateEventEx", 368),
    ],
)
def test_offsets_seen_in_a_live_firmware(service: str, offset: int) -> None:
    assert EFI_BOOT_SERVICES.offset(service) == offset
    assert EFI_BOOT_SERVICES.size == 376


def test_the_guids_gnu_efi_defines(tmp_path: Path) -> None:
    headers = "".join(path.read_text(errors="replace") for path in Path("/usr/include/efi").glob("*.h"))
    if not headers:
        judge("gnu-efi's headers", "gnu-efi")
    found = re.findall(r"#define\s+(\w+?)_GUID\s*\\\s*\{([^#]*?)\}\s*\}", headers)
    same = 0
    for name, body in found:
        numbers = [int(number, 16) for number in re.findall(r"0x[0-9a-fA-F]+", body)]
        if name in GUIDS and len(numbers) == 11:
            text = "{:08x}-{:04x}-{:04x}-{:02x}{:02x}-{:02x}{:02x}{:02x}{:02x}{:02x}{:02x}".format(*numbers)
            assert str(GUIDS[name]) == text, name
            same += 1
    assert same > 40


def test_what_a_trace_needs_of_an_argument() -> None:
    service = PROTOCOLS["EFI_BLOCK_IO_PROTOCOL"].by_name["ReadBlocks"].prototype
    assert service is not None
    assert [argument.name for argument in service.arguments] == ["This", "MediaId", "LBA", "BufferSize", "Buffer"]
    assert service.arguments[1].type.value(0xDEAD_0000_0000_0001) == 1
    assert service.arguments[4].type.kind is Kind.POINTER
    assert service.arguments[4].direction is Direction.OUT
    load = EFI_BOOT_SERVICES.by_name["LoadImage"].prototype
    assert load is not None
    assert load.arguments[0].type.value(0x1234_5600) == 0  # a BOOLEAN is one byte
    assert load.arguments[0].type.value(0x1234_5602) == 1
    signed = prototype("EFI_STATUS F(INT32 Value)").arguments[0].type
    assert signed.value(0x1_FFFF_FFFF) == -1
    assert str(EFI_RUNTIME_SERVICES.by_name["SetTime"].prototype) == "EFI_STATUS SetTime(EFI_TIME *Time)"
    variadic = EFI_BOOT_SERVICES.by_name["InstallMultipleProtocolInterfaces"].prototype
    assert variadic is not None
    assert variadic.variadic


def test_structures_pack_and_unpack() -> None:
    values = {"Revision": 0x2001F, "Media": 0x1000, "ReadBlocks": 0x2000}
    data = PROTOCOLS["EFI_BLOCK_IO_PROTOCOL"].pack(values)
    assert data == bytes.fromhex("1f00020000000000 0010000000000000") + bytes(8) + bytes.fromhex(
        "0020000000000000"
    ) + bytes(16)
    assert PROTOCOLS["EFI_BLOCK_IO_PROTOCOL"].unpack_from(b"x" + data, 1) == {
        "Revision": 0x2001F, "Media": 0x1000, "Reset": 0, "ReadBlocks": 0x2000, "WriteBlocks": 0, "FlushBlocks": 0,
    }  # fmt: skip
    table = EFI_SYSTEM_TABLE.pack({"Hdr": records.EFI_TABLE_HEADER(b"IBI SYST", HeaderSize=120).pack()})
    assert table[:8] == b"IBI SYST"
    with pytest.raises(TruncatedError):
        EFI_SYSTEM_TABLE.unpack_from(table, 1)
    with pytest.raises(TruncatedError):
        EFI_SYSTEM_TABLE.unpack_from(table, -1)
    for wrong in ({"Nothing": 1}, {"Revision": 1 << 64}, {"Media": b"x"}):
        with pytest.raises(RangeError):
            PROTOCOLS["EFI_BLOCK_IO_PROTOCOL"].pack(wrong)
    small = structure("S", "-", "INT8 a; UINT16 b; UINT8 c[3];")
    assert (small.size, small.offset("b"), small.offset("c")) == (8, 2, 4)
    assert small.unpack_from(small.pack({"a": -1, "c": b"xyz"})) == {"a": -1, "b": 0, "c": b"xyz"}


def test_every_protocol_with_a_guid_is_found_by_it() -> None:
    for each in PROTOCOLS.values():
        if each.guid is not None:
            assert PROTOCOLS_BY_GUID[each.guid] is each
            assert GUIDS[each.name] == each.guid


@pytest.mark.parametrize("text", ["EFI_STATUS F(1)", "F()", "EFI_STATUS F(UINT8 a"])
def test_declarations_are_checked(text: str) -> None:
    with pytest.raises(SyntaxError):
        prototype(text)
    with pytest.raises(SyntaxError):
        structure("S", "-", "UINT8;")
