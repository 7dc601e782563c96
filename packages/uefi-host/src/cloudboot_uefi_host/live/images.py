"""Image services of a firmware in a machine (UEFI 2.10 section 7.4)."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Final

from cloudboot_uefi_abi.constants import Subsystem
from cloudboot_uefi_abi.errors import DevicePathError
from cloudboot_uefi_abi.layout.records import IMAGE_DOS_HEADER, IMAGE_FILE_HEADER, IMAGE_OPTIONAL_HEADER64
from cloudboot_uefi_abi.protocols.files import EFI_LOADED_IMAGE_PROTOCOL
from cloudboot_uefi_abi.status import is_error
from cloudboot_uefi_host.core.device_paths import END, read_path
from cloudboot_uefi_host.core.images import LOADED_IMAGE, Image, image_name
from cloudboot_uefi_host.core.memory_map import PAGE
from cloudboot_uefi_host.errors import GuestPointerError, ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from cloudboot_uefi_host.core.allocator import Allocator
    from cloudboot_uefi_host.machine import Machine

    from .services import BootServices, LiveHandles

_OPTIONAL_HEADER: Final = 4 + IMAGE_FILE_HEADER.SIZE
_MAX_EXIT_DATA: Final = 4096


class LiveImages:
    """The images of one machine that Python loaded, or that those started."""

    def __init__(self, machine: Machine, services: BootServices, handles: LiveHandles, allocator: Allocator) -> None:
        self._machine, self._memory = machine, machine.memory
        self._services, self._handles, self._allocator = services, handles, allocator
        self._images: list[Image] = []
        #: What observes a program while it runs; the firmware sets it.
        self.watching: Callable[[], AbstractContextManager[None]] = nullcontext
        machine.image_at = self.name_at

    def name_at(self, address: int) -> str:
        """The name of the image that holds ``address``."""
        for image in self._images:
            if image.base <= address < image.base + image.size:
                return image.name
        return ""

    def load_from(self, path: bytes, *, parent: int) -> Image:
        """LoadImage by device path.

        Raises:
            ServiceError: the firmware refused; ``status`` is LoadImage's.
        """
        pointer = self._allocator.place(path)
        with self._services.cells(1) as cell:
            status = self._services.call("LoadImage", 0, parent, pointer, 0, 0, cell)
            handle = self._memory.u64(cell)
        self._allocator.pool.free(pointer)
        if is_error(status):
            raise ServiceError("LoadImage", status)
        return self.learn(handle, path)

    def learn(self, handle: int, path: bytes | None = None) -> Image:
        """Enter an image of the firmware's, so that what it calls is known to be its own.

        Raises:
            ServiceError: the handle is no image's.
        """
        interface = self._handles.pointer(handle, LOADED_IMAGE)
        if interface is None:
            raise ServiceError("the handle is no image's", 0)
        memory, structure = self._memory, EFI_LOADED_IMAGE_PROTOCOL
        values = structure.unpack_from(memory.read(interface, structure.size))
        base, size = int(values["ImageBase"]), int(values["ImageSize"])
        if path is None:
            path = self._file_path(int(values["FilePath"]))
        header = base + memory.u32(base + IMAGE_DOS_HEADER.LAYOUT.offsets["e_lfanew"]) + _OPTIONAL_HEADER
        optional = IMAGE_OPTIONAL_HEADER64.unpack_from(memory.read(header, IMAGE_OPTIONAL_HEADER64.SIZE))
        image = Image(
            handle=handle,
            name=image_name(path) or f"image-{len(self._images) + 1}",
            subsystem=Subsystem(optional.Subsystem),
            base=base,
            size=size,
            entry=base + optional.AddressOfEntryPoint,
            interface=interface,
            allocation=base,
            pages=-(-size // PAGE),
            device=int(values["DeviceHandle"]),
            path=path,
        )
        self._images = [known for known in self._images if known.handle != handle]
        self._images.insert(0, image)
        return image

    def _file_path(self, pointer: int) -> bytes:
        try:
            return read_path(self._memory, pointer) if pointer else END
        except (DevicePathError, GuestPointerError):
            return END

    def set_options(self, image: Image, options: bytes) -> None:
        """Set the LoadOptions of an image that has not been started."""
        structure = EFI_LOADED_IMAGE_PROTOCOL
        self._memory.put32(image.interface + structure.offset("LoadOptionsSize"), len(options))
        self._memory.put64(image.interface + structure.offset("LoadOptions"), self._allocator.place(options))

    def start(self, image: Image) -> tuple[int, str]:
        """StartImage: run an image until it returns or calls Exit; its status and exit data.

        Raises:
            GuestError, BudgetUsedError: it failed, or used up its budget.
            RunEnded: it ended the run.
        """
        image.started = True
        before, self._machine.caller = self._machine.caller, image.name
        with self._services.cells(2) as cells, self.watching():
            status = self._services.call("StartImage", image.handle, cells, cells + 8)
            size, data = self._memory.u64(cells), self._memory.u64(cells + 8)
        self._machine.caller, image.status = before, status
        text = self._memory.text(data, _MAX_EXIT_DATA) if data and size else ""
        return status, text
