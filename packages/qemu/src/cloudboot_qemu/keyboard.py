"""Key names of QEMU's ``send-key`` (QKeyCode of qapi/ui.json)."""

from __future__ import annotations

_PLAIN = {
    " ": "spc", "\n": "ret", "\t": "tab", "\b": "backspace", "\x1b": "esc",
    "-": "minus", "=": "equal", "[": "bracket_left", "]": "bracket_right", "\\": "backslash", ";": "semicolon",
    "'": "apostrophe", "`": "grave_accent", ",": "comma", ".": "dot", "/": "slash",
}  # fmt: skip
_SHIFTED = dict(zip('_+{}|:"~<>?!@#$%^&*()', "-=[]\\;'`,./1234567890", strict=True))


def chord_keys(chord: str) -> list[str]:
    """``"ctrl-alt-delete"`` as the keys pressed together."""
    return chord.split("-")


def text_chords(text: str) -> list[str]:
    """The chords that type ``text`` on a keyboard of US layout.

    Raises:
        ValueError: a character it has no key for.
    """
    return [_character(character) for character in text]


def _character(character: str) -> str:
    if character in _SHIFTED:
        return f"shift-{_character(_SHIFTED[character])}"
    if character in _PLAIN:
        return _PLAIN[character]
    if character.isascii() and character.isalnum():
        return f"shift-{character.lower()}" if character.isupper() else character
    raise ValueError(f"a US keyboard has no key for {character!r}")
