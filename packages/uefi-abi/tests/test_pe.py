"""PE32+ images: real ones as objdump reads them, and damaged ones."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import pytest

from cloudboot_base import TruncatedError
from cloudboot_base.testing import flipped, judge, run, truncations
from cloudboot_uefi_abi.constants import Machine, Subsystem
from cloudboot_uefi_abi.errors import PEError
from cloudboot_uefi_abi.pe import Directory, PEImage


@pytest.fixture(scope="module")
def grub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A boot loader made by grub-mkimage: sections, relocations, an entry point."""
    path = tmp_path_factory.mktemp("pe") / "grubx64.efi"
    modules = "/usr/lib/grub/x86_64-efi"
    if not Path(modules).is_dir():
        judge("GRUB's modules for amd64", "grub-efi-amd64-bin")
    run(judge("grub-mkimage", "grub-common"), "-O", "x86_64-efi", "-d", modules, "-o", str(path), "-p", "/", "normal")
    return path


def test_headers_and_sections_are_objdump_s(grub: Path) -> None:
    image = PEImage.parse(grub.read_bytes())
    text = run(judge("objdump", "binutils"), "-x", str(grub))
    assert (image.machine, image.subsystem) == (Machine.AMD64, Subsystem.EFI_APPLICATION)
    for field in (
        "AddressOfEntryPoint",
        "SectionAlignment",
        "FileAlignment",
        "SizeOfImage",
        "SizeOfHeaders",
        "ImageBase",
    ):
        found = re.search(rf"^{field}\s+([0-9a-f]+)$", text, re.MULTILINE)
        assert found is not None
        assert getattr(image.optional, field) == int(found[1], 16), field
    rows = re.findall(r"^\s+\d+ (\S+)\s+([0-9a-f]{8})  ([0-9a-f]{16})  [0-9a-f]{16}  ([0-9a-f]{8})", text, re.MULTILINE)
    assert [
        (section.name, section.header.VirtualAddress, section.header.PointerToRawData) for section in image.sections
    ] == [(name, int(address, 16) - image.optional.ImageBase, int(start, 16)) for name, _, address, start in rows]


def test_relocations_are_objdump_s(grub: Path) -> None:
    image = PEImage.parse(grub.read_bytes())
    text = run(judge("objdump", "binutils"), "-p", str(grub))
    theirs = [int(found, 16) for found in re.findall(r"offset\s+[0-9a-f]+ \[([0-9a-f]+)\] DIR64", text)]
    assert theirs
    assert [relocation.rva for relocation in image.relocations()] == theirs


def test_an_image_is_relocated_to_its_load_address(grub: Path) -> None:
    image = PEImage.parse(grub.read_bytes())
    mapped = image.mapped()
    loaded = image.load(image.optional.ImageBase + 0x1234000)
    places = {relocation.rva for relocation in image.relocations()}
    for place in places:
        before, after = struct.unpack_from("<Q", mapped, place)[0], struct.unpack_from("<Q", loaded, place)[0]
        assert after == before + 0x1234000
        loaded[place : place + 8] = mapped[place : place + 8]
    assert loaded == mapped
    assert image.load(image.optional.ImageBase) == mapped


def changed(data: bytes, offset: int, form: str, value: int) -> bytes:
    out = bytearray(data)
    struct.pack_into(form, out, offset, value)
    return bytes(out)


def test_damage_is_named(grub: Path) -> None:
    data = grub.read_bytes()
    image = PEImage.parse(data)
    start = image.optional_offset
    cases = [
        (flipped(data, 0), "e_magic"),
        (flipped(data, image.dos.e_lfanew), "Signature"),
        (changed(data, start, "<H", 0x10B), "Magic"),
        (changed(data, start + 108, "<I", 17), "NumberOfRvaAndSizes"),
        (changed(data, start + 16, "<I", 0x7FFFFFFF), "AddressOfEntryPoint"),
        (changed(data, start + 60, "<I", 0), "SizeOfHeaders"),
        (changed(data, start + 60, "<I", 0x7FFFFFFF), "SizeOfHeaders"),
        (changed(data, start - 18, "<H", 97), "NumberOfSections"),
        (changed(data, image.sections[0].header_offset + 12, "<I", 0xFFFFF000), "VirtualAddress"),
        (changed(data, image.sections[0].header_offset + 20, "<I", 0xFFFFF000), "PointerToRawData"),
    ]
    for damaged, field in cases:
        with pytest.raises(PEError) as caught:
            PEImage.parse(damaged)
        assert caught.value.field == field


def test_relocations_that_lie(grub: Path) -> None:
    data = grub.read_bytes()
    image = PEImage.parse(data)
    directory = image.directory(Directory.BASE_RELOCATION)
    section = image.section(".reloc")
    assert directory is not None
    assert section is not None
    place = section.header.PointerToRawData + directory.address - section.header.VirtualAddress
    base = image.optional.ImageBase + 0x1000
    with pytest.raises(PEError, match="leaves the image"):
        PEImage.parse(changed(data, place, "<I", 0xFFFFF000)).load(base)
    with pytest.raises(PEError, match="size is not"):
        PEImage.parse(changed(data, place + 4, "<I", 7)).load(base)
    with pytest.raises(TruncatedError):
        PEImage.parse(changed(data, place + 4, "<I", 0x7FFFFFF0)).load(base)
    with pytest.raises(PEError, match="unsupported type"):
        PEImage.parse(changed(data, place + 8, "<H", 9 << 12)).load(base)
    with pytest.raises(PEError, match="directory leaves the image"):
        PEImage.parse(changed(data, image.optional_offset + 112 + 44, "<I", 0x7FFFFFFF)).load(base)
    with pytest.raises(PEError, match="its base is taken"):
        PEImage.parse(changed(data, image.optional_offset - 2, "<H", 1)).load(base)
    with pytest.raises(PEError, match="larger than the limit"):
        image.load(base, limit=4096)


def test_every_truncation_is_refused_or_whole(grub: Path) -> None:
    data = grub.read_bytes()
    for cut in [*truncations(data[:1024], 7), *truncations(data, 4096)]:
        try:
            PEImage.parse(cut).load(0x100000)
        except (PEError, TruncatedError):
            continue
        raise AssertionError(f"{len(cut)} of {len(data)} bytes were taken for an image")


@pytest.mark.parametrize(
    ("machine", "name"),
    [
        (0x14C, "i386 (IA32)"),
        (0x1C2, "32-bit ARM"),
        (0x3A64, "x86 with code for arm64 (CHPE)"),
        (0x5032, "riscv32"),
        (0x1234, "an unknown processor"),
    ],
)
def test_an_image_of_32_bits_is_refused_with_its_processor_and_what_is_supported(machine: int, name: str) -> None:
    image = bytearray((Path(__file__).parent / "data" / "measured.efi").read_bytes())
    head = int.from_bytes(image[60:64], "little")
    image[head + 4 : head + 6] = machine.to_bytes(2, "little")
    image[head + 24 : head + 26] = b"\x0b\x01"
    with pytest.raises(PEError) as caught:
        PEImage.parse(image)
    assert f"a 32-bit image (PE32) for {name} ({machine:#06x})" in str(caught.value)
    assert caught.value.hint == "images for amd64, arm64, riscv64 and loong64 are 64-bit images"
