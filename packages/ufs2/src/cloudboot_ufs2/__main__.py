"""``python -m cloudboot_ufs2``: make, read, check, repair, compare, take apart and change UFS file systems."""

from __future__ import annotations

import argparse
import gc
import sys
from importlib import import_module
from typing import TYPE_CHECKING, NoReturn

from cloudboot_base import MissingDependencyError, command

from .commands import COMMANDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_PROGRAM = "cloudboot_ufs2"


class _Parser(argparse.ArgumentParser):
    """A parser that takes options before, between and after paths, and reports wrong usage as JSON if asked for it."""

    as_json = False
    _intermixed = False

    def parse_known_args(  # type: ignore[override] # one of argparse's several forms
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """As the base class, but an optional path may follow options."""
        if self._intermixed or self._subparsers is not None:
            return super().parse_known_args(args, namespace)
        self._intermixed = True
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self._intermixed = False

    def error(self, message: str) -> NoReturn:
        """Print how it is used, and end with exit code 2."""
        if _Parser.as_json:
            command.print_json({"error": "UsageError", "message": message, "exit_code": command.USAGE})
        super().error(message)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit codes are those of :mod:`cloudboot_base.command`."""
    arguments = sys.argv[1:] if arguments is None else arguments
    _Parser.as_json = "--json" in arguments
    # A command that is named needs its own module only; help and wrong usage need to know them all.
    named = COMMANDS.get(arguments[0]) if arguments else None
    try:
        options = _parser([named] if named else dict.fromkeys(COMMANDS.values())).parse_args(arguments)
        return command.run(_PROGRAM, options.run, options)
    except ModuleNotFoundError as error:
        if error.name != "numpy":
            raise
        missing = MissingDependencyError(
            "checking, repairing and changing a file system need numpy", hint="pip install 'cloudboot-ufs2[fast]'"
        )
        return command.failed(_PROGRAM, missing, as_json=_Parser.as_json)


def _parser(modules: Iterable[str]) -> argparse.ArgumentParser:
    parser = _Parser(prog=f"python -m {_PROGRAM}", description="UFS2 file systems.")
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version")
    # With its name given, argparse does not ask for the width of the terminal to find out how it would be shown.
    commands = parser.add_subparsers(required=True, metavar="COMMAND", prog=parser.prog, parser_class=_Parser)
    for module in modules:
        import_module(f".commands.{module}", __package__).add(commands)
    return parser


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        print(f"cloudboot-ufs2 {version('cloudboot-ufs2')}")
        parser.exit()


if __name__ == "__main__":
    # One command makes hundreds of thousands of objects and no cycles; the collector would only walk them.
    gc.disable()
    sys.exit(main())
