"""Keys to type: text, and names of keys in angle brackets."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, NamedTuple

from cloudboot_base import UsageError


class Key(NamedTuple):
    """EFI_INPUT_KEY: a scan code, or a UCS-2 character (UEFI 2.10 section 12.3)."""

    scan: int
    character: int


NAMED: Final = {
    "UP": Key(0x01, 0), "DOWN": Key(0x02, 0), "RIGHT": Key(0x03, 0), "LEFT": Key(0x04, 0),
    "HOME": Key(0x05, 0), "END": Key(0x06, 0), "INSERT": Key(0x07, 0), "DELETE": Key(0x08, 0),
    "PAGEUP": Key(0x09, 0), "PAGEDOWN": Key(0x0A, 0), "ESC": Key(0x17, 0),
    **{f"F{number}": Key(0x0A + number, 0) for number in range(1, 11)},
    "F11": Key(0x15, 0), "F12": Key(0x16, 0),
    "ENTER": Key(0, 0x0D), "TAB": Key(0, 0x09), "BACKSPACE": Key(0, 0x08), "SPACE": Key(0, 0x20),
    "LT": Key(0, ord("<")),
}  # fmt: skip
_TOKEN = re.compile(r"<([A-Z0-9]+)>|(.)", re.DOTALL)


def parse_keys(text: str) -> list[Key]:
    r"""The keys that ``text`` names: ``"ls\n"``, ``"<DOWN><ENTER>"``; a line feed is the enter key.

    Raises:
        UsageError: a name in angle brackets is not a key's, or a character is not in UCS-2.
    """
    keys = []
    for found in _TOKEN.finditer(text):
        name, character = found.groups()
        if name is not None:
            if name not in NAMED:
                raise UsageError(f"<{name}> is not a key", hint=f"one of {' '.join(NAMED)}")
            keys.append(NAMED[name])
        elif ord(character) > 0xFFFF:
            raise UsageError(f"{character!r} is no key: it is outside UCS-2")
        else:
            keys.append(Key(0, 0x0D if character == "\n" else ord(character)))
    return keys


@dataclass(frozen=True, slots=True)
class Typed:
    """A line of a script: when the console shows ``expect`` (a regular expression), ``keys`` are typed."""

    expect: str
    keys: str
