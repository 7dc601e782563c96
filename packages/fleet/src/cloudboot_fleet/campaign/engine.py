"""The engine: which cell runs next, what is done about one that was lost, and when the campaign ends."""

from __future__ import annotations

import enum
import heapq
import itertools
import os
import socket
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cloudboot_base import Error
from cloudboot_base.command import exit_code
from cloudboot_fleet.errors import ClusterError, RefusedError, ResultError
from cloudboot_fleet.tasks.result import KEPT, Status

from .executor import Executor, Finished, Handed, Lost
from .tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cloudboot_fleet.matrix import Matrix, Pinned, Pins
    from cloudboot_fleet.results import Results

    from .folder import CampaignFolder

    Listener = Callable[[dict[str, Any], bool], None]

#: Seconds: between two looks at what came back, between two writes of the state, and until no worker is an error.
_LOOK, _STATE, _PATIENCE = 0.2, 1.0, 300.0
#: Seconds before another attempt, doubled each time, where the system around the cell failed.
_PAUSE, _LONGEST_PAUSE = 1.0, 60.0
#: Seconds of work that are handed out ahead for each slot, and the most cells that this may be. Without cells ahead a
#: worker waits for the way to the client and back, which takes some milliseconds.
_AHEAD, _MOST_AHEAD = 0.25, 16
#: Seconds that a cell takes at most for one to be handed out ahead at least.
_SHORT = 2.0
#: How often a cell may come back that no worker said it had begun; what dies at once would else be tried forever.
_MOST_UNCOUNTED = 30


class Choice(enum.StrEnum):
    """What becomes of running cells when a campaign is ended early."""

    STOP = "stop"
    FINISH = "finish"


@dataclass
class _Flight:
    """A cell that was handed out, or waits for another attempt."""

    pinned: Pinned
    attempt: int = 1
    history: list[dict[str, Any]] = field(default_factory=list)
    twins: list[Pinned] = field(default_factory=list)
    uncounted: int = 0
    looked_up: bool = False
    since: float = 0.0


