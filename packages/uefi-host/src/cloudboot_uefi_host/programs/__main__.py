"""Build the programs: ``python -m cloudboot_uefi_host.programs``, with Debian's cross compilers installed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from cloudboot_uefi_host.compiling import COMPILERS, compile_program
from cloudboot_uefi_host.programs import BOOT_MANAGER_SOURCE, SOURCE, boot_manager_path, standin_path

if TYPE_CHECKING:
    from pathlib import Path


def main() -> int:
    """Compile each program for the architectures it exists for and write it beside its source."""
    for architecture in COMPILERS:
        _build(architecture, SOURCE, standin_path(architecture))
    for architecture in ("amd64", "arm64"):
        _build(architecture, BOOT_MANAGER_SOURCE, boot_manager_path(architecture))
    return 0


def _build(architecture: str, source: Path, target: Path) -> None:
    image = compile_program(architecture, source)
    target.write_bytes(image)
    sys.stderr.write(f"{target.name}: {len(image)} bytes\n")


if __name__ == "__main__":
    sys.exit(main())
