"""Base address registers: how large, and where (PCI Local Bus 3.0, 6.2.5.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cloudboot_base.lightdata import dataclass
from cloudboot_virtio.errors import TransportError

if TYPE_CHECKING:
    from .config import ConfigSpace

_COMMAND: Final = 0x04
_MEMORY_AND_MASTER: Final = 0b110
_FIRST_BAR: Final = 0x10
_BARS: Final = 6
_ALL_ONES: Final = 0xFFFF_FFFF


@dataclass(frozen=True, slots=True)
class Bar:
    """A memory BAR: where it was placed, and its size in bytes. ``address`` is ``None`` where it found no room."""

    address: int | None
    size: int


class Window:
    """Addresses that BARs are placed in, each aligned to its size."""

    def __init__(self, addresses: range) -> None:
        self._next = addresses.start
        self._end = addresses.stop

    def place(self, size: int) -> int | None:
        """An address for ``size`` bytes; ``None`` if the window has no room for them."""
        address = (self._next + size - 1) & -size
        if address + size > self._end:
            return None
        self._next = address + size
        return address


def place_bars(config: ConfigSpace, function: int, window: Window) -> dict[int, Bar]:
    """Size the memory BARs of a function, place them, and enable memory accesses and bus mastering.

    I/O BARs stay unplaced: modern virtio-pci needs none. A BAR that the window has no room for, such as the memory of
    a gpu's blob resources, keeps the highest address it can have, at which it decodes nothing.

    Raises:
        TransportError: a BAR reports an impossible size.
    """
    config.write(function, _COMMAND, 2, 0)
    bars: dict[int, Bar] = {}
    index = 0
    while index < _BARS:
        offset = _FIRST_BAR + 4 * index
        config.write(function, offset, 4, _ALL_ONES)
        low = config.read(function, offset, 4)
        if low == 0 or low & 1:
            if low:
                config.write(function, offset, 4, 0)
            index += 1  # where there is no BAR, the register is 0 whatever is written
            continue
        is_64_bit = low & 0b110 == 0b100
        mask = low & ~0xF
        if is_64_bit:
            if index + 1 == _BARS:
                raise TransportError(f"BAR {index} of function {function:#x} is 64 bits wide and the last")
            config.write(function, offset + 4, 4, _ALL_ONES)
            mask |= config.read(function, offset + 4, 4) << 32
        size = -mask & ((1 << 64) - 1 if is_64_bit else _ALL_ONES)
        if size == 0 or size & (size - 1):
            raise TransportError(f"BAR {index} of function {function:#x} reports a size of {size:#x} bytes")
        address = window.place(size)
        if address is not None:
            if is_64_bit:
                config.write(function, offset + 4, 4, address >> 32)
            config.write(function, offset, 4, address & _ALL_ONES)
        bars[index] = Bar(address, size)
        index += 2 if is_64_bit else 1
    config.write(function, _COMMAND, 2, _MEMORY_AND_MASTER)
    return bars
