"""Driver services: ConnectController and DisconnectController (UEFI 2.10 sections 7.3.12, 7.3.13).

A driver is a handle with EFI_DRIVER_BINDING_PROTOCOL. Python's drivers publish it as programs' drivers do.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from cloudboot_uefi_abi.guids import GUIDS
from cloudboot_uefi_abi.protocols.drivers import EFI_DRIVER_BINDING_PROTOCOL as BINDING
from cloudboot_uefi_abi.status import Status, is_error

from .handles import OpenAttribute

if TYPE_CHECKING:
    from cloudboot_uefi_host.machine import Machine

    from .allocator import Allocator
    from .handles import Handles

DRIVER_BINDING: Final = GUIDS["EFI_DRIVER_BINDING_PROTOCOL"].bytes_le
_MAX_NESTING: Final = 16
"""Controllers that stand one below another. A table of partitions that lists itself would have no end."""


class DriverServices:
    """Connects controllers with drivers."""

    def __init__(self, machine: Machine, allocator: Allocator, handles: Handles) -> None:
        self._machine, self._memory = machine, machine.memory
        self._allocator, self._handles = allocator, handles
        self._nesting = 0

    # Connect

    def connect_controller(self, handle: int, drivers: int, remaining: int, recursive: int) -> int:
        """ConnectController."""
        if handle not in self._handles:
            return Status.INVALID_PARAMETER
        chosen: list[int] = []
        while drivers and (image := self._memory.u64(drivers + 8 * len(chosen))):
            chosen.append(image)
        return self.connect(handle, chosen=chosen, remaining=remaining, recursive=bool(recursive))

    def connect(
        self, handle: int, *, chosen: list[int] | None = None, remaining: int = 0, recursive: bool = True
    ) -> int:
        """Start every driver that supports a controller, then those of its children.

        Gives EFI_SUCCESS if a driver was started, EFI_NOT_FOUND if none was.
        """
        started = self._start_drivers(handle, chosen or [], remaining)
        if recursive and self._nesting < _MAX_NESTING:
            self._nesting += 1
            try:
                for child in self.children(handle):
                    self.connect(child)
            finally:
                self._nesting -= 1
        empty = bool(remaining) and self._memory.read(remaining, 2) == b"\x7f\xff"
        return Status.SUCCESS if started or empty else Status.NOT_FOUND

    def _start_drivers(self, handle: int, chosen: list[int], remaining: int) -> bool:
        started, tried = False, set[int]()
        # After each driver the search begins anew, as EDK2's does: it may have installed what one of a higher version
        # asks for.
        while (binding := self._supporting(handle, chosen, remaining, tried)) is not None:
            tried.add(binding)
            started |= self._call(binding, "Start", handle, remaining) == Status.SUCCESS
        return started

    def _supporting(self, handle: int, chosen: list[int], remaining: int, tried: set[int]) -> int | None:
        """The first driver binding, of those not tried yet, that supports a controller."""
        for binding in self._bindings(chosen):
            if binding in tried or handle not in self._handles:
                continue
            if self._call(binding, "Supported", handle, remaining) == Status.SUCCESS:
                return binding
        return None

    def _bindings(self, chosen: list[int]) -> list[int]:
        """The driver bindings: those of chosen images first, then by version, the highest first."""
        found: list[tuple[int, int, int, int]] = []
        for handle in self._handles.with_protocol(DRIVER_BINDING):
            pointer = self._handles.pointer(handle, DRIVER_BINDING)
            if pointer:
                image = self._memory.u64(pointer + BINDING.offset("ImageHandle"))
                rank = chosen.index(image) if image in chosen else len(chosen)
                found.append((rank, -self._memory.u32(pointer + BINDING.offset("Version")), len(found), pointer))
        return [pointer for *_, pointer in sorted(found)]

    def _call(self, binding: int, name: str, *arguments: int) -> int:
        return self._machine.call(self._memory.u64(binding + BINDING.offset(name)), binding, *arguments)

    def children(self, handle: int) -> list[int]:
        """The child controllers that drivers have made on a controller, in the order they were made."""
        found: list[int] = []
        for interface in self._handles.protocols(handle).values():
            found += [
                use.controller
                for use in interface.uses
                if use.attributes & OpenAttribute.BY_CHILD_CONTROLLER and use.controller not in found
            ]
        return [child for child in found if child in self._handles]

    # Disconnect

    def disconnect_controller(self, handle: int, driver: int, child: int) -> int:
        """DisconnectController."""
        if handle not in self._handles or (child and child not in self._handles):
            return Status.INVALID_PARAMETER
        if driver and self._binding_of(driver) is None:
            return Status.INVALID_PARAMETER
        return self.disconnect(handle, driver, child)

    def disconnect(self, handle: int, driver: int = 0, child: int = 0) -> int:
        """Stop the drivers (or one) that manage a controller, or one child of theirs."""
        failed = False
        for agent in self._managing(handle):
            if driver and not self._same_driver(agent, driver):
                continue
            # Stopping one driver may take away what another one used, and so stop that too.
            if agent in self._managing(handle):
                failed |= not self._stop(handle, agent, child)
        if failed:
            return Status.DEVICE_ERROR
        # A controller without drivers is disconnected already.
        return Status.SUCCESS

    def _managing(self, handle: int) -> list[int]:
        """The agents that manage a controller."""
        found: list[int] = []
        for interface in self._handles.protocols(handle).values():
            found += [use.agent for use in interface.drivers() if use.agent not in found]
        return found

    def _stop(self, handle: int, agent: int, child: int) -> bool:
        binding = self._binding_of(agent)
        if binding is None:
            return False
        children = [each for each in self._children_of(handle, agent) if not child or each == child]
        if child and not children:
            return True
        if children:
            array = self._allocator.place(struct.pack(f"<{len(children)}Q", *children))
            status = self._call(binding, "Stop", handle, len(children), array)
            self._allocator.pool.free(array)
            if is_error(status):
                return False
        if child and self._children_of(handle, agent):
            return True
        return not is_error(self._call(binding, "Stop", handle, 0, 0))

    def _children_of(self, handle: int, agent: int) -> list[int]:
        found: list[int] = []
        for interface in self._handles.protocols(handle).values():
            for use in interface.uses:
                made = use.agent == agent and use.attributes & OpenAttribute.BY_CHILD_CONTROLLER
                if made and use.controller in self._handles and use.controller not in found:
                    found.append(use.controller)
        return found

    def _binding_of(self, agent: int) -> int | None:
        """The driver binding of an agent: on its own handle, or the one that names it as its image."""
        pointer = self._handles.pointer(agent, DRIVER_BINDING)
        if pointer:
            return pointer
        for handle in self._handles.with_protocol(DRIVER_BINDING):
            pointer = self._handles.pointer(handle, DRIVER_BINDING)
            if pointer and self._memory.u64(pointer + BINDING.offset("ImageHandle")) == agent:
                return pointer
        return None

    def _same_driver(self, agent: int, driver: int) -> bool:
        if agent == driver:
            return True
        binding = self._binding_of(agent)
        return binding is not None and self._memory.u64(binding + BINDING.offset("ImageHandle")) == driver
