"""What Python's drivers have in common: the driver binding protocol and a name (UEFI 2.10 sections 11.1, 11.5)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, ClassVar, Final

from cloudboot_uefi_abi.guids import GUIDS
from cloudboot_uefi_abi.protocols.drivers import EFI_COMPONENT_NAME2_PROTOCOL, EFI_DRIVER_BINDING_PROTOCOL
from cloudboot_uefi_abi.status import Status, is_error
from cloudboot_uefi_host.core.handles import OpenAttribute

if TYPE_CHECKING:
    from cloudboot_uefi_host.core.core import Core

BLOCK_IO: Final = GUIDS["EFI_BLOCK_IO_PROTOCOL"].bytes_le
DISK_IO: Final = GUIDS["EFI_DISK_IO_PROTOCOL"].bytes_le
DEVICE_PATH: Final = GUIDS["EFI_DEVICE_PATH_PROTOCOL"].bytes_le
_BINDING: Final = GUIDS["EFI_DRIVER_BINDING_PROTOCOL"].bytes_le
_NAME2: Final = GUIDS["EFI_COMPONENT_NAME2_PROTOCOL"].bytes_le
_VERSION: Final = 0x10
"""The lowest version of a driver that is part of no platform and no card (section 11.1)."""


class Driver:
    """A driver. ``protocol`` is the one it manages a controller with.

    A subclass says whether it supports a controller, starts on it, and stops.
    """

    name: ClassVar[str]
    protocol: ClassVar[bytes]

    def __init__(self, core: Core) -> None:
        self.core = core
        self._managed: set[int] = set()
        self.handle = core.handles.create()
        binding = core.publisher.publish(
            EFI_DRIVER_BINDING_PROTOCOL,
            {"Supported": self._supported, "Start": self._start, "Stop": self._stop},
            {"Version": _VERSION, "ImageHandle": self.handle, "DriverBindingHandle": self.handle},
        )
        self._text = core.allocator.place_text(self.name)
        names = core.publisher.publish(
            EFI_COMPONENT_NAME2_PROTOCOL,
            {"GetDriverName": self._driver_name, "GetControllerName": lambda *_: Status.UNSUPPORTED},
            {"SupportedLanguages": core.allocator.place(b"en\0")},
        )
        core.handles.install(self.handle, _BINDING, binding)
        core.handles.install(self.handle, _NAME2, names)

    # What a subclass says

    def supports(self, handle: int) -> bool:
        """Whether the controller has what the driver needs, beside :attr:`protocol`."""
        raise NotImplementedError

    def start(self, handle: int) -> int:
        """Manage the controller; it is open by this driver already. Gives a status."""
        raise NotImplementedError

    def stop(self, handle: int) -> int:
        """Undo :meth:`start`; the children are gone already. Gives a status."""
        raise NotImplementedError

    def stop_child(self, handle: int, child: int) -> int:
        """Take one child away. Gives a status."""
        raise NotImplementedError

    # The protocol

    def _supported(self, _this: int, handle: int, _remaining: int) -> int:
        core = self.core
        if core.handles.pointer(handle, self.protocol) is None or not self.supports(handle):
            return Status.UNSUPPORTED
        status, _ = core.protocols.open(handle, self.protocol, self.handle, handle, OpenAttribute.BY_DRIVER)
        if is_error(status):
            return status
        return core.protocols.close(handle, self.protocol, self.handle, handle)

    def _start(self, _this: int, handle: int, _remaining: int) -> int:
        core = self.core
        status, _ = core.protocols.open(handle, self.protocol, self.handle, handle, OpenAttribute.BY_DRIVER)
        if is_error(status):
            return status
        status = self.start(handle)
        if is_error(status):
            core.protocols.close(handle, self.protocol, self.handle, handle)
        else:
            self._managed.add(handle)
        return status

    def _stop(self, _this: int, handle: int, count: int, children: int) -> int:
        core = self.core
        if handle not in self._managed or (count and not children):
            return Status.INVALID_PARAMETER
        if count:
            for child in struct.unpack(f"<{count}Q", core.memory.read(children, 8 * count)):
                status = self.stop_child(handle, child)
                if is_error(status):
                    return status
            return Status.SUCCESS
        status = self.stop(handle)
        if not is_error(status):
            core.protocols.close(handle, self.protocol, self.handle, handle)
            self._managed.discard(handle)
        return status

    def _driver_name(self, _this: int, language: int, name: int) -> int:
        if not language or not name:
            return Status.INVALID_PARAMETER
        self.core.memory.put64(name, self._text)
        return Status.SUCCESS
