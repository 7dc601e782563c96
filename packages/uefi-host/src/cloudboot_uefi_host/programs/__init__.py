"""Programs that are shipped as data: built from the C files beside this module by ``python -m`` this package."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from cloudboot_uefi_host.cpu.architecture import architecture_of

SOURCE: Final = Path(__file__).parent / "standin.c"


def standin_path(architecture: str) -> Path:
    """Where the built stand-in loader for an architecture is.

    Raises:
        UsageError: the architecture is not known.
    """
    return Path(__file__).parent / f"standin-{architecture_of(architecture).name}.efi"


def standin(architecture: str) -> bytes:
    """The stand-in loader: it prints a banner, finds its sibling partition and prints ``/boot/loader.conf`` from there.

    Raises:
        OSError: there is none for this architecture.
    """
    return standin_path(architecture).read_bytes()
