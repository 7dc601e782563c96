"""Whether the host gave a free-running guest the processor time it asked for.

A guest's clock goes on while its machine waits for a processor, so its game falls behind the clock and two runs drift
apart. The kernel measures that wait for each thread (``/proc/PID/task/TID/schedstat``): the time on a processor, and
the time on a run queue. ``timing.json`` beside the captures of a run holds both, and the tolerant gates give no verdict
on captures of a run that waited too much.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import time
from typing import TYPE_CHECKING, Any, Final

from cloudboot_base import UsageError
from cloudboot_base.storage import read_file
from cloudboot_doom_oracle.errors import ManifestError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

TIMING: Final = "timing.json"
MOST_WAITED: Final = 0.2
"""The share of waiting above which captures are not judged."""
_LARGEST: Final = 1 << 16  # bytes
_NANO: Final = 1e-9
_KEYS: Final = ("seconds", "ran", "waited", "latest")


@dataclasses.dataclass(frozen=True, slots=True)
class HostTime:
    """What a machine's threads got of the host between the first and the last capture, in seconds.

    ``ran`` is the sum of their times on a processor and ``waited`` the sum of their waits for one; ``latest`` is how
    much later than planned the latest capture was taken.
    """

    seconds: float
    ran: float
    waited: float
    latest: float = 0.0

    @property
    def share(self) -> float:
        """The part of the processor time asked for that was spent waiting, from 0 to 1."""
        asked = self.ran + self.waited
        return self.waited / asked if asked else 0.0

    def to_json(self) -> str:
        """The content of ``timing.json``."""
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"


class HostClock:
    """Measures a process from now on."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._begin = time.monotonic()
        self._before = _schedstat(pid)
        self.latest = 0.0

    def captured(self, late: float) -> None:
        """A capture was taken ``late`` seconds after its moment."""
        self.latest = max(self.latest, late)

    def read(self) -> HostTime:
        """What was measured until now; threads that ended meanwhile do not count."""
        now = _schedstat(self._pid)
        ran = waited = 0
        for thread, (ran_now, waited_now) in now.items():
            ran_before, waited_before = self._before.get(thread, (0, 0))
            ran += ran_now - ran_before
            waited += waited_now - waited_before
        return HostTime(time.monotonic() - self._begin, ran * _NANO, waited * _NANO, self.latest)


def _schedstat(pid: int) -> dict[str, tuple[int, int]]:
    """Nanoseconds on a processor and waiting for one, by thread; empty where the kernel does not count them."""
    found: dict[str, tuple[int, int]] = {}
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return found
    for thread in threads:
        try:
            with open(f"/proc/{pid}/task/{thread}/schedstat", encoding="ascii") as file:
                ran, waited, _ = file.read().split()
        except (OSError, ValueError):
            continue
        found[thread] = (int(ran), int(waited))
    return found


def read_host_time(folder: Path) -> HostTime | None:
    """The measurement beside captures, or ``None`` if there is none.

    Raises:
        ManifestError: the file is not such a measurement.
        OSError: it cannot be read.
    """
    path = folder / TIMING
    if not path.exists():
        return None
    try:
        content: Any = json.loads(read_file(path, _LARGEST))
        numbers = [float(content[key]) for key in _KEYS]
    except (ValueError, TypeError, KeyError, RecursionError):
        numbers = [math.nan]
    if not all(math.isfinite(number) and number >= 0 for number in numbers):
        raise ManifestError("not a measurement of the host", structure="timing", path=os.fspath(path))
    return HostTime(*numbers)


def waited_most(folders: Iterable[Path]) -> HostTime | None:
    """The measurement with the largest share among those of several folders.

    Raises:
        ManifestError: one of them is damaged.
        UsageError: a folder is missing.
    """
    found = []
    for folder in folders:
        if not folder.is_dir():
            raise UsageError("there is no such folder", path=os.fspath(folder))
        measured = read_host_time(folder)
        if measured is not None:
            found.append(measured)
    return max(found, key=lambda measured: measured.share, default=None)
