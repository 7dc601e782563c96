"""Writing down what crosses a queue."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

from cloudboot_base import new_file

from .format import header

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator
    from typing import TextIO

    from cloudboot_virtio.errors import DeviceBrokenError
    from cloudboot_virtio.ring import Chain, InFlight
    from cloudboot_virtio.ring.chain import Segment
    from cloudboot_virtio.transport import Transport


class Recorder:
    """Writes the events of all queues of a device. ``events`` counts them."""

    def __init__(self, file: TextIO, transport: Transport) -> None:
        """Record the queues that ``transport`` has now. They must be empty.

        Raises:
            ValueError: a queue has chains in flight, whose beginning would be missing.
        """
        busy = [index for index, queue in transport.queues.items() if queue.in_flight]
        if busy:
            raise ValueError(f"queues {busy} have chains in flight; record from the start")
        self._file = file
        self.events = 0
        sizes = {index: queue.size for index, queue in transport.queues.items()}
        self._write(header(transport.device_id, int(transport.features), sizes))
        self._queues = list(transport.queues.values())
        for queue in self._queues:
            observer = _QueueRecorder(self, queue.index)
            queue.observer = observer
            queue.ring.observer = observer

    def event(self, queue: int, name: str, **facts: Any) -> None:
        """Write one event."""
        self.events += 1
        self._write({"queue": queue, "event": name, **facts})

    def _write(self, document: dict[str, Any]) -> None:
        self._file.write(json.dumps(document, separators=(",", ":")) + "\n")

    def stop(self) -> None:
        """Record nothing more."""
        for queue in self._queues:
            queue.observer = None
            queue.ring.observer = None


class _QueueRecorder:
    """Observes one queue and its ring."""

    def __init__(self, recorder: Recorder, index: int) -> None:
        self._recorder = recorder
        self._index = index
        self._identities: dict[InFlight, int] = {}
        self._descriptors: dict[int, tuple[Segment, ...]] = {}
        self._last_used = 0

    def posted(self, identity: int, segments: tuple[Segment, ...]) -> None:
        self._descriptors[identity] = segments

    def submitted(self, identity: int, chain: Chain) -> None:
        descriptors = [list(segment) for segment in self._descriptors.pop(identity)]
        read = chain.read_bytes().hex()
        self._recorder.event(self._index, "submit", id=identity, descriptors=descriptors, read=read)

    def kicked(self, *, notified: bool) -> None:
        self._recorder.event(self._index, "kick", notified=notified)

    def used(self, identity: int, length: int, pending: int) -> None:
        self._last_used = identity
        self._recorder.event(self._index, "used", id=identity, length=length, ahead=pending)

    def completed(self, ticket: InFlight, chain: Chain, written: int) -> None:  # noqa: ARG002 -- the protocol's
        data = chain.written_bytes(written).hex()
        self._recorder.event(self._index, "complete", id=self._last_used, written=written, data=data)

    def broke(self, error: DeviceBrokenError) -> None:
        self._recorder.event(self._index, "broken", message=str(error))

    def timed_out(self, seconds: float) -> None:
        self._recorder.event(self._index, "timeout", seconds=seconds)

    def was_reset(self) -> None:
        self._recorder.event(self._index, "reset")


@contextlib.contextmanager
def record(path: str | os.PathLike[str], transport: Transport, *, force: bool = False) -> Iterator[Recorder]:
    """Record into a new file while the block runs. The file is kept when the block fails: that is what it is for.

    Raises:
        FileExistsError: there is such a file, and not ``force``.
        ValueError: a queue has chains in flight.
    """
    failure: BaseException | None = None
    with new_file(path, force=force) as fd, open(fd, "w", encoding="ascii", closefd=False) as file:
        recorder = Recorder(file, transport)
        try:
            yield recorder
        except BaseException as error:  # noqa: BLE001 -- raised again below, once the file has its name
            failure = error
        finally:
            recorder.stop()
    if failure is not None:
        raise failure
