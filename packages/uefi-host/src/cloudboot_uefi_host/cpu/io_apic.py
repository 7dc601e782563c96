"""The I/O APIC of a PC, as far as programs look at it (Intel 82093AA). No device raises an interrupt at it."""

from __future__ import annotations

from typing import Final

IO_APIC: Final = 0xFEC00000
IO_APIC_SIZE: Final = 0x1000
_SELECT, _WINDOW = 0x00, 0x10
_ID, _VERSION, _ARBITRATION, _REDIRECTIONS = 0, 1, 2, 0x10
_ENTRIES: Final = 24
#: Version 0x20 with 24 entries, as QEMU's q35 has it.
_VERSION_VALUE: Final = (_ENTRIES - 1) << 16 | 0x20
_MASKED: Final = 0x10000
#: Delivery status and remote IRR, which a program cannot write.
_READ_ONLY: Final = 0x5000


class IoApic:
    """The registers of one I/O APIC: an index selects the one that the window shows."""

    def __init__(self) -> None:
        self._selected, self._id = 0, 0
        self._entries = [_MASKED, 0] * _ENTRIES

    def read(self, offset: int, size: int) -> int:
        """What ``size`` bytes at ``offset`` read."""
        value = {_SELECT: self._selected, _WINDOW: self._register()}.get(offset & ~3, 0)
        return value >> 8 * (offset & 3) & (1 << 8 * size) - 1

    def write(self, offset: int, value: int) -> None:
        """Select a register, or set the selected one."""
        if offset == _SELECT:
            self._selected = value & 0xFF
        elif offset == _WINDOW:
            self._set(value & 0xFFFFFFFF)

    def _register(self) -> int:
        entry = self._selected - _REDIRECTIONS
        if 0 <= entry < len(self._entries):
            return self._entries[entry]
        return {_ID: self._id, _VERSION: _VERSION_VALUE, _ARBITRATION: self._id}.get(self._selected, 0)

    def _set(self, value: int) -> None:
        entry = self._selected - _REDIRECTIONS
        if self._selected == _ID:
            self._id = value & 0x0F000000
        elif 0 <= entry < len(self._entries):
            self._entries[entry] = value if entry % 2 else value & ~_READ_ONLY
