"""Everything a machine said on its serial line, when it said it, and waiting for more."""

from __future__ import annotations

import bisect
import dataclasses
import re
import threading
import time
from array import array
from typing import TYPE_CHECKING

from .errors import ExpectTimeoutError
from .terminal import PlainText

if TYPE_CHECKING:
    from collections.abc import Callable

LIMIT = 4 << 20
"""Bytes of plain text (and of raw bytes) kept; the oldest lines go first."""

SPAN = 64 << 10
"""A match is found for certain when it is no longer than this, in bytes."""

_PAUSE = 0.01  # seconds between two searches: a UART delivers a few bytes at a time
_WATCH = 1.0  # seconds between two calls of a caller's ``watch``


class ConsoleClosedError(Exception):
    """No more text will come; :class:`.Machine` turns this into the reason why."""


@dataclasses.dataclass(frozen=True, slots=True)
class Line:
    """One line of the console; ``time`` is when its first byte arrived, in seconds since the machine started."""

    time: float
    text: str


@dataclasses.dataclass(frozen=True, slots=True)
class Expected:
    """A pattern that appeared.

    ``text`` is all plain text since the previous match, this one included; ``time`` is when the line the match begins
    on began, in seconds since the machine started.
    """

    match: re.Match[bytes]
    text: bytes
    time: float


