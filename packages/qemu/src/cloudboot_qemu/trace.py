"""What QEMU traces of a guest's disks: which sectors were touched when, and which driver took hold of a device.

``bdrv_open_common`` ties a block node to the file it was opened from, here the descriptor set of a drive;
``blk_co_preadv`` and ``blk_co_pwritev`` are the requests devices make of their node, in bytes, whatever the device
(virtio, NVMe, AHCI, USB). They are switched on when the processor starts, so QEMU's own look at a disk is not in them.

``virtio_set_status`` is the driver's side of a virtio device's status register: a driver resets the device, negotiates
and starts it, so a second negotiation is a second driver (virtio 1.2, section 3.1.1). ``virtio_blk_handle_read`` tells
which of the devices are disks. A CD is behind a controller, virtio-scsi: the device whose queue a driver notified
before QEMU took a command from it.
"""

from __future__ import annotations

import dataclasses
import re
import threading
from array import array
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SECTOR = 512
LIMIT = 1_000_000
"""Accesses kept one by one, at 26 bytes each; see :class:`BlockTrace`."""

STATUS_LIMIT = 10_000
"""Changes of a device's status that are kept; a boot makes a few dozen."""

OPEN_EVENTS = ("bdrv_open_common", "virtio_set_status", "virtio_blk_handle_read")
CD_EVENTS = ("virtio_queue_notify", "virtio_scsi_cmd_req")
"""What :data:`OPEN_EVENTS` need beside them where a drive is a CD."""
READ_EVENTS = ("blk_co_preadv",)
WRITE_EVENTS = ("blk_co_pwritev",)

_LINE_LIMIT = 4096
_OPEN = re.compile(rb'bdrv_open_common bs (0x[0-9a-f]+) filename "([^"]*)"')
_ACCESS = re.compile(
    rb"\d+@(\d+)\.(\d+):blk_co_p(read|write)v blk 0x[0-9a-f]+ bs (0x[0-9a-f]+) offset (\d{1,19}) bytes (\d{1,19}) "
)
_DISK = re.compile(rb"\d+@\d+\.\d+:virtio_blk_handle_read vdev (0x[0-9a-f]+) ")
_NOTIFIED = re.compile(rb"(\d+)@\d+\.\d+:virtio_queue_notify vdev (0x[0-9a-f]+) ")
_COMMAND = re.compile(rb"(\d+)@\d+\.\d+:virtio_scsi_cmd_req ")
_STATUS = re.compile(rb"\d+@(\d+)\.(\d+):virtio_set_status vdev (0x[0-9a-f]+) val (\d{1,3})$")

DRIVER_OK, FEATURES_OK = 4, 8


@dataclasses.dataclass(frozen=True, slots=True)
class BlockAccess:
    """One request of the guest.

    ``time`` is in seconds since the machine started, on the clock of :class:`.Line`; ``lba`` and ``sectors`` count
    512 bytes whatever the drive's block size is.
    """

    time: float
    drive: str
    lba: int
    sectors: int
    write: bool

    def as_dict(self) -> dict[str, object]:
        """The facts, ready for JSON."""
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True, slots=True)
class StatusChange:
    """A driver wrote a virtio disk's status register.

    ``time`` as in :class:`BlockAccess`; ``device`` counts the disks in the order of their first reset.
    """

    time: float
    device: int
    status: int


@dataclasses.dataclass(frozen=True, slots=True)
class Negotiation:
    """One driver's hold of a virtio disk: from its reset of the device over DRIVER_OK to the next reset.

    Times are in seconds since the machine started; ``end`` is ``None`` while the driver holds the device.
    ``statuses`` are what it wrote, in order.
    """

    device: int
    reset: float
    ready: float
    end: float | None
    statuses: tuple[int, ...]

    @property
    def features_ok(self) -> bool:
        """Whether the driver is one of virtio 1.0 or later, which agrees on features before it starts the device."""
        return any(status & FEATURES_OK for status in self.statuses)

    def as_dict(self) -> dict[str, object]:
        """The facts, ready for JSON."""
        return {**dataclasses.asdict(self), "features_ok": self.features_ok}


def negotiations(changes: Iterable[StatusChange]) -> list[Negotiation]:
    """The drivers that started a virtio disk, in the order of their resets; resets that led to nothing are no drivers.

    Several resets in a row count as the last of them.
    """
    found: list[Negotiation] = []
    open_ones: dict[int, tuple[float, list[int], float | None]] = {}

    def close(device: int, end: float | None) -> None:
        reset, statuses, ready = open_ones.pop(device, (0.0, [], None))
        if ready is not None:
            found.append(Negotiation(device, reset, ready, end, tuple(statuses)))

    for change in changes:
        if change.status == 0:
            close(change.device, change.time)
            open_ones[change.device] = (change.time, [], None)
        elif change.device in open_ones:
            reset, statuses, ready = open_ones[change.device]
            statuses.append(change.status)
            if ready is None and change.status & DRIVER_OK:
                ready = change.time
            open_ones[change.device] = (reset, statuses, ready)
    for device in list(open_ones):
        close(device, None)
    return sorted(found, key=lambda negotiation: negotiation.reset)


