"""A virtqueue: a ring and its doorbell. A chain belongs to the device until its used entry or a reset."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

from cloudboot_virtio.errors import CompletionTimeoutError, DeviceBrokenError, OwnershipError, RingFullError

from .chain import Completion, hand_back, hand_over

if TYPE_CHECKING:
    from collections.abc import Callable

    from .base import Ring
    from .chain import Chain, InFlight

_SPINS = 200  # polls before a waiting queue sleeps
_NAP = 50e-6  # seconds


class ResetWitness(Protocol):
    """Can tell whether the device no longer uses a queue; the transport, which asks the device."""

    def let_go(self, index: int) -> bool:
        """Whether the device itself reports that queue ``index`` is reset."""


class QueueObserver(Protocol):
    """Sees the life of a queue's chains; the recorder is one."""

    def submitted(self, identity: int, chain: Chain) -> None:
        """The chain is in the ring; its memory holds what the device will read."""

    def completed(self, ticket: InFlight, chain: Chain, written: int) -> None:
        """The chain came back."""

    def kicked(self, *, notified: bool) -> None:
        """What was submitted became visible; ``notified``: the doorbell was rung."""

    def broke(self, error: DeviceBrokenError) -> None:
        """The device wrote what it must not."""

    def timed_out(self, seconds: float) -> None:
        """A wait ended without a completion."""

    def was_reset(self) -> None:
        """The device no longer uses the queue."""


class Virtqueue:
    """One queue of a device. Not for several threads at once.

    ``submitted``, ``completed`` and ``notifications`` count since the queue was made.
    """

    def __init__(
        self, index: int, ring: Ring, notify: Callable[[], None], idle: Callable[[], None] | None = None
    ) -> None:
        """Use ``ring``. ``notify`` rings the doorbell; ``idle`` is called while a wait finds nothing.

        ``idle`` raises to end a wait that cannot succeed: the device needs a reset, the machine is gone.
        """
        self.index = index
        self.ring = ring
        self._notify = notify
        self._idle = idle
        self._broken: DeviceBrokenError | None = None
        self.observer: QueueObserver | None = None
        self.submitted = self.completed = self.notifications = 0

    @property
    def size(self) -> int:
        """Descriptors of the ring."""
        return self.ring.size

    @property
    def in_flight(self) -> int:
        """Chains that belong to the device, or will with the next :meth:`kick`."""
        return self.ring.in_flight

    def try_submit(self, chain: Chain) -> InFlight | None:
        """Give a chain to the device; it sees the chain after the next :meth:`kick`. ``None``: the ring is full.

        Raises:
            OwnershipError: the device owns the chain already.
            ValueError: the chain is longer than the ring, so it can never fit.
            DeviceBrokenError: the device broke this queue before.
        """
        if self._broken is not None:
            raise self._broken
        ticket = hand_over(chain)
        identity = self.ring.put(chain.segments, ticket, chain.capacity)
        if identity is None:
            hand_back(ticket)
            if not self.ring.in_flight:
                raise ValueError(f"a chain of {len(chain.segments)} never fits into {self.ring.size} descriptors")
            return None
        self.submitted += 1
        if self.observer is not None:
            hand_back(ticket)  # the observer reads what the device will read, before the device can see the chain
            self.observer.submitted(identity, chain)
            chain._in_flight = ticket  # noqa: SLF001 -- ownership goes on
            ticket.done = False
        return ticket

    def submit(self, chain: Chain) -> InFlight:
        """:meth:`try_submit`, for callers that know there is room.

        Raises:
            RingFullError: there is no room.
        """
        ticket = self.try_submit(chain)
        if ticket is None:
            raise RingFullError(f"queue {self.index} has {self.ring.free} of {self.ring.size} descriptors free")
        return ticket

    def ring_doorbell(self) -> None:
        """Notify the device, wanted or not."""
        self.notifications += 1
        self._notify()

    def kick(self) -> bool:
        """Make visible what was submitted, and ring the doorbell if the device wants that; whether it was rung."""
        wanted = self.ring.publish()
        if self.observer is not None:
            self.observer.kicked(notified=wanted)
        if wanted:
            self.ring_doorbell()
        return wanted

    def poll(self) -> Completion | None:
        """The next chain that the device returned, or ``None``.

        Raises:
            DeviceBrokenError: the device wrote what it must not; from then on only a reset helps.
        """
        if self._broken is not None:
            raise self._broken
        try:
            taken = self.ring.take()
        except DeviceBrokenError as error:
            error.where["queue"] = self.index
            self._broken = error
            if self.observer is not None:
                self.observer.broke(error)
            raise
        if taken is None:
            return None
        ticket, written = taken
        chain = hand_back(ticket)
        self.completed += 1
        if self.observer is not None:
            self.observer.completed(ticket, chain, written)
        return Completion(chain, ticket, written)

    def check(self) -> None:
        """Raise if waiting has no point: for waits over several queues, which call :meth:`poll` themselves.

        Raises:
            NeedsResetError: the device asks for a reset.
        """
        if self._idle is not None:
            self._idle()

    def wait(self, timeout: float = 5.0) -> Completion:
        """The next chain that the device returns; ``timeout`` is in seconds.

        Raises:
            CompletionTimeoutError: none came. All chains still belong to the device, and waiting again is fine.
            DeviceBrokenError: the device wrote what it must not.
        """
        found = self.poll()
        if found is not None:
            return found
        deadline = time.monotonic() + timeout
        spins = 0
        while True:
            self.check()
            found = self.poll()
            if found is not None:
                return found
            spins += 1
            if spins > _SPINS:
                time.sleep(_NAP)
            if time.monotonic() > deadline:
                if self.observer is not None:
                    self.observer.timed_out(timeout)
                raise CompletionTimeoutError(
                    f"queue {self.index} returned nothing", seconds=timeout, in_flight=self.in_flight
                )

    def take_back(self, witness: ResetWitness, ring: Ring) -> list[Chain]:
        """After a reset: all chains come back to the driver, and ``ring`` takes the old one's place.

        Raises:
            OwnershipError: the device does not confirm the reset.
        """
        if not witness.let_go(self.index):
            raise OwnershipError(f"the device has not let go of queue {self.index}")
        chains = [hand_back(ticket) for ticket in self.ring.tickets()]
        ring.observer = self.ring.observer
        self.ring = ring
        self._broken = None
        if self.observer is not None:
            self.observer.was_reset()
        return chains
