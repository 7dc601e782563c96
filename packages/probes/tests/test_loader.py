"""Whether a file is a program that firmware starts: OVMF's boot manager is the judge of every case."""

from __future__ import annotations

import gzip
import lzma
import struct
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from cloudboot_base import open_storage
from cloudboot_probes.disk import Disk
from cloudboot_probes.loader import pe_problems
from cloudboot_uefi_abi.constants import Machine, SectionFlag
from cloudboot_uefi_abi.device_path import DevicePath, FilePath, HardDrive
from cloudboot_uefi_abi.guids import GUIDS
from cloudboot_uefi_abi.load_option import LoadOption
from cloudboot_uefi_abi.pe import NewSection, PEImage, write_image
from cloudboot_uefi_abi.variables import Variable, pack_boot_order

if TYPE_CHECKING:
    from cloudboot_uefi_abi.pe import Section

GLOBAL = GUIDS["EFI_GLOBAL_VARIABLE"]
ABORTED = b"\x48\xb8" + struct.pack("<Q", 0x8000000000000015) + b"\xc3"  # mov rax, EFI_ABORTED; ret
TEXT = SectionFlag.CODE | SectionFlag.EXECUTE | SectionFlag.READ
DATA = SectionFlag.INITIALIZED_DATA | SectionFlag.READ | SectionFlag.WRITE
PLAIN = write_image(Machine.AMD64, [NewSection(".text", 0x1000, ABORTED, TEXT)], 0x1000)
TWO = write_image(
    Machine.AMD64, [NewSection(".text", 0x1000, ABORTED, TEXT), NewSection(".data", 0x2000, b"x" * 700, DATA)], 0x1000
)
MOVABLE = write_image(
    Machine.AMD64, [NewSection(".text", 0x1000, ABORTED + bytes(16), TEXT)], 0x1000, relocations=[0x1010]
)
OPTIONAL: Final = PEImage.parse(PLAIN).optional_offset
SECTION, SECOND = OPTIONAL + 240, OPTIONAL + 280


def reloc() -> Section:
    found = PEImage.parse(MOVABLE).section(".reloc")
    assert found is not None
    return found


RELOC: Final = reloc().header.PointerToRawData


def changed(data: bytes, *changes: tuple[str, int, int], tail: bytes = b"") -> bytes:
    out = bytearray(data)
    for form, offset, value in changes:
        struct.pack_into(form, out, offset, value)
    return bytes(out) + tail


