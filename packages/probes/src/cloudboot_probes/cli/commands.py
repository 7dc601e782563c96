"""Every command: its arguments, and the module that runs it.

Only what is asked for is built, and nothing of the packages below is imported here.
"""

from __future__ import annotations

import importlib
import os
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cloudboot_base import UsageError
from cloudboot_base.command import OK, exit_code

from . import arguments
from .console import EXIT_CODES, Console, report_error, run_reported
from .parser import Parser, suggested

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping, Sequence

    Declare = Callable[[Parser], None]
    Main = Callable[[argparse.Namespace, Console], int]

PROGRAM = "cloudboot"
_DESCRIPTION = "Boot any operating system from an OCI artifact, and prove every step."


@dataclass(frozen=True)
class Command:
    """A command: what it does in one sentence, its arguments, and where it runs (``module:function``)."""

    help: str
    declare: Declare
    runs: str

    def parser(self, name: str) -> Parser:
        """Its arguments."""
        parser = Parser(prog=name, description=self.help)
        self.declare(parser)
        arguments.common(parser)
        return parser

    def main(self) -> Main:
        """The function that runs it."""
        module, _, function = self.runs.partition(":")
        found: Main = getattr(importlib.import_module(f"{__package__}.{module}"), function)
        return found


@dataclass(frozen=True)
class Group:
    """Commands below a name."""

    help: str
    commands: Mapping[str, Command | Group] = field(default_factory=dict)


ROOT = Group(
    _DESCRIPTION,
    {
        "probe": Command(
            "Boot an image from a registry or folder; exit 0 only if every gate passes.",
            arguments.probe,
            "probing:main",
        ),
        "image": Group(
            "Build disk images and look into them.",
            {
                "build": Command(
                    "Build a bootable disk image without root: GPT, a FAT ESP with an EFI loader, a UFS2 root.",
                    arguments.build,
                    "image:build",
                ),
                "inspect": Command(
                    "Show partitions, file systems and the build's manifest; exit 1 if a check finds something.",
                    arguments.image_inspect,
                    "image:inspect",
                ),
            },
        ),
        "push": Command(
            "Push a disk image as the single layer of an OCI artifact.", arguments.push, "transfer:push"
        ),
        "pull": Command(
            "Fetch a disk image, verify it, and only then give it its name.", arguments.pull, "transfer:pull"
        ),
        "copy": Command(
            "Copy an image to another registry or folder; manifests and digests stay the same.",
            arguments.copy,
            "transfer:copy",
        ),
        "inspect": Command(
            "Describe an artifact without fetching its image; 'image inspect' looks into the image.",
            arguments.inspect,
            "transfer:inspect",
        ),
        "verify": Command(
            "Verify an image's signatures, by a policy or by one key or identity, without fetching the image.",
            arguments.verify,
            "signatures:verify",
        ),
        "sign": Command(
            "Sign an image that was pushed; the signature is stored beside it.", arguments.sign, "signatures:sign"
        ),
        "completion": Command(
            "Print a script that completes commands and options in a shell.", arguments.completion, "completion:main"
        ),
    },
)  # fmt: skip


def names(group: Group = ROOT, path: str = "") -> list[str]:
    """The paths of all groups and commands, each with a blank before every word."""
    found = [path]
    for name, command in sorted(group.commands.items()):
        below = f"{path} {name}"
        found += names(command, below) if isinstance(command, Group) else [below]
    return found


def resolve(words: Sequence[str]) -> tuple[Command | Group, str, list[str]]:
    """The command that ``words`` name, its full name, and the words behind it.

    Raises:
        UsageError: no command has that name.
    """
    found: Command | Group = ROOT
    name, rest = PROGRAM, list(words)
    while isinstance(found, Group):
        word = next((word for word in rest if not word.startswith("-")), None)
        if word is None or any(given in {"-h", "--help", "--version"} for given in rest[: rest.index(word)]):
            return found, name, rest
        if word not in found.commands:
            raise UsageError(
                f"{name} has no command {word!r}",
                hint=suggested(word, found.commands) or f"the commands are: {', '.join(found.commands)}",
            )
        rest.remove(word)
        found, name = found.commands[word], f"{name} {word}"
    return found, name, rest


def group_parser(group: Group, name: str) -> Parser:
    """The arguments and the help of a group."""
    parser = Parser(prog=name, description=group.help, usage=f"{name} [OPTIONS] COMMAND [ARGUMENTS]")
    if group is ROOT:
        parser.add_argument("--version", action="store_true", help="print the version and exit")
        codes = "; ".join(f"{code} {meaning}" for code, meaning in EXIT_CODES.items())
        parser.epilog = f"Exit codes: {codes}."
    parser.commands = {word: command.help for word, command in group.commands.items()}
    return parser


def run(words: list[str]) -> int:
    """Run what ``words`` ask for and give the exit code."""
    if os.environ.get("_CLOUDBOOT_COMPLETE"):
        from .completion import candidates

        print("\n".join(candidates(words)))
        return OK
    asked = words[: words.index("--")] if "--" in words else words
    console = Console(json="--json" in asked, verbose="--verbose" in asked or "-v" in asked)
    try:
        command, name, rest = resolve(words)
        if isinstance(command, Group):
            return _run_group(command, name, rest)
        options = command.parser(name).parse(rest)
    except UsageError as error:
        report_error(console, error)
        return exit_code(error)
    except BrokenPipeError:
        return OK
    return run_reported(console, lambda: command.main()(options, console))


def _run_group(group: Group, name: str, rest: Sequence[str]) -> int:
    parser = group_parser(group, name)
    options = parser.parse(rest)
    if getattr(options, "version", False):
        import importlib.metadata  # 30 ms

        print(f"{PROGRAM} {importlib.metadata.version('cloudboot-probes')}")
    else:
        parser.print_help(sys.stdout)
    sys.stdout.flush()
    return OK
