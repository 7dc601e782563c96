"""Lines of a TOML document: :mod:`tomllib` gives values without saying where they are, and an error has to."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

#: A way to a value: keys of tables, and numbers of an array's tables from 0.
Key = tuple[str | int, ...]


def lines_of(text: str) -> dict[Key, int]:
    """The line, from 1, of each table header and each key of a document that :mod:`tomllib` has accepted.

    Keys within inline tables have none of their own.
    """
    return _Scanner(text).scan()


def line_of(key: Key, lines: Mapping[Key, int]) -> int | None:
    """The line of a key, or of the nearest table around it."""
    while key:
        if key in lines:
            return lines[key]
        key = key[:-1]
    return None


class _Scanner:
    """Walks over statements; what is inside of a value is skipped, so that no text in it is taken for a key."""

    def __init__(self, text: str) -> None:
        self._text, self._at, self._line = text, 0, 1
        self._found: dict[Key, int] = {}
        self._arrays: dict[Key, int] = {}

    def scan(self) -> dict[Key, int]:
        prefix: Key = ()
        while self._skip_blank():
            line = self._line
            if self._text.startswith("[[", self._at):
                self._at += 2
                name = self._resolved(self._key("]"), whole=False)
                self._arrays[name] = self._arrays.get(name, -1) + 1
                prefix = (*name, self._arrays[name])
                self._found.setdefault(name, line)
                self._to_end_of_line()
            elif self._text[self._at] == "[":
                self._at += 1
                prefix = self._resolved(self._key("]"), whole=True)
                self._to_end_of_line()
            else:
                key = (*prefix, *self._key("="))
                self._found.setdefault(key, line)
                self._at += 1
                self._skip_value()
                continue
            self._found.setdefault(prefix, line)
        return self._found

    def _resolved(self, names: list[str], *, whole: bool) -> Key:
        """The key of a table's header: a name of an array of tables means its last one."""
        key: Key = ()
        for number, name in enumerate(names):
            key = (*key, name)
            if key in self._arrays and (whole or number < len(names) - 1):
                key = (*key, self._arrays[key])
        return key

    def _advance(self, count: int = 1) -> None:
        self._line += self._text.count("\n", self._at, self._at + count)
        self._at += count

    def _skip_blank(self) -> bool:
        """Go to the next statement; whether there is one."""
        while self._at < len(self._text):
            letter = self._text[self._at]
            if letter == "#":
                self._to_end_of_line()
            elif letter.isspace():
                self._advance()
            else:
                return True
        return False

    def _to_end_of_line(self) -> None:
        end = self._text.find("\n", self._at)
        self._advance((end if end >= 0 else len(self._text)) - self._at)

    def _key(self, stop: str) -> list[str]:
        """The parts of a dotted key, up to ``stop``, which is not passed."""
        parts = [""]
        while self._at < len(self._text) and self._text[self._at] != stop:
            letter = self._text[self._at]
            if letter in "\"'":
                start = self._at
                self._skip_string()
                parts[-1] += self._text[start + 1 : self._at - 1]
                continue
            if letter == ".":
                parts.append("")
            elif not letter.isspace():
                parts[-1] += letter
            self._advance()
        return parts

    def _skip_string(self) -> None:
        quote = self._text[self._at]
        mark = quote * 3 if self._text.startswith(quote * 3, self._at) else quote
        self._advance(len(mark))
        while self._at < len(self._text) and not self._text.startswith(mark, self._at):
            self._advance(2 if quote == '"' and self._text[self._at] == "\\" else 1)
        self._advance(len(mark))
        while len(mark) == 3 and self._at < len(self._text) and self._text[self._at] == quote:
            self._advance()  # up to two quotes may stand before the closing ones

    def _skip_value(self) -> None:
        """Go behind a value, to the end of its line."""
        depth = 0
        while self._at < len(self._text):
            letter = self._text[self._at]
            if letter in "\"'":
                self._skip_string()
                continue
            if letter == "#":
                self._to_end_of_line()
                continue
            if letter == "\n" and depth == 0:
                return
            depth += (letter in "[{") - (letter in "]}")
            self._advance()
