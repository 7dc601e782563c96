"""The arguments of one command: :mod:`argparse` with the conventions of :mod:`cloudboot_base.program`."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING, Final, NoReturn

from .command import add_common_arguments
from .errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from _typeshed import SupportsWrite

    Main = Callable[[argparse.Namespace], int]
    #: Adds the arguments of a command to its parser and gives the function that runs it.
    Declare = Callable[["CommandParser"], Main]

SHELLS: Final = ("bash", "fish", "zsh")
#: The options that are before a command.
GLOBAL_OPTIONS: Final = (
    ("-h, --help", "Print this text."),
    ("--version", "Print the version."),
    ("--json", "Print the result, or the error, as JSON."),
    ("-v, --verbose", "Print the traceback of an error."),
    ("--completion SHELL", "Print completion for bash, fish or zsh."),
    ("--man-page", "Print the manual page."),
)


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
        self._literal: list[str] = []
        self.add_argument(*help_flags, action="help", help="Print this text.")
        add_common_arguments(self)

    def _print_message(self, message: str, file: SupportsWrite[str] | None = None) -> None:
        """Print a help text. argparse's own method ignores that it could not be written."""
        (sys.stdout if file is None else file).write(message)

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing and leaving."""
        raise UsageError(message, hint=f"{self.prog} --help describes the command")

    def read(self, words: Sequence[str]) -> argparse.Namespace:
        """The options of a command line, which may be before, between and behind the paths.

        Raises:
            UsageError: the words are not a command line of this command.
        """
        # argparse's own intermixed parsing takes "--" away too early, so what follows it is protected.
        words, literal = list(words), []
        if "--" in words:
            place = words.index("--")
            words, literal = words[:place], words[place + 1 :]
        self._literal = literal
        found, unknown = self.parse_known_intermixed_args(
            [*words, *(f"{_LITERAL}{index}" for index in range(len(literal)))]
        )
        if unknown:
            options = [each for action in self._actions for each in action.option_strings]
            first = self._restored(unknown[0])
            raise UsageError(
                f"unknown {'option' if unknown[0].startswith('-') else 'argument'} {first}",
                hint=suggestion(first, options) or f"{self.prog} --help lists the options",
            )
        return found

    def _get_value(self, action: argparse.Action, arg_string: str) -> object:
        """What argparse makes of one word: of the word itself, before its type is asked."""
        return super()._get_value(action, self._restored(arg_string))

    def _restored(self, word: str) -> str:
        return self._literal[int(word.removeprefix(_LITERAL))] if word.startswith(_LITERAL) else word

    def from_environment(self, prefix: str, environment: Mapping[str, str], words: Sequence[str]) -> list[str]:
        """The options that environment variables set and ``words`` do not, as words that go before those.

        The variable of ``--long-option`` is ``prefix`` and ``LONG_OPTION``. An empty one sets nothing. An option that
        can be repeated takes the words of its variable as a shell would split them, one without a value ``1`` or ``0``.

        Raises:
            UsageError: a variable has a value that the option does not accept; the message names the variable.
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


def suggestion(word: str, known: Iterable[str]) -> str | None:
    """``"did you mean show?"`` for a word that is like a known one."""
    import difflib  # only mistakes need it

    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f"did you mean {close[0]}?" if close else None
