"""The handle database: which handles have which protocols, and who uses them (UEFI 2.10 section 7.3)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cloudboot_uefi_abi.constants import OpenProtocolAttribute as OpenAttribute

from .memory_map import MemoryType

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .events import Event, Events
    from .pool import Pool


__all__ = ["BY_DRIVER_EXCLUSIVE", "Handles", "Interface", "OpenAttribute", "Registration", "Use"]

BY_DRIVER_EXCLUSIVE = OpenAttribute.BY_DRIVER | OpenAttribute.EXCLUSIVE


@dataclass(slots=True)
class Use:
    """One entry of an interface's list of users; ``count`` opens of the same kind are one entry."""

    agent: int
    controller: int
    attributes: int
    count: int = 1


@dataclass(slots=True)
class Interface:
    """A protocol on a handle: ``pointer`` is its address, ``uses`` who has opened it."""

    pointer: int
    uses: list[Use] = field(default_factory=list)

    def open(self, agent: int, controller: int, attributes: int) -> None:
        """Enter a user."""
        for use in self.uses:
            if (use.agent, use.controller, use.attributes) == (agent, controller, attributes):
                use.count += 1
                return
        self.uses.append(Use(agent, controller, attributes))

    def drivers(self) -> list[Use]:
        """The users that manage the handle with this interface."""
        return [use for use in self.uses if use.attributes & OpenAttribute.BY_DRIVER]


@dataclass(slots=True)
class Registration:
    """A RegisterProtocolNotify: ``new`` are the handles that LocateHandle has not reported yet."""

    protocol: bytes
    event: Event
    new: list[int] = field(default_factory=list)


class Handles:
    """All handles, in the order of their creation. Protocols are named by the 16 bytes of their GUID."""

    def __init__(self, pool: Pool, events: Events) -> None:
        self._pool, self._events = pool, events
        self._handles: dict[int, dict[bytes, Interface]] = {}
        self.registrations: dict[int, Registration] = {}

    def __contains__(self, handle: int) -> bool:
        return handle in self._handles

    def __iter__(self) -> Iterator[int]:
        return iter(list(self._handles))

    def protocols(self, handle: int) -> dict[bytes, Interface]:
        """The interfaces of a handle by protocol; empty for an unknown handle."""
        return self._handles.get(handle, {})

    def interface(self, handle: int, protocol: bytes) -> Interface | None:
        """A protocol of a handle."""
        return self._handles.get(handle, {}).get(protocol)

    def pointer(self, handle: int, protocol: bytes) -> int | None:
        """The address of a protocol of a handle."""
        found = self.interface(handle, protocol)
        return None if found is None else found.pointer

    def with_protocol(self, protocol: bytes) -> list[int]:
        """The handles that have a protocol."""
        return [handle for handle, protocols in self._handles.items() if protocol in protocols]

    def create(self) -> int:
        """A new handle without protocols.

        Raises:
            MemoryError: the pool is used up.
        """
        handle = self._pool.allocate(MemoryType.BOOT_SERVICES_DATA, 16)
        if handle is None:
            raise MemoryError("no memory for a handle")
        self._handles[handle] = {}
        return handle

    def install(self, handle: int, protocol: bytes, pointer: int) -> int | None:
        """Add a protocol to a handle, a new one for 0; the handle, or ``None`` if it has the protocol already."""
        if handle == 0:
            handle = self.create()
        protocols = self._handles[handle]
        if protocol in protocols:
            return None
        protocols[protocol] = Interface(pointer)
        self.announce(handle, protocol)
        return handle

    def publish(self, interfaces: Mapping[bytes, int]) -> int:
        """A new handle with these protocols.

        Raises:
            MemoryError: the pool is used up.
        """
        handle = self.create()
        for protocol, pointer in interfaces.items():
            self.install(handle, protocol, pointer)
        return handle

    def announce(self, handle: int, protocol: bytes) -> None:
        """Tell those who registered for a protocol that a handle has it."""
        for registration in self.registrations.values():
            if registration.protocol == protocol:
                registration.new.append(handle)
                self._events.signal(registration.event)

    def remove(self, handle: int, protocol: bytes) -> None:
        """Take a protocol off a handle; the handle goes with its last protocol."""
        protocols = self._handles[handle]
        del protocols[protocol]
        if not protocols:
            del self._handles[handle]
            self._pool.free(handle)
            for registration in self.registrations.values():
                registration.new = [each for each in registration.new if each != handle]
