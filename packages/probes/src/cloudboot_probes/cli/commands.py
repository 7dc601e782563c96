"""Every command: its arguments, and the module that runs it.

Only the parser of the command that is asked for is built, and nothing of the packages below is imported here.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cloudboot_base import UsageError
from cloudboot_base.command import notice, printable
from cloudboot_base.parser import SHELLS, CommandParser, suggestion
from cloudboot_base.program import Program, example_lines

from . import arguments
from .console import EXIT_CODES, Console

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping, Sequence

    Declare = Callable[[CommandParser], None]
    Main = Callable[[argparse.Namespace, Console], int]

PROGRAM = "cloudboot"
PURPOSE = "Boot any operating system from an OCI artifact, and prove every step."
ENVIRONMENT = "CLOUDBOOT_"
"""What the environment variable of an option begins with."""
_OPTIONS = (
    ("-h, --help", "Print this text."),
    ("--version", "Print the version."),
    ("--completion SHELL", f"Print completion for {', '.join(SHELLS[:-1])} or {SHELLS[-1]}."),
    ("--man-page", "Print the manual page."),
)


_EXAMPLES = {
    "demo --report demo.html": "Boot a small disk in this process and write a report.",
    "image build linux -o linux.img --force": "Build a disk with Debian's kernel and GRUB.",
    "push disk.img oci:store:linux": "Push a disk to the folder store.",
    "probe linux oci:store:linux --report report.html": "Boot the disk in a QEMU machine.",
    "probe linux oci:store:linux --firmware hosted,ovmf": "Run its boot loader under two firmwares and compare.",
    "pull ghcr.io/example/disk:v1 --policy policy.toml": "Fetch a disk after its signatures are verified.",
}


@dataclass(frozen=True)
class Command:
    """A command: its purpose in one sentence, its arguments, and where it runs (``module:function``).

    A module without a dot is one of this folder.
    """

    purpose: str
    declare: Declare
    runs: str

    def parser(self, name: str, called: str = PROGRAM) -> CommandParser:
        """Its arguments; ``name`` has the words behind the program's name."""
        parser = CommandParser(called, name, self.purpose, _unused)
        self.declare(parser)
        return parser

    def main(self) -> Main:
        """The function that runs it."""
        module, _, function = self.runs.partition(":")
        found: Main = getattr(importlib.import_module(module if "." in module else f"{__package__}.{module}"), function)
        return found


def _unused(_: argparse.Namespace) -> int:
    raise AssertionError("commands of this program run by their module")


@dataclass(frozen=True)
class Group:
    """Commands below a name."""

    purpose: str
    commands: Mapping[str, Command | Group] = field(default_factory=dict)


_IMAGE = {
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
    "boot-entries": Command(
        "Show which boot entry starts from a disk, and why the others do not; exit 1 if none does.",
        arguments.image_boot_entries,
        "boot_entries:main",
    ),
}
_DOOM = {
    "probe": Command(
        "Run the game through virtio devices; exit 0 only if every gate passes.", arguments.doom_probe, "doom:probe"
    ),
    "guest": Command(
        "Boot Debian with chocolate-doom, running free, and capture its screen and sound.",
        arguments.doom_guest,
        "doom:guest",
    ),
}
_VIRTIO = {
    "devices": Command(
        "Initialise the virtio devices of a machine and describe them.", arguments.virtio, "virtio:devices"
    ),
    "record": Command(
        "Record the queues of a device; cloudboot-virtio replay replays the file.",
        arguments.virtio_record,
        "virtio:record",
    ),
    "bench": Command("Measure the speed of virtio devices.", arguments.virtio, "virtio:bench"),
}
ROOT = Group(
    PURPOSE,
    {
        "probe": Command(
            "Boot an image from a registry or folder; exit 0 only if every gate passes.",
            arguments.probe,
            "probing:main",
        ),
        "demo": Command(
            "Build a small disk, push it to a folder, and boot it in this process; no other program is needed.",
            arguments.demo,
            "demo:main",
        ),
        "doom": Group("Use the game as an oracle for virtual devices.", _DOOM),
        "image": Group("Build and examine disk images.", _IMAGE),
        "push": Command("Push a disk image as the single layer of an OCI artifact.", arguments.push, "transfer:push"),
        "pull": Command(
            "Fetch a disk image or a kernel into a file, which gets its name after it is verified.",
            arguments.pull,
            "transfer:pull",
        ),
        "copy": Command(
            "Copy an image to another registry or folder with unchanged digests.",
            arguments.copy,
            "transfer:copy",
        ),
        "inspect": Command(
            "Describe an artifact without fetching its image; 'image inspect' examines the image.",
            arguments.inspect,
            "transfer:inspect",
        ),
        "verify": Command(
            "Verify an image's signatures by a policy, a key or an identity, without fetching the image.",
            arguments.verify,
            "signatures:verify",
        ),
        "sign": Command(
            "Sign an image in a registry or folder and store the signature there.", arguments.sign, "signatures:sign"
        ),
        "login": Command(
            "Verify a user name and a password with a registry, and store them.", arguments.login, "registry:login"
        ),
        "logout": Command("Remove the stored password of a registry.", arguments.logout, "registry:logout"),
        "virtio": Group("Drive virtio devices without a guest operating system.", _VIRTIO),
    },
)


