"""Virtual time: it passes with service calls and reads of the counter, never by itself."""

from __future__ import annotations

#: 2026-01-01T00:00:00Z, in seconds since 1970: what GetTime says at power on unless a caller sets it.
DEFAULT_EPOCH = 1767225600
_CALL = 20
"""Units of 100 ns that a service call takes."""
_SLICE = 10_000
_FASTEST_POLL = 1 << 13
_FASTEST_READ = 100_000
_READ_GROWTH = 16
"""A read of the counter lets a sixteenth of the time pass that has passed since the first: no wait is much too long."""
_POLLS_PER_STEP = 4


class Clock:
    """The time of one machine, in units of 100 ns since power on.

    Programs wait by polling: for a key, an event, or the counter. Runs of polls make time pass faster and faster: a
    countdown of ten seconds takes a few hundred calls. ``frequency`` is that of the processor's counter, in Hz.
    """

    def __init__(self, *, epoch: int = DEFAULT_EPOCH, frequency: int = 10_000_000) -> None:
        self.now, self.epoch, self.frequency = 0, epoch, frequency
        self._polls = 0
        self._first_read: int | None = None

    def after_call(self, *, polls: bool) -> None:
        """Let the time of one service call pass; ``polls`` says that the call asked for something to happen."""
        self._polls = self._polls + 1 if polls else 0
        self._first_read = None
        self.now += _CALL * min(1 << min(self._polls // _POLLS_PER_STEP, 13), _FASTEST_POLL)

    def after_slice(self) -> None:
        """Let the time of a slice of instructions without service calls pass: a millisecond."""
        self.now += _SLICE

    def counter(self) -> int:
        """The processor's counter. Every read lets time pass, and each more than the one before it."""
        if self._first_read is None:
            self._first_read = self.now
        self.now += min(max(1, (self.now - self._first_read) // _READ_GROWTH), _FASTEST_READ)
        return self.now * self.frequency // 10_000_000

    def advance_to(self, moment: int) -> None:
        """Let time pass until ``moment``, if that is still to come."""
        self.now = max(self.now, moment)

    def wall_time(self) -> float:
        """The wall clock, in seconds since 1970."""
        return self.epoch + self.seconds()

    def seconds(self) -> float:
        """Seconds since power on."""
        return self.now / 10_000_000
