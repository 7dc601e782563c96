"""Descriptor chains and who owns them.

A chain is in one of two hands. :class:`Chain` is memory that the driver owns: it can be read, written, submitted or
freed. :meth:`.Virtqueue.submit` hands it to the device and returns :class:`InFlight`, which offers none of that. A
chain
returns to the driver in two ways only: as a :class:`Completion`, which the queue makes of a used entry, or after a
reset that the device confirmed. A timeout is neither.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cloudboot_virtio.errors import OwnershipError
from cloudboot_virtio.layout.constants import DESC_WRITE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloudboot_virtio.memory import Region

Segment = tuple[int, int, int]
"""Guest address, length in bytes, and ``DESC_WRITE`` where the device writes."""

_DRIVER: Final = None


class Chain:
    """The memory of one request: what the device reads, then what it writes."""

    __slots__ = ("_in_flight", "_readable", "_writable", "capacity", "segments", "token")

    def __init__(self, readable: Sequence[Region], writable: Sequence[Region], token: object = None) -> None:
        """Take over the regions; ``token`` is the driver's own and comes back with the chain.

        Raises:
            ValueError: there is no region, or an empty one.
        """
        self._readable = tuple(readable)
        self._writable = tuple(writable)
        self.token = token
        self._in_flight: InFlight | None = _DRIVER
        self.segments: tuple[Segment, ...] = ()
        self.capacity = 0
        self.fit([region.size for region in self._readable], [region.size for region in self._writable])

    def fit(self, readable: Sequence[int], writable: Sequence[int]) -> None:
        """Use only so many bytes of each region; a region of 0 bytes is left out.

        Raises:
            ValueError: nothing is left, or more than a region holds.
            OwnershipError: the chain belongs to the device.
        """
        self._check_owned("resized")
        segments = []
        for regions, sizes, flags in ((self._readable, readable, 0), (self._writable, writable, DESC_WRITE)):
            for region, size in zip(regions, sizes, strict=True):
                if not 0 <= size <= len(region.view):
                    raise ValueError(f"{size} bytes of a region of {region.size}")
                if size:
                    segments.append((region.address, size, flags))
        if not segments:
            raise ValueError("a chain has at least one byte")
        self.segments = tuple(segments)
        self.capacity = sum(writable)

    @property
    def belongs_to_device(self) -> bool:
        """Whether the device may read and write the memory now."""
        return self._in_flight is not _DRIVER

    def readable(self, index: int = 0) -> memoryview:
        """The memory of a region that the device reads.

        Raises:
            OwnershipError: the chain belongs to the device.
        """
        if self._in_flight is not _DRIVER:
            self._check_owned("written")
        return self._readable[index].view

    def writable(self, index: int = 0) -> memoryview:
        """The memory of a region that the device writes.

        Raises:
            OwnershipError: the chain belongs to the device.
        """
        if self._in_flight is not _DRIVER:
            self._check_owned("read")
        return self._writable[index].view

    def read_bytes(self) -> bytes:
        """What the device will read: the readable regions as far as :meth:`fit` uses them.

        Raises:
            OwnershipError: the chain belongs to the device.
        """
        self._check_owned("read")
        return self._joined(self._readable, writable=False)

    def written_bytes(self, count: int) -> bytes:
        """The first ``count`` bytes of what the device may write.

        Raises:
            OwnershipError: the chain belongs to the device.
        """
        self._check_owned("read")
        return self._joined(self._writable, writable=True)[:count]

    def _joined(self, regions: Sequence[Region], *, writable: bool) -> bytes:
        sizes = {address: size for address, size, flags in self.segments if bool(flags & DESC_WRITE) == writable}
        return b"".join(bytes(region.view[: sizes.get(region.address, 0)]) for region in regions)

    def _check_owned(self, verb: str) -> None:
        if self._in_flight is not _DRIVER:
            raise OwnershipError(f"the chain belongs to the device and cannot be {verb}")


class InFlight:
    """A chain that belongs to the device. It has no memory to look at and no way to take it back."""

    __slots__ = ("_chain", "done")

    def __init__(self, chain: Chain) -> None:
        self._chain = chain
        self.done = False
        """Whether the chain has come back: as a completion, or after a reset."""


class Completion:
    """A chain that the device returned.

    ``written`` is the number of bytes the device says it wrote, at most the chain's capacity.
    """

    __slots__ = ("chain", "ticket", "written")

    def __init__(self, chain: Chain, ticket: InFlight, written: int) -> None:
        self.chain = chain
        self.ticket = ticket
        self.written = written


def hand_over(chain: Chain) -> InFlight:
    """Make the device the owner; only a virtqueue calls this.

    Raises:
        OwnershipError: the device owns the chain already.
    """
    if chain._in_flight is not _DRIVER:  # noqa: SLF001 -- this module is the one place that changes hands
        raise OwnershipError("the chain belongs to the device and cannot be submitted")
    ticket = InFlight(chain)
    chain._in_flight = ticket  # noqa: SLF001 -- as above
    return ticket


def hand_back(ticket: InFlight) -> Chain:
    """Make the driver the owner again; only a virtqueue calls this, for a used entry or after a confirmed reset."""
    chain = ticket._chain  # noqa: SLF001 -- as above
    chain._in_flight = _DRIVER  # noqa: SLF001 -- as above
    ticket.done = True
    return chain
