"""Build the programs: ``python -m cloudboot_uefi_host.programs``, with Debian's cross compilers installed."""

from __future__ import annotations

import sys

from cloudboot_uefi_host.compiling import compile_program
from cloudboot_uefi_host.programs import PROGRAMS, program_path, source


def main() -> int:
    """Compile each program for its architectures and write it beside its source."""
    for name, architectures in PROGRAMS.items():
        for architecture in architectures:
            image, path = compile_program(architecture, source(name)), program_path(name, architecture)
            path.write_bytes(image)
            sys.stderr.write(f"{path.name}: {len(image)} bytes\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