#: Commands of other distributions, which are extras of this one under the same names.
_EXTRAS = frozenset({"fleet"})

#: The entry points that add a group or a command: its name, and an object of that class.
ENTRY_POINTS = "cloudboot_probes.commands"


def complete(group: Group) -> Group:
    """``group``; the root with what other distributions add: looked up for help, and when no own command fits."""
    if group is not ROOT:
        return group
    from importlib.metadata import entry_points  # 15 ms, which no command of this package needs

    added = {}
    for point in sorted(entry_points(group=ENTRY_POINTS), key=lambda each: each.name):
        try:
            added[point.name] = point.load()
        except (ImportError, AttributeError) as error:  # of another version than this package, say
            notice(PROGRAM, f"the command {point.name} of {point.value} cannot be loaded: {error}")
    return Group(ROOT.purpose, {**ROOT.commands, **added})


def names(group: Group = ROOT, path: str = "") -> list[str]:
    """The paths of all groups and commands, each with a blank before every word."""
    found = [path]
    for name, command in sorted(complete(group).commands.items()):
        below = f"{path} {name}"
        found += names(command, below) if isinstance(command, Group) else [below]
    return found


def resolve(words: Sequence[str]) -> tuple[Command | Group, str, list[str]]:
    """The command that ``words`` name, its name behind the program's, and the words that are left.

    Raises:
        UsageError: no command has that name.
    """
    found: Command | Group = ROOT
    name, rest = "", list(words)
    while isinstance(found, Group):
        word = next((word for word in rest if not word.startswith("-")), None)
        if word is None or any(given in _ENDING for given in rest[: rest.index(word)]):
            return found, name, rest
        if word not in found.commands:
            found = complete(found)
        if word not in found.commands:
            extra = f"pip install 'cloudboot-probes[{word}]' adds it" if not name and word in _EXTRAS else None
            raise UsageError(
                f"unknown command {printable(f'{name} {word}'.strip())}",
                hint=extra or suggestion(word, found.commands) or f"the commands are {', '.join(found.commands)}",
            )
        rest.remove(word)
        found, name = found.commands[word], f"{name} {word}".strip()
    return found, name, rest


_ENDING = frozenset({"-h", "--help", "--version", "--completion", "--man-page"})


def group_help(group: Group, name: str, called: str = PROGRAM) -> str:
    """What ``--help`` prints for a group of the program that was ``called``."""
    import textwrap  # 3 ms, for help only

    full = f"{called} {name}".strip()
    is_root, group = group is ROOT, complete(group)
    width = max(map(len, group.commands)) + 4
    lines = [f"usage: {full} COMMAND [OPTION]... [ARGUMENT]...", "", group.purpose, "", "commands:"]
    for word, command in group.commands.items():
        wrapped = textwrap.wrap(command.purpose, 100 - width)
        lines += [f"  {word:{width - 2}}{wrapped[0]}", *(" " * width + line for line in wrapped[1:])]
    lines += ["", "options:"]
    lines += [f"  {flags:22}{text}" for flags, text in (_OPTIONS if is_root else _OPTIONS[:1])]
    lines += example_lines(PROGRAM, _EXAMPLES) if is_root else []
    if is_root:
        lines += ["", "exit codes:", *(f"  {code:3}  {meaning}" for code, meaning in EXIT_CODES.items())]
    lines += ["", f"'{full} COMMAND --help' describes a command."]
    return "\n".join(lines)


def program() -> Program:
    """The program without its commands."""
    return Program(PROGRAM, "cloudboot-probes", PURPOSE, exit_codes=EXIT_CODES, examples=_EXAMPLES)


def whole_program() -> Program:
    """All commands at once, each under the words that name it: for the manual page."""
    whole = program()

    def add(group: Group, path: str) -> None:
        for name, command in complete(group).commands.items():
            below = f"{path} {name}".strip()
            if isinstance(command, Group):
                add(command, below)
            else:
                whole.add(command.parser(below))

    add(ROOT, "")
    return whole
