"""``python -m cloudboot_ufs2``: make, read, check, compare, take apart and change UFS file systems."""

from __future__ import annotations

import argparse
import gc
import sys
from typing import TYPE_CHECKING

from cloudboot_layout import command

from .commands import changing, making, reading, taking

if TYPE_CHECKING:
    from collections.abc import Sequence

_PROGRAM = "cloudboot_ufs2"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit codes are those of :mod:`cloudboot_layout.command`."""
    options = _parser().parse_args(arguments)
    return command.run(_PROGRAM, options.run, options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m {_PROGRAM}", description="UFS2 file systems.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for module in (making, reading, taking, changing):
        module.add(commands)
    return parser


if __name__ == "__main__":
    # One command makes hundreds of thousands of objects and no cycles; the collector would only walk them.
    gc.disable()
    sys.exit(main())
