"""Which sectors of which drive the guest touched, and when: QEMU's block trace, read as it is written.

``bdrv_open_common`` ties a block node to the file it was opened from, here the descriptor set of a drive;
``blk_co_preadv`` and ``blk_co_pwritev`` are the requests devices make of their node, in bytes, whatever the device
(virtio, NVMe, AHCI, USB). They are switched on when the processor starts, so QEMU's own look at a disk is not in them.
"""

from __future__ import annotations

import dataclasses
import re
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

SECTOR = 512
LIMIT = 100_000
"""Accesses kept one by one; see :class:`BlockTrace`."""

OPEN_EVENTS = ("bdrv_open_common",)
READ_EVENTS = ("blk_co_preadv",)
WRITE_EVENTS = ("blk_co_pwritev",)

_LINE_LIMIT = 4096
_OPEN = re.compile(rb'bdrv_open_common bs (0x[0-9a-f]+) filename "([^"]*)"')
_ACCESS = re.compile(
    rb"\d+@(\d+)\.(\d+):blk_co_p(read|write)v blk 0x[0-9a-f]+ bs (0x[0-9a-f]+) offset (\d{1,19}) bytes (\d{1,19}) "
)


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


class BlockTrace:
    """The accesses in order, in bounded memory.

    Up to ``limit`` they are kept one by one. Then neighbours that continue one another (same drive and direction, the
    next sector) become one, and if that does not free half of the room, the oldest half goes and ``dropped`` counts it.
    """

    def __init__(self, files: Mapping[str, str], *, epoch: float = 0.0, limit: int = LIMIT) -> None:
        """``files`` maps the file name QEMU opens to a drive's name; ``epoch`` is the start on the realtime clock."""
        self._files = {os_name.encode(): drive for os_name, drive in files.items()}
        self.epoch = epoch
        self._limit = limit
        self._nodes: dict[bytes, str] = {}
        self._partial = b""
        self._lock = threading.Lock()
        self._accesses: list[BlockAccess] = []
        self.dropped = 0

    def feed(self, data: bytes) -> None:
        """Parse what QEMU wrote; a line cut at the end waits for the rest."""
        *lines, self._partial = (self._partial + data).split(b"\n")
        if len(self._partial) > _LINE_LIMIT:
            self._partial = b""
        found: list[BlockAccess] = []
        for line in lines:
            match = _ACCESS.match(line)
            if match is not None:
                drive = self._nodes.get(match[4])
                if drive is not None:
                    found.append(self._access(match, drive))
            elif (opened := _OPEN.search(line)) is not None:
                self._open(opened[1], opened[2])
        if found:
            with self._lock:
                self._accesses += found
                if len(self._accesses) > self._limit:
                    self._shrink()

    def _open(self, node: bytes, filename: bytes) -> None:
        drive = self._files.get(filename)
        if drive is None:
            self._nodes.pop(node, None)  # the address was a drive's once
        else:
            self._nodes[node] = drive

    def _access(self, match: re.Match[bytes], drive: str) -> BlockAccess:
        offset, size = int(match[5]), int(match[6])
        first = offset // SECTOR
        sectors = -(-(offset + size) // SECTOR) - first
        # The subtraction comes before the fraction: a double holds today's seconds to less than a microsecond.
        moment = (int(match[1]) - self.epoch) + int(match[2]) / 1_000_000
        return BlockAccess(moment, drive, first, sectors, match[3] == b"write")

    def _shrink(self) -> None:
        merged: list[BlockAccess] = []
        for access in self._accesses:
            last = merged[-1] if merged else None
            if (
                last is not None
                and (last.drive, last.write) == (access.drive, access.write)
                and last.lba + last.sectors == access.lba
            ):
                merged[-1] = dataclasses.replace(last, sectors=last.sectors + access.sectors)
            else:
                merged.append(access)
        if len(merged) > self._limit // 2:
            old = len(merged) - self._limit // 2
            self.dropped += old
            del merged[:old]
        self._accesses = merged

    def accesses(self) -> list[BlockAccess]:
        """What is kept so far, oldest first."""
        with self._lock:
            return list(self._accesses)
