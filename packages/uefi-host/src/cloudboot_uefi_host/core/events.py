"""Events, timers and task priority levels on virtual time (UEFI 2.10 section 7.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cloudboot_uefi_abi.guids import GUIDS
from cloudboot_uefi_abi.status import Status

from .memory_map import MemoryType

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloudboot_uefi_host.machine import Machine

    from .clock import Clock
    from .pool import Pool

TPL_APPLICATION, TPL_CALLBACK, TPL_NOTIFY, TPL_HIGH_LEVEL = 4, 8, 16, 31
EVT_TIMER: Final = 0x80000000
EVT_RUNTIME: Final = 0x40000000
EVT_NOTIFY_WAIT: Final = 0x00000100
EVT_NOTIFY_SIGNAL: Final = 0x00000200
EVT_SIGNAL_EXIT_BOOT_SERVICES: Final = 0x00000201
EVT_SIGNAL_VIRTUAL_ADDRESS_CHANGE: Final = 0x60000202
_KNOWN_TYPES = EVT_TIMER | EVT_RUNTIME | EVT_NOTIFY_WAIT | EVT_NOTIFY_SIGNAL
_GROUP_OF_TYPE = {
    EVT_SIGNAL_EXIT_BOOT_SERVICES: GUIDS["EFI_EVENT_GROUP_EXIT_BOOT_SERVICES"].bytes_le,
    EVT_SIGNAL_VIRTUAL_ADDRESS_CHANGE: GUIDS["EFI_EVENT_GROUP_VIRTUAL_ADDRESS_CHANGE"].bytes_le,
}
TICK: Final = 100_000
"""The timer interrupt's period in units of 100 ns: what a periodic timer of 0 gets."""
_IDLE_STEP: Final = 100_000


@dataclass(slots=True, eq=False)
class Event:
    """One event. ``notify`` is a function of a program, or of Python; ``due`` and ``period`` are in units of 100 ns."""

    address: int
    type: int
    tpl: int
    notify: int | Callable[[Event], None] | None
    context: int
    group: bytes | None
    signaled: bool = False
    queued: bool = False
    due: int | None = None
    period: int = 0


