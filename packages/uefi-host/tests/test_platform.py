"""The tables about the machine: ACPICA's disassembler and dmidecode read them."""

import struct
from pathlib import Path

import pytest

from cloudboot_base.testing import judge, run
from cloudboot_uefi_abi.guids import GUIDS
from cloudboot_uefi_host import Firmware
from cloudboot_uefi_host.core.memory_map import MemoryType

ARCHITECTURES = ("amd64", "arm64", "riscv64")


def configuration(firmware: Firmware) -> dict[bytes, int]:
    """The configuration table by GUID, as a program finds it from the system table on."""
    memory, table = firmware.memory, firmware.system_table
    count, at = memory.u64(table + 104), memory.u64(table + 112)
    return {memory.read(at + 24 * index, 16): memory.u64(at + 24 * index + 16) for index in range(count)}


def acpi_tables(firmware: Firmware) -> dict[bytes, bytes]:
    """Every table that the root pointer leads to, by the way of ACPI 2.0 and, where it is there, that of ACPI 1.0."""
    memory = firmware.memory
    at = configuration(firmware)[GUIDS["EFI_ACPI_20_TABLE"].bytes_le]
    root = memory.read(at, 36)
    assert root[:8] == b"RSD PTR "
    assert sum(root[:20]) & 0xFF == sum(root) & 0xFF == 0
    found = {}
    rsdt, xsdt = struct.unpack_from("<I", root, 16)[0], struct.unpack_from("<Q", root, 24)[0]

    def read(address: int) -> bytes:
        content = memory.read(address, memory.u32(address + 4))
        found[content[:4]] = content
        region = firmware.map.region_at(address)
        assert region is not None
        assert region.type in {MemoryType.ACPI_RECLAIM, MemoryType.ACPI_NVS}
        return content

    listed = struct.unpack("<2Q", read(xsdt)[36:])
    if rsdt:
        assert struct.unpack("<2I", read(rsdt)[36:]) == listed
    fixed, interrupts = map(read, listed)
    assert (fixed[:4], interrupts[:4]) == (b"FACP", b"APIC")
    read(struct.unpack_from("<Q", fixed, 140)[0])
    if control := struct.unpack_from("<I", fixed, 36)[0]:
        assert control % 64 == 0
        read(control)
    return found


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_acpica_reads_every_table(architecture: str, tmp_path: Path) -> None:
    iasl = judge("iasl", "acpica-tools")
    with Firmware(architecture, memory=64 << 20) as firmware:
        tables = acpi_tables(firmware)
    pc = {b"RSDT", b"FACS"} if architecture == "amd64" else set()
    assert set(tables) == {b"XSDT", b"FACP", b"APIC", b"DSDT"} | pc
    for signature, content in tables.items():
        name = signature.decode().lower()
        file = tmp_path / f"{name}.dat"
        file.write_bytes(content)
        if signature != b"FACS":
            assert sum(content) & 0xFF == 0
        run(iasl, "-d", file)
        text = file.with_suffix(".dsl").read_text()
        wrong = [word for word in ("Incorrect", "invalid", "Invalid", "Unknown", "ERROR", "Warning") if word in text]
        if architecture == "riscv64" and signature == b"APIC" and wrong == ["Unknown"]:
            continue  # ACPICA of Debian 12 is older than RINTC
        assert not wrong, text
    if architecture == "amd64":
        fixed = (tmp_path / "facp.dsl").read_text()
        assert "Generic Address Structure" in fixed
        assert "PM Timer Block Address : 00000608" in fixed
        described = (tmp_path / "dsdt.dsl").read_text()
        assert "Device (PCI0)" in described
        assert 'EisaId ("PNP0A08")' in described
        # What ACPICA's compiler makes of it are the bytes again.
        run(iasl, "-p", tmp_path / "again", tmp_path / "dsdt.dsl")
        assert (tmp_path / "again.aml").read_bytes()[36:] == tables[b"DSDT"][36:]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_dmidecode_reads_the_structures(architecture: str, tmp_path: Path) -> None:
    dmidecode = judge("dmidecode", "dmidecode")
    with Firmware(architecture, memory=64 << 20) as firmware:
        at = configuration(firmware)[GUIDS["SMBIOS3_TABLE"].bytes_le]
        entry = bytearray(firmware.memory.read(at, 24))
        size, address = struct.unpack_from("<IQ", entry, 12)
        content = firmware.memory.read(address, size)
    assert sum(entry) & 0xFF == 0
    # dmidecode's dump has the structures behind the entry point, which says so.
    entry[5] = (entry[5] + sum(entry[16:24]) - 32) & 0xFF
    struct.pack_into("<Q", entry, 16, 32)
    dump = tmp_path / "dump"
    dump.write_bytes(entry.ljust(32, b"\0") + content)
    text = run(dmidecode, "--from-dump", dump)
    for line in (
        "SMBIOS 3.6.0 present.", "Vendor: cloudboot", "UUID: c10ddb00-7e1a-4001-91b0-070cb1ec80b2", "Size: 64 MB",
        "Range Size: 64 MB", "System is a virtual machine", "UEFI is supported", "End Of Table",
    ):  # fmt: skip
        assert line in text, text
    for word in ("TRUNCATED", "BAD INDEX", "OUT OF SPEC", "Wrong", "broken", "Invalid"):
        assert word not in text, text
