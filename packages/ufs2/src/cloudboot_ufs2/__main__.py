"""``python -m cloudboot_ufs2``: make, read, check, compare, take apart and change UFS file systems."""

from __future__ import annotations

import argparse
import gc
import sys
from importlib import import_module
from typing import TYPE_CHECKING

from cloudboot_base import command

from .commands import COMMANDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_PROGRAM = "cloudboot_ufs2"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit codes are those of :mod:`cloudboot_base.command`."""
    arguments = sys.argv[1:] if arguments is None else arguments
    # A command that is named needs its own module only; help and wrong usage need to know them all.
    named = COMMANDS.get(arguments[0]) if arguments else None
    options = _parser([named] if named else dict.fromkeys(COMMANDS.values())).parse_args(arguments)
    return command.run(_PROGRAM, options.run, options)


def _parser(modules: Iterable[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m {_PROGRAM}", description="UFS2 file systems.")
    # With its name given, argparse does not ask for the width of the terminal to find out how it would be shown.
    commands = parser.add_subparsers(required=True, metavar="COMMAND", prog=parser.prog)
    for module in modules:
        import_module(f".commands.{module}", __package__).add(commands)
    return parser


if __name__ == "__main__":
    # One command makes hundreds of thousands of objects and no cycles; the collector would only walk them.
    gc.disable()
    sys.exit(main())
