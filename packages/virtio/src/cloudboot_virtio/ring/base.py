"""What split and packed rings have in common."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Final, Protocol

from cloudboot_base.lightdata import dataclass

if TYPE_CHECKING:
    from .chain import InFlight, Segment

#: Descriptors of one indirect table. A longer chain takes descriptors of the ring itself.
INDIRECT_ENTRIES: Final = 8
DESC_BYTES: Final = 16

# Ring indices are read and written through native 16-bit views, because only those accesses are single loads and
# stores.
if sys.byteorder != "little":
    raise ImportError("the rings of this package need a little-endian host")

_barrier = threading.Lock()


def full_barrier() -> None:
    """Order all memory accesses before this call ahead of those behind it.

    An event index is only sound with a store-load barrier between publishing and reading it (2.7.7.2). Python has no
    fence; taking an uncontended lock is an atomic read-modify-write, which is one on x86.
    """
    with _barrier:
        pass


@dataclass(frozen=True, slots=True)
class RingAddresses:
    """Guest addresses of the three areas of a ring (2.6): descriptors, driver area, device area."""

    descriptors: int
    driver: int
    device: int


class RingObserver(Protocol):
    """Sees what crosses a ring, before any of it is checked; the recorder is one."""

    def posted(self, identity: int, segments: tuple[Segment, ...]) -> None:
        """A chain was written to the ring under the id ``identity``."""

    def used(self, identity: int, length: int, pending: int) -> None:
        """The device's used entry, as it is in memory; ``pending`` is how far its index is ahead."""


class Ring(Protocol):
    """A ring as its driver sees it. Nothing that the device can write is used before it was checked.

    ``free`` is the number of free descriptors, ``in_flight`` of chains that were put and not taken, ``clamped`` of used
    entries that claimed more bytes than their chain has room for.
    """

    observer: RingObserver | None

    @property
    def size(self) -> int:
        """Descriptors."""

    @property
    def addresses(self) -> RingAddresses:
        """Where its areas are."""

    @property
    def free(self) -> int:
        """Free descriptors."""

    @property
    def clamped(self) -> int:
        """Used entries that claimed too many bytes."""

    @property
    def newest(self) -> int | None:
        """The id of the chain that was put last."""

    @property
    def in_flight(self) -> int:
        """Chains in the ring, unpublished ones included."""

    def put(self, segments: tuple[Segment, ...], ticket: InFlight, capacity: int) -> int | None:
        """Write a chain, invisible to the device until :meth:`publish`. ``None``: there is no room now."""

    def publish(self) -> bool:
        """Make visible what was put; whether the device wants to be notified."""

    def take(self) -> tuple[InFlight, int] | None:
        """The next chain that the device returned, with the bytes written into it; ``None``: there is none.

        Raises:
            DeviceBrokenError: the device wrote what it must not.
        """

    def tickets(self) -> list[InFlight]:
        """All chains in the ring, in the order in which they were put."""

    def descriptors_in_flight(self) -> list[list[int]]:
        """The descriptors of each chain in the ring; an invariant for tests: none twice, none free."""
