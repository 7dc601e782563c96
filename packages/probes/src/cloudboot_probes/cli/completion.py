"""Completion: what can stand where the cursor is, and the scripts that ask for it.

The scripts call the command with the words typed so far and ``_CLOUDBOOT_COMPLETE`` set; it prints one candidate a
line. Where there is none, the shell offers file names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudboot_base import UsageError

from .commands import Group, resolve

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_SCRIPTS = {
    "bash": """\
_cloudboot() {
    local IFS=$'\\n'
    COMPREPLY=($(_CLOUDBOOT_COMPLETE=1 cloudboot "${COMP_WORDS[@]:1:COMP_CWORD}" 2> /dev/null))
}
complete -o default -F _cloudboot cloudboot
""",
    "zsh": """\
#compdef cloudboot
_cloudboot() {
    local -a found
    found=("${(@f)$(_CLOUDBOOT_COMPLETE=1 cloudboot "${(@)words[2,CURRENT]}" 2> /dev/null)}")
    if [[ -n "$found" ]]; then compadd -- $found; else _files; fi
}
compdef _cloudboot cloudboot
""",
    "fish": """\
complete -c cloudboot -a '(_CLOUDBOOT_COMPLETE=1 cloudboot (commandline -opc)[2..] (commandline -ct) 2> /dev/null)'
""",
}
_GLOBAL = ("--help", "--version", "--completion", "--man-page")


def script(shell: str) -> str:
    """The script for a shell.

    Raises:
        UsageError: there is no completion for that shell.
    """
    if shell not in _SCRIPTS:
        raise UsageError(f"no completion for {shell or 'no shell'}", hint=f"the shells are {', '.join(_SCRIPTS)}")
    return _SCRIPTS[shell]


def candidates(words: Sequence[str]) -> list[str]:
    """What the last of ``words`` can become: a command, an option, or one of an option's or an argument's values."""
    *before, current = words or [""]
    try:
        command, name, rest = resolve(before)
    except UsageError:
        return []
    if isinstance(command, Group):
        if rest[-1:] == ["--completion"]:
            return _starting(current, _SCRIPTS)
        return _starting(current, _GLOBAL if current.startswith("-") else command.commands)
    parser = command.parser(name)
    options = {flag: action for action in parser._actions for flag in action.option_strings}  # noqa: SLF001 - argparse
    positional = [action for action in parser._actions if not action.option_strings]  # noqa: SLF001 - shows them nowhere
    previous = options.get(rest[-1]) if rest else None
    if previous is not None and previous.nargs != 0:
        return _starting(current, previous.choices or ())
    if current.startswith("-"):
        return _starting(current, options)
    given = [
        word
        for number, word in enumerate(rest)
        if not word.startswith("-")
        and not (number and (action := options.get(rest[number - 1])) is not None and action.nargs != 0)
    ]
    if len(given) < len(positional):
        return _starting(current, positional[len(given)].choices or _values(name, positional[len(given)].dest))
    return []


def _values(name: str, argument: str) -> Sequence[str]:
    """The names an argument may have beside paths and references."""
    if (name, argument) == ("probe", "system"):
        from cloudboot_probes.systems import names

        return names()
    if (name, argument) == ("image build", "recipe"):
        from cloudboot_probes.recipe import builtin_names

        return builtin_names()
    return ()


def _starting(current: str, known: Iterable[str]) -> list[str]:
    return sorted(word for word in known if word.startswith(current))