CASES: Final[dict[str, tuple[bytes, str | None]]] = {
    "plain": (PLAIN, None),
    "two sections": (TWO, None),
    "relocations": (MOVABLE, None),
    "no optional header": (changed(PLAIN, ("<H", OPTIONAL - 4, 0)), "SizeOfOptionalHeader"),
    "room behind the directories": (changed(PLAIN, ("<H", OPTIONAL - 4, 248)), "SizeOfOptionalHeader"),
    "five directories in the room of sixteen": (changed(PLAIN, ("<I", OPTIONAL + 108, 5)), "SizeOfOptionalHeader"),
    "seventeen directories": (changed(PLAIN, ("<I", OPTIONAL + 108, 17)), "NumberOfRvaAndSizes"),
    "no headers": (changed(PLAIN, ("<I", OPTIONAL + 60, 0)), "SizeOfHeaders"),
    "headers end before the section table": (changed(PLAIN, ("<I", OPTIONAL + 60, SECTION)), "SizeOfHeaders"),
    "headers end with the section table": (changed(PLAIN, ("<I", OPTIONAL + 60, SECTION + 40)), None),
    "a section's address in the headers": (
        changed(PLAIN, ("<I", SECTION + 12, 0x100), ("<I", OPTIONAL + 16, 0x100)), "VirtualAddress"
    ),
    "a section's data in the headers": (changed(PLAIN, ("<I", SECTION + 20, 0x100)), "PointerToRawData"),
    "a section's padding beyond the file": (changed(PLAIN, ("<I", SECTION + 16, 0x400)), "PointerToRawData"),
    "a section beyond the image": (changed(PLAIN, ("<I", SECTION + 8, 0x2000)), "VirtualAddress"),
    "zeros beyond the image": (changed(TWO, ("<I", SECOND + 8, 0x8000)), "VirtualAddress"),
    "an unaligned section": (changed(PLAIN, ("<I", SECTION + 12, 0x1200), ("<I", OPTIONAL + 16, 0x1200)), None),
    "sections in another order": (
        TWO[:SECTION] + TWO[SECOND : SECOND + 40] + TWO[SECTION:SECOND] + TWO[SECOND + 40 :], None
    ),
    "no virtual size": (changed(PLAIN, ("<I", SECTION + 8, 0)), None),
    "no alignment": (changed(PLAIN, ("<I", OPTIONAL + 32, 0)), "SectionAlignment"),
    "no file alignment": (changed(PLAIN, ("<I", OPTIONAL + 36, 0)), None),
    "an image too small": (changed(PLAIN, ("<I", OPTIONAL + 56, 0x1000)), "AddressOfEntryPoint"),
    "a boot service driver": (changed(PLAIN, ("<H", OPTIONAL + 68, 11)), "its subsystem is 11"),
    "a Windows program": (changed(PLAIN, ("<H", OPTIONAL + 68, 3)), "its subsystem is 3"),
    "a 32-bit program": (changed(PLAIN, ("<H", OPTIONAL - 20, 0x14C)), "i386"),
    "for address 0 without relocations": (changed(PLAIN, ("<H", OPTIONAL - 2, 0x2F)), "linked for address 0"),
    "for a free address without relocations": (
        changed(PLAIN, ("<H", OPTIONAL - 2, 0x2F), ("<Q", OPTIONAL + 24, 0x4000000)), None
    ),
    "movable without a directory": (changed(PLAIN, ("<Q", OPTIONAL + 24, 0x4000000)), None),
    "relocations beyond the image": (changed(MOVABLE, ("<I", OPTIONAL + 112 + 44, 0x10000)), "BASE_RELOCATION"),
    "a relocation of another type": (changed(MOVABLE, ("<H", RELOC + 8, 0x5010)), "type of relocation"),
    "a relocation block of no size": (changed(MOVABLE, ("<I", RELOC + 4, 0)), "SizeOfBlock"),
    "a relocation block shorter than its head": (changed(MOVABLE, ("<I", RELOC + 4, 4)), "SizeOfBlock"),
    "a relocation beyond the image": (changed(MOVABLE, ("<I", RELOC, 0x7000)), "a relocation leaves"),
    "zeros behind the relocations": (changed(MOVABLE, ("<I", OPTIONAL + 112 + 44, 24)), "SizeOfBlock"),
    "certificates beyond the file": (
        changed(PLAIN, ("<I", OPTIONAL + 144, len(PLAIN)), ("<I", OPTIONAL + 148, 0x10000)), "CERTIFICATE"
    ),
    "unaligned certificates": (
        changed(
            PLAIN, ("<I", OPTIONAL + 144, len(PLAIN) + 4), ("<I", OPTIONAL + 148, 24),
            tail=bytes(4) + struct.pack("<IHH16s", 24, 0x200, 2, b"x"),
        ),
        None,
    ),
    "the file is cut in a section": (PLAIN[:-100], "PointerToRawData"),
    "the file is cut in its headers": (PLAIN[:100], "IMAGE_OPTIONAL_HEADER64"),
    "bytes behind the sections": (PLAIN + b"z" * 333, None),
    "a script": (b"#!ipxe\nboot\n", "IMAGE_DOS_HEADER"),
    "an empty file": (b"", "IMAGE_DOS_HEADER"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_the_reason(name: str) -> None:
    data, reason = CASES[name]
    problems = pe_problems(data, "amd64")
    assert bool(problems) == (reason is not None), problems
    assert (reason or "") in "".join(problems)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (gzip.compress(PLAIN), "is a file that gzip compressed, not an EFI program"),
        (lzma.compress(PLAIN), "is a file that xz compressed, not an EFI program"),
        (Path("/bin/true").read_bytes(), "is an ELF file, not an EFI program"),
        (bytes(56) + b"ARM\x64" + bytes(64), "is a kernel without an EFI stub, not an EFI program"),
        (bytes(0x202) + b"HdrS" + bytes(64), "is a kernel without an EFI stub, not an EFI program"),
    ],
    ids=["gzip", "xz", "ELF", "arm64", "x86"],
)
def test_what_is_no_program_is_named(data: bytes, reason: str) -> None:
    assert pe_problems(data, "amd64") == [reason]


@pytest.mark.live
def test_ovmf_agrees(tmp_path: Path, boot_manager: Callable[[Path, Iterable[Variable]], dict[str, list[str]]]) -> None:
    (tmp_path / "root").mkdir()
    words = [sys.executable, "-m", "cloudboot_probes", "image", "build", "custom", "-o", "disk.img", "--root", "root"]
    for number, (data, _) in enumerate([(PLAIN, None), *CASES.values()]):
        (tmp_path / f"{number}.efi").write_bytes(data)
        words += ["--esp-file", f"/EFI/case/{number}.efi={number}.efi"] if number else ["--loader", "0.efi"]
    subprocess.run(words, check=True, cwd=tmp_path, capture_output=True)
    with open_storage(tmp_path / "disk.img") as opened:
        esp = Disk.open(opened.storage).gpt_table.partitions[0]
    drive = HardDrive.gpt(1, esp.first_lba, esp.blocks, esp.guid)
    numbers = range(1, len(CASES) + 1)
    variables = [Variable("BootOrder", GLOBAL, pack_boot_order(numbers))]
    for number, name in zip(numbers, CASES, strict=True):
        path = DevicePath.of(drive, FilePath(rf"\EFI\case\{number}.efi"))
        variables.append(Variable(f"Boot{number:04X}", GLOBAL, LoadOption(name, (path,)).pack()))
    lines = boot_manager(tmp_path / "disk.img", variables)
    for number, (name, (_, reason)) in zip(numbers, CASES.items(), strict=True):
        said = lines[f"Boot{number:04X}"]
        assert said, name
        assert any(line.startswith("failed to start") and line.endswith("Aborted") for line in said) == (
            reason is None
        ), (name, said)
