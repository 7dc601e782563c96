"""What QEMU needs to be told for each architecture. A row is here only if its firmware has been booted with it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclasses.dataclass(frozen=True, slots=True)
class Architecture:
    """One row of the table; ``name`` is Debian's name of the architecture.

    ``machine_types`` are names as they are in QEMU's firmware descriptors, matched against their patterns.
    ``firmware`` are (executable, variable store) pairs to look for where no descriptor fits, best first; an empty
    second part is an executable that needs none. ``ram`` gives (guest physical address, offset in the RAM, length) of
    each part of so many bytes of RAM; ``None`` where that was not looked up.
    """

    name: str
    firmware_name: str
    program: str
    program_package: str
    firmware_package: str
    machine: str
    machine_types: tuple[str, ...]
    cpu: str
    video: tuple[str, ...]
    keyboard: tuple[str, ...]
    firmware: tuple[tuple[str, str], ...]
    ram: Callable[[int], list[tuple[int, int, int]]] | None = None


def q35_ram(size: int) -> list[tuple[int, int, int]]:
    """Where q35 has ``size`` bytes of RAM: what fits below 4 GiB, and the rest from there (hw/i386/pc_q35.c)."""
    low = min(size, 0xB0000000 if size < 0xB0000000 else 0x80000000)
    places = [(0, 0, low)]
    if size > low:
        places.append((4 << 30, low, size - low))
    return places


ARCHITECTURES = {
    "amd64": Architecture(
        name="amd64",
        firmware_name="x86_64",
        program="qemu-system-x86_64",
        program_package="qemu-system-x86",
        firmware_package="ovmf",
        machine="q35",
        machine_types=("pc-q35-10.0",),
        # Five-level paging is the one feature of "max" that loaders of the time before it trip over.
        cpu="max,la57=off",
        video=("-device", "VGA,id=video0"),
        keyboard=(),  # q35 brings its own PS/2 keyboard
        firmware=(
            ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"),
            ("/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"),
            ("/usr/share/edk2/x64/OVMF_CODE.4m.fd", "/usr/share/edk2/x64/OVMF_VARS.4m.fd"),
            ("/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"),
            ("/usr/share/qemu/edk2-x86_64-code.fd", "/usr/share/qemu/edk2-i386-vars.fd"),
            ("/usr/share/ovmf/OVMF.fd", ""),
        ),
        ram=q35_ram,
    ),
    "arm64": Architecture(
        name="arm64",
        firmware_name="aarch64",
        program="qemu-system-aarch64",
        program_package="qemu-system-arm",
        firmware_package="qemu-efi-aarch64",
        machine="virt",
        machine_types=("virt-10.0",),
        # The architected pointer authentication algorithm takes half of the time under emulation.
        cpu="max,pauth-impdef=on",
        video=("-device", "virtio-gpu-pci,id=video0"),
        keyboard=("-device", "qemu-xhci,id=keys", "-device", "usb-kbd,bus=keys.0"),
        firmware=(
            ("/usr/share/AAVMF/AAVMF_CODE.no-secboot.fd", "/usr/share/AAVMF/AAVMF_VARS.fd"),
            ("/usr/share/AAVMF/AAVMF_CODE.fd", "/usr/share/AAVMF/AAVMF_VARS.fd"),
            ("/usr/share/edk2/aarch64/QEMU_EFI-pflash.raw", "/usr/share/edk2/aarch64/vars-template-pflash.raw"),
            ("/usr/share/qemu/edk2-aarch64-code.fd", "/usr/share/qemu/edk2-arm-vars.fd"),
        ),
    ),
    "riscv64": Architecture(
        name="riscv64",
        firmware_name="riscv64",
        program="qemu-system-riscv64",
        program_package="qemu-system-riscv",
        firmware_package="qemu-efi-riscv64",
        machine="virt",
        machine_types=("virt",),
        cpu="rv64",  # "max" takes twice as long to the Shell: it is emulated with five-level paging
        video=("-device", "virtio-gpu-pci,id=video0"),
        keyboard=("-device", "qemu-xhci,id=keys", "-device", "usb-kbd,bus=keys.0"),
        firmware=(
            ("/usr/share/qemu-efi-riscv64/RISCV_VIRT_CODE.fd", "/usr/share/qemu-efi-riscv64/RISCV_VIRT_VARS.fd"),
            ("/usr/share/edk2/riscv/RISCV_VIRT_CODE.fd", "/usr/share/edk2/riscv/RISCV_VIRT_VARS.fd"),
            ("/usr/share/qemu/edk2-riscv-code.fd", "/usr/share/qemu/edk2-riscv-vars.fd"),
        ),
    ),
    "loong64": Architecture(
        name="loong64",
        firmware_name="loongarch64",
        program="qemu-system-loongarch64",
        program_package="qemu-system-misc",
        firmware_package="qemu-efi-loongarch64",
        machine="virt",
        machine_types=("virt",),
        cpu="la464",
        video=("-device", "virtio-gpu-pci,id=video0"),
        keyboard=("-device", "qemu-xhci,id=keys", "-device", "usb-kbd,bus=keys.0"),
        firmware=(
            ("/usr/share/qemu-efi-loongarch64/QEMU_EFI.fd", "/usr/share/qemu-efi-loongarch64/QEMU_VARS.fd"),
            ("/usr/share/edk2/loongarch64/QEMU_EFI.fd", "/usr/share/edk2/loongarch64/QEMU_VARS.fd"),
            ("/usr/share/qemu/edk2-loongarch64-code.fd", "/usr/share/qemu/edk2-loongarch64-vars.fd"),
        ),
    ),
}
"""The architectures a machine can be started for, by name."""
