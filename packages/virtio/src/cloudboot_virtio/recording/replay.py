"""Playing a recording against the rings, without a machine."""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING, Any, Final

from cloudboot_base import Finding
from cloudboot_base.lightdata import asdict, dataclass, field
from cloudboot_virtio.device import DeviceChain, PackedDeviceRing, SplitDeviceRing
from cloudboot_virtio.errors import DeviceBrokenError, DmaMemoryError, DriverBrokenError, RecordingError
from cloudboot_virtio.layout.constants import DESC_WRITE, Feature
from cloudboot_virtio.memory import DmaMemory
from cloudboot_virtio.ring import Chain, Virtqueue, make_ring

from .format import read_documents

if TYPE_CHECKING:
    from typing import BinaryIO

    from cloudboot_virtio.memory import Region

_MEMORY: Final = 256 << 20  # bytes; a recording that needs more is not one of a driver here
_MOST_FINDINGS: Final = 100


@dataclass(slots=True)
class Replay:
    """What a replay did. ``findings`` say where it did not do what was recorded; ``broken`` are the failures."""

    device: int
    features: int
    submitted: int = 0
    completed: int = 0
    timeouts: int = 0
    resets: int = 0
    broken: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def as_dict(self) -> dict[str, object]:
        """The replay, ready for JSON."""
        facts: dict[str, object] = asdict(self)
        return {**facts, "findings": [finding.as_dict() for finding in self.findings]}


class _Played:
    """One queue: the driver's side as it is used in earnest, and a device that does what was recorded."""

    def __init__(self, memory: DmaMemory, index: int, size: int, features: int) -> None:
        self._memory, self._size, self._features = memory, size, features
        self.queue = Virtqueue(index, make_ring(memory, size, features), lambda: None)
        self._connect()

    def _connect(self) -> None:
        ring = self.queue.ring
        kind = PackedDeviceRing if self._features & Feature.RING_PACKED else SplitDeviceRing
        self.device = kind(self._memory, ring.size, ring.addresses, event_idx=bool(self._features & Feature.EVENT_IDX))
        self.held: dict[int, DeviceChain] = {}
        self.read: dict[int, bytes] = {}
        self.regions: dict[int, Region] = {}

    def let_go(self, index: int) -> bool:  # noqa: ARG002 -- the witness of a reset that was recorded
        return True

    def reset(self, size: int | None) -> None:
        self._size = self._size if size is None else size
        self.queue.take_back(self, make_ring(self._memory, self._size, self._features))
        for region in self.regions.values():
            self._memory.free(region)
        self._connect()

    def chain(self, identity: int, descriptors: list[list[int]], read: bytes) -> Chain:
        """A chain of the recorded shape with the recorded content, in memory of the replay."""
        region = self._memory.allocate(max(1, sum(length for _, length, _ in descriptors)))
        self.regions[identity] = region
        readable: list[Region] = []
        writable: list[Region] = []
        at = 0
        for _, length, flags in descriptors:
            (writable if flags & DESC_WRITE else readable).append(region.part(at, length))
            at += length
        chain = Chain(readable, writable, identity)
        for part in readable:
            part.view[:], read = read[: part.size], read[part.size :]
        return chain


