"""Shell completion and a manual page out of a :class:`~cloudboot_base.program.Program`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Protocol

from .parser import GLOBAL_OPTIONS, SHELLS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from .parser import CommandParser


class Described(Protocol):
    """A program, as far as it is described here."""

    @property
    def name(self) -> str:
        """What a user types."""

    @property
    def distribution(self) -> str:
        """The distribution it is installed with."""

    @property
    def purpose(self) -> str:
        """One sentence."""

    @property
    def examples(self) -> Mapping[str, str]:
        """Command lines without the program's name, each with one sentence."""

    @property
    def exit_codes(self) -> Mapping[int, str]:
        """What each exit code means."""

    @property
    def commands(self) -> Mapping[str, CommandParser]:
        """The parsers of all commands."""

    def version(self) -> str:
        """The version that is installed."""


def completion(program: Described, shell: str) -> str:
    """A script that completes commands, options, the values of options, and file names.

    Load it with ``source <(cloudboot-gpt --completion bash)``, or for fish
    ``cloudboot-gpt --completion fish | source``.
    """
    if shell == "fish":
        return "".join(f"{line}\n" for line in _fish(program))
    lines = [*_bash(program)]
    if shell == "zsh":
        lines.insert(0, "autoload -U +X bashcompinit && bashcompinit")
    return "".join(f"{line}\n" for line in lines)


def _options(parser: CommandParser) -> list[argparse.Action]:
    return [action for action in parser._actions if action.option_strings]  # noqa: SLF001 -- argparse shows them nowhere else


def _positionals(parser: CommandParser) -> list[argparse.Action]:
    return [action for action in parser._actions if not action.option_strings]  # noqa: SLF001 -- as above


def _global_words() -> list[str]:
    return [word for flags, _ in GLOBAL_OPTIONS for word in flags.split(" ")[0::1] if word.startswith("-")]


def _bash(program: Described) -> Iterator[str]:
    function = "_" + program.name.replace("-", "_")
    yield f"{function}() {{"
    yield '    local word="${COMP_WORDS[COMP_CWORD]}" before="${COMP_WORDS[COMP_CWORD-1]}" command="" words="" each'
    yield '    for each in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do'
    yield '        case "$each" in -*) ;; *) command="$each"; break ;; esac'
    yield "    done"
    yield '    case "$command $before" in'
    yield f'        *" --completion") COMPREPLY=($(compgen -W "{" ".join(SHELLS)}" -- "$word")); return ;;'
    for name, parser in program.commands.items():
        for action in _options(parser):
            if action.choices is not None:
                flags = "|".join(f'"{name} {flag}"' for flag in action.option_strings)
                values = " ".join(str(choice) for choice in action.choices)
                yield f'        {flags}) COMPREPLY=($(compgen -W "{values}" -- "$word")); return ;;'
    yield "    esac"
    yield '    case "$command" in'
    every = " ".join([*program.commands, *_global_words()])
    yield f'        "") words="{every}" ;;'
    for name, parser in program.commands.items():
        flags = " ".join(flag for action in _options(parser) for flag in action.option_strings)
        yield f'        {name}) words="{flags}" ;;'
    yield "    esac"
    yield '    if [[ "$word" == -* || -z "$command" ]]; then'
    yield '        COMPREPLY=($(compgen -W "$words" -- "$word"))'
    yield "    else"
    yield '        COMPREPLY=($(compgen -f -- "$word"))'
    yield "    fi"
    yield "}"
    yield f"complete -o filenames -F {function} {program.name}"


def _fish(program: Described) -> Iterator[str]:
    name = program.name
    known = " ".join(program.commands)
    top = f"complete -c {name} -n 'not __fish_seen_subcommand_from {known}'"
    for command, parser in program.commands.items():
        yield f"{top} -f -a {command} -d {_quoted(parser.purpose)}"
    for flags, text in GLOBAL_OPTIONS:
        values = f" -x -a '{' '.join(SHELLS)}'" if "SHELL" in flags else ""
        yield f"{top} {_fish_flags(flags.replace(' SHELL', '').split(', '))}{values} -d {_quoted(text)}"
    for command, parser in program.commands.items():
        inside = f"complete -c {name} -n '__fish_seen_subcommand_from {command}'"
        for action in _options(parser):
            choices = "" if action.choices is None else f" -x -a '{' '.join(map(str, action.choices))}'"
            takes = " -r" if action.nargs != 0 and not choices else ""
            yield f"{inside} {_fish_flags(action.option_strings)}{choices}{takes} -d {_quoted(action.help or '')}"


def _fish_flags(flags: Sequence[str]) -> str:
    return " ".join(f"-l {flag[2:]}" if flag.startswith("--") else f"-s {flag[1:]}" for flag in flags)


def _quoted(text: str) -> str:
    return "'" + text.replace("%%", "%").replace("\\", "\\\\").replace("'", "\\'") + "'"


def man_page(program: Described) -> str:
    """The manual page of a program, in the macros of man(7)."""
    name = program.name
    lines = [f'.TH "{name.upper()}" 1 "" "{program.distribution} {program.version()}" "User Commands"']
    lines += [".SH NAME", f"{_roff(name)} \\- {_roff(program.purpose[0].lower() + program.purpose[1:].rstrip('.'))}"]
    lines += [".SH SYNOPSIS", f".B {_roff(name)}", ".I COMMAND", "[\\fIOPTION\\fR]... [\\fIARGUMENT\\fR]..."]
    lines += [".SH OPTIONS"]
    for flags, text in GLOBAL_OPTIONS:
        lines += [".TP", f"\\fB{_roff(flags)}\\fR", _roff(text)]
    lines += [".SH COMMANDS"]
    for command, parser in program.commands.items():
        places = " ".join(_place(action) for action in _positionals(parser))
        lines += [f".SS {_roff(command)} {_roff(places)}".rstrip(), _roff(parser.purpose)]
        for action in [*_positionals(parser), *_options(parser)]:
            if action.help and action.help is not argparse.SUPPRESS:
                lines += [".TP", f"\\fB{_roff(_heading(action))}\\fR", _roff(_expanded(action))]
    if program.examples:
        lines += [".SH EXAMPLES"]
    for words, text in program.examples.items():
        lines += [".TP", f"\\fB{_roff(name)} {_roff(words)}\\fR", _roff(text)]
    lines += [".SH EXIT STATUS"]
    for code, meaning in sorted(program.exit_codes.items()):
        lines += [".TP", f"\\fB{code}\\fR", _roff(meaning)]
    return "".join(f"{line}\n" for line in lines)


def _place(action: argparse.Action) -> str:
    name = str(action.metavar or action.dest)
    return f"[{name}]" if action.nargs in {"?", "*"} else name


def _heading(action: argparse.Action) -> str:
    if not action.option_strings:
        return _place(action)
    value = "" if action.nargs == 0 else f" {action.metavar or _values(action)}"
    return ", ".join(action.option_strings) + value


def _values(action: argparse.Action) -> str:
    if action.choices is not None:
        return "{" + ",".join(str(choice) for choice in action.choices) + "}"
    return action.dest.upper()


def _expanded(action: argparse.Action) -> str:
    return (action.help or "") % {**vars(action), "prog": ""}


def _roff(text: str) -> str:
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return "\\&" + escaped if escaped.startswith((".", "'")) else escaped
