"""From a command line to the command that it names, and its exit code."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from cloudboot_base import UsageError
from cloudboot_base.command import OK, discard_output, exit_code, prepare_streams, printable

from .commands import ENVIRONMENT, PROGRAM, ROOT, Command, Group, group_help, program, resolve, whole_program
from .console import Console, notices, report_error, run_reported

if TYPE_CHECKING:
    import argparse


def run(words: list[str], called: str = PROGRAM, within: str = "") -> int:
    """Run what ``words`` ask for, a command of the group ``within``, and give the exit code.

    Help names the program as it was ``called``.
    """
    prepare_streams()
    if os.environ.get("_CLOUDBOOT_COMPLETE"):
        from .completion import candidates

        print("\n".join(candidates(words)))
        return OK
    asked = words[: words.index("--")] if "--" in words else words
    console = Console(json="--json" in asked, verbose="--verbose" in asked or "-v" in asked)
    try:
        command, name, rest = resolve([within, *words] if within else words)
        name = name.removeprefix(within).strip()
        if isinstance(command, Group):
            return _run_group(command, name, rest, console, called)
        parser = command.parser(name, called)
        options = parser.read([*parser.from_environment(ENVIRONMENT, os.environ, rest), *rest])
        console = Console(json=options.json, verbose=options.verbose)
    except BrokenPipeError:
        discard_output()
        return OK
    except (UsageError, OSError) as error:
        report_error(console, error)
        return exit_code(error)
    except SystemExit as leave:  # --help
        code = leave.code if isinstance(leave.code, int) else OK
        return run_reported(console, lambda: code)
    return run_reported(console, lambda: _noted(command, options, console))


def _noted(command: Command, options: argparse.Namespace, console: Console) -> int:
    """Run a command; what the packages log as warnings are notices on stderr."""
    main = command.main()
    with notices(console):
        return main(options, console)


def _run_group(group: Group, name: str, rest: list[str], console: Console, called: str) -> int:
    rest = [word for word in rest if word not in {"--json", "-v", "--verbose"}]
    if not rest or rest[0] in {"-h", "--help"}:
        console.print(group_help(group, name, called))
        return OK
    if group is ROOT and rest[0] == "--version":
        console.print(f"{PROGRAM} {program().version()}")
    elif called != PROGRAM and not name and rest[0] == "--version":
        from importlib.metadata import version

        console.print(f"{called} {version(called)}")
    elif group is ROOT and rest[0] == "--completion":
        from .completion import script

        console.print(script(rest[1] if len(rest) > 1 else ""), end="")
    elif group is ROOT and rest[0] == "--man-page":
        from cloudboot_base.shells import man_page

        console.print(man_page(whole_program()), end="")
    else:
        raise UsageError(f"unknown option {printable(rest[0])}", hint=f"{called} --help lists the commands and options")
    return OK
