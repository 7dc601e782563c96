"""What programs printed, by image and time, and a script of keys that answers it."""

from __future__ import annotations

import re
from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

from .control import ExpectedTextSeen
from .keys import Key, Typed, parse_keys

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

#: The last printed characters that a pattern is looked for in.
_WINDOW: Final = 16384
#: Printed characters that are kept; a program that prints without end must not use up the host's memory.
_MAX_TEXT: Final = 4 << 20


class Printed(NamedTuple):
    """A piece of what was printed: by which image, and when, in seconds since power on."""

    image: str
    text: str
    time: float


class Dialogue:
    """The text of one console and the script of its keys.

    ``printed`` is what was printed, in pieces, with the time of each piece's first character. ``echo`` is given the
    text as it comes.
    """

    def __init__(self) -> None:
        self.printed: list[Printed] = []
        self.echo: Callable[[str], None] = lambda _text: None
        self._recent = ""
        self._size = 0
        self._script: deque[Typed] = deque()
        self._until: re.Pattern[str] | None = None

    def type(self, script: Sequence[Typed]) -> None:
        """Add lines to the script of keys.

        Raises:
            UsageError: a name of a key is not known.
        """
        for line in script:
            parse_keys(line.keys)
            self._script.append(line)

    def until(self, pattern: str | None) -> None:
        """End the run once the console shows ``pattern`` (a regular expression)."""
        self._until = None if pattern is None else re.compile(pattern)

    @property
    def text(self) -> str:
        """Everything printed so far."""
        return "".join(piece.text for piece in self.printed)

    def pending(self) -> str | None:
        """The pattern the script waits for."""
        return self._script[0].expect if self._script else None

    def next_keys(self) -> list[Key]:
        """The keys of the script's next line, once the console shows what that line waits for."""
        if not self._script:
            return []
        found = re.search(self._script[0].expect, self._recent)
        if found is None:
            return []
        self._recent = self._recent[found.end() :]
        return parse_keys(self._script.popleft().keys)

    def enter(self, image: str, text: str, time: float) -> None:
        """Take what an image printed.

        Raises:
            ExpectedTextSeen: the run is to end with this text.
        """
        if self._size < _MAX_TEXT:
            self._size += len(text)
            last = self.printed[-1] if self.printed else None
            if last is not None and last.image == image and not last.text.endswith("\n") and len(last.text) < _WINDOW:
                self.printed[-1] = last._replace(text=last.text + text)
            else:
                self.printed.append(Printed(image, text, time))
        self._recent = (self._recent + text)[-_WINDOW:]
        self.echo(text)
        if self._until is not None and self._until.search(self._recent):
            self._until = None
            raise ExpectedTextSeen
