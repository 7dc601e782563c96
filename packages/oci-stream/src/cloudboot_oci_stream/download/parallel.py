"""One blob over one or several connections.

A *lane* receives one range of the blob. The first lane runs in the caller's thread and begins with all of it. Another
one takes the second half of the largest range that is left, so that no lane waits for another and a slow one only keeps
what it can do. What a lane cannot finish goes back on the pile; the first lane finishes whatever the others leave, so
that they can only help: a registry that refuses a second connection, or knows no ranges, costs nothing but the attempt.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import threading
import time
from typing import TYPE_CHECKING, Literal, Self

from cloudboot_oci_stream.download.blob_source import skip
from cloudboot_oci_stream.download.destinations import STEP
from cloudboot_oci_stream.errors import ContentRangeError, OciError, RateLimitedError, ShortBodyError
from cloudboot_oci_stream.retry import Attempts

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloudboot_oci_stream.deadline import Deadline
    from cloudboot_oci_stream.download.destinations import Landing, Place
    from cloudboot_oci_stream.download.hasher import Hasher
    from cloudboot_oci_stream.retry import RetryPolicy
    from cloudboot_oci_stream.spec.descriptor import Descriptor
    from cloudboot_oci_stream.stores.store import Part, Progress, Store

    Ranges = int | Literal["auto"]
    """How many connections at once; ``"auto"`` adds them while they pay."""

MOST_RANGES = 16
_MOST_BY_ITSELF = 8
_SMALLEST = 1 << 18
"""Ranges that were asked for are not smaller than this."""
_WORTH_SPLITTING = 4 * STEP
"""A lane may be writing up to a step ahead of its position; the split is further on."""
_WINDOW = 0.2
"""Seconds over which a rate is measured."""
_WORTH_A_CONNECTION = 1.0
"""Seconds that must be left to go at the present rate."""
_GAIN = 1.3
"""What doubling the connections must multiply the rate by to be tried again."""
_HASH_SHARE = 0.6
"""Beyond this share of the hash's own speed, more connections would wait for the hash."""
_HELPER_FAILURES = 1
_LOOK = 0.05


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How a blob is to be received.

    Raises:
        ValueError: ``ranges`` is neither ``"auto"`` nor 1 to 16.
    """

    progress: Progress | None = None
    deadline: Deadline
    retry: RetryPolicy
    ranges: Ranges = "auto"

    def __post_init__(self) -> None:
        if self.ranges != "auto" and not (isinstance(self.ranges, int) and 1 <= self.ranges <= MOST_RANGES):
            raise ValueError(f"ranges is {self.ranges!r}, not 'auto' or 1 to {MOST_RANGES}")


class _Lane:
    """The range from ``position`` to ``stop`` and who receives it."""

    def __init__(self, position: int, stop: int, landing: Landing, deadline: Deadline) -> None:
        self.position, self.stop = position, stop
        self.landing, self.deadline = landing, deadline
        self.has_begun = False
        self.thread: threading.Thread | None = None


class Pace:
    """Decides how many connections are worth having, from the rates that were seen; ``clock`` counts seconds."""

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        self._best = 0.0
        self._since: float | None = None
        self._received = 0

    @property
    def is_settled(self) -> bool:
        """Whether nothing is left to decide."""
        return self._most <= 1

    def begin(self, received: int) -> None:
        """Measure from now on."""
        self._since, self._received = self._clock(), received

    def lanes(self, lanes: int, received: int, size: int, hash_rate: float) -> int:
        """How many there should be, where there are ``lanes`` now."""
        if lanes >= self._most:
            self._most = 1
        if self.is_settled or self._since is None or (seconds := self._clock() - self._since) < _WINDOW:
            return lanes
        rate = (received - self._received) / seconds
        is_hash_bound = rate > _HASH_SHARE * hash_rate > 0
        if is_hash_bound or rate < _GAIN * self._best or size - received < _WORTH_A_CONNECTION * rate:
            self._most = 1
            return lanes
        self._best, self._since = rate, None
        return min(self._most, lanes * 2)


class Lanes:
    """The transfer of one blob into ``place``, which ``hasher`` follows."""

    def __init__(
        self,
        store: Store,
        descriptor: Descriptor,
        place: Place,
        hasher: Hasher,
        terms: Terms,
    ) -> None:
        self._store, self._descriptor, self._place, self._hasher = store, descriptor, place, hasher
        self._progress, self._deadline, self._retry = terms.progress, terms.deadline, terms.retry
        ranges = terms.ranges
        self._size = descriptor.size
        self._received = self._reported = 0
        self._lock = threading.Lock()
        self._stopped = False
        self._problem: BaseException | None = None
        several = 1 if not store.is_remote else _MOST_BY_ITSELF if ranges == "auto" else ranges
        self._most = max(1, min(several, self._size // _SMALLEST))
        self._pace = Pace(self._most if ranges == "auto" else 1)
        parts = 1 if ranges == "auto" else self._most
        marks = [self._size * part // parts for part in range(parts + 1)]
        self._pile = list(itertools.pairwise(marks[1:]))
        self._first = _Lane(0, marks[1], place.landing(is_first=True), terms.deadline.branch())
        self._helpers: list[_Lane] = []
        self._working = 1
        self._measured = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped = True
        lanes = [self._first, *self._helpers]
        while lanes:
            # A second interrupt must not leave a thread that writes to the caller's memory.
            with contextlib.suppress(KeyboardInterrupt):
                lanes[-1].deadline.cancel()
                if (thread := lanes[-1].thread) is not None:
                    thread.join()
                lanes.pop()

    def run(self) -> None:
        """Receive all of it.

        Raises:
            OciError: the first connection failed and is not retried.
        """
        if self._pile:
            self._add_helpers(self._most)
        while self._received < self._size:
            if self._first.position < self._first.stop or self._take(self._first):
                self._receive(self._first, self._retry.attempts)
            else:
                self._deadline.cap(1)
                time.sleep(_LOOK)
                self._report()
        self._report()

    def _add_helpers(self, lanes: int) -> None:
        """Have so many lanes in all, as far as the registry takes them and there is something for them to do."""
        while 1 + len(self._helpers) < min(lanes, self._most):
            lane = _Lane(0, 0, self._place.landing(is_first=False), self._deadline.branch())
            # First among the lanes, then given a range, so that the range never counts as received in between.
            self._helpers.append(lane)
            if not self._take(lane):
                self._helpers.pop()
                return
            self._working += 1
            lane.thread = threading.Thread(target=self._help, args=(lane,), name="cloudboot-oci-lane", daemon=True)
            lane.thread.start()

    def _help(self, lane: _Lane) -> None:
        """What a helper's thread does: range after range, until none is left or the registry has had enough."""
        is_refused = False
        try:
            while self._working <= self._most and (lane.position < lane.stop or self._take(lane)):
                self._receive(lane, _HELPER_FAILURES)
        except OciError:
            is_refused = True
        except BaseException as problem:  # noqa: BLE001 - raised again in the thread of the caller
            self._problem = problem
        finally:
            with self._lock:
                self._working -= 1
                if is_refused:
                    self._most = min(self._most, self._working)
                if lane.position < lane.stop:
                    self._pile.append((lane.position, lane.stop))
                lane.position, lane.has_begun = lane.stop, True

    def _take(self, lane: _Lane) -> bool:
        """Give ``lane`` something to do: from the pile, else half of what the busiest lane has left."""
        with self._lock:
            if self._stopped:
                return False
            if self._pile:
                self._pile.sort()
                lane.position, lane.stop = self._pile.pop(0)
                return True
            busiest = max((self._first, *self._helpers), key=lambda other: other.stop - other.position)
            left = busiest.stop - busiest.position
            if left < _WORTH_SPLITTING:
                return False
            # Further on than the step it may be writing just now.
            middle = busiest.position + left // 2
            lane.position, lane.stop, busiest.stop = middle, busiest.stop, middle
            return True

    def _receive(self, lane: _Lane, attempts: int) -> None:
        """Receive a lane's range, from its position again each time the connection breaks."""
        counted = Attempts(self._retry, lane.deadline, lane.position, self._size, attempts)
        while lane.position < lane.stop:
            try:
                with contextlib.closing(
                    self._store.open_blob(self._descriptor, lane.position, lane.stop, lane.deadline)
                ) as part:
                    self._receive_part(lane, part)
            except OciError as error:
                if lane is not self._first or not self._give_way(error):
                    counted.again(error, lane.position)

    def _give_way(self, error: OciError) -> bool:
        """Whether the registry refused the first lane because of the others, which then end with what they have."""
        with self._lock:
            is_crowded = isinstance(error, RateLimitedError) and self._working > 1
            if is_crowded:
                self._most = 1
        if is_crowded:
            self._deadline.sleep(_LOOK)
        return is_crowded

    def _receive_part(self, lane: _Lane, part: Part) -> None:
        if part.start != lane.position and lane is not self._first:
            raise ContentRangeError("the registry knows no ranges", expected=lane.position, actual=part.start)
        skip(part, lane.position)
        while lane.position < lane.stop or self._extend(lane, part):
            count = lane.landing.land(part, lane.position, lane.stop)
            if count == 0:
                raise ShortBodyError(
                    "the body ended early", offset=lane.position, expected=self._size, actual=lane.position
                )
            self._advance(lane, count)
        if lane.position == part.stop:
            # What follows the last byte must be the end.
            part.readinto(memoryview(bytearray(1)))

    def _extend(self, lane: _Lane, part: Part) -> bool:
        """Go on with what lies on the pile where an answer that was larger than asked for goes on anyway."""
        with self._lock:
            follows = [(start, stop) for start, stop in self._pile if start == lane.position and stop <= part.stop]
            if not follows:
                return False
            self._pile.remove(follows[0])
            lane.stop = follows[0][1]
            return True

    def _advance(self, lane: _Lane, count: int) -> None:
        with self._lock:
            lane.position += count
            lane.has_begun = True
            self._received += count
            if self._helpers or self._pile:
                lanes = [other.position for other in (self._first, *self._helpers) if other.position < other.stop]
                frontier = min([self._size, *lanes, *(start for start, _ in self._pile)])
            else:
                frontier = lane.position
            self._hasher.advance(frontier)
        if lane is self._first:
            self._report()
            self._adapt()

    def _adapt(self) -> None:
        """Add connections if that pays; a window begins when every connection there is has begun to deliver."""
        if self._pace.is_settled:
            return
        lanes = 1 + len(self._helpers)
        if lanes != self._measured and all(helper.has_begun for helper in self._helpers):
            self._measured = lanes
            self._pace.begin(self._received)
        self._add_helpers(self._pace.lanes(lanes, self._received, self._size, self._hasher.rate))

    def _report(self) -> None:
        if self._problem is not None:
            raise self._problem
        if self._progress and self._received != self._reported:
            self._reported = self._received
            self._progress(self._reported, self._size)