class Campaign:
    """Runs the cells of a matrix. Memory does not grow with their number: each is made when there is room for it.

    ``before`` is called once, before the first cell without a stored result is handed out.
    """

    def __init__(
        self,
        matrix: Matrix,
        pins: Pins,
        results: Results,
        folder: CampaignFolder,
        executor: Executor,
        *,
        total: int,
        listener: Listener | None = None,
        progress: Callable[[Campaign], None] | None = None,
        before: Callable[[], None] | None = None,
        patience: float = _PATIENCE,
        pause: float = _PAUSE,
    ) -> None:
        self.matrix, self.folder, self.executor = matrix, folder, executor
        self.tally = Tally(total=total)
        self.ended_early: Choice | None = None
        self.flying: dict[str, _Flight] = {}
        self._results = results
        self._feed: Iterator[Pinned] = (pins.pin(cell) for cell in matrix.cells())
        self._more = True
        self._waiting: list[tuple[float, int, _Flight]] = []
        self._next: Pinned | None = None
        self._handed: list[Handed] = []
        self._took: dict[int, tuple[int, float]] = {}
        self._count = itertools.count()
        self._listener, self._progress, self._before = listener, progress, before
        self._patience, self._pause = patience, pause
        self._written = 0.0
        self._idle: float | None = None

    def run(self) -> Tally:
        """Run every cell.

        Raises:
            ClusterError: there is no worker, and none came in time.
            RefusedError: no results can be stored, and there are cells to run.
            KeyboardInterrupt: as it came; running cells have been ended and counted then.
        """
        try:
            while self._more or self.flying or self._waiting:
                self._fill()
                for ending in self.executor.wait(self._wait()):
                    self._take(ending)
                self._look_around()
        except KeyboardInterrupt:
            self._stop(Choice.STOP)
            raise
        finally:
            try:
                if self.flying:
                    self._stop(Choice.STOP)
            finally:  # also when a listener raised: BrokenPipeError when printing, for example
                self._write_state("interrupted" if self.tally.done < self.tally.total else "done")
        return self.tally

    def _wait(self) -> float:
        if not self._waiting:
            return _LOOK
        return min(_LOOK, max(0.0, self._waiting[0][0] - time.monotonic()))

    def _ahead(self, block: int, slots: int) -> int:
        """How many cells of a block are handed out beyond the slots, by how long those took that have ended."""
        count, seconds = self._took.get(block, (0, 0.0))
        # A lost worker takes with it what was handed to it; only short cells are worth that.
        if not slots or count < slots:
            return 0
        mean = max(seconds / count, 1e-3)
        return slots * min(_MOST_AHEAD, max(int(_AHEAD / mean), int(mean <= _SHORT)))

    def _fill(self) -> None:
        """Hand out cells while there is room, together: each message to the scheduler has its price."""
        try:
            self._choose(self.executor.slots)
        finally:
            handed, self._handed = self._handed, []
            if handed:
                self.executor.submit(handed)

    def _choose(self, slots: int) -> None:
        now = time.monotonic()
        while len(self.flying) < slots and self._waiting and self._waiting[0][0] <= now:
            _, _, flight = heapq.heappop(self._waiting)
            self._hand_out(flight)
        begun = False
        while self._more:
            self._next = self._next or next(self._feed, None)
            if self._next is None:
                self._more = False
                return
            ahead = self._ahead(self._next.cell.block, slots)
            free = slots + ahead - len(self.flying)
            # One by one would be a message for each: what runs lasts until half of what is ahead is used up. Of one
            # cell ahead for each slot none is left to wait for: another worker may end two meanwhile.
            if free <= (0 if begun or ahead <= slots else ahead // 2):
                return
            begun = True
            pinned, self._next = self._next, None
            self._begin(pinned)

    def _begin(self, pinned: Pinned) -> None:
        """Hand out a new cell, unless its result is there, or one with the same inputs is under way."""
        key = pinned.key
        under_way = self.flying.get(key) or next((each for _, _, each in self._waiting if each.pinned.key == key), None)
        if under_way is not None:
            under_way.twins.append(pinned)
        else:
            self._hand_out(_Flight(pinned))

    def _hand_out(self, flight: _Flight) -> None:
        """Hand out a cell unless its result is there, or cannot be looked up now."""
        if not flight.looked_up:
            try:
                found = self._look_up(flight.pinned.key)
            except (Error, OSError) as error:
                if isinstance(error, RefusedError) and self._before is not None:
                    raise
                facts = {"status": str(Status.BROKEN), "cause": f"the result could not be looked up: {error}"}
                if not self._again(flight, facts):
                    self._finish(flight.pinned, {**facts, "code": exit_code(error)}, flight)
                return
            if found is not None:
                self._finish(flight.pinned, found, flight, reused=True)
                return
            flight.looked_up = True
        self._submit(flight)

    def _look_up(self, key: str) -> dict[str, Any] | None:
        """The stored result of a cell, if there is one that can be used."""
        try:
            found = self._results.find(key)
        except RefusedError:
            raise
        except ResultError:
            found = None  # a damaged one is as good as none
        if found is None and self._before is not None:
            self._before()
            self._before = None
        return found

    def _submit(self, flight: _Flight) -> None:
        flight.since = time.monotonic()
        self.flying[flight.pinned.key] = flight
        avoid = tuple(
            each["worker"] for each in flight.history if each.get("worker") and each.get("status") == Status.BROKEN
        )
        self._handed.append(Handed(flight.pinned, len(flight.history) + 1, avoid))

    def _take(self, ending: Finished | Lost) -> None:
        flight = self.flying.pop(ending.key, None)
        if flight is None:
            return
        if isinstance(ending, Lost):
            self._lost(flight, ending)
            return
        result = dict(ending.result)
        count, seconds = self._took.get(flight.pinned.cell.block, (0, 0.0))
        self._took[flight.pinned.cell.block] = (count + 1, seconds + float(result.get("seconds") or 0.0))
        if result["status"] == Status.BROKEN and self._again(flight, result):
            return
        self._finish(flight.pinned, result, flight)

    def _lost(self, flight: _Flight, ending: Lost) -> None:
        facts = {"status": str(Status.LOST), "worker": ending.worker, "cause": ending.reason}
        if not ending.counts and flight.uncounted < _MOST_UNCOUNTED:
            flight.uncounted += 1
            flight.history.append({"attempt": flight.attempt, **facts})
            self._later(flight, 0.0)
        elif not self._again(flight, facts):
            told = f"{ending.reason} ({flight.attempt} times)"
            seconds = round(time.monotonic() - flight.since, 3)
            self._finish(flight.pinned, {**facts, "cause": told, "code": 5, "seconds": seconds}, flight)

    def _again(self, flight: _Flight, result: dict[str, Any]) -> bool:
        """Note a failed attempt; whether there will be another."""
        facts: dict[str, Any] = {
            name: result[name] for name in ("status", "worker", "cause", "seconds") if name in result
        }
        flight.history.append({"attempt": flight.attempt, **facts})
        if flight.attempt > flight.pinned.cell.retries or self.ended_early is not None:
            return False
        lost = result["status"] == Status.LOST
        self._later(flight, 0.0 if lost else min(_LONGEST_PAUSE, self._pause * 2 ** (flight.attempt - 1)))
        flight.attempt += 1
        self.tally.retried += 1
        return True

    def _later(self, flight: _Flight, seconds: float) -> None:
        heapq.heappush(self._waiting, (time.monotonic() + seconds, next(self._count), flight))

    def _finish(
        self, pinned: Pinned, result: dict[str, Any], flight: _Flight | None = None, *, reused: bool = False
    ) -> None:
        told = {**_SHORT_FORM, **{name: result[name] for name in _SHORT_FORM if name in result}}
        told |= {"key": pinned.key, "index": pinned.cell.index, "block": pinned.cell.block, "kind": pinned.cell.kind}
        told |= {"name": pinned.cell.name, "axes": {name: pinned.cell.values.get(name) for name in pinned.cell.axes}}
        told |= {"reused": reused, "history": flight.history if flight is not None else []}
        self.tally.add(told, reused=reused)
        self.folder.record(told)
        if self._listener is not None:
            self._listener(told, result.get("status") in KEPT)
        for twin in flight.twins if flight is not None else ():
            self._finish(twin, result, reused=result["status"] in KEPT)

    def _look_around(self) -> None:
        """Cancellation from outside, the state for others, and whether there is a worker at all."""
        now = time.monotonic()
        asked = self.folder.asked() if now - self._written >= _STATE or self._written == 0 else None
        if asked is not None and self.ended_early is None:
            self._stop(Choice(asked) if asked in set(Choice) else Choice.STOP)
        if now - self._written >= _STATE:
            self._write_state("running")
            self._written = now
        if self._progress is not None:
            self._progress(self)
        if self.executor.slots or not (self._more or self.flying or self._waiting):
            self._idle = None
        else:
            self._idle = self._idle or now
            if now - self._idle > self._patience:
                raise ClusterError(f"no worker for {self._patience:.0f} s at {self.executor.place}")

    def _stop(self, choice: Choice) -> None:
        """Hand out nothing more; with ``STOP`` also end what runs."""
        self.ended_early = choice
        self._more = False
        for _, _, flight in self._waiting:
            self._finish(flight.pinned, {"status": str(Status.NOT_RUN), "cause": "the campaign was ended"}, flight)
        self._waiting.clear()
        if choice is Choice.STOP:
            keys = list(self.flying)
            self.executor.cancel(keys)
            for key in keys:
                flight = self.flying.pop(key)
                result = {"status": str(Status.CANCELLED), "cause": "the campaign was ended"}
                self._finish(flight.pinned, result, flight)

    def _write_state(self, state: str) -> None:
        now = time.monotonic()
        self.folder.write_state(
            {
                "state": state if self.ended_early is None or state == "done" else f"{state}, {self.ended_early}",
                "pid": os.getpid(),
                "host": socket.gethostname(),
                "scheduler": self.executor.place,
                "dashboard": self.executor.dashboard,
                "results": self._results.place,
                "slots": self.executor.slots,
                "seconds": round(now - self.tally.started, 3),
                "left": self.tally.left,
                **self.tally.as_dict(),
                "running": [
                    {"name": each.pinned.cell.name, "attempt": each.attempt, "seconds": round(now - each.since, 1)}
                    for each in itertools.islice(self.flying.values(), 50)
                ],
            }
        )


_SHORT_FORM: dict[str, Any] = {
    "status": None, "reached": "", "cause": None, "code": 0, "seconds": 0.0, "peak": None, "worker": None,
    "host": None, "started_at": None, "attempt": 1,
}  # fmt: skip
