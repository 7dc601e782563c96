"""Runtime services at virtual addresses: SetVirtualAddressMap and ConvertPointer (UEFI 2.10 section 8.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cloudboot_uefi_abi.guids import GUIDS
from cloudboot_uefi_abi.layout.records import EFI_MEMORY_DESCRIPTOR
from cloudboot_uefi_abi.status import Status

from .memory_map import EFI_MEMORY_RUNTIME, PAGE

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloudboot_uefi_host.memory import GuestMemory

    from .events import Events

_OPTIONAL_POINTER: Final = 0x1
_VERSION: Final = 1


class VirtualMode:
    """The change to virtual addresses, which happens once.

    The tables are converted as the caller asks. Python's functions themselves answer at their physical addresses alone:
    an operating system that maps them one to one calls them as before. ``exited`` says that boot services are over,
    ``convert_tables`` is called while pointers can be converted.
    """

    def __init__(self, memory: GuestMemory, events: Events) -> None:
        self._memory, self._events = memory, events
        self._regions: list[EFI_MEMORY_DESCRIPTOR] = []
        self._changed = False
        self.exited = False
        self.convert_tables: Callable[[], None] = lambda: None

    def set_virtual_address_map(self, size: int, stride: int, version: int, array: int) -> int:
        """SetVirtualAddressMap: once, after ExitBootServices."""
        if not self.exited or self._changed:
            return Status.UNSUPPORTED
        if version != _VERSION or stride < EFI_MEMORY_DESCRIPTOR.SIZE or not array:
            return Status.INVALID_PARAMETER
        given = [
            EFI_MEMORY_DESCRIPTOR.unpack_from(self._memory.read(array + at, EFI_MEMORY_DESCRIPTOR.SIZE))
            for at in range(0, size - size % stride, stride)
        ]
        self._changed = True
        self._regions = [each for each in given if each.Attribute & EFI_MEMORY_RUNTIME]
        self._events.signal_group(GUIDS["EFI_EVENT_GROUP_VIRTUAL_ADDRESS_CHANGE"].bytes_le)
        self._events.dispatch()
        self.convert_tables()
        self._regions = []
        return Status.SUCCESS

    def convert(self, address: int) -> int | None:
        """The virtual address of a physical one; ``None`` where the new map does not have it."""
        for each in self._regions:
            offset = address - each.PhysicalStart
            if 0 <= offset < each.NumberOfPages * PAGE:
                return each.VirtualStart + offset
        return None

    def convert_pointer(self, disposition: int, pointer: int) -> int:
        """ConvertPointer: to be called while SetVirtualAddressMap notifies; the new map is empty at other times."""
        if not pointer:
            return Status.INVALID_PARAMETER
        address = self._memory.u64(pointer)
        if not address:
            return Status.SUCCESS if disposition & _OPTIONAL_POINTER else Status.INVALID_PARAMETER
        converted = self.convert(address)
        if converted is None:
            return Status.NOT_FOUND
        self._memory.put64(pointer, converted)
        return Status.SUCCESS
