"""Keys under three numbers: Linux's evdev code, the USB HID usage, and what DOOM calls it."""

from __future__ import annotations

from typing import NamedTuple


class Key(NamedTuple):
    """A key: QEMU's name, Linux's code, the usage on HID page 7, and the engine's code."""

    qcode: str
    evdev: int
    hid: int
    doom: int


_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_LETTER_CODES = (30, 48, 46, 32, 18, 33, 34, 35, 23, 36, 37, 38, 50, 49, 24, 25, 16, 19, 31, 20, 22, 47, 17, 45, 21, 44)

KEYS = (
    Key("ret", 28, 0x28, 13),
    Key("esc", 1, 0x29, 27),
    Key("backspace", 14, 0x2A, 0x7F),
    Key("tab", 15, 0x2B, 9),
    Key("spc", 57, 0x2C, 0xA2),  # use
    Key("minus", 12, 0x2D, 0x2D),
    Key("equal", 13, 0x2E, 0x3D),
    Key("comma", 51, 0x36, 0xA0),  # strafe left
    Key("dot", 52, 0x37, 0xA1),  # strafe right
    *(
        Key(f"f{n}", 58 + n if n < 11 else 76 + n, 0x39 + n, 0x80 + (0x3A + n if n < 11 else 0x4C + n))
        for n in range(1, 13)
    ),
    Key("pause", 119, 0x48, 0xFF),
    Key("right", 106, 0x4F, 0xAE),
    Key("left", 105, 0x50, 0xAC),
    Key("down", 108, 0x51, 0xAF),
    Key("up", 103, 0x52, 0xAD),
    Key("ctrl", 29, 0xE0, 0xA3),  # fire
    Key("shift", 42, 0xE1, 0x80 + 0x36),
    Key("alt", 56, 0xE2, 0x80 + 0x38),
    *(
        Key(letter, code, 4 + at, ord(letter))
        for at, (letter, code) in enumerate(zip(_LETTERS, _LETTER_CODES, strict=True))
    ),
    *(Key(str(n), 1 + n if n else 11, 0x1D + n if n else 0x27, ord(str(n))) for n in range(10)),
)
"""Every key that a script can name and a virtio keyboard can send."""

BY_NAME = {key.qcode: key for key in KEYS}
BY_EVDEV = {key.evdev: key for key in KEYS}

ALIASES = {"enter": "ret", "escape": "esc", "space": "spc", "use": "spc", "fire": "ctrl", "return": "ret"}
"""Other names of keys in scripts."""