class Transcript:
    """The console's text, fed by one thread and awaited by others.

    Patterns see plain text: escape sequences are gone and lines end in a newline (:class:`.PlainText`). :attr:`raw`
    keeps the bytes as they came.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self.epoch = 0.0
        """The machine's start, on the clock of :meth:`feed`."""
        self._limit = limit
        self._changed = threading.Condition()
        self._plain = PlainText()
        self._raw = bytearray()
        self._raw_base = 0
        self._text = bytearray()
        self._base = 0  # position of _text[0] in all text ever fed
        self._consumed = 0
        self._closed = False
        self._moment = 0.0
        self._lost = 0
        self._starts = array("Q")  # positions of the lines' first bytes
        self._times = array("d")
        self._line_open = False

    def feed(self, data: bytes, now: float) -> None:
        """Append what arrived at ``now``, in seconds."""
        with self._changed:
            self._moment = now - self.epoch
            self._raw += data
            excess = len(self._raw) - self._limit
            if excess > self._limit // 4:
                del self._raw[:excess]
                self._raw_base += excess
            text = self._plain.feed(data)
            if text:
                self._append(text, now - self.epoch)
                self._changed.notify_all()

    def _append(self, text: bytes, now: float) -> None:
        start = self._base + len(self._text)
        self._text += text
        for match in re.finditer(rb"[^\n]*(?:\n|\Z)", text):
            if match[0]:
                if not self._line_open:
                    self._starts.append(start + match.start())
                    self._times.append(now)
                self._line_open = match[0][-1] != 0x0A
        excess = len(self._text) - self._limit
        if excess > self._limit // 4:
            lines = bisect.bisect_left(self._starts, self._base + excess)
            if lines == len(self._starts):  # one line longer than the limit: keep its end
                lines -= 1
                self._starts[lines] = self._base + excess
            cut = self._starts[lines] - self._base
            del self._starts[:lines], self._times[:lines]
            del self._text[:cut]
            self._base += cut

    def close(self) -> None:
        """Say that nothing more will come."""
        with self._changed:
            rest = self._plain.flush()
            if rest:
                self._append(rest, self._moment)
            self._closed = True
            self._changed.notify_all()

    def expect(
        self,
        pattern: bytes | re.Pattern[bytes],
        timeout: float,
        *,
        awaited: str | None = None,
        watch: Callable[[], None] | None = None,
    ) -> Expected:
        """Wait until ``pattern`` appears in the text behind the previous match; one thread at a time may do so.

        ``awaited`` says in words what the pattern stands for, for errors. ``watch`` is called about once a second
        while nothing has matched; what it raises ends the wait.

        Raises:
            ExpectTimeoutError: it did not appear within ``timeout`` seconds.
            ConsoleClosedError: the console ended without it.
            re.error: ``pattern`` is not a regular expression.
        """
        compiled = re.compile(pattern)
        wait = _Wait(timeout, watch)
        searched = 0
        while True:
            with self._changed:
                consumed = max(self._consumed, self._base)
                start = max(consumed, searched - SPAN)
                window = bytes(self._text[start - self._base :])
                closed = self._closed
            # Outside the lock: a slow pattern must not keep the machine's thread from draining the line.
            found = compiled.search(window)
            if found is not None:
                return self._consume(found, consumed, start)
            if closed:
                raise ConsoleClosedError
            searched = start + len(window)
            self._await_change(searched, wait, awaited or _shown(compiled))

    def take_lines(
        self, timeout: float, *, awaited: str = "another line", watch: Callable[[], None] | None = None
    ) -> list[bytes]:
        """Wait for complete lines behind the previous match or line, and take all there are, without their newlines.

        Reading on like this sees all of the text, however long, as long as the reader keeps up: :attr:`lost` tells.

        Raises:
            ExpectTimeoutError: none came within ``timeout`` seconds.
            ConsoleClosedError: the console ended, and all complete lines were taken.
        """
        wait = _Wait(timeout, watch)
        while True:
            with self._changed:
                if self._consumed < self._base:
                    self._lost += self._base - self._consumed
                    self._consumed = self._base
                end = self._text.rfind(b"\n", self._consumed - self._base) + 1
                if end > self._consumed - self._base:
                    taken = bytes(self._text[self._consumed - self._base : end - 1])
                    self._consumed = self._base + end
                    return taken.split(b"\n")
                if self._closed:
                    raise ConsoleClosedError
                seen = self._base + len(self._text)
            self._await_change(seen, wait, awaited)

    def _await_change(self, seen: int, wait: _Wait, awaited: str) -> None:
        """Sleep until there is text behind position ``seen``, or until it is time for the caller's ``watch``.

        Raises:
            ExpectTimeoutError: the time is over.
        """
        with self._changed:
            until = min(wait.deadline, wait.next_watch)
            while self._base + len(self._text) == seen and not self._closed and time.monotonic() < until:
                self._changed.wait(until - time.monotonic())
        now = time.monotonic()
        if now >= wait.deadline:
            raise ExpectTimeoutError(awaited, seconds=wait.timeout, tail=self.tail())
        if wait.watch is not None and now >= wait.next_watch:
            wait.watch()
            wait.next_watch = time.monotonic() + _WATCH
        time.sleep(_PAUSE)

    def _consume(self, found: re.Match[bytes], consumed: int, start: int) -> Expected:
        with self._changed:
            end = start + found.end()
            text = bytes(self._text[max(consumed - self._base, 0) : max(end - self._base, 0)])
            self._consumed = end
            line = bisect.bisect_right(self._starts, start + found.start()) - 1
            return Expected(found, text, self._times[line] if 0 <= line < len(self._times) else 0.0)

    @property
    def lost(self) -> int:
        """Bytes of plain text that :meth:`take_lines` came too late for."""
        return self._lost

    @property
    def dropped(self) -> int:
        """Bytes of plain text that are kept no more: everything before :attr:`text`."""
        with self._changed:
            return self._base

    @property
    def length(self) -> int:
        """Bytes of plain text there were, kept or not."""
        with self._changed:
            return self._base + len(self._text)

    @property
    def text(self) -> bytes:
        """The plain text kept: all of it up to :data:`LIMIT`."""
        with self._changed:
            return bytes(self._text)

    @property
    def raw(self) -> bytes:
        """The bytes kept, as they came."""
        with self._changed:
            return bytes(self._raw)

    def raw_since(self, position: int) -> tuple[int, bytes]:
        """The bytes behind ``position`` (counted from the first byte ever) and the position of their end."""
        with self._changed:
            data = bytes(self._raw[max(position - self._raw_base, 0) :])
            return self._raw_base + len(self._raw), data

    def lines(self) -> list[Line]:
        """The lines kept, oldest first; the last may be unfinished."""
        with self._changed:
            starts = [start - self._base for start in self._starts]
            ends = [*starts[1:], len(self._text)] if starts else []
            return [
                Line(moment, self._text[start:end].rstrip(b"\n").decode("utf-8", "replace"))
                for moment, start, end in zip(self._times, starts, ends, strict=True)
            ]

    def tail(self, size: int = 1000) -> str:
        """The last ``size`` bytes of plain text, for a person to read."""
        with self._changed:
            return self._text[-size:].decode("utf-8", "replace")


class _Wait:
    """The state of one wait: when it ends, and when the caller looks at the machine next."""

    def __init__(self, timeout: float, watch: Callable[[], None] | None) -> None:
        self.timeout = timeout
        self.watch = watch
        now = time.monotonic()
        self.deadline = now + timeout
        self.next_watch = now + _WATCH if watch is not None else self.deadline


def _shown(pattern: re.Pattern[bytes]) -> str:
    return repr(pattern.pattern.decode("utf-8", "backslashreplace"))
