"""Build the programs: ``python -m cloudboot_uefi_host.programs``, with Debian's cross compilers installed."""

from __future__ import annotations

import sys

from cloudboot_uefi_host.compiling import COMPILERS, compile_program
from cloudboot_uefi_host.programs import SOURCE, standin_path


def main() -> int:
    """Compile the stand-in loader for each architecture and write it beside its source."""
    for architecture in COMPILERS:
        image = compile_program(architecture, SOURCE)
        standin_path(architecture).write_bytes(image)
        sys.stderr.write(f"{standin_path(architecture).name}: {len(image)} bytes\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
