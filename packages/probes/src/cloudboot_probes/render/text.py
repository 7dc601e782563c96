"""Text for a terminal: styles, and paragraphs that fit its width."""

from __future__ import annotations

import enum
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_LEAST = 24  # columns a paragraph's text has; a narrower terminal breaks the lines itself


class Style(enum.StrEnum):
    """Select Graphic Rendition parameters (ECMA-48 8.3.117)."""

    PLAIN = ""
    STRONG = "1"
    GOOD = "1;32"
    BAD = "1;31"
    HINT = "33"
    ACCENT = "36"
    DIM = "2"

    def wrap(self, text: str) -> str:
        """``text`` in this style."""
        return f"\x1b[{self.value}m{text}\x1b[0m" if self.value and text else text


def columns(text: str) -> int:
    """The columns ``text`` takes: two for wide characters, none for those that combine."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    return len(text) + wide - sum(unicodedata.combining(character) != 0 for character in text)


def paragraph(head: Sequence[tuple[str, Style]], text: str, width: int | None, *, color: bool) -> Iterator[str]:
    """``head`` and behind it ``text``, whose further lines begin below its first; ``None`` breaks nothing.

    Words longer than a line are cut.
    """
    indent = sum(columns(part) for part, _ in head)
    first = "".join(style.wrap(part) if color else part for part, style in head)
    if width is None or width - indent < _LEAST:
        yield (first + text).rstrip()
        return
    pieces = list(_wrapped(text, width - indent)) or [""]
    yield (first + pieces[0]).rstrip()
    for piece in pieces[1:]:
        yield " " * indent + piece


def _wrapped(text: str, room: int) -> Iterator[str]:
    line = ""
    for word in text.split(" "):
        rest = word
        if line and columns(line) + 1 + columns(rest) <= room:
            line += " " + rest
            continue
        if line:
            yield line
        while columns(rest) > room:
            cut = len(rest)
            while columns(rest[:cut]) > room:
                cut -= 1 + max(0, columns(rest[:cut]) - room - 1) // 2
            yield rest[:cut]
            rest = rest[cut:]
        line = rest
    if line:
        yield line
