"""PE32+ images made of ELF programs: judged by objdump, by what the compiler put into the ELF file, and by OVMF."""

from __future__ import annotations

import os
import re
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from cloudboot_base import TruncatedError
from cloudboot_base.testing import judge, run
from cloudboot_uefi_abi.constants import Machine
from cloudboot_uefi_abi.errors import PEError
from cloudboot_uefi_abi.pe import PEImage, image_from_elf

SOURCE = Path(__file__).parent / "data" / "hello.c"
COMPILERS = {
    Machine.AMD64: ("gcc", "gcc"),
    Machine.ARM64: ("aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu"),
    Machine.RISCV64: ("riscv64-linux-gnu-gcc", "gcc-riscv64-linux-gnu"),
    Machine.LOONGARCH64: ("clang-19", "clang-19"),
}
MORE = {
    Machine.AMD64: ["-mno-red-zone"],
    Machine.LOONGARCH64: ["--target=loongarch64-linux-gnu", "-fuse-ld=lld-19"],
}


def built(machine: Machine, folder: Path) -> bytes:
    """The ELF file of ``hello.c``."""
    compiler = judge(*COMPILERS[machine])
    target = folder / "hello.elf"
    options = "-O2 -ffreestanding -fno-stack-protector -fpie -fshort-wchar -nostdlib -static-pie -Wl,-e,entry"
    run(compiler, *options.split(), *MORE.get(machine, []), "-o", str(target), str(SOURCE))
    return target.read_bytes()


@pytest.mark.parametrize("machine", COMPILERS, ids=lambda machine: machine.name)
def test_programs_of_four_processors(machine: Machine, tmp_path: Path) -> None:
    elf = built(machine, tmp_path)
    data = image_from_elf(elf)
    assert image_from_elf(elf) == data
    image = PEImage.parse(data)
    assert image.machine is machine
    readelf = run(judge("readelf", "binutils"), "-hrW", str(tmp_path / "hello.elf"))
    entry = re.search(r"Entry point address:\s+0x([0-9a-f]+)", readelf)
    assert entry is not None
    assert image.entry_point == int(entry[1], 16) + 0x1000
    theirs = re.findall(r"^([0-9a-f]{16})\s+[0-9a-f]{16} R_\w+_RELATIV\w*\s+([0-9a-f]+)", readelf, re.MULTILINE)
    assert theirs
    assert [relocation.rva for relocation in image.relocations()] == [int(place, 16) + 0x1000 for place, _ in theirs]
    loaded = image.load(0x10000000)
    for place, addend in theirs:
        (value,) = struct.unpack_from("<Q", loaded, int(place, 16) + 0x1000)
        assert value == 0x10000000 + 0x1000 + int(addend, 16)
    assert "relocated hello".encode("utf-16-le") in loaded


def test_elf_files_that_are_refused(tmp_path: Path) -> None:
    elf = built(Machine.AMD64, tmp_path)
    for damaged in (b"\x7fELF\x01" + elf[5:], elf[:16] + b"\x02\0" + elf[18:], elf[:18] + b"\x03\0" + elf[20:]):
        with pytest.raises(PEError, match="position-independent"):
            image_from_elf(damaged)
    for size in range(0, len(elf), 997):
        try:
            image_from_elf(elf[:size])
        except (PEError, TruncatedError):
            continue
        # What a cut leaves is whole only if it took nothing but section headers, which no loader reads.
        assert size > 0x3000
    shared = tmp_path / "shared.so"
    run(
        judge("gcc", "gcc"),
        "-shared",
        "-fpic",
        "-nostdlib",
        "-o",
        str(shared),
        "-xc",
        "-",
        stdin=b"extern int x; int *p = &x;",
    )
    with pytest.raises(PEError, match="dynamic linker"):
        image_from_elf(shared.read_bytes())


@pytest.mark.live
def test_ovmf_loads_and_relocates_the_image(tmp_path: Path) -> None:
    folder = tmp_path / "esp" / "EFI" / "BOOT"
    folder.mkdir(parents=True)
    (folder / "BOOTX64.EFI").write_bytes(image_from_elf(built(Machine.AMD64, tmp_path)))
    qemu = judge("qemu-system-x86_64", "qemu-system-x86")
    firmware = Path("/usr/share/OVMF/OVMF_CODE_4M.fd")
    if not firmware.exists():
        judge("OVMF", "ovmf")
    variables = tmp_path / "vars.fd"
    shutil.copy("/usr/share/OVMF/OVMF_VARS_4M.fd", variables)
    flash = f"if=pflash,format=raw,readonly=on,file={firmware}"
    command = [
        qemu, "-M", "q35", "-m", "256", "-display", "none", "-net", "none", "-serial", "stdio", "-no-reboot",
        "-drive", flash, "-drive", f"if=pflash,format=raw,file={variables}",
        "-drive", f"file=fat:rw:{tmp_path / 'esp'},format=raw,media=disk",
    ]  # fmt: skip
    seen = b""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as machine:
        assert machine.stdout is not None
        try:
            while b"relocated hello" not in seen and len(seen) < 1 << 16:
                part = os.read(machine.stdout.fileno(), 4096)
                if not part:
                    break
                seen += part
        finally:
            machine.kill()
    assert b"relocated hello" in seen
