"""Whether a file is an EFI program that firmware would start; what exactly it holds is the firmware's to judge."""

from __future__ import annotations

import struct

# PE/COFF: machine of each architecture, subsystem of an EFI application (PE format, "Machine types", "Windows
# subsystem").
MACHINES = {"amd64": 0x8664, "arm64": 0xAA64, "riscv64": 0x5064, "loong64": 0x6264}
#: Where firmware without a boot entry looks for a loader (UEFI 2.10, 3.5.1.1).
REMOVABLE = {
    "amd64": "/EFI/BOOT/BOOTX64.EFI",
    "arm64": "/EFI/BOOT/BOOTAA64.EFI",
    "riscv64": "/EFI/BOOT/BOOTRISCV64.EFI",
}
EFI_APPLICATION = 10
_NAMES = {0x14C: "i386", 0x1C2: "arm", **{value: name for name, value in MACHINES.items()}}


def pe_problems(data: bytes, architecture: str) -> list[str]:
    """Why ``data`` is no EFI program for ``architecture``, as ends of sentences; empty where it looks like one."""
    if data[:2] != b"MZ":
        return ["is no EFI program: it does not begin with MZ"]
    at = int.from_bytes(data[0x3C:0x40], "little")
    if len(data) < 0x40 or data[at : at + 4] != b"PE\0\0":
        return ["is no EFI program: there is no PE header where its DOS header points"]
    if len(data) < at + 24 + 70:
        return ["is no EFI program: its PE header is cut off"]
    machine, size = struct.unpack_from("<H", data, at + 4)[0], struct.unpack_from("<H", data, at + 20)[0]
    (subsystem,) = struct.unpack_from("<H", data, at + 24 + 68)
    problems = []
    if machine != MACHINES.get(architecture):
        problems.append(f"is a program for {_NAMES.get(machine, f'machine {machine:#x}')}, not for {architecture}")
    if size < 70 or subsystem != EFI_APPLICATION:
        problems.append(f"is no EFI application: its subsystem is {subsystem}")
    return problems
