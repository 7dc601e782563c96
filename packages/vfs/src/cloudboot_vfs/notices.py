"""What a build left out or did otherwise than its source says: one line for each kind, not one for each member."""

from __future__ import annotations


def shown(name: bytes) -> str:
    """A name for people: what is not UTF-8 is escaped, and so is NUL."""
    return name.decode("utf-8", "backslashreplace").replace("\0", "\\0")


class Notices:
    """Kinds of things worth saying, each with the number of its members and the first of them."""

    def __init__(self) -> None:
        self._found: dict[str, list[str]] = {}
        self._counts: dict[str, int] = {}

    def add(self, text: str, member: str) -> None:
        """``text`` is true of ``member``."""
        self._found.setdefault(text, [member])
        self._counts[text] = self._counts.get(text, 0) + 1

    def lines(self) -> list[str]:
        """``"a volume label is left out: backup"``, ``"... : 12 members, the first is a/b"``."""
        return [
            f"{text}: {first}"
            if self._counts[text] == 1
            else f"{text}: {self._counts[text]} members, the first is {first}"
            for text, (first,) in self._found.items()
        ]