def replay(file: BinaryIO) -> Replay:
    """Play a recording: submit what was submitted, and let the device write what it wrote.

    The rings check every used entry again. So a failure that the device caused happens again, and one that the driver
    caused shows as a difference between what the device reads and what was recorded.

    Raises:
        RecordingError: the file is not a recording, or its events do not fit together.
    """
    documents = read_documents(file)
    _, head = next(documents)
    memory = DmaMemory(memoryview(mmap.mmap(-1, _MEMORY)), 0x1000_0000)
    features = head["features"]
    result = Replay(head["device"], features)
    try:
        queues = {int(i): _Played(memory, int(i), size, features) for i, size in head["queues"].items()}
    except (ValueError, DmaMemoryError) as error:
        raise RecordingError(str(error), structure="recording", field="queues", where={"line": 1}) from None
    pending: dict[int, tuple[int, dict[str, Any]]] = {}  # queue -> the used entry whose outcome comes next
    for line, event in documents:
        played = queues.get(event["queue"])
        if played is None:
            raise RecordingError("no such queue", structure="recording", where={"line": line}, actual=event["queue"])
        try:
            _play(played, event, line, result, pending)
        except DeviceBrokenError as error:  # the queue is closed, and the recording goes on with it
            if result.findings:
                break  # because the replay differs from here on
            raise RecordingError(str(error), structure="recording", where={"line": line}) from None
        except (ValueError, DmaMemoryError, DriverBrokenError) as error:
            raise RecordingError(str(error), structure="recording", where={"line": line}) from None
        if len(result.findings) >= _MOST_FINDINGS:
            break
    return result


def _play(
    played: _Played, event: dict[str, Any], line: int, result: Replay, pending: dict[int, tuple[int, dict[str, Any]]]
) -> None:
    name, index = event["event"], event["queue"]
    if name == "submit":
        read = bytes.fromhex(event["read"])
        ticket = played.queue.try_submit(played.chain(event["id"], event["descriptors"], read))
        newest = played.queue.ring.newest
        if ticket is None or newest != event["id"]:
            _differ(result, line, "the ring gave another id", event["id"], newest)
        played.read[event["id"]] = read
        result.submitted += 1
    elif name == "kick":
        played.queue.kick()
        while (chain := played.device.pop()) is not None:
            if chain.read() != played.read.get(chain.identity):
                _differ(result, line, "the device reads something else", played.read.get(chain.identity), chain.read())
            played.held[chain.identity] = chain
    elif name == "used":
        pending[index] = (line, event)
    elif name in {"complete", "broken"}:
        if index not in pending:
            raise RecordingError("an outcome without a used entry", structure="recording", where={"line": line})
        _complete(played, pending.pop(index)[1], event, line, result)
    elif name == "timeout":
        result.timeouts += 1
    else:
        played.reset(event.get("size"))
        result.resets += 1


def _complete(played: _Played, used: dict[str, Any], outcome: dict[str, Any], line: int, result: Replay) -> None:
    """Let the device write the used entry, and see what the driver's side makes of it."""
    identity = used["id"]
    chain = played.held.pop(identity, None)
    if chain is not None and outcome["event"] == "complete":
        chain.write(bytes.fromhex(outcome["data"]))
    played.device.busy.discard(identity)
    played.device.push_raw(identity, used["length"], chain.descriptors if chain else 1)
    if used["ahead"] > played.queue.in_flight:
        played.device.skip(used["ahead"] - 1)
    try:
        completion = played.queue.poll()
    except DeviceBrokenError as error:
        result.broken.append(str(error))
        if outcome["event"] != "broken":
            _differ(result, line, "the replay breaks where the recording does not", outcome["event"], str(error))
        elif str(error) != outcome["message"]:
            _differ(result, line, "the failure is another", outcome["message"], str(error))
        return
    if completion is None or outcome["event"] == "broken":
        _differ(result, line, "the failure does not happen again", outcome["event"], completion and "a completion")
        return
    result.completed += 1
    if completion.written != outcome["written"]:
        _differ(result, line, "another number of bytes", outcome["written"], completion.written)
    data = completion.chain.written_bytes(completion.written)
    if data != bytes.fromhex(outcome["data"]):
        _differ(result, line, "other bytes", outcome["data"], data)
    region = played.regions.pop(identity, None)
    if region is not None:
        played._memory.free(region)  # noqa: SLF001 -- the queue and its memory are one thing here


def _differ(result: Replay, line: int, message: str, expected: object, actual: object) -> None:
    where: dict[str, int | str] = {"line": line}
    result.findings.append(
        Finding("replay-differs", message, structure="recording", expected=expected, actual=actual, where=where)
    )
