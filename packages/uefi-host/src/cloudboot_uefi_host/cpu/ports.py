"""The devices at the I/O ports of a PC that boot loaders reach for without a service call.

They are those of QEMU's q35: a serial port, the interval timer, the real-time clock, the ACPI timer, and a PCI bus with
a host bridge. No device raises interrupts. Every timer shows virtual time, and reading one lets time pass.
"""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from .processor import CounterSource

COM1: Final = 0x3F8
ACPI_EVENT, ACPI_CONTROL, ACPI_TIMER = 0x600, 0x604, 0x608
"""PM1a_EVT_BLK, PM1a_CNT_BLK and PM_TMR_BLK of the FADT."""
ACPI_TIMER_FREQUENCY: Final = 3_579_545
_TIMER_FREQUENCY: Final = 1_193_182
_MAX_SERIAL: Final = 1 << 20
_TRANSMITTER_EMPTY, _DATA_READY = 0x60, 0x01
_LATCH_DIVISOR, _LOOP, _FIFO = 0x80, 0x10, 0x01
_CARRIER_READY_CLEAR: Final = 0xB0
"""DCD, DSR and CTS of the modem status: somebody listens."""
_SCI_ENABLED: Final = 1
_HOST_BRIDGE: Final = {0x00: 0x29C08086, 0x08: 0x06000000, 0x2C: 0x11001AF4}
"""The 82G33/Q35 host bridge: identifier, class, subsystem."""


class SerialPort:
    """A 16550A that has sent each character as soon as it is written. ``sent`` is what programs wrote."""

    def __init__(self) -> None:
        self.sent = bytearray()
        self._registers = bytearray(8)
        self._divisor = bytearray((0x01, 0x00))
        self._looped = bytearray()

    def read(self, register: int) -> int:
        """The value of a register."""
        control = self._registers[3]
        if register < 2 and control & _LATCH_DIVISOR:
            return self._divisor[register]
        if register == 0:
            return self._looped.pop(0) if self._looped else 0
        if register == 2:  # IIR: no interrupt is pending
            return 0xC1 if self._registers[2] & _FIFO else 0x01
        if register == 5:
            return _TRANSMITTER_EMPTY | (_DATA_READY if self._looped else 0)
        if register == 6:
            return self._modem_status()
        return self._registers[register]

    def _modem_status(self) -> int:
        control = self._registers[4]
        if not control & _LOOP:
            return _CARRIER_READY_CLEAR
        # DTR, RTS, OUT1, OUT2 come back as DSR, CTS, RI, DCD.
        return (control & 1) << 5 | (control & 2) << 3 | (control & 4) << 4 | (control & 8) << 4

    def write(self, register: int, value: int) -> None:
        """Set a register."""
        if register < 2 and self._registers[3] & _LATCH_DIVISOR:
            self._divisor[register] = value
        elif register == 0 and self._registers[4] & _LOOP:
            self._looped = bytearray((value,))
        elif register == 0:
            if len(self.sent) < _MAX_SERIAL:
                self.sent.append(value)
        elif register not in {5, 6}:
            self._registers[register] = value & 0x1F if register == 4 else value


class _Channel:
    """A counter of the interval timer. ``start`` is the tick at which its count was loaded."""

    def __init__(self) -> None:
        self.mode, self.access, self.count, self.start = 3, 3, 0x10000, 0
        self._low: int | None = None
        self._latched: int | None = None
        self._high_next = False

    def program(self, mode: int, access: int) -> None:
        self.mode, self.access = (mode - 4 if mode > 5 else mode), access
        self._low, self._latched, self._high_next = None, None, False

    def load(self, value: int, tick: int) -> None:
        if self.access == 3 and self._low is None:
            self._low = value
            return
        count = {1: value, 2: value << 8, 3: value << 8 | (self._low or 0)}[self.access]
        self._low, self.count, self.start = None, count or 0x10000, tick

    def value(self, tick: int) -> int:
        passed = tick - self.start
        if self.mode in {2, 3}:
            step = 2 if self.mode == 3 else 1  # a square wave counts by two
            return (self.count - step * passed % self.count) & 0xFFFF
        return (self.count - passed) & 0xFFFF

    def latch(self, tick: int) -> None:
        if self._latched is None:
            self._latched = self.value(tick)

    def read(self, tick: int) -> int:
        value = self.value(tick) if self._latched is None else self._latched
        high = self.access == 2 or (self.access == 3 and self._high_next)
        if self.access == 3:
            self._high_next = not self._high_next
        if not self._high_next:
            self._latched = None
        return value >> 8 if high else value & 0xFF

    def output(self, tick: int) -> bool:
        """The OUT pin: in mode 0 high once the count is used up."""
        passed = tick - self.start
        if self.mode in {2, 3}:
            return passed % self.count < (self.count + 1) // 2
        return passed >= self.count


