"""Programs that are shipped as data: built from the C files beside this module by ``python -m`` this package."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from cloudboot_uefi_host.cpu.architecture import architecture_of

SOURCE: Final = Path(__file__).parent / "standin.c"
BOOT_MANAGER_SOURCE: Final = Path(__file__).parent / "bootmgr.c"


def standin_path(architecture: str) -> Path:
    """Where the built stand-in loader for an architecture is.

    Raises:
        UsageError: the architecture is not known.
    """
    return _built(SOURCE, architecture)


def standin(architecture: str) -> bytes:
    """The stand-in loader: it prints a banner, finds its sibling partition and prints ``/boot/loader.conf`` from there.

    Raises:
        OSError: there is none for this architecture.
    """
    return standin_path(architecture).read_bytes()


def boot_manager_path(architecture: str) -> Path:
    """Where the built stand-in for Windows' boot manager is; there is one for amd64 and one for arm64.

    Raises:
        UsageError: the architecture is not known.
    """
    return _built(BOOT_MANAGER_SOURCE, architecture)


def boot_manager(architecture: str) -> bytes:
    """The stand-in for Windows' boot manager: it follows the boot configuration to a loader, or shows a status code.

    Raises:
        OSError: there is none for this architecture.
    """
    return boot_manager_path(architecture).read_bytes()


def _built(source: Path, architecture: str) -> Path:
    return source.with_name(f"{source.stem}-{architecture_of(architecture).name}.efi")
