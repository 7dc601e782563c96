"""Boot services of a firmware in a machine, called from Python (UEFI 2.10 chapter 7)."""

from __future__ import annotations

import struct
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from cloudboot_uefi_abi.constants import OpenProtocolAttribute
from cloudboot_uefi_abi.layout.records import EFI_OPEN_PROTOCOL_INFORMATION_ENTRY
from cloudboot_uefi_abi.status import Status, is_error
from cloudboot_uefi_abi.tables import EFI_BOOT_SERVICES, EFI_SYSTEM_TABLE
from cloudboot_uefi_host.core.allocator import Allocator
from cloudboot_uefi_host.core.memory_map import PAGE, MemoryMap, MemoryType
from cloudboot_uefi_host.errors import HostError, ServiceError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cloudboot_uefi_host.machine import Machine

_BY_PROTOCOL: Final = 2
_NATIVE_INTERFACE: Final = 0
_ANY_PAGES: Final = 0


class LiveAllocator(Allocator):
    """Memory for what Python publishes: the agent's, and for large buffers pages of the firmware."""

    services: BootServices | None = None

    @contextmanager
    def buffer(self, size: int) -> Iterator[int]:
        """The address of ``size`` bytes until the block ends.

        Raises:
            HostError: memory is used up.
        """
        if self.services is None:
            raise HostError("the firmware's services are not reached yet")
        pages = -(-size // PAGE)
        with self.services.cells(1) as cell:
            status = self.services.call("AllocatePages", _ANY_PAGES, MemoryType.BOOT_SERVICES_DATA, pages, cell)
            address = self.memory.u64(cell)
        if is_error(status):
            raise HostError("the machine's memory is used up", hint="give the machine more memory")
        try:
            yield address
        finally:
            self.services.call("FreePages", address, pages)


def arena(machine: Machine, start: int, size: int) -> LiveAllocator:
    """An allocator of the memory that the agent took, the machine's table of traps placed in it."""
    free = MemoryMap()
    free.add(start, size, MemoryType.CONVENTIONAL)
    return LiveAllocator(machine.memory, free)


class BootServices:
    """The boot services table of a system table."""

    def __init__(self, machine: Machine, allocator: LiveAllocator, system_table: int) -> None:
        self._machine, self.memory, self._allocator = machine, machine.memory, allocator
        self.table = self.memory.u64(system_table + EFI_SYSTEM_TABLE.offset("BootServices"))
        self._guids: dict[bytes, int] = {}
        allocator.services = self

    def address(self, name: str) -> int:
        """Where a service's code is."""
        return self.memory.u64(self.table + EFI_BOOT_SERVICES.offset(name))

    def call(self, name: str, *arguments: int) -> int:
        """Call a service; its status."""
        return self._machine.call(self.address(name), *arguments)

    @contextmanager
    def cells(self, count: int) -> Iterator[int]:
        """The address of ``count`` zeroed 64-bit cells until the block ends."""
        address = self._allocator.place(bytes(8 * count))
        try:
            yield address
        finally:
            self._allocator.pool.free(address)

    def guid(self, protocol: bytes) -> int:
        """The address of a protocol's GUID."""
        if protocol not in self._guids:
            self._guids[protocol] = self._allocator.place(protocol)
        return self._guids[protocol]

    def array(self, name: str, *arguments: int, element: int = 8) -> tuple[int, bytes]:
        """Call a service whose last arguments are a count and a buffer from the pool; the status and the content.

        ProtocolsPerHandle has them the other way round, and its content is given as well.
        """
        with self.cells(2) as out:
            pair = (out + 8, out) if name == "ProtocolsPerHandle" else (out, out + 8)
            if name == "OpenProtocolInformation":
                pair = (out + 8, out)
            status = self.call(name, *arguments, *pair)
            if is_error(status):
                return status, b""
            count, buffer = self.memory.u64(out), self.memory.u64(out + 8)
        content = self.memory.read(buffer, count * element) if count else b""
        self.call("FreePool", buffer)
        return status, content


class LiveHandles:
    """The handle database of the firmware."""

    def __init__(self, services: BootServices) -> None:
        self._services, self._memory = services, services.memory

    def publish(self, interfaces: Mapping[bytes, int]) -> int:
        """A new handle with these protocols, by InstallMultipleProtocolInterfaces.

        Raises:
            ServiceError: the firmware refused; a device path exists already, or memory is used up.
        """
        with self._services.cells(1) as handle:
            pairs = [value for guid, pointer in interfaces.items() for value in (self._services.guid(guid), pointer)]
            status = self._services.call("InstallMultipleProtocolInterfaces", handle, *pairs, 0)
            if is_error(status):
                raise ServiceError("InstallMultipleProtocolInterfaces", status)
            return self._memory.u64(handle)

    def install(self, handle: int, protocol: bytes, pointer: int) -> int | None:
        """Add a protocol to a handle; ``None`` if it has the protocol already."""
        with self._services.cells(1) as cell:
            self._memory.put64(cell, handle)
            status = self._services.call(
                "InstallProtocolInterface", cell, self._services.guid(protocol), _NATIVE_INTERFACE, pointer
            )
            return None if is_error(status) else self._memory.u64(cell)

    def pointer(self, handle: int, protocol: bytes) -> int | None:
        """The address of a protocol of a handle."""
        with self._services.cells(1) as cell:
            status = self._services.call("HandleProtocol", handle, self._services.guid(protocol), cell)
            return None if is_error(status) else self._memory.u64(cell)

    def with_protocol(self, protocol: bytes) -> list[int]:
        """The handles that have a protocol."""
        _, content = self._services.array("LocateHandleBuffer", _BY_PROTOCOL, self._services.guid(protocol), 0)
        return list(struct.unpack(f"<{len(content) // 8}Q", content))

    def protocols(self, handle: int) -> list[bytes]:
        """The protocols of a handle."""
        _, content = self._services.array("ProtocolsPerHandle", handle)
        return [self._memory.read(address, 16) for (address,) in struct.iter_unpack("<Q", content)]


class LiveProtocols:
    """Protocol services of the firmware."""

    def __init__(self, services: BootServices) -> None:
        self._services = services

    def remove(self, handle: int, protocol: bytes, interface: int) -> int:
        """Uninstall a protocol. Gives a status."""
        return self._services.call("UninstallProtocolInterface", handle, self._services.guid(protocol), interface)


class LiveDrivers:
    """Driver services of the firmware."""

    def __init__(self, services: BootServices, handles: LiveHandles) -> None:
        self._services, self._handles = services, handles

    def connect(self, handle: int) -> int:
        """ConnectController, recursively. Gives a status."""
        return self._services.call("ConnectController", handle, 0, 0, 1)

    def disconnect(self, handle: int) -> int:
        """DisconnectController. Gives a status."""
        return self._services.call("DisconnectController", handle, 0, 0)

    def children(self, handle: int) -> list[int]:
        """The child controllers that drivers have opened a controller's protocols for, in the order they were made."""
        found: list[int] = []
        for protocol in self._handles.protocols(handle):
            status, content = self._services.array(
                "OpenProtocolInformation",
                handle,
                self._services.guid(protocol),
                element=EFI_OPEN_PROTOCOL_INFORMATION_ENTRY.SIZE,
            )
            if status != Status.SUCCESS:
                continue
            for at in range(0, len(content), EFI_OPEN_PROTOCOL_INFORMATION_ENTRY.SIZE):
                entry = EFI_OPEN_PROTOCOL_INFORMATION_ENTRY.unpack_from(content, at)
                child = entry.Attributes & OpenProtocolAttribute.BY_CHILD_CONTROLLER
                if child and entry.ControllerHandle not in found:
                    found.append(entry.ControllerHandle)
        return found
