"""Writing down what crosses a queue."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

from cloudboot_base import followed, new_file

from .format import header

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator
    from typing import TextIO

    from cloudboot_virtio.errors import DeviceBrokenError
    from cloudboot_virtio.memory import DmaMemory
    from cloudboot_virtio.ring import Chain, InFlight, Virtqueue
    from cloudboot_virtio.ring.chain import Segment
    from cloudboot_virtio.transport import Transport


class Recorder:
    """Writes the events of all queues of a device. ``events`` counts them.

    A recording begins with empty queues. Of a device that a driver has brought up, it begins at once. Of one that is
    still to be brought up, it begins with DRIVER_OK: the driver is then given :attr:`transport`, and what it submits
    first is part of the recording. With :attr:`transport` the recording also goes on after a reset of the device.
    """

    def __init__(self, file: TextIO, transport: Transport) -> None:
        """Record the queues that ``transport`` has now, or will have.

        Raises:
            ValueError: a queue has chains in flight, whose beginning would be missing.
        """
        busy = [index for index, queue in transport.queues.items() if queue.in_flight]
        if busy:
            raise ValueError(
                f"queues {busy} have chains in flight; record from the start, with the recorder's transport"
            )
        self._file = file
        self.events = 0
        self._sizes: dict[int, int] | None = None
        self._features = 0
        self._queues: list[Virtqueue] = []
        self.stopped = False
        self.transport: Transport = _RecordedTransport(transport, self)
        """The transport for a driver that is brought up while it is recorded."""
        if transport.queues:
            self.begin(transport)

    def begin(self, transport: Transport) -> None:
        """Observe the queues of a device that was brought up, for the first time or again.

        Raises:
            ValueError: the device came back with other features or queues, which one recording cannot hold.
        """
        sizes = {index: queue.size for index, queue in transport.queues.items()}
        features = int(transport.features)
        if self._sizes is None:
            self._sizes, self._features = sizes, features
            self._write(header(transport.device_id, features, sizes))
        elif (self._sizes, self._features) != (sizes, features):
            raise ValueError("after its reset the device has other features or queues; make another recording")
        self._queues = list(transport.queues.values())
        for queue in self._queues:
            observer = _QueueRecorder(self, queue)
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
        self._queues = []
        self.stopped = True


class _RecordedTransport:
    """A transport that tells the recorder when its device begins to work."""

    def __init__(self, transport: Transport, recorder: Recorder) -> None:
        self._transport = transport
        self._recorder = recorder

    @property
    def device_id(self) -> int:
        return self._transport.device_id

    @property
    def offered(self) -> int:
        return self._transport.offered

    @property
    def features(self) -> int:
        return self._transport.features

    @property
    def memory(self) -> DmaMemory:
        return self._transport.memory

    @property
    def queues(self) -> dict[int, Virtqueue]:
        return self._transport.queues

    @property
    def status(self) -> int:
        return self._transport.status

    def start(self, wanted: int) -> int:
        return self._transport.start(wanted)

    def queue(self, index: int, size: int | None = None) -> Virtqueue:
        return self._transport.queue(index, size)

    def driver_ok(self) -> None:
        self._transport.driver_ok()
        if not self._recorder.stopped:
            self._recorder.begin(self._transport)

    def reset(self) -> list[Chain]:
        return self._transport.reset()

    def reset_queue(self, index: int, size: int | None = None) -> list[Chain]:
        return self._transport.reset_queue(index, size)

    def read_config(self, offset: int, size: int) -> bytes:
        return self._transport.read_config(offset, size)

    def write_config(self, offset: int, data: bytes) -> None:
        self._transport.write_config(offset, data)


class _QueueRecorder:
    """Observes one queue and its ring."""

    def __init__(self, recorder: Recorder, queue: Virtqueue) -> None:
        self._recorder = recorder
        self._queue = queue
        self._index = queue.index
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
        self._recorder.event(self._index, "reset", size=self._queue.size)


@contextlib.contextmanager
def record(path: str | os.PathLike[str], transport: Transport, *, force: bool = False) -> Iterator[Recorder]:
    """Record into a new file while the block runs. The file is kept when the block fails: that is what it is for.

    A driver that fills its queues when it is brought up is brought up within the block, over ``recorder.transport``.

    Raises:
        FileExistsError: there is such a file, and not ``force``.
        ValueError: a queue has chains in flight.
    """
    failure: BaseException | None = None
    with new_file(followed(path), force=force) as fd, open(fd, "w", encoding="ascii", closefd=False) as file:
        recorder = Recorder(file, transport)
        try:
            yield recorder
        except BaseException as error:  # noqa: BLE001 -- raised again below, once the file has its name
            failure = error
        finally:
            recorder.stop()
    if failure is not None:
        raise failure
