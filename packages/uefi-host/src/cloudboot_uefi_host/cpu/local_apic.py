"""The local APIC of a PC's processor, as far as programs look at it (Intel SDM volume 3, chapter 11).

It is enabled and raises no interrupts. Its timer counts virtual time at the 1 GHz of QEMU's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .processor import CounterSource

LOCAL_APIC: Final = 0xFEE00000
LOCAL_APIC_SIZE: Final = 0x1000
_VERSION, _PROCESSOR_PRIORITY = 0x30, 0xA0
_COMMAND: Final = 0x300
_TIMER, _INITIAL_COUNT, _CURRENT_COUNT, _DIVIDE = 0x320, 0x380, 0x390, 0x3E0
_MASKED, _PERIODIC, _DELIVERY_PENDING = 0x10000, 0x20000, 0x1000
_TIMER_FREQUENCY: Final = 1_000_000_000
#: What the registers hold after the firmware: version 0x14 with six local vectors, enabled, every vector masked.
_INITIAL: Final = {_VERSION: 0x50014, 0xE0: 0xFFFFFFFF, 0xF0: 0x10F, 0x350: 0x700, 0x360: 0x400} | dict.fromkeys(
    (_TIMER, 0x330, 0x340, 0x370), _MASKED
)
_WRITABLE: Final = frozenset(
    {0x80, 0xD0, 0xE0, 0xF0, _COMMAND, 0x310, _TIMER, 0x330, 0x340, 0x350, 0x360, 0x370, _INITIAL_COUNT, _DIVIDE}
)


class LocalApic:
    """The registers of one local APIC. ``frequency`` is that of the counter, in Hz."""

    def __init__(self, counter: CounterSource, frequency: int) -> None:
        self._counter, self._frequency = counter, frequency
        self._registers = dict(_INITIAL)
        self._started = 0

    def read(self, offset: int, size: int) -> int:
        """What ``size`` bytes at ``offset`` read."""
        register = offset & ~15
        if offset & 15 >= 4:
            return 0
        if register == _CURRENT_COUNT:
            value = self._current_count()
        else:
            value = self._registers.get(0x80 if register == _PROCESSOR_PRIORITY else register, 0)
        return value >> 8 * (offset & 3) & (1 << 8 * size) - 1

    def write(self, offset: int, value: int) -> None:
        """Set a register; those that can only be read stay as they are."""
        if offset not in _WRITABLE:
            return
        if offset == _INITIAL_COUNT:
            self._started = self._ticks()
        if offset == _COMMAND:
            value &= ~_DELIVERY_PENDING  # sent as soon as it is written
        self._registers[offset] = value & 0xFFFFFFFF

    def _ticks(self) -> int:
        return self._counter.counter() * _TIMER_FREQUENCY // self._frequency

    def _current_count(self) -> int:
        initial = self._registers.get(_INITIAL_COUNT, 0)
        if not initial:
            return 0
        divide = self._registers.get(_DIVIDE, 0)
        shift = (divide & 3 | divide >> 1 & 4) + 1 & 7  # 2, 4, ... 128, 1
        passed = self._ticks() - self._started >> shift
        if self._registers[_TIMER] & _PERIODIC:
            return initial - passed % initial
        return max(0, initial - passed)