class BlockTrace:
    """The accesses in order, in bounded memory.

    Up to ``limit`` they are kept one by one. Then neighbours that continue one another (same drive and direction, the
    next sector) become one, and if that does not free half of the room, the oldest half goes and ``dropped`` counts it.
    """

    def __init__(self, files: Mapping[str, str], *, epoch: float = 0.0, limit: int = LIMIT) -> None:
        """``files`` maps the file name QEMU opens to a drive's name; ``epoch`` is the start on the realtime clock."""
        self._files = {os_name.encode(): number for number, os_name in enumerate(files)}
        self._names = list(files.values())
        self.epoch = epoch
        self._limit = limit
        self._nodes: dict[bytes, int] = {}
        self._partial = b""
        self._lock = threading.Lock()
        self._times = array("d")
        self._firsts = array("Q")
        self._sectors = array("Q")
        self._kinds = array("H")  # the drive's number, doubled, and whether it was written
        self.dropped = 0
        self.count = 0
        """Accesses there were, kept or not."""
        self._disks: set[bytes] = set()
        self._notified: dict[bytes, bytes] = {}  # by thread
        self._changes: deque[tuple[float, bytes, int]] = deque(maxlen=STATUS_LIMIT)

    def feed(self, data: bytes) -> None:
        """Parse what QEMU wrote; a line cut at the end waits for the rest."""
        *lines, self._partial = (self._partial + data).split(b"\n")
        if len(self._partial) > _LINE_LIMIT:
            self._partial = b""
        with self._lock:
            for line in lines:
                if (access := _ACCESS.match(line)) is not None:
                    if (drive := self._nodes.get(access[4])) is not None:
                        self._add(access, drive)
                elif (disk := _DISK.match(line)) is not None:
                    self._disks.add(disk[1])
                elif (notified := _NOTIFIED.match(line)) is not None:
                    self._notified[notified[1]] = notified[2]
                elif (command := _COMMAND.match(line)) is not None:
                    if command[1] in self._notified:
                        self._disks.add(self._notified[command[1]])
                elif (status := _STATUS.match(line)) is not None:
                    self._changes.append((self._moment(status), status[3], int(status[4])))
                elif (opened := _OPEN.search(line)) is not None:
                    self._open(opened[1], opened[2])
            if len(self._times) > self._limit:
                self._shrink()

    def _open(self, node: bytes, filename: bytes) -> None:
        drive = self._files.get(filename)
        if drive is None:
            self._nodes.pop(node, None)  # the address was a drive's once
        else:
            self._nodes[node] = drive

    def _moment(self, match: re.Match[bytes]) -> float:
        # The subtraction comes before the fraction: a double holds today's seconds to less than a microsecond.
        return (int(match[1]) - self.epoch) + int(match[2]) / 1_000_000

    def _add(self, match: re.Match[bytes], drive: int) -> None:
        offset, size = int(match[5]), int(match[6])
        first = offset // SECTOR
        self.count += 1
        self._times.append(self._moment(match))
        self._firsts.append(first)
        self._sectors.append(-(-(offset + size) // SECTOR) - first)
        self._kinds.append(2 * drive + (match[3] == b"write"))

    def _shrink(self) -> None:
        kept = 0
        for index in range(len(self._times)):
            kind, first, sectors = self._kinds[index], self._firsts[index], self._sectors[index]
            if kept and self._kinds[kept - 1] == kind and self._firsts[kept - 1] + self._sectors[kept - 1] == first:
                self._sectors[kept - 1] += sectors
                continue
            self._times[kept] = self._times[index]
            self._kinds[kept], self._firsts[kept], self._sectors[kept] = kind, first, sectors
            kept += 1
        old = max(kept - self._limit // 2, 0)
        self.dropped += old
        for column in (self._times, self._firsts, self._sectors, self._kinds):
            del column[kept:]
            del column[:old]

    def accesses(self) -> list[BlockAccess]:
        """What is kept so far, oldest first."""
        with self._lock:
            names = self._names
            return [
                BlockAccess(time, names[kind >> 1], first, sectors, bool(kind & 1))
                for time, kind, first, sectors in zip(
                    self._times, self._kinds, self._firsts, self._sectors, strict=True
                )
            ]

    def status_changes(self) -> list[StatusChange]:
        """What drivers wrote to the status registers of virtio disks so far, oldest first."""
        with self._lock:
            numbers: dict[bytes, int] = {}
            for _, device, _ in self._changes:
                if device in self._disks:
                    numbers.setdefault(device, len(numbers))
            return [
                StatusChange(time, numbers[device], status)
                for time, device, status in self._changes
                if device in self._disks
            ]
