"""A chain as the device sees it, and the checks on what the driver wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from cloudboot_base.lightdata import dataclass
from cloudboot_virtio.errors import DriverBrokenError
from cloudboot_virtio.layout.constants import DESC_INDIRECT, DESC_WRITE

if TYPE_CHECKING:
    from collections.abc import Sequence


class GuestMemory(Protocol):
    """The memory that descriptors point into."""

    def at(self, address: int, size: int) -> memoryview:
        """The ``size`` bytes at a guest address; raises :class:`ValueError` where there is no memory."""


@dataclass(slots=True, eq=False)
class DeviceChain:
    """One request. ``identity`` is the head of a split ring or the buffer id of a packed one.

    ``descriptors`` is how many places of the ring the chain takes.
    """

    identity: int
    readable: list[memoryview]
    writable: list[memoryview]
    descriptors: int = 1

    def read(self) -> bytes:
        """All bytes that the driver wrote for the device."""
        return b"".join(self.readable)

    @property
    def capacity(self) -> int:
        """Bytes that the device may write."""
        return sum(len(view) for view in self.writable)

    def write(self, data: bytes, offset: int = 0) -> int:
        """Write ``data`` behind the first ``offset`` writable bytes; how many bytes found room."""
        written = 0
        for view in self.writable:
            if offset >= len(view):
                offset -= len(view)
                continue
            part = data[written : written + len(view) - offset]
            view[offset : offset + len(part)] = part
            written += len(part)
            offset = 0
        return written


def chain_of(
    memory: GuestMemory, identity: int, entries: Sequence[tuple[int, int, int]], descriptors: int, structure: str
) -> DeviceChain:
    """The chain of ``(address, length, flags)`` entries.

    Raises:
        DriverBrokenError: an entry is outside of the memory, or a readable one follows a writable one (2.7.4.2), or an
            indirect table contains another.
    """
    readable: list[memoryview] = []
    writable: list[memoryview] = []
    for address, length, flags in entries:
        try:
            view = memory.at(address, length)
        except ValueError as error:
            raise DriverBrokenError(str(error), structure=structure, field="addr", actual=address) from None
        if flags & DESC_INDIRECT:
            raise DriverBrokenError(
                "an indirect table refers to another", structure=structure, field="flags", actual=flags
            )
        if flags & DESC_WRITE:
            writable.append(view)
        elif writable:
            raise DriverBrokenError(
                "a readable descriptor follows a writable one", structure=structure, field="flags", actual=flags
            )
        else:
            readable.append(view)
    return DeviceChain(identity, readable, writable, descriptors)
