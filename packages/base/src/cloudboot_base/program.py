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

import argparse
import os
import sys
from typing import TYPE_CHECKING, Final, NamedTuple, NoReturn

from .command import EXIT_CODES, add_common_arguments, failed, report_interrupt, run
from .errors import UsageError, interrupted
from .exit_codes import OK, USAGE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    Main = Callable[[argparse.Namespace], int]
    #: Adds the arguments of a command to its parser and gives the function that runs it.
    Declare = Callable[["CommandParser"], Main]

SHELLS: Final = ("bash", "fish", "zsh")


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Help as wide as the terminal. argparse asks shutil for the width, which takes 5 ms to import."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=_terminal_width() - 2)


def _terminal_width() -> int:
    """Columns: those of the environment variable, else those of the terminal, else 80."""
    text = os.environ.get("COLUMNS", "")
    if text.isascii() and text.isdigit() and int(text):
        return int(text)
    try:
        return os.get_terminal_size(sys.__stdout__.fileno()).columns or 80 if sys.__stdout__ is not None else 80
    except (OSError, ValueError):  # not a terminal, or closed
        return 80


class CommandParser(argparse.ArgumentParser):
    """The arguments of one command. Wrong usage is raised as :class:`~cloudboot_base.UsageError`.

    ``help_flags`` are for a command that has another use for ``-h``.
    """

    def __init__(
        self, program: str, name: str, purpose: str, main: Main, *, help_flags: Sequence[str] = ("-h", "--help")
    ) -> None:
        super().__init__(
            prog=f"{program} {name}", description=purpose, add_help=False, allow_abbrev=False,
            formatter_class=_Formatter,
        )  # fmt: skip
        self.name, self.purpose, self.main = name, purpose, main
        self.add_argument(*help_flags, action="help", help="Print this text.")
        add_common_arguments(self)

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing and leaving."""
        raise UsageError(message, hint=f"{self.prog} --help describes the command")

    def read(self, words: Sequence[str]) -> argparse.Namespace:
        """The options of a command line, which may stand before, between and behind the paths.

        Raises:
            UsageError: the words are not a command line of this command.
        """
        # argparse's own intermixed parsing takes "--" away too early, so what follows it is protected.
        words = list(words)
        literal: list[str] = []
        if "--" in words:
            place = words.index("--")
            words, literal = words[:place], words[place + 1 :]
        for index, word in enumerate(literal):
            words.append(f"{_LITERAL}{index}")
            literal[index] = word
        found, unknown = self.parse_known_intermixed_args(words)
        if unknown:
            options = [each for action in self._actions for each in action.option_strings]
            raise UsageError(
                f"unknown {'option' if unknown[0].startswith('-') else 'argument'} {unknown[0]}",
                hint=suggestion(unknown[0], options) or f"{self.prog} --help lists the options",
            )
        for name, value in vars(found).items():
            setattr(found, name, _restored(value, literal))
        return found

    def from_environment(self, prefix: str, environment: Mapping[str, str], words: Sequence[str]) -> list[str]:
        """The options that environment variables set and ``words`` do not, as words that go before those.

        The variable of ``--long-option`` is ``prefix`` and ``LONG_OPTION``. An empty one sets nothing. An option that
        can be repeated takes the words of its variable as a shell would split them, one without a value ``1`` or ``0``.

        Raises:
            UsageError: a variable's value is none of the option's; the message names the variable.
        """
        given = words[: list(words).index("--")] if "--" in words else words
        named = {word.partition("=")[0] for word in given if word.startswith("-")}
        found: list[str] = []
        for action in self._actions:
            long = next((option for option in action.option_strings if option.startswith("--")), None)
            if long == "--help" and named.intersection(action.option_strings):
                return []  # help is printed whatever the variables say
            if long is None or long == "--help" or named.intersection(action.option_strings):
                continue
            variable = prefix + long.removeprefix("--").replace("-", "_").upper()
            value = environment.get(variable, "")
            if value:
                found += self._words_of(action, long, variable, value)
        return found

    def _words_of(self, action: argparse.Action, long: str, variable: str, value: str) -> list[str]:
        if action.nargs == 0:
            if value.lower() not in _SWITCH:
                raise UsageError(f"{variable}={value}: not a switch", hint=f"one of {', '.join(_SWITCH)}")
            return [long] if _SWITCH[value.lower()] else []
        import shlex  # 1 ms, for those who set variables

        try:
            values = shlex.split(value) if _repeats(action) else [value]
        except ValueError as error:
            raise UsageError(f"{variable}={value}: {error}") from error
        for each in values:
            self._check(action, variable, each)
        return [f"{long}={each}" for each in values]

    def _check(self, action: argparse.Action, variable: str, value: str) -> None:
        try:
            made = action.type(value) if callable(action.type) else value
        except (argparse.ArgumentTypeError, UsageError, ValueError, TypeError) as error:
            raise UsageError(f"{variable}={value}: {error}", hint=f"{self.prog} --help describes the option") from error
        if action.choices is not None and made not in action.choices:
            raise UsageError(f"{variable}={value}: not one of {', '.join(map(str, action.choices))}")


_SWITCH: Final = {
    "1": True,
    "yes": True,
    "true": True,
    "on": True,
    "0": False,
    "no": False,
    "false": False,
    "off": False,
}


def _repeats(action: argparse.Action) -> bool:
    return isinstance(action, argparse._AppendAction)  # noqa: SLF001 -- argparse gives the class no public name


_LITERAL: Final = "\0literal\0"


def _restored(value: object, literal: Sequence[str]) -> object:
    if isinstance(value, str) and value.startswith(_LITERAL):
        return literal[int(value.removeprefix(_LITERAL))]
    return [_restored(each, literal) for each in value] if isinstance(value, list) else value


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
        name: what a person types.
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
        as_json = "--json" in words
        try:
            leading = _leading(words)
            parser = self._find(words)
            if parser is None:
                return OK
            options = parser.read([*leading, *words[1:]])
        except UsageError as error:
            return failed(self.name, error, as_json=as_json)
        except SystemExit as leave:  # --help
            return leave.code if isinstance(leave.code, int) else USAGE
        except (Exception, KeyboardInterrupt) as error:
            if not interrupted(error):
                raise
            return report_interrupt(self.name)
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


GLOBAL_OPTIONS: Final = (
    ("-h, --help", "Print this text."),
    ("--version", "Print the version."),
    ("--json", "Print the result, or the error, as JSON."),
    ("-v, --verbose", "Print the traceback of an error."),
    ("--completion SHELL", "Print completion for bash, fish or zsh."),
    ("--man-page", "Print the manual page."),
)


def suggestion(word: str, known: Iterable[str]) -> str | None:
    """``"did you mean show?"`` for a word that is like a known one."""
    import difflib  # only mistakes need it

    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f"did you mean {close[0]}?" if close else None


def _leading(words: list[str]) -> list[str]:
    """Take the common options from before the command."""
    taken = []
    while words and words[0] in {"--json", "-v", "--verbose"}:
        taken.append(words.pop(0))
    return taken
