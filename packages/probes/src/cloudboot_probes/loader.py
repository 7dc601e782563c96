"""Whether a file is an EFI program that firmware would start; what exactly it holds is the firmware's to judge."""

from __future__ import annotations

from typing import Final

from cloudboot_base import FormatError
from cloudboot_uefi_abi.constants import Machine, Subsystem
from cloudboot_uefi_abi.pe import PEImage
from cloudboot_uefi_abi.pe.image import RELOCS_STRIPPED

MACHINES: Final = {
    "amd64": Machine.AMD64, "arm64": Machine.ARM64, "riscv64": Machine.RISCV64, "loong64": Machine.LOONGARCH64,
}  # fmt: skip
#: Where firmware without a boot entry looks for a loader (UEFI 2.10, 3.5.1.1).
REMOVABLE: Final = {
    "amd64": "/EFI/BOOT/BOOTX64.EFI",
    "arm64": "/EFI/BOOT/BOOTAA64.EFI",
    "riscv64": "/EFI/BOOT/BOOTRISCV64.EFI",
}
#: How far an image is moved to see whether it can be.
_MOVED: Final = 1 << 20
#: What is taken for an EFI program by mistake: its name, and a magic number at an offset in bytes.
_OTHERS: Final = (
    ("a file that gzip compressed", 0, b"\x1f\x8b"),
    ("a file that xz compressed", 0, b"\xfd7zXZ\0"),
    ("a file that Zstandard compressed", 0, b"\x28\xb5\x2f\xfd"),
    ("an ELF file", 0, b"\x7fELF"),
    ("an image of U-Boot", 0, b"\x27\x05\x19\x56"),
    ("a flattened image tree", 0, b"\xd0\x0d\xfe\xed"),
    ("a kernel without an EFI stub", 56, b"ARM\x64"),
    ("a kernel without an EFI stub", 0x202, b"HdrS"),
)
_NAMES: Final = {machine: name for name, machine in MACHINES.items()}


def pe_problems(data: bytes, architecture: str) -> list[str]:
    """Why ``data`` is no EFI program for ``architecture``, as ends of sentences; empty where it looks like one."""
    try:
        image = PEImage.parse(data)
    except FormatError as error:
        kind = next((kind for kind, at, magic in _OTHERS if data[at : at + len(magic)] == magic), None)
        return [f"is {kind}, not an EFI program" if kind else f"is no EFI program: {error}"]
    problems = []
    if image.machine != MACHINES.get(architecture):
        name = _NAMES.get(image.machine, image.machine.title)
        problems.append(f"is a program for {name}, not for {architecture}")
    if image.subsystem is not Subsystem.EFI_APPLICATION:
        problems.append(f"is no EFI application: its subsystem is {int(image.subsystem)}")
    problem = _relocation_problem(image)
    return [*problems, problem] if problem else problems


def _relocation_problem(image: PEImage) -> str | None:
    """Why the image cannot be relocated, as the end of a sentence."""
    base = image.optional.ImageBase
    if image.file.Characteristics & RELOCS_STRIPPED:
        return None if base else "cannot be loaded: it has no relocations and is linked for address 0"
    try:
        image.load(base + _MOVED)
    except FormatError as error:
        return f"cannot be loaded: {error}"
    return None


def architecture_of(data: bytes) -> str | None:
    """The architecture that the PE header of an EFI program states; ``None`` for another, or no program."""
    try:
        return _NAMES.get(PEImage.parse(data).machine)
    except FormatError:
        return None
