"""Protocol handler services (UEFI 2.10 section 7.3)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final
from uuid import UUID

from cloudboot_uefi_abi.errors import DevicePathError
from cloudboot_uefi_abi.guids import GUIDS, guid_name
from cloudboot_uefi_abi.layout.records import EFI_OPEN_PROTOCOL_INFORMATION_ENTRY
from cloudboot_uefi_abi.status import Status

from .device_paths import body, read_path
from .handles import BY_DRIVER_EXCLUSIVE, OpenAttribute, Registration

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloudboot_uefi_host.machine import Arguments
    from cloudboot_uefi_host.memory import GuestMemory
    from cloudboot_uefi_host.trace import Trace

    from .allocator import Allocator
    from .events import Events
    from .handles import Handles, Interface

DEVICE_PATH: Final = GUIDS["EFI_DEVICE_PATH_PROTOCOL"].bytes_le
ALL_HANDLES, BY_REGISTER_NOTIFY, BY_PROTOCOL = range(3)
_MAX_PAIRS = 64


def protocol_name(protocol: bytes) -> str:
    """The specification's name of a protocol, or its GUID."""
    guid = UUID(bytes_le=protocol)
    return guid_name(guid) or str(guid)


class ProtocolServices:
    """The services about handles and protocols.

    ``disconnect`` and ``connect`` are the driver services, set by the firmware.
    """

    def __init__(
        self, memory: GuestMemory, allocator: Allocator, events: Events, handles: Handles, trace: Trace
    ) -> None:
        self._memory, self._allocator, self._events = memory, allocator, events
        self._handles, self._trace = handles, trace
        self.connect: Callable[[int], object] = lambda _handle: None
        self.disconnect: Callable[[int, int], int] = lambda _handle, _driver: Status.NOT_FOUND
        self.image: int = 0

    def device_path(self, handle: int) -> bytes | None:
        """The device path of a handle; ``None`` without one, or with one that cannot be read."""
        pointer = self._handles.pointer(handle, DEVICE_PATH)
        if not pointer:
            return None
        try:
            return read_path(self._memory, pointer)
        except DevicePathError:
            return None

    # Install

    def install(self, handle: int, protocol: int, kind: int, interface: int) -> int:
        """InstallProtocolInterface."""
        if not handle or not protocol or kind != 0:
            return Status.INVALID_PARAMETER
        target = self._memory.u64(handle)
        name = self._memory.read(protocol, 16)
        status, target = self._add(target, name, interface)
        if status == Status.SUCCESS:
            self._memory.put64(handle, target)
            self._events.dispatch()
        return status

    def _add(self, handle: int, protocol: bytes, interface: int) -> tuple[int, int]:
        if handle and handle not in self._handles:
            return Status.INVALID_PARAMETER, handle
        if protocol == DEVICE_PATH and not handle and interface and self._path_exists(interface):
            return Status.ALREADY_STARTED, handle
        try:
            found = self._handles.install(handle, protocol, interface)
        except MemoryError:
            return Status.OUT_OF_RESOURCES, handle
        return (Status.INVALID_PARAMETER, handle) if found is None else (Status.SUCCESS, found)

    def _path_exists(self, pointer: int) -> bool:
        try:
            path = read_path(self._memory, pointer)
        except DevicePathError:
            return False
        return any(self.device_path(handle) == path for handle in self._handles.with_protocol(DEVICE_PATH))

    def install_multiple(self, handle: int, more: Arguments) -> int:
        """InstallMultipleProtocolInterfaces: all or none."""
        if not handle:
            return Status.INVALID_PARAMETER
        target, done = self._memory.u64(handle), list[bytes]()
        pairs = self._pairs(more)
        if any(protocol == DEVICE_PATH and self._path_exists(interface) for protocol, interface in pairs):
            return Status.ALREADY_STARTED
        for protocol, interface in pairs:
            status, target = self._add(target, protocol, interface)
            if status != Status.SUCCESS:
                for each in done:
                    self._handles.remove(target, each)
                return status
            done.append(protocol)
        self._memory.put64(handle, target)
        self._events.dispatch()
        return Status.SUCCESS

    def _pairs(self, more: Arguments) -> list[tuple[bytes, int]]:
        pairs, position = list[tuple[bytes, int]](), 1
        while len(pairs) < _MAX_PAIRS:
            guid = more[position]
            if not guid:
                break
            pairs.append((self._memory.read(guid, 16), more[position + 1]))
            position += 2
        return pairs

    def reinstall(self, handle: int, protocol: int, old: int, new: int) -> int:
        """ReinstallProtocolInterface."""
        if handle not in self._handles or not protocol:
            return Status.INVALID_PARAMETER
        name = self._memory.read(protocol, 16)
        found = self._handles.interface(handle, name)
        if found is None or found.pointer != old:
            return Status.NOT_FOUND
        if not self._release(handle, found):
            return Status.ACCESS_DENIED
        found.pointer = new
        self._handles.announce(handle, name)
        self._events.dispatch()
        self.connect(handle)
        return Status.SUCCESS

    def uninstall(self, handle: int, protocol: int, interface: int) -> int:
        """UninstallProtocolInterface."""
        if not protocol:
            return Status.INVALID_PARAMETER
        return self.remove(handle, self._memory.read(protocol, 16), interface)

    def remove(self, handle: int, protocol: bytes, interface: int) -> int:
        """Take an interface off a handle; drivers that manage the handle with it are stopped first."""
        if handle not in self._handles:
            return Status.INVALID_PARAMETER
        found = self._handles.interface(handle, protocol)
        if found is None or found.pointer != interface:
            return Status.NOT_FOUND
        if not self._release(handle, found):
            self.connect(handle)
            return Status.ACCESS_DENIED
        if self._handles.interface(handle, protocol) is found:
            self._handles.remove(handle, protocol)
        return Status.SUCCESS

    def _release(self, handle: int, interface: Interface) -> bool:
        """Stop the drivers that use an interface; false if somebody still does."""
        for use in interface.drivers():
            self.disconnect(handle, use.agent)
        passing = OpenAttribute.BY_HANDLE_PROTOCOL | OpenAttribute.GET_PROTOCOL | OpenAttribute.TEST_PROTOCOL
        interface.uses = [use for use in interface.uses if not use.attributes & passing]
        return not interface.uses

    def uninstall_multiple(self, handle: int, more: Arguments) -> int:
        """UninstallMultipleProtocolInterfaces: all or none."""
        done: list[tuple[bytes, int]] = []
        for protocol, interface in self._pairs(more):
            if self.remove(handle, protocol, interface) != Status.SUCCESS:
                for earlier, pointer in done:
                    self._handles.install(handle, earlier, pointer)
                return Status.INVALID_PARAMETER
            done.append((protocol, interface))
        return Status.SUCCESS

    # Open and close

    def handle_protocol(self, handle: int, protocol: int, interface: int) -> int:
        """HandleProtocol: OpenProtocol for the firmware itself, by handle protocol."""
        return self.open_protocol(handle, protocol, interface, self.image, 0, OpenAttribute.BY_HANDLE_PROTOCOL)

    def open_protocol(
        self, handle: int, protocol: int, interface: int, agent: int, controller: int, attributes: int
    ) -> int:
        """OpenProtocol."""
        tests = attributes == OpenAttribute.TEST_PROTOCOL
        if not protocol or handle not in self._handles or (not interface and not tests):
            return Status.INVALID_PARAMETER
        status, pointer = self.open(handle, self._memory.read(protocol, 16), agent, controller, attributes)
        if not tests and interface and status in {Status.SUCCESS, Status.ALREADY_STARTED, Status.UNSUPPORTED}:
            self._memory.put64(interface, pointer)
        return status

    def open(self, handle: int, protocol: bytes, agent: int, controller: int, attributes: int) -> tuple[int, int]:
        """Open a protocol for an agent; the status and the interface's address."""
        allowed = {1, 2, 4, 8, OpenAttribute.BY_DRIVER, OpenAttribute.EXCLUSIVE, BY_DRIVER_EXCLUSIVE}
        exclusive, drives = attributes & OpenAttribute.EXCLUSIVE, attributes & OpenAttribute.BY_DRIVER
        if attributes not in allowed:
            return Status.INVALID_PARAMETER, 0
        if attributes & (OpenAttribute.BY_CHILD_CONTROLLER | OpenAttribute.BY_DRIVER) and (
            agent not in self._handles or controller not in self._handles
        ):
            return Status.INVALID_PARAMETER, 0
        if exclusive and agent not in self._handles:
            return Status.INVALID_PARAMETER, 0
        if attributes == OpenAttribute.BY_CHILD_CONTROLLER and controller == handle:
            return Status.INVALID_PARAMETER, 0
        found = self._handles.interface(handle, protocol)
        if found is None:
            self._trace.missing[protocol_name(protocol)] += 1
            return Status.UNSUPPORTED, 0
        if exclusive or drives:
            for use in found.uses:
                if use.attributes & OpenAttribute.BY_DRIVER and (use.agent, use.controller) == (agent, controller):
                    same = use.attributes == attributes
                    return (Status.ALREADY_STARTED if same else Status.ACCESS_DENIED), found.pointer
                if use.attributes & OpenAttribute.EXCLUSIVE:
                    return Status.ACCESS_DENIED, found.pointer
            if found.drivers() and not exclusive:
                return Status.ACCESS_DENIED, found.pointer
            for use in found.drivers():
                if self.disconnect(handle, use.agent) != Status.SUCCESS:
                    return Status.ACCESS_DENIED, found.pointer
        if attributes != OpenAttribute.TEST_PROTOCOL:
            found.open(agent, controller, attributes)
        return Status.SUCCESS, found.pointer

    def close_protocol(self, handle: int, protocol: int, agent: int, controller: int) -> int:
        """CloseProtocol."""
        if handle not in self._handles or agent not in self._handles or not protocol:
            return Status.INVALID_PARAMETER
        return self.close(handle, self._memory.read(protocol, 16), agent, controller)

    def close(self, handle: int, protocol: bytes, agent: int, controller: int) -> int:
        """Drop what an agent has opened for a controller."""
        found = self._handles.interface(handle, protocol)
        if found is None:
            return Status.NOT_FOUND
        kept = [use for use in found.uses if (use.agent, use.controller) != (agent, controller)]
        status = Status.NOT_FOUND if len(kept) == len(found.uses) else Status.SUCCESS
        found.uses = kept
        return status

    def open_protocol_information(self, handle: int, protocol: int, entries: int, count: int) -> int:
        """OpenProtocolInformation."""
        found = self._handles.interface(handle, self._memory.read(protocol, 16))
        if found is None:
            return Status.NOT_FOUND
        packed = b"".join(
            EFI_OPEN_PROTOCOL_INFORMATION_ENTRY(
                AgentHandle=use.agent, ControllerHandle=use.controller, Attributes=use.attributes, OpenCount=use.count
            ).pack()
            for use in found.uses
        )
        self._memory.put64(entries, self._allocator.place(packed))
        self._memory.put64(count, len(found.uses))
        return Status.SUCCESS

    def protocols_per_handle(self, handle: int, buffer: int, count: int) -> int:
        """ProtocolsPerHandle."""
        if handle not in self._handles or not buffer or not count:
            return Status.INVALID_PARAMETER
        names = list(self._handles.protocols(handle))
        array = struct.pack(f"<{len(names)}Q", *map(self._allocator.place, names))
        self._memory.put64(buffer, self._allocator.place(array))
        self._memory.put64(count, len(names))
        return Status.SUCCESS

    # Find

    def register_protocol_notify(self, protocol: int, event: int, registration: int) -> int:
        """RegisterProtocolNotify."""
        found = self._events.get(event)
        if not protocol or not registration or found is None:
            return Status.INVALID_PARAMETER
        key = self._allocator.place(bytes(16))
        self._handles.registrations[key] = Registration(self._memory.read(protocol, 16), found)
        self._memory.put64(registration, key)
        return Status.SUCCESS

    def _search(self, kind: int, protocol: int, key: int) -> list[int] | None:
        """The handles of a search; ``None`` if its parameters are wrong."""
        if kind == ALL_HANDLES:
            return list(self._handles)
        if kind == BY_REGISTER_NOTIFY:
            registration = self._handles.registrations.get(key)
            if registration is None:
                return None
            return [registration.new.pop(0)] if registration.new else []
        if kind != BY_PROTOCOL or not protocol:
            return None
        name = self._memory.read(protocol, 16)
        found = self._handles.with_protocol(name)
        if not found:
            self._trace.missing[protocol_name(name)] += 1
        return found

    def locate_handle(self, kind: int, protocol: int, key: int, size: int, buffer: int) -> int:
        """LocateHandle."""
        if not size or (self._memory.u64(size) and not buffer):
            return Status.INVALID_PARAMETER
        found = self._search(kind, protocol, key)
        if found is None:
            return Status.INVALID_PARAMETER
        if not found:
            return Status.NOT_FOUND
        room = self._memory.u64(size)
        self._memory.put64(size, 8 * len(found))
        if room < 8 * len(found):
            if kind == BY_REGISTER_NOTIFY:
                self._handles.registrations[key].new.insert(0, found[0])
            return Status.BUFFER_TOO_SMALL
        if not buffer:
            return Status.INVALID_PARAMETER
        self._memory.write(buffer, struct.pack(f"<{len(found)}Q", *found))
        return Status.SUCCESS

    def locate_handle_buffer(self, kind: int, protocol: int, key: int, count: int, buffer: int) -> int:
        """LocateHandleBuffer."""
        if not count or not buffer:
            return Status.INVALID_PARAMETER
        found = self._search(kind, protocol, key)
        if found is None:
            return Status.INVALID_PARAMETER
        self._memory.put64(count, len(found))
        self._memory.put64(buffer, 0)
        if not found:
            return Status.NOT_FOUND
        self._memory.put64(buffer, self._allocator.place(struct.pack(f"<{len(found)}Q", *found)))
        return Status.SUCCESS

    def locate_protocol(self, protocol: int, registration: int, interface: int) -> int:
        """LocateProtocol."""
        if not protocol or not interface:
            return Status.INVALID_PARAMETER
        kind = BY_REGISTER_NOTIFY if registration else BY_PROTOCOL
        found = self._search(kind, protocol, registration)
        name = self._memory.read(protocol, 16)
        pointer = self._handles.pointer(found[0], name) if found else None
        self._memory.put64(interface, pointer or 0)
        return Status.NOT_FOUND if pointer is None else Status.SUCCESS

    def locate_device_path(self, protocol: int, device_path: int, device: int) -> int:
        """LocateDevicePath: the handle with the longest device path that the given one starts with."""
        if not protocol or not device_path or not self._memory.u64(device_path):
            return Status.INVALID_PARAMETER
        start = self._memory.u64(device_path)
        try:
            path = read_path(self._memory, start)
        except DevicePathError:
            return Status.INVALID_PARAMETER
        found = self.nearest(self._memory.read(protocol, 16), path)
        if found is None:
            return Status.NOT_FOUND
        if not device:
            return Status.INVALID_PARAMETER
        self._memory.put64(device_path, start + found[1])
        self._memory.put64(device, found[0])
        return Status.SUCCESS

    def nearest(self, protocol: bytes, path: bytes) -> tuple[int, int] | None:
        """The handle with ``protocol`` whose device path is the longest start of ``path``, and its length in bytes."""
        best: tuple[int, int] | None = None
        for handle in self._handles.with_protocol(protocol):
            own = self.device_path(handle)
            if own is None:
                continue
            start = body(own)
            if body(path)[: len(start)] == start and (best is None or len(start) > best[1]):
                best = handle, len(start)
        return best
