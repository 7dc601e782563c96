"""A command with sub-commands, as every package of this project offers one.

What :mod:`argparse` leaves to each program is here once: options before, between and behind paths; ``--json`` for
errors and for wrong usage too; ``--version``; suggestions for mistyped commands and options; shell completion and a
manual page from the same declarations.

    program = Program("cloudboot-gpt", "cloudboot-gpt", "Create, read, check and repair GUID partition tables.")
    show = program.command("show", print_table, "Print the partition table.")
    show.add_argument("image", metavar="IMAGE", help="Disk image or block device.")
    sys.exit(program.run())

A program whose commands need much declares them by :meth:`Program.defer`: what a command needs is then imported when
that command is named.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from .command import EXIT_CODES, guarded, run
from .errors import UsageError
from .exit_codes import OK, USAGE
from .lightdata import NamedTuple
from .parser import GLOBAL_OPTIONS, SHELLS, CommandParser, suggestion

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from .parser import Declare, Main


def _undeclared(_: argparse.Namespace) -> int:
    raise AssertionError("the command is declared before it runs")


class _Deferred(NamedTuple):
    """A command that is not declared yet."""

    purpose: str
    declare: Declare
    help_flags: Sequence[str]


class Program:
    """A command with sub-commands.

    Args:
        name: what a user types.
        distribution: whose version ``--version`` prints.
        purpose: one sentence.
        exit_codes: what each exit code means, for the help; those every command shares are always in it.
        examples: command lines without the program's name, each with one sentence, for the help and the manual page.
    """

    def __init__(
        self,
        name: str,
        distribution: str,
        purpose: str,
        *,
        exit_codes: Mapping[int, str] | None = None,
        examples: Mapping[str, str] | None = None,
    ) -> None:
        self.name, self.distribution, self.purpose = name, distribution, purpose
        self.exit_codes = {**EXIT_CODES, **(exit_codes or {})}
        self.examples = dict(examples or {})
        self._commands: dict[str, CommandParser | _Deferred] = {}

    def command(self, name: str, main: Main, purpose: str) -> CommandParser:
        """Add a command; ``main`` gets its options and returns the exit code."""
        parser = CommandParser(self.name, name, purpose, main)
        self._commands[name] = parser
        return parser

    def defer(self, name: str, purpose: str, declare: Declare, *, help_flags: Sequence[str] = ("-h", "--help")) -> None:
        """Add a command whose arguments ``declare`` adds to a parser, once that command is named."""
        self._commands[name] = _Deferred(purpose, declare, help_flags)

    def add(self, parser: CommandParser) -> None:
        """Add a command whose parser was made elsewhere."""
        self._commands[parser.name] = parser

    @property
    def commands(self) -> dict[str, CommandParser]:
        """The parsers of all commands, in the order they were added."""
        return {name: self._parser(name) for name in self._commands}

    def _parser(self, name: str) -> CommandParser:
        found = self._commands[name]
        if isinstance(found, _Deferred):
            parser = CommandParser(self.name, name, found.purpose, _undeclared, help_flags=found.help_flags)
            parser.main = found.declare(parser)
            self._commands[name] = found = parser
        return found

    def run(self, arguments: Sequence[str] | None = None) -> int:
        """Run a command line and give the exit code."""
        words = list(sys.argv[1:] if arguments is None else arguments)
        return guarded(self.name, lambda: self._run(words), as_json="--json" in words)

    def _run(self, words: list[str]) -> int:
        leading = _leading(words)
        parser = self._find(words)
        if parser is None:
            return OK
        try:
            options = parser.read([*leading, *words[1:]])
        except SystemExit as leave:  # --help
            return leave.code if isinstance(leave.code, int) else USAGE
        return run(self.name, parser.main, options)

    def _find(self, words: list[str]) -> CommandParser | None:
        """The parser of the command; ``None`` if the words asked for help or the like, which has been printed."""
        if words and words[0] in {"-h", "--help"}:
            print(self.help(), end="")
        elif words and words[0] == "--version":
            print(f"{self.name} {self.version()}")
        elif words and words[0] in {"--completion", "--man-page"}:
            self._generate(words)
        elif not words:
            raise UsageError("no command is given", hint=f"the commands are {', '.join(self._commands)}")
        elif words[0].startswith("-"):
            raise UsageError(f"unknown option {words[0]}", hint=f"{self.name} --help lists the commands and options")
        elif words[0] not in self._commands:
            hint = suggestion(words[0], self._commands) or f"the commands are {', '.join(self._commands)}"
            raise UsageError(f"unknown command {words[0]}", hint=hint)
        else:
            return self._parser(words[0])
        return None

    def _generate(self, words: Sequence[str]) -> None:
        from . import shells  # only these two options need it

        if words[0] == "--man-page":
            print(shells.man_page(self), end="")
            return
        shell = words[1] if len(words) > 1 else ""
        if shell not in SHELLS:
            raise UsageError(f"no completion for {shell or 'no shell'}", hint=f"the shells are {', '.join(SHELLS)}")
        print(shells.completion(self, shell), end="")

    def version(self) -> str:
        """The version of the distribution that is installed."""
        from importlib.metadata import version  # 10 ms, which only --version needs

        return version(self.distribution)

    def help(self) -> str:
        """What ``--help`` prints."""
        width = max(len(name) for name in self._commands)
        lines = [f"usage: {self.name} COMMAND [OPTION]... [ARGUMENT]...", "", self.purpose, "", "commands:"]
        lines += [f"  {name:{width}}  {each.purpose}" for name, each in self._commands.items()]
        lines += ["", "options:"]
        lines += [f"  {flags:25}  {text}" for flags, text in GLOBAL_OPTIONS]
        lines += example_lines(self.name, self.examples)
        lines += ["", "exit codes:"]
        lines += [f"  {code:3}  {meaning}" for code, meaning in sorted(self.exit_codes.items())]
        lines += ["", f"'{self.name} COMMAND --help' describes a command."]
        return "\n".join(lines) + "\n"


def example_lines(name: str, examples: Mapping[str, str]) -> list[str]:
    """The part of a help text that shows ``examples`` of the program ``name``."""
    if not examples:
        return []
    return [
        "",
        "examples:",
        *(line for words, text in examples.items() for line in (f"  {name} {words}", f"      {text}")),
    ]


def _leading(words: list[str]) -> list[str]:
    """Take the common options from before the command."""
    taken = []
    while words and words[0] in {"--json", "-v", "--verbose"}:
        taken.append(words.pop(0))
    return taken
