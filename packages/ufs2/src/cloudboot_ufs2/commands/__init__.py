"""The commands of ``cloudboot-ufs2``, by what they do with a file system.

A function that bears the name of a command adds its arguments to a parser and gives the function that runs it. The
module is imported when its command is named.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

from cloudboot_base.program import Program

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from cloudboot_base.parser import CommandParser, Declare

PROGRAM: Final = "cloudboot-ufs2"

#: Each command: the module it is in, and its purpose.
_COMMANDS: Final = {
    "build": ("build", "Make a file system with the content of a folder or a tar archive."),
    "format": ("build", "Make an empty file system."),
    "ls": ("reading", "List a directory."),
    "cat": ("reading", "Write a file to stdout."),
    "get": ("reading", "Copy a file or a directory tree out of the file system."),
    "info": ("reading", "Describe a file system."),
    "check": ("checking", "List every defect of a file system; exit 1 if there is one."),
    "export": ("export", "Write a file system, or a part of it, as a tar archive."),
    "verify": ("export", "Check whether FreeBSD can boot from a file system; exit 1 if not."),
    "diff": ("export", "Compare a file system with another image or a folder; exit 1 if they differ."),
    "put": ("edit", "Copy a file or a folder into the file system."),
    "mkdir": ("edit", "Make a directory."),
    "rm": ("edit", "Remove a file, a link or an empty directory."),
    "ln": ("edit", "Give a file another name, or make a symbolic link."),
    "mv": ("edit", "Rename a file or directory, by POSIX's rules."),
    "chmod": ("edit", "Change permissions."),
    "chown": ("edit", "Change owners."),
    "touch": ("edit", "Set the times of files; create the files that do not exist."),
    "repair": ("checking", "Make the repairs of fsck_ffs -p; refuse any other damage."),
}
_EXAMPLES: Final = {
    "build root.ufs tree --label root --owner 0:0": "Make a file system with the files of the folder tree.",
    "ls disk.qcow2 /boot": "List a directory in the first partition that holds UFS.",
    "get disk.img /etc/fstab --partition root": "Copy a file out of the partition root.",
    "put disk.img loader.conf /boot/loader.conf --force": "Replace a file.",
    "check root.ufs --json": "List the defects of a file system as JSON.",
}
#: newfs(8), whose letters these take, has another use for -h.
_LONG_HELP_ONLY: Final = frozenset({"build", "format"})


def program() -> Program:
    """The command lines of this package."""
    made = Program(
        PROGRAM,
        "cloudboot-ufs2",
        "Make, read, check, repair, compare and change UFS2 file systems.",
        examples=_EXAMPLES,
    )
    for name, (module, purpose) in _COMMANDS.items():
        flags = ("--help",) if name in _LONG_HELP_ONLY else ("-h", "--help")
        made.defer(name, purpose, _declared_in(module, name), help_flags=flags)
    return made


def _declared_in(module: str, name: str) -> Declare:
    def declare(parser: CommandParser) -> Callable[[argparse.Namespace], int]:
        found: Declare = getattr(import_module(f".{module}", __name__), name)
        return found(parser)

    return declare
