"""Cells as tasks of a Dask cluster."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import queue
import time
from typing import TYPE_CHECKING, Any

from distributed import Client, Future, fire_and_forget
from distributed.scheduler import KilledWorker

from cloudboot_fleet.errors import ClusterError
from cloudboot_fleet.worker import SLOT, TOPIC, CellPlugin, run_cell

from .executor import Finished, Lost

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .executor import Handed

_RECONNECT = 120.0  # seconds that a scheduler may be gone


class DaskExecutor:
    """Runs cells on the workers of a Dask cluster that ``connect`` gives a client of.

    ``connect`` is called again when the scheduler was lost. ``place`` is where results go. With ``finish``, cells that
    run go on to their end when this client is gone; without, they are ended. ``kinds`` are those of the cells to come.
    """

    def __init__(
        self,
        connect: Callable[[], Client],
        place: str,
        *,
        finish: bool = False,
        scratch: str | None = None,
        kinds: Sequence[str] = (),
    ) -> None:
        self._connect, self._results, self._finish = connect, place, finish
        self._plugin = CellPlugin(scratch, kinds)
        self._ended: queue.SimpleQueue[tuple[str, Future[Any]]] = queue.SimpleQueue()
        self._futures: dict[str, Future[Any]] = {}
        self._slots = (0.0, 0)
        self._begun: set[str] = set()
        self._client = self._connected()

    def _connected(self) -> Client:
        client = self._connect()
        client.register_plugin(self._plugin)
        client.subscribe_topic(TOPIC, lambda event: self._begun.add(str(event[1])))
        return client

    @property
    def client(self) -> Client:
        """Dask's client, for questions to the cluster itself."""
        return self._client

    @property
    def place(self) -> str:
        """The scheduler's address."""
        scheduler = self._client.scheduler
        return str(scheduler.address) if scheduler is not None else "nowhere"

    @property
    def dashboard(self) -> str | None:
        """The address of the scheduler's page, where it has one."""
        if self._client.status != "running" or importlib.util.find_spec("bokeh") is None:
            return None
        return str(self._client.dashboard_link)

    @property
    def slots(self) -> int:
        """Cells that the workers run at a time, looked up twice a second."""
        moment, count = self._slots
        now = time.monotonic()
        if now - moment > 0.5 or not count:
            info = self._client.scheduler_info(n_workers=-1) if self._client.status == "running" else {}
            count = sum(int(worker["resources"].get(SLOT, 0)) for worker in info.get("workers", {}).values())
            self._slots = (now, count)
        return count

    def workers(self) -> dict[str, dict[str, float]]:
        """What each worker has, by name, under the worker's address."""
        workers = self._client.scheduler_info(n_workers=-1)["workers"]
        return {address: dict(worker["resources"]) for address, worker in workers.items()}

    def submit(self, handed: Sequence[Handed]) -> None:
        """Start cells; those that are alike to the scheduler in one message."""
        alike: dict[tuple[object, ...], list[Handed]] = {}
        for each in handed:
            cell = each.pinned.cell
            group = (cell.kind, cell.priority, tuple(sorted(cell.resources.items())), each.avoid)
            alike.setdefault(group, []).append(each)
        for several in alike.values():
            try:
                self._submit(several)
            except (RuntimeError, ValueError, OSError) as error:  # the client has closed: the scheduler is gone
                self._reconnect(str(error))
                for each in several:
                    self._ended.put((each.pinned.key, _GONE))

    def _submit(self, several: Sequence[Handed]) -> None:
        cell, avoid = several[0].pinned.cell, several[0].avoid
        others = [address for address in self.workers() if address not in avoid] if avoid else []
        futures = self._client.map(
            run_cell,
            [each.pinned.as_dict() for each in several],
            [self._results] * len(several),
            [each.attempt for each in several],
            # Dask keeps counts of every prefix of keys forever: the prefix is the kind, not the digest.
            key=[f"{cell.kind}-{each.pinned.key}-{each.attempt}" for each in several],
            pure=False, retries=0, priority=cell.priority, resources={SLOT: 1, **cell.resources},
            workers=others or None, allow_other_workers=bool(others),
        )  # fmt: skip
        for each, future in zip(several, futures, strict=True):
            if self._finish:
                fire_and_forget(future)
            self._futures[each.pinned.key] = future
            future.add_done_callback(functools.partial(self._note, each.pinned.key))

    def _note(self, key: str, ended: Future[Any]) -> None:
        self._ended.put((key, ended))

    def wait(self, seconds: float) -> list[Finished | Lost]:
        """What came back."""
        found: list[Finished | Lost] = []
        deadline = time.monotonic() + seconds
        while True:
            try:
                key, future = self._ended.get(
                    timeout=None if found else max(0.001, deadline - time.monotonic()), block=not found
                )
            except queue.Empty:
                break
            if self._futures.get(key) is not future and future is not _GONE:
                continue  # of an attempt that was cancelled
            self._futures.pop(key, None)
            begun = future is _GONE or str(future.key) in self._begun
            self._begun.discard(getattr(future, "key", ""))
            found.append(_ending(key, future, begun=begun))
        if not found and self._client.status not in {"running", "newly-created"}:
            self._reconnect("the connection was lost")
        return found

    def cancel(self, keys: Sequence[str]) -> None:
        """End cells."""
        futures = [future for key in keys if (future := self._futures.pop(key, None)) is not None]
        with contextlib.suppress(OSError, RuntimeError, TimeoutError):
            self._client.cancel(futures, force=self._finish)

    def _reconnect(self, reason: str) -> None:
        """Find the scheduler again; what was handed out comes back as lost.

        Raises:
            ClusterError: it stays away.
        """
        with contextlib.suppress(Exception):
            self._client.close(timeout=1)
        end = time.monotonic() + _RECONNECT
        while True:
            try:
                self._client = self._connected()
                break
            except (OSError, TimeoutError, ClusterError) as error:
                if time.monotonic() > end:
                    raise ClusterError(f"the connection to the scheduler is lost: {reason}") from error
                time.sleep(1.0)
        for key in list(self._futures):
            self._futures.pop(key)
            self._ended.put((key, _GONE))


_GONE: Any = object()


def _ending(key: str, future: Future[Any], *, begun: bool) -> Finished | Lost:
    if future is _GONE:
        return Lost(key, None, "the scheduler was lost", counts=False)
    if future.status == "finished":
        return Finished(key, future.result())
    if future.status in {"cancelled", "lost"}:
        return Lost(key, None, "the scheduler forgot the cell", counts=False)
    error = future.exception()
    if isinstance(error, KilledWorker):
        last = error.last_worker
        told = "the worker died while it ran the cell" if begun else "the worker died before it began the cell"
        return Lost(key, str(getattr(last, "address", last)), told, counts=begun)
    return Lost(key, None, f"{type(error).__name__}: {error}")
