"""Image services: load, start, exit, unload (UEFI 2.10 section 7.4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cloudboot_base import FormatError
from cloudboot_uefi_abi.constants import Subsystem
from cloudboot_uefi_abi.errors import DevicePathError, PEError
from cloudboot_uefi_abi.guids import GUIDS
from cloudboot_uefi_abi.pe import PEImage
from cloudboot_uefi_abi.protocols.files import EFI_LOAD_FILE2_PROTOCOL, EFI_LOADED_IMAGE_PROTOCOL
from cloudboot_uefi_abi.status import Status, is_error, status_name
from cloudboot_uefi_host.errors import GuestImageError, ServiceError

from .control import BootServicesExited, ImageExited
from .device_paths import END, body, file_name, nodes, read_path
from .events import TPL_APPLICATION
from .memory_map import PAGE, MemoryType

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloudboot_uefi_host.machine import Machine

    from .allocator import Allocator
    from .events import Events
    from .files import FileReader
    from .handles import Handles
    from .protocols import ProtocolServices

LOADED_IMAGE: Final = GUIDS["EFI_LOADED_IMAGE_PROTOCOL"].bytes_le
LOADED_IMAGE_DEVICE_PATH: Final = GUIDS["EFI_LOADED_IMAGE_DEVICE_PATH_PROTOCOL"].bytes_le
FILE_SYSTEM: Final = GUIDS["EFI_SIMPLE_FILE_SYSTEM_PROTOCOL"].bytes_le
LOAD_FILE: Final = GUIDS["EFI_LOAD_FILE_PROTOCOL"].bytes_le
LOAD_FILE2: Final = GUIDS["EFI_LOAD_FILE2_PROTOCOL"].bytes_le
_REVISION: Final = 0x1000
_TYPES: Final = {
    Subsystem.EFI_APPLICATION: (MemoryType.LOADER_CODE, MemoryType.LOADER_DATA),
    Subsystem.EFI_BOOT_SERVICE_DRIVER: (MemoryType.BOOT_SERVICES_CODE, MemoryType.BOOT_SERVICES_DATA),
    Subsystem.EFI_RUNTIME_DRIVER: (MemoryType.RUNTIME_SERVICES_CODE, MemoryType.RUNTIME_SERVICES_DATA),
}
_MAX_EXIT_DATA: Final = 4096
#: What makes an image one of another kind, rather than a damaged one.
_NOT_SUPPORTED: Final = frozenset({"e_magic", "Signature", "Magic", "Machine", "Subsystem"})
_LOAD_FILE = EFI_LOAD_FILE2_PROTOCOL


@dataclass(slots=True)
class Image:
    """A loaded image: ``pages`` pages from ``allocation`` hold its ``size`` bytes at ``base``.

    ``name`` is the last part of its file path; traces and reports use it. ``status`` is what it returned.
    """

    handle: int
    name: str
    subsystem: Subsystem
    base: int
    size: int
    entry: int
    interface: int
    allocation: int
    pages: int
    device: int
    path: bytes
    started: bool = False
    status: int | None = None


def image_name(path: bytes) -> str:
    """The last part of the file name in an image's device path; empty where it names no file."""
    return (file_name([node for node in nodes(path) if node[:2] == b"\x04\x04"]) or "").rpartition("\\")[2]