class Events:
    """The events of one machine, its task priority level, and the queue of notifications.

    ``on_wait`` runs whenever a program waits and nothing happened.
    """

    def __init__(self, machine: Machine, clock: Clock, pool: Pool) -> None:
        self._machine, self._clock, self._pool = machine, clock, pool
        self._events: dict[int, Event] = {}
        self._timers: list[Event] = []
        self._pending: list[Event] = []
        self.tpl = TPL_APPLICATION
        self.on_wait: Callable[[], None] = lambda: None

    # The firmware's side

    def create(
        self,
        kind: int,
        tpl: int = TPL_CALLBACK,
        notify: int | Callable[[Event], None] | None = None,
        context: int = 0,
        group: bytes | None = None,
    ) -> Event:
        """A new event, without the checks of CreateEvent.

        Raises:
            MemoryError: the pool is used up.
        """
        address = self._pool.allocate(MemoryType.BOOT_SERVICES_DATA, 16)
        if address is None:
            raise MemoryError("no memory for an event")
        event = self._events[address] = Event(address, kind, tpl, notify, context, group)
        return event

    def get(self, address: int) -> Event | None:
        """The event at ``address``."""
        return self._events.get(address)

    def signal(self, event: Event) -> None:
        """Signal an event, and queue its notification."""
        if event.signaled:
            return
        event.signaled = True
        if event.type & EVT_NOTIFY_SIGNAL:
            self._queue(event)

    def signal_group(self, group: bytes) -> None:
        """Signal every event of a group."""
        for event in list(self._events.values()):
            if event.group == group:
                self.signal(event)

    def set_timer(self, event: Event, due: int | None, period: int = 0) -> None:
        """Arm a timer for the moment ``due``, or cancel it with ``None``."""
        if event in self._timers:
            self._timers.remove(event)
        event.due, event.period = due, period
        if due is not None:
            self._timers.append(event)
            self._machine.sliced = self._machine.sliced or bool(event.notify)

    def stop_timers(self) -> None:
        """Cancel every timer: the operating system has the timer's interrupt from now on."""
        for event in list(self._timers):
            self.set_timer(event, None)

    def next_due(self) -> int | None:
        """When the next timer expires."""
        return min((event.due for event in self._timers if event.due is not None), default=None)

    def poll(self) -> None:
        """Signal the timers that are due, then run what the task priority level allows."""
        if self._timers:
            self._check_timers()
        if self._pending:
            self.dispatch()

    def _check_timers(self) -> None:
        for event in list(self._timers):
            if event.due is not None and event.due <= self._clock.now:
                if event.period:
                    event.due = self._clock.now + event.period
                else:
                    self.set_timer(event, None)
                self.signal(event)

    def _queue(self, event: Event) -> None:
        if not event.queued:
            event.queued = True
            self._pending.append(event)

    def dispatch(self) -> None:
        """Run the queued notifications above the current level: the highest first, equal ones in order."""
        while True:
            ready = [event for event in self._pending if event.tpl > self.tpl]
            if not ready:
                return
            event = max(ready, key=lambda each: each.tpl)
            self._pending.remove(event)
            event.queued = False
            before, self.tpl = self.tpl, event.tpl
            if event.type & EVT_NOTIFY_SIGNAL:
                event.signaled = False
            try:
                if callable(event.notify):
                    event.notify(event)
                elif event.notify:
                    self._machine.call(event.notify, event.address, event.context)
            finally:
                self.tpl = before

    # Services

    def raise_tpl(self, new: int) -> int:
        """RaiseTPL."""
        old, self.tpl = self.tpl, new
        if old < TPL_HIGH_LEVEL <= new:
            self._machine.mask_interrupts(masked=True)
        return old

    def restore_tpl(self, old: int) -> None:
        """RestoreTPL."""
        if old < TPL_HIGH_LEVEL <= self.tpl:
            self._machine.mask_interrupts(masked=False)
        self.tpl = old
        self.dispatch()

    def halt(self) -> None:
        """A program waits for an interrupt: time passes until the timer's, or until a timer that expires earlier."""
        due = self.next_due()
        tick = self._clock.now + TICK
        self._clock.advance_to(tick if due is None else min(tick, max(due, self._clock.now + 1)))
        self.poll()

    def create_event(self, kind: int, tpl: int, notify: int, context: int, out: int) -> int:
        """CreateEvent."""
        return self._create(kind, tpl, notify, context, _GROUP_OF_TYPE.get(kind), out)

    def create_event_ex(self, kind: int, tpl: int, notify: int, context: int, group: int, out: int) -> int:
        """CreateEventEx."""
        if not group:
            return self.create_event(kind, tpl, notify, context, out)
        if kind in _GROUP_OF_TYPE:
            return Status.INVALID_PARAMETER
        return self._create(kind, tpl, notify, context, self._machine.memory.read(group, 16), out)

    def _create(self, kind: int, tpl: int, notify: int, context: int, group: bytes | None, out: int) -> int:
        if not out or (kind & ~_KNOWN_TYPES and kind not in _GROUP_OF_TYPE):
            return Status.INVALID_PARAMETER
        notifies = kind & (EVT_NOTIFY_SIGNAL | EVT_NOTIFY_WAIT)
        if notifies == EVT_NOTIFY_SIGNAL | EVT_NOTIFY_WAIT:
            return Status.INVALID_PARAMETER
        if notifies and (not notify or not TPL_APPLICATION < tpl < TPL_HIGH_LEVEL):
            return Status.INVALID_PARAMETER
        try:
            event = self.create(kind, tpl, notify if notifies else None, context, group)
        except MemoryError:
            return Status.OUT_OF_RESOURCES
        self._machine.memory.put64(out, event.address)
        return Status.SUCCESS

    def close_event(self, address: int) -> int:
        """CloseEvent."""
        event = self._events.pop(address, None)
        if event is None:
            return Status.INVALID_PARAMETER
        self.set_timer(event, None)
        if event in self._pending:
            self._pending.remove(event)
        self._pool.free(address)
        return Status.SUCCESS

    def timer(self, address: int, kind: int, trigger: int) -> int:
        """SetTimer: ``kind`` is TimerCancel, TimerPeriodic or TimerRelative."""
        event = self._events.get(address)
        if event is None or not event.type & EVT_TIMER or kind > 2:
            return Status.INVALID_PARAMETER
        if kind == 0:
            self.set_timer(event, None)
        elif kind == 1:
            period = trigger or TICK
            self.set_timer(event, self._clock.now + period, period)
        else:
            self.set_timer(event, self._clock.now + trigger)
        return Status.SUCCESS

    def signal_event(self, address: int) -> int:
        """SignalEvent."""
        event = self._events.get(address)
        if event is None:
            return Status.INVALID_PARAMETER
        if event.group is not None:
            self.signal_group(event.group)
        else:
            self.signal(event)
        self.dispatch()
        return Status.SUCCESS

    def check_event(self, address: int) -> int:
        """CheckEvent."""
        event = self._events.get(address)
        if event is None or event.type & EVT_NOTIFY_SIGNAL:
            return Status.INVALID_PARAMETER
        if not event.signaled and event.type & EVT_NOTIFY_WAIT:
            self._queue(event)
            self.dispatch()
        if not event.signaled:
            return Status.NOT_READY
        event.signaled = False
        return Status.SUCCESS

    def wait_for_event(self, count: int, array: int, index: int) -> int:
        """WaitForEvent: time passes until one of the events is signalled."""
        memory = self._machine.memory
        if self.tpl != TPL_APPLICATION:
            return Status.UNSUPPORTED
        if count == 0 or not array:
            return Status.INVALID_PARAMETER
        while True:
            for position in range(count):
                status = self.check_event(memory.u64(array + 8 * position))
                if status != Status.NOT_READY:
                    memory.put64(index, position)
                    return status
            due = self.next_due()
            self._clock.advance_to(self._clock.now + _IDLE_STEP if due is None else max(due, self._clock.now + 1))
            self.poll()
            self.on_wait()

    def stall(self, microseconds: int) -> int:
        """Stall: time passes, and timers that expire meanwhile notify if the level allows."""
        end = self._clock.now + 10 * microseconds
        while self.tpl < TPL_NOTIFY:
            due = self.next_due()
            if due is None or due > end:
                break
            self._clock.advance_to(due)
            self.poll()
        self._clock.advance_to(end)
        return Status.SUCCESS
