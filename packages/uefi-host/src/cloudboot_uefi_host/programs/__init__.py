"""Programs that are shipped as data: built from the C files beside this module by ``python -m`` this package."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from cloudboot_uefi_host.cpu.architecture import architecture_of

PROGRAMS: Final = {"standin": ("amd64", "arm64", "riscv64"), "bootmgr": ("amd64", "arm64"), "agent": ("amd64",)}
"""The programs, and the architectures each is shipped for."""


def source(name: str) -> Path:
    """The C file of a program."""
    return Path(__file__).parent / f"{name}.c"


def program_path(name: str, architecture: str) -> Path:
    """Where a built program is.

    Raises:
        UsageError: the architecture is not known.
    """
    return Path(__file__).parent / f"{name}-{architecture_of(architecture).name}.efi"


def standin(architecture: str) -> bytes:
    """The stand-in loader: it prints a banner, finds its sibling partition and prints ``/boot/loader.conf`` from there.

    Raises:
        OSError: there is no program for this architecture.
    """
    return program_path("standin", architecture).read_bytes()


def agent() -> bytes:
    """The program through which :mod:`cloudboot_uefi_host.live` calls a firmware's services (amd64)."""
    return program_path("agent", "amd64").read_bytes()


def boot_manager(architecture: str) -> bytes:
    """The stand-in for Windows' boot manager: it follows the boot configuration to a loader, or shows a status code.

    Raises:
        OSError: there is no program for this architecture.
    """
    return program_path("bootmgr", architecture).read_bytes()