class Ports:
    """The ports of one machine. ``frequency`` is that of the counter, in Hz.

    ``serial`` is the first serial port; ``unknown`` is called with each port that no device answers at.
    """

    def __init__(self, counter: CounterSource, frequency: int) -> None:
        self._counter, self._frequency = counter, frequency
        self.serial = SerialPort()
        self.unknown: Callable[[int], None] = lambda _port: None
        self._channels = [_Channel(), _Channel(), _Channel()]
        self._gate = 0
        self._clock_index = 0
        self._acpi_event = bytearray(4)
        self._configuration = 0

    def _ticks(self, frequency: int) -> int:
        return self._counter.counter() * frequency // self._frequency

    # Ports

    def read(self, port: int, size: int) -> int:
        """What ``size`` bytes at ``port`` read; all ones where there is no device."""
        if 0xCF8 <= port < 0xD00:
            return self._read_configuration(port, size)
        if ACPI_TIMER <= port < ACPI_TIMER + 4:
            value = self._ticks(ACPI_TIMER_FREQUENCY) & 0xFFFFFFFF
            return value >> 8 * (port - ACPI_TIMER) & (1 << 8 * size) - 1
        value = 0
        for index in range(size):  # a wide access goes to neighbouring ports
            value |= self._read_byte(port + index) << 8 * index
        return value

    def _read_byte(self, port: int) -> int:
        if COM1 <= port < COM1 + 8:
            return self.serial.read(port - COM1)
        if 0x40 <= port <= 0x42:
            return self._channels[port - 0x40].read(self._ticks(_TIMER_FREQUENCY))
        if port == 0x61:
            return self._read_gate()
        if port == 0x71:
            return self._read_clock(self._clock_index)
        if ACPI_EVENT <= port < ACPI_TIMER:
            return bytes((*self._acpi_event, _SCI_ENABLED, 0, 0, 0))[port - ACPI_EVENT]
        fixed = {0x60: 0, 0x64: 0x14, 0x92: 0x02}.get(port)  # no key waits; address line 20 is on
        if fixed is None:
            self.unknown(port)
            return 0xFF
        return fixed

    def write(self, port: int, size: int, value: int) -> None:
        """Write ``size`` bytes at ``port``."""
        if port == 0xCF8 and size == 4:
            self._configuration = value
            return
        for index in range(size):
            self._write_byte(port + index, value >> 8 * index & 0xFF)

    def _write_byte(self, port: int, value: int) -> None:
        if COM1 <= port < COM1 + 8:
            self.serial.write(port - COM1, value)
        elif 0x40 <= port <= 0x42:
            self._channels[port - 0x40].load(value, self._ticks(_TIMER_FREQUENCY))
        elif port == 0x43:
            self._command(value)
        elif port == 0x61:
            if value & 1 and not self._gate & 1:  # the gate's rising edge starts the count
                self._channels[2].start = self._ticks(_TIMER_FREQUENCY)
            self._gate = value & 3
        elif port == 0x70:
            self._clock_index = value & 0x7F
        elif ACPI_EVENT <= port < ACPI_EVENT + 2:
            self._acpi_event[port - ACPI_EVENT] &= ~value & 0xFF  # the status is cleared by ones
        elif ACPI_EVENT + 2 <= port < ACPI_CONTROL:
            self._acpi_event[port - ACPI_EVENT] = value

    # Devices

    def _command(self, value: int) -> None:
        """The interval timer's control word."""
        channel, access, mode = value >> 6, value >> 4 & 3, value >> 1 & 7
        if channel == 3:  # read back
            for number, each in enumerate(self._channels):
                if value & 2 << number and not value & 0x20:
                    each.latch(self._ticks(_TIMER_FREQUENCY))
        elif access == 0:
            self._channels[channel].latch(self._ticks(_TIMER_FREQUENCY))
        else:
            self._channels[channel].program(mode, access)

    def _read_gate(self) -> int:
        tick = self._ticks(_TIMER_FREQUENCY)
        counts = self._gate & 1 or self._channels[2].mode not in {2, 3}
        output = counts and self._channels[2].output(tick)
        return self._gate | (tick // 18 & 1) << 4 | int(output) << 5  # bit 4 toggles with each refresh

    def _read_clock(self, register: int) -> int:
        """The real-time clock, in BCD and 24 hours; the battery is good and no update is in progress."""
        self._counter.counter()
        now = datetime.datetime.fromtimestamp(self._counter.wall_time(), datetime.UTC)
        shown = {
            0x00: now.second, 0x02: now.minute, 0x04: now.hour, 0x06: now.isoweekday() % 7 + 1,
            0x07: now.day, 0x08: now.month, 0x09: now.year % 100, 0x32: now.year // 100,
        }.get(register)  # fmt: skip
        if shown is not None:
            return shown // 10 << 4 | shown % 10
        return {0x0A: 0x26, 0x0B: 0x02, 0x0D: 0x80}.get(register, 0)

    def _read_configuration(self, port: int, size: int) -> int:
        ones = (1 << 8 * size) - 1
        if port < 0xCFC:
            return self._configuration >> 8 * (port - 0xCF8) & ones
        address = self._configuration
        if not address & 0x80000000 or address >> 8 & 0xFFFF:  # the bus has one device
            return ones
        value = _HOST_BRIDGE.get(address & 0xFC, 0)
        return value >> 8 * (port - 0xCFC) & ones
