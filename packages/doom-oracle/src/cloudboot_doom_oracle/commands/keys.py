"""``keys``: the table of keys under their numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudboot_base.command import OK, print_json
from cloudboot_doom_oracle.keys import KEYS

if TYPE_CHECKING:
    import argparse

    from cloudboot_base.program import Program


def keys_command(options: argparse.Namespace) -> int:
    """Print each key's name, Linux's code, HID usage and DOOM's code."""
    if options.json:
        print_json([key._asdict() for key in KEYS])
        return OK
    print("key        evdev  HID usage  DOOM")
    for key in KEYS:
        print(f"{key.qcode:10} {key.evdev:5}  {key.hid:#04x}       {key.doom:#04x}")
    return OK


def add_keys(program: Program) -> None:
    """Add the command."""
    program.command("keys", keys_command, "Print the keys of scripts: evdev code, HID usage and DOOM's code.")
