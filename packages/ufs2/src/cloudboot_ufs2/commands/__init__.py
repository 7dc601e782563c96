"""The subcommands of ``python -m cloudboot_ufs2``, by what they do with a file system.

Each module has an ``add(commands)`` that adds its own to the parser of :mod:`cloudboot_ufs2.__main__`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import argparse


class Commands(Protocol):
    """What :meth:`argparse.ArgumentParser.add_subparsers` returns."""

    def add_parser(
        self,
        name: str,
        *,
        help: str,  # noqa: A002 -- argparse's own name
        add_help: bool = True,
    ) -> argparse.ArgumentParser:
        """A parser for the subcommand ``name``."""


#: The module of each subcommand, in the order in which help lists them.
COMMANDS = {
    "build": "making", "newfs": "making",
    "ls": "reading", "cat": "reading", "get": "reading", "info": "reading", "check": "reading",
    "extract": "taking", "verify": "taking", "diff": "taking",
    "put": "changing", "mkdir": "changing", "rm": "changing", "ln": "changing", "mv": "changing",
    "chmod": "changing", "chown": "changing", "touch": "changing", "repair": "repairing",
}  # fmt: skip
