"""The block device (5.2)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from cloudboot_base.lightdata import dataclass
from cloudboot_virtio.errors import CommandError
from cloudboot_virtio.layout.constants import DeviceId
from cloudboot_virtio.layout.records import virtio_blk_discard_write_zeroes, virtio_blk_req

from .base import ChainPool, Driver, Requests

if TYPE_CHECKING:
    from cloudboot_virtio.ring import Chain, Completion, InFlight

SECTOR: Final = 512
_IN, _OUT, _FLUSH, _GET_ID, _DISCARD = 0, 1, 4, 8, 11
_OK: Final = 0
_STATUS: Final = {1: "IOERR", 2: "UNSUPP"}
_PENDING: Final = 0xFF  # no status of the specification: a byte the device did not write
_F_RO, _F_BLK_SIZE, _F_FLUSH, _F_DISCARD = 1 << 5, 1 << 6, 1 << 9, 1 << 13
_ID_BYTES: Final = 20
_HEADER = virtio_blk_req.LAYOUT.struct("little")


@dataclass(frozen=True, slots=True)
class BlockInfo:
    """What the device says of itself: ``capacity`` and ``block_size`` in bytes.

    ``discard_sectors`` is the largest number of sectors of one discard, and 0 for a device that cannot discard.
    """

    capacity: int
    block_size: int
    read_only: bool
    can_flush: bool
    can_discard: bool
    discard_sectors: int = 0


class BlockDriver(Driver):
    """Reads and writes sectors; up to ``slots`` requests are in flight."""

    DEVICE = DeviceId.BLOCK
    FEATURES = _F_RO | _F_BLK_SIZE | _F_FLUSH | _F_DISCARD

    LARGEST: Final = 64 << 10
    """Bytes of one request; larger reads and writes are cut into several."""
    SLOTS: Final = 16

    def _set_up(self) -> None:
        queue = self._queue(0)
        self.requests = Requests(queue, self._answered)
        indirect = bool(self.features & 1 << 28)
        count = max(1, min(self.SLOTS, queue.size if indirect else queue.size // 3))
        self._reads = self._pool(count, [_HEADER.size], [self.LARGEST, 1])
        self._writes = self._pool(count, [_HEADER.size, self.LARGEST], [1])
        self._results: dict[InFlight, tuple[int, bytes]] = {}
        self._pending: dict[Chain, tuple[ChainPool, bool]] = {}
        self.refresh()

    def refresh(self) -> BlockInfo:
        """Read ``info`` again: the host can resize a disk while it is in use."""
        can_discard = bool(self.features & _F_DISCARD)
        config = self.transport.read_config(0, 40 if can_discard else 24)
        (sectors,) = struct.unpack_from("<Q", config, 0)
        (block_size,) = struct.unpack_from("<I", config, 20) if self.features & _F_BLK_SIZE else (SECTOR,)
        self.info = BlockInfo(
            sectors * SECTOR,
            block_size,
            bool(self.features & _F_RO),
            bool(self.features & _F_FLUSH),
            can_discard,
            struct.unpack_from("<I", config, 36)[0] if can_discard else 0,
        )
        return self.info

    def start_read(self, sector: int, size: int) -> InFlight:
        """Ask for ``size`` bytes, at most :attr:`LARGEST`; :meth:`finish` gives them.

        Raises:
            ValueError: ``size`` is not a number of whole sectors.
        """
        _check_sectors(size)
        chain = self._take(self._reads)
        _HEADER.pack_into(chain.readable(), 0, _IN, 0, sector)
        chain.fit([_HEADER.size], [size, 1])
        return self._begin(chain, self._reads, keep=True)

    def start_write(self, sector: int, data: bytes | memoryview) -> InFlight:
        """Write at most :attr:`LARGEST` bytes; :meth:`finish` tells whether that worked.

        Raises:
            ValueError: ``data`` is not a number of whole sectors.
            CommandError: the device is read-only (5.2.6.1).
        """
        _check_sectors(len(data))
        if self.info.read_only:
            raise CommandError("block write", 1, "the device is read-only")
        chain = self._take(self._writes)
        _HEADER.pack_into(chain.readable(), 0, _OUT, 0, sector)
        chain.readable(1)[: len(data)] = data
        chain.fit([_HEADER.size, len(data)], [1])
        return self._begin(chain, self._writes, keep=False)

    def _take(self, pool: ChainPool) -> Chain:
        while (chain := pool.take()) is None:
            self.requests.queue.kick()
            self.requests.wait_one(self.timeout)
        return chain

    def _begin(self, chain: Chain, pool: ChainPool, *, keep: bool) -> InFlight:
        chain.writable(1 if pool is self._reads else 0)[0] = _PENDING
        self._pending[chain] = (pool, keep)
        return self.requests.submit(chain, self.timeout)

    def _answered(self, completion: Completion) -> None:
        chain = completion.chain
        pool, keep = self._pending.pop(chain)
        status = chain.writable(1 if pool is self._reads else 0)[0]
        # The status byte is the last one that the device writes: a shorter answer has none (5.2.6.4).
        if completion.written < chain.capacity and status == _OK and keep:
            status = _PENDING
        data = bytes(chain.writable()[: chain.capacity - 1]) if keep and status == _OK else b""
        self._results[completion.ticket] = (status, data)
        pool.give(chain)

    def finish(self, ticket: InFlight) -> bytes:
        """The data of a read, or nothing for other requests.

        Raises:
            CommandError: the device reports an error, or wrote less than it said.
            CompletionTimeoutError: no answer came; the request stays the device's.
        """
        self.requests.queue.kick()
        self.requests.wait_for(ticket, self.timeout)
        status, data = self._results.pop(ticket)
        if status != _OK:
            raise CommandError("block request", status, _STATUS.get(status, "no status was written"))
        return data

    def read(self, sector: int, size: int) -> bytes:
        """``size`` bytes from ``sector`` on.

        Raises:
            CommandError: the device reports an error.
        """
        tickets = [
            self.start_read(sector + at // SECTOR, min(self.LARGEST, size - at)) for at in range(0, size, self.LARGEST)
        ]
        return b"".join([self.finish(ticket) for ticket in tickets])

    def write(self, sector: int, data: bytes) -> None:
        """Write ``data`` from ``sector`` on.

        Raises:
            CommandError: the device reports an error.
        """
        view = memoryview(data)
        tickets = [
            self.start_write(sector + at // SECTOR, view[at : at + self.LARGEST])
            for at in range(0, len(data), self.LARGEST)
        ]
        for ticket in tickets:
            self.finish(ticket)

    def flush(self) -> None:
        """Have everything written reach stable storage.

        Without the feature FLUSH the device keeps nothing in a cache (5.2.6.2), and there is nothing to do.

        Raises:
            CommandError: the device reports an error.
        """
        if not self.info.can_flush:
            return
        chain = self._take(self._writes)
        _HEADER.pack_into(chain.readable(), 0, _FLUSH, 0, 0)
        chain.fit([_HEADER.size, 0], [1])
        self.finish(self._begin(chain, self._writes, keep=False))

    def discard(self, sector: int, sectors: int) -> None:
        """Tell the device that sectors are not needed any more, in as many requests as its limit asks for.

        Raises:
            CommandError: the device reports an error, or cannot discard.
            ValueError: a number is negative.
        """
        if sector < 0 or sectors < 0:
            raise ValueError(f"{sectors} sectors from sector {sector}")
        if not self.info.can_discard:
            raise CommandError("block discard", 2, "the feature DISCARD was not negotiated")
        limit = self.info.discard_sectors or sectors
        for at in range(sector, sector + sectors, limit or 1):
            self._discard(at, min(limit, sector + sectors - at))

    def _discard(self, sector: int, sectors: int) -> None:
        chain = self._take(self._writes)
        _HEADER.pack_into(chain.readable(), 0, _DISCARD, 0, 0)
        range_ = virtio_blk_discard_write_zeroes(sector=sector, num_sectors=sectors, flags=0).pack()
        chain.readable(1)[: len(range_)] = range_
        chain.fit([_HEADER.size, len(range_)], [1])
        self.finish(self._begin(chain, self._writes, keep=False))

    def serial(self) -> str:
        """The device's serial number.

        Raises:
            CommandError: the device reports an error.
        """
        chain = self._take(self._reads)
        _HEADER.pack_into(chain.readable(), 0, _GET_ID, 0, 0)
        chain.fit([_HEADER.size], [_ID_BYTES, 1])
        data = self.finish(self._begin(chain, self._reads, keep=True))
        return data.split(b"\0", 1)[0].decode("ascii", "replace")


def _check_sectors(size: int) -> None:
    if size < 1 or size % SECTOR:
        raise ValueError(f"a block request has whole sectors of {SECTOR} bytes, not {size} bytes")