class ImageServices:
    """The images of one machine. ``system_table`` is set by the firmware, ``boot_services_exited`` called by this."""

    def __init__(
        self,
        machine: Machine,
        allocator: Allocator,
        events: Events,
        handles: Handles,
        protocols: ProtocolServices,
        files: FileReader,
    ) -> None:
        self._machine, self._memory, self._allocator = machine, machine.memory, allocator
        self._events, self._handles, self._protocols, self._files = events, handles, protocols, files
        self._images: dict[int, Image] = {}
        self.loaded: list[Image] = []
        self.system_table = 0
        self.stop_at_exit = True
        self._exit_announced = False
        self.boot_services_exited: Callable[[], None] = lambda: None
        self.on_load: Callable[[Image, PEImage], None] = lambda _image, _pe: None
        #: Why an image of a device path may not run; the firmware sets it, and asks Secure Boot's databases.
        self.refusal: Callable[[bytes, bytes], str | None] = lambda _data, _path: None
        machine.image_at = self.name_at

    def get(self, handle: int) -> Image | None:
        """The image of a handle."""
        return self._images.get(handle)

    def name_at(self, address: int) -> str:
        """The name of the image that holds ``address``."""
        for image in self._images.values():
            if image.base <= address < image.base + image.size:
                return image.name
        return ""

    # Load

    def load_image(self, policy: int, parent: int, path: int, source: int, size: int, handle: int) -> int:
        """LoadImage."""
        if not handle or parent not in self._handles:
            return Status.INVALID_PARAMETER
        if not source and not path:
            return Status.NOT_FOUND
        try:
            device_path = read_path(self._memory, path) if path else END
        except DevicePathError:
            return Status.INVALID_PARAMETER
        try:
            if source:
                if not size:
                    return Status.LOAD_ERROR
                image = self.load(self._memory.read(source, size), device_path, parent=parent)
            else:
                image = self.load_from(device_path, parent=parent, boot_policy=bool(policy))
        except ServiceError as error:
            return error.status
        except PEError as error:
            return Status.UNSUPPORTED if error.field in _NOT_SUPPORTED else Status.LOAD_ERROR
        except FormatError:
            return Status.LOAD_ERROR
        self._memory.put64(handle, image.handle)
        return Status.SUCCESS

    def load_from(self, path: bytes, *, parent: int, boot_policy: bool = False) -> Image:
        """Load the image that a device path names: from a file system, or else from a Load File protocol.

        Raises:
            ServiceError: no device on the path has the file, or it cannot be read; ``status`` is LoadImage's, which
                EDK2 makes EFI_NOT_FOUND in both cases.
            FormatError: the file is no image for this machine.
        """
        reason = "no device on the path has a file system"
        found = self._protocols.nearest(FILE_SYSTEM, path)
        if found is not None:
            name = file_name(nodes(path[found[1] :]))
            interface = self._handles.pointer(found[0], FILE_SYSTEM)
            if name is not None and interface is not None:
                status, data = self._files.read(interface, name)
                if not is_error(status):
                    return self.load(data, path, parent=parent, device=found[0])
                reason = f"{name} cannot be read ({status_name(status)})"
        for protocol, policy in ((LOAD_FILE2, 0), (LOAD_FILE, int(boot_policy))):
            found = self._protocols.nearest(protocol, path)
            if found is not None and not (protocol == LOAD_FILE2 and boot_policy):
                status, data = self._load_file(found[0], protocol, path[found[1] :], policy)
                if not is_error(status):
                    return self.load(data, path, parent=parent, device=found[0])
                reason = f"LoadFile ended with {status_name(status)}"
        raise ServiceError(f"LoadImage: {reason}", Status.NOT_FOUND)

    def _load_file(self, handle: int, protocol: bytes, rest: bytes, policy: int) -> tuple[int, bytes]:
        interface = self._handles.pointer(handle, protocol) or 0
        function = self._memory.u64(interface + _LOAD_FILE.offset("LoadFile"))
        path, size = self._allocator.place(rest), self._allocator.place(bytes(16))
        status = self._machine.call(function, interface, path, policy, size, 0)
        if status == Status.BUFFER_TOO_SMALL:
            count = self._memory.u64(size)
            pages = -(-count // PAGE)
            if 0 < count < self._memory.size:
                buffer = self._allocator.pages(pages)
                status = self._machine.call(function, interface, path, policy, size, buffer)
                data = self._memory.read(buffer, min(count, self._memory.u64(size)))
                self._allocator.map.free(buffer, pages)
                return status, data
            return Status.LOAD_ERROR, b""
        return (status if is_error(status) else Status.LOAD_ERROR), b""

    def load(
        self,
        data: bytes,
        path: bytes,
        *,
        parent: int,
        device: int = 0,
        options: bytes = b"",
        own: bool = False,
    ) -> Image:
        """Load an image from its bytes; ``path`` is its device path, ``options`` its LoadOptions.

        An image of the firmware's ``own`` may run whatever Secure Boot's databases say.

        Raises:
            FormatError: the bytes are no image for this machine.
            ServiceError: there is no memory for it, or Secure Boot does not let it run.
        """
        reason = None if own else self.refusal(data, path)  # first, so that even what is no image is recorded
        if reason is not None:
            raise ServiceError(f"LoadImage: Secure Boot: {reason}", Status.ACCESS_DENIED)
        pe = PEImage.parse(data)
        code, data_type = self._check(pe)
        alignment = max(PAGE, pe.alignment)
        pages = -(-(pe.size_of_image + alignment - PAGE) // PAGE)
        allocation = self._allocator.map.allocate(code, pages)
        if allocation is None:
            raise ServiceError("LoadImage: there is no memory for the image", Status.OUT_OF_RESOURCES)
        base = -(-allocation // alignment) * alignment
        try:
            content = pe.load(base, limit=self._memory.size)
        except FormatError:
            self._allocator.map.free(allocation, pages)
            raise
        self._memory.write(base, content)
        self._machine.processor.load_code(base, len(content))
        image = self._enter(pe, path, parent, device, options, (code, data_type), (base, allocation, pages))
        self._images[image.handle] = image
        self.loaded.append(image)
        self.on_load(image, pe)
        return image

    def _check(self, pe: PEImage) -> tuple[MemoryType, MemoryType]:
        wanted = self._machine.architecture.machine
        if pe.machine != wanted:
            raise PEError(
                "the image is for another processor",
                structure="IMAGE_FILE_HEADER", field="Machine", offset=pe.dos.e_lfanew + 4,
                expected=wanted.title, actual=pe.machine.title,
            )  # fmt: skip
        types = _TYPES.get(pe.subsystem)
        if types is None:
            raise PEError(
                "the image is no UEFI application or driver",
                structure="IMAGE_OPTIONAL_HEADER64", field="Subsystem", offset=pe.optional_offset + 68,
                expected="10, 11 or 12", actual=int(pe.subsystem),
            )  # fmt: skip
        if pe.entry_point == 0:
            raise PEError(
                "the image has no entry point",
                structure="IMAGE_OPTIONAL_HEADER64", field="AddressOfEntryPoint", offset=pe.optional_offset + 16,
                expected="not 0", actual=0,
            )  # fmt: skip
        return types

    def _enter(
        self,
        pe: PEImage,
        path: bytes,
        parent: int,
        device: int,
        options: bytes,
        types: tuple[MemoryType, MemoryType],
        place: tuple[int, int, int],
    ) -> Image:
        """Give the image its handle and its protocols."""
        base, allocation, pages = place
        below = nodes(path)
        if not device:
            found = self._protocols.nearest(GUIDS["EFI_DEVICE_PATH_PROTOCOL"].bytes_le, path) if below else None
            device = found[0] if found else 0
        own = self._protocols.device_path(device) if device else None
        rest = path[len(body(own)) :] if own is not None and path.startswith(body(own)) else path
        interface = self._allocator.place(
            EFI_LOADED_IMAGE_PROTOCOL.pack(
                {
                    "Revision": _REVISION,
                    "ParentHandle": 0 if parent == self._protocols.image else parent,  # 0: the firmware itself
                    "SystemTable": self.system_table,
                    "DeviceHandle": device,
                    "FilePath": self._allocator.place(rest),
                    "LoadOptionsSize": len(options),
                    "LoadOptions": self._allocator.place(options) if options else 0,
                    "ImageBase": base,
                    "ImageSize": pe.size_of_image,
                    "ImageCodeType": int(types[0]),
                    "ImageDataType": int(types[1]),
                }
            )
        )
        handle = self._handles.create()
        self._handles.install(handle, LOADED_IMAGE, interface)
        self._handles.install(handle, LOADED_IMAGE_DEVICE_PATH, self._allocator.place(path) if below else 0)
        name = image_name(path)
        return Image(
            handle, name or f"image-{len(self.loaded) + 1}", Subsystem(pe.subsystem), base, pe.size_of_image,
            base + pe.entry_point, interface, allocation, pages, device, path,
        )  # fmt: skip

    def set_options(self, image: Image, options: bytes) -> None:
        """Set the LoadOptions of an image that has not been started."""
        structure = EFI_LOADED_IMAGE_PROTOCOL
        self._memory.put32(image.interface + structure.offset("LoadOptionsSize"), len(options))
        pointer = self._allocator.place(options) if options else 0
        self._memory.put64(image.interface + structure.offset("LoadOptions"), pointer)

    # Start and end

    def start_image(self, handle: int, exit_size: int, exit_data: int) -> int:
        """StartImage."""
        image = self._images.get(handle)
        if image is None or image.started:
            return Status.INVALID_PARAMETER
        status, text = self.start(image)
        if exit_size and exit_data and text:
            encoded = text.encode("utf-16-le", "surrogatepass") + b"\0\0"
            self._memory.put64(exit_size, len(encoded))
            self._memory.put64(exit_data, self._allocator.place(encoded))
        elif exit_size:
            self._memory.put64(exit_size, 0)
        return status

    def start(self, image: Image) -> tuple[int, str]:
        """Run an image until it returns or calls Exit; its status and exit data.

        Raises:
            GuestError, BudgetUsedError: it failed, or used up its budget.
            RunEnded: it ended the run.
        """
        image.started = True
        machine = self._machine
        state, tpl = machine.processor.save(), self._events.tpl
        text = ""
        try:
            status = machine.call(image.entry, image.handle, self.system_table)
        except ImageExited as ended:
            if ended.handle != image.handle:
                raise
            status, text = ended.status, ended.data
        machine.processor.restore(state)
        self._events.tpl = tpl
        image.status = status
        if image.subsystem is Subsystem.EFI_APPLICATION or is_error(status):
            self._unload(image)
        return status, text

    def exit(self, handle: int, status: int, size: int, data: int) -> int:
        """Exit: unwinds to the StartImage of the image; an image that was not started is unloaded."""
        image = self._images.get(handle)
        if image is None:
            return Status.INVALID_PARAMETER
        if not image.started:
            self._unload(image)
            return Status.SUCCESS
        text = self._memory.text(data, _MAX_EXIT_DATA) if data and size else ""
        if image.status is not None:
            raise GuestImageError(f"{image.name} called Exit after it had returned")
        raise ImageExited(image.handle, status, text)

    def unload_image(self, handle: int) -> int:
        """UnloadImage."""
        image = self._images.get(handle)
        if image is None:
            return Status.INVALID_PARAMETER
        if image.started:
            unload = self._memory.u64(image.interface + EFI_LOADED_IMAGE_PROTOCOL.offset("Unload"))
            if not unload:
                return Status.UNSUPPORTED
            status = self._machine.call(unload, handle)
            if is_error(status):
                return status
        self._unload(image)
        return Status.SUCCESS

    def _unload(self, image: Image) -> None:
        """Free an image: its protocols, what it has opened, its memory."""
        self._images.pop(image.handle, None)
        for handle in self._handles:
            for interface in self._handles.protocols(handle).values():
                interface.uses = [use for use in interface.uses if use.agent != image.handle]
        for protocol in (LOADED_IMAGE, LOADED_IMAGE_DEVICE_PATH):
            if protocol in self._handles.protocols(image.handle):
                self._handles.remove(image.handle, protocol)
        self._allocator.map.free(image.allocation, image.pages)
        self._machine.processor.load_code(image.base, image.size)

    def exit_boot_services(self, handle: int, key: int) -> int:
        """ExitBootServices: refused unless ``key`` is the current memory map's.

        Those who registered for the moment before are told once, whether or not it is refused.
        """
        if not self._exit_announced:
            self._exit_announced = True
            self._events.signal_group(GUIDS["EFI_EVENT_GROUP_BEFORE_EXIT_BOOT_SERVICES"].bytes_le)
            self._events.dispatch()
        if key != self._allocator.map.key:
            return Status.INVALID_PARAMETER
        self._events.signal_group(GUIDS["EFI_EVENT_GROUP_EXIT_BOOT_SERVICES"].bytes_le)
        self._events.tpl = TPL_APPLICATION
        self._events.dispatch()
        self._events.stop_timers()
        self.boot_services_exited()
        if self.stop_at_exit:
            raise BootServicesExited(handle)
        return Status.SUCCESS
