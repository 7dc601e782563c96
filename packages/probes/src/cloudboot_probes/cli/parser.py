"""Arguments as ``argparse`` takes them, with errors that are ours and help in one style."""

from __future__ import annotations

import argparse
import difflib
import re
import textwrap
from typing import TYPE_CHECKING, NoReturn

from cloudboot_base import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_UNKNOWN = re.compile(r"unrecognized arguments: (-[^\s=]+)")


class Formatter(argparse.HelpFormatter):
    """Help of 80 columns, whatever the terminal, so that it can be quoted."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=80, max_help_position=30)


class Parser(argparse.ArgumentParser):
    """An argument parser that raises, and suggests what was meant."""

    def __init__(self, *, prog: str, description: str, usage: str | None = None) -> None:
        super().__init__(
            prog=prog,
            description=description,
            usage=usage,
            formatter_class=Formatter,
            allow_abbrev=False,
            add_help=False,
        )
        self.commands: Mapping[str, str] = {}
        self.add_argument("-h", "--help", action="help", help="show this text and exit")

    def parse(self, words: Sequence[str]) -> argparse.Namespace:
        """The arguments; options may stand before, between and behind positional ones.

        Raises:
            UsageError: they are not what the command takes.
        """
        return self.parse_intermixed_args(list(words))

    def error(self, message: str) -> NoReturn:
        """Raise :class:`UsageError` instead of leaving the program."""
        hint = f"{self.prog} --help lists the arguments"
        unknown = _UNKNOWN.search(message)
        if unknown is not None:
            hint = suggested(unknown[1], self.option_names()) or hint
        raise UsageError(f"{self.prog}: {message}", hint=hint)

    def option_names(self) -> list[str]:
        """Every spelling of every option."""
        return list(self._option_string_actions)

    def option_actions(self) -> dict[str, argparse.Action]:
        """What each spelling of an option does."""
        return dict(self._option_string_actions)

    def positional_actions(self) -> list[argparse.Action]:
        """The positional arguments, in order."""
        return self._get_positional_actions()

    def format_help(self) -> str:
        """The help text, with the commands of a group."""
        whole = super().format_help()
        if not self.commands:
            return whole
        width = max(map(len, self.commands)) + 2
        listed = "".join(f"  {name:<{width}}{_hanging(text, width + 2)}\n" for name, text in self.commands.items())
        before, marker, behind = whole.partition("\noptions:")
        return f"{before}\ncommands:\n{listed}{marker}{behind}"


def _hanging(text: str, indent: int) -> str:
    return ("\n" + " " * indent).join(textwrap.wrap(text, 80 - indent))


def suggested(given: str, known: Iterable[str]) -> str | None:
    """``did you mean ...?`` for a word that is nearly one of ``known``."""
    close = difflib.get_close_matches(given, list(known), n=1)
    return f"did you mean {close[0]}?" if close else None
