"""A firmware in a machine, with the same surface as the one in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Self

from cloudboot_uefi_abi.device_path import DevicePath
from cloudboot_uefi_abi.errors import DevicePathError
from cloudboot_uefi_abi.guids import GUIDS
from cloudboot_uefi_abi.protocols.console import EFI_SIMPLE_TEXT_OUTPUT_PROTOCOL
from cloudboot_uefi_abi.status import Status, is_error
from cloudboot_uefi_abi.tables import EFI_SYSTEM_TABLE
from cloudboot_uefi_host.core.device_paths import read_path
from cloudboot_uefi_host.core.files import FileReader
from cloudboot_uefi_host.core.images import FILE_SYSTEM
from cloudboot_uefi_host.core.memory_map import PAGE
from cloudboot_uefi_host.core.protocols import DEVICE_PATH
from cloudboot_uefi_host.core.publisher import Publisher
from cloudboot_uefi_host.cpu.architecture import TRAP_SIZE
from cloudboot_uefi_host.errors import ServiceError
from cloudboot_uefi_host.machine import TRAPS, Budget, Machine
from cloudboot_uefi_host.trace import Trace

from .console import LiveConsole
from .images import LiveImages
from .machine import ARENA, ARENA_SIZE, start_agent
from .observer import Observer
from .services import BootServices, LiveDrivers, LiveHandles, LiveProtocols, arena

if TYPE_CHECKING:
    import cloudboot_qemu as qemu
    from cloudboot_uefi_host.core.access import Access

DEFAULT_MEMORY: Final = 1 << 30
"""Bytes; FreeBSD's loader cannot allocate its staging area in half of that."""
_BLOCK_IO: Final = GUIDS["EFI_BLOCK_IO_PROTOCOL"].bytes_le


class LiveClock:
    """The time since the machine's processor started."""

    def __init__(self, machine: qemu.Machine) -> None:
        self._machine = machine

    def seconds(self) -> float:
        """Seconds."""
        return self._machine.elapsed


class LiveFirmware:
    """A firmware for amd64 in a machine of QEMU, held where it can be called.

    The machine has a serial console, and a screen if it is asked for. The disk the agent came from is
    disconnected, so programs find no block devices but those that are published.

    Args:
        memory: bytes of RAM.
        budget: what a run may use; its seconds are also what the firmware has to start the agent.
        firmware: which firmware; by default the one that QEMU's descriptors prefer.
        display: whether the machine has a graphics adapter, whose screen shows the firmware's text console.

    Raises:
        ProgramMissingError: QEMU is not installed.
        FirmwareMissingError: no firmware is installed.
        BackEndError: the firmware did not start the agent.
    """

    def __init__(
        self,
        *,
        memory: int = DEFAULT_MEMORY,
        budget: Budget | None = None,
        firmware: qemu.Firmware | None = None,
        display: bool = False,
    ) -> None:
        budget = budget or Budget()
        self.agent = start_agent(memory=memory, seconds=budget.seconds or 120.0, firmware=firmware, display=display)
        try:
            self._build(budget)
        except BaseException:
            self.close()
            raise

    def _build(self, budget: Budget) -> None:
        agent, processor = self.agent, self.agent.processor
        self.handle, self.system_table = agent.image, agent.system_table
        self.trace = Trace()
        self.machine = Machine(processor, budget=budget, trace=self.trace)
        self.memory, self.architecture = self.machine.memory, self.machine.architecture
        self.problems: list[str] = []
        self.accesses: list[Access] = []
        self.clock = LiveClock(agent.qemu)
        self.allocator = arena(self.machine, ARENA, ARENA_SIZE)
        self.machine.place_traps(self.allocator.pages(TRAPS * TRAP_SIZE // PAGE))
        self.publisher = Publisher(self.machine, self.allocator)
        self.services = BootServices(self.machine, self.allocator, self.system_table)
        self.handles = LiveHandles(self.services)
        self.protocols = LiveProtocols(self.services)
        self.drivers = LiveDrivers(self.services, self.handles)
        self.files = FileReader(self.machine, self.allocator)
        self.console = LiveConsole(self.memory, self.clock.seconds, agent.qemu.send, agent.qemu.cpu_seconds)
        self.images = LiveImages(self.machine, self.services, self.handles, self.allocator)
        self.observer = Observer(
            self.machine,
            processor,
            self.services,
            self.handles,
            self.images,
            self.console,
            self.system_table,
            self.serial,
        )
        self.images.watching = self.observer.watching
        for handle in self.handles.with_protocol(_BLOCK_IO):
            self.drivers.disconnect(handle)
        if agent.qemu.description.display:
            self._set_text_mode()

    def _set_text_mode(self) -> None:
        """Give programs 80 columns and 25 rows, as on the serial line alone; OVMF takes what fills its screen."""
        output = self.memory.u64(self.system_table + EFI_SYSTEM_TABLE.offset("ConOut"))
        self.machine.call(self.memory.u64(output + EFI_SIMPLE_TEXT_OUTPUT_PROTOCOL.offset("SetMode")), output, 0)

    @property
    def vendor(self) -> str:
        """The firmware's vendor and revision, as its system table has them."""
        vendor = self.memory.u64(self.system_table + EFI_SYSTEM_TABLE.offset("FirmwareVendor"))
        revision = self.memory.u32(self.system_table + EFI_SYSTEM_TABLE.offset("FirmwareRevision"))
        return f"{self.memory.text(vendor)}, revision {revision >> 16}.{revision & 0xFFFF}"

    def path_of(self, handle: int) -> bytes | None:
        """The device path of a handle; ``None`` without one, or with one that cannot be read."""
        pointer = self.handles.pointer(handle, DEVICE_PATH)
        if not pointer:
            return None
        try:
            return read_path(self.memory, pointer)
        except DevicePathError:
            return None

    def path_text(self, handle: int) -> str:
        """The device path of a handle as the specification's text; empty where it has none that can be read."""
        path = self.path_of(handle)
        return "" if path is None else str(DevicePath.parse(path))

    def read_file(self, handle: int, path: str) -> bytes:
        """The content of a file on a handle with a Simple File System; ``path`` has backslashes.

        Raises:
            ServiceError: the file cannot be read, or the handle has no file system.
        """
        interface = self.handles.pointer(handle, FILE_SYSTEM)
        if interface is None:
            raise ServiceError("the handle has no file system", Status.UNSUPPORTED)
        status, data = self.files.read(interface, path)
        if is_error(status):
            raise ServiceError(f"{path} cannot be read", status)
        return data

    def serial(self) -> str:
        """What the machine sent on its serial line, as plain text: the firmware's lines and those of programs."""
        return self.agent.qemu.transcript.tail(1 << 20)

    def screenshot(self) -> bytes | None:
        """The screen as it is, a PNG file; ``None`` in a machine without one."""
        return self.agent.qemu.screendump() if self.agent.qemu.description.display else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the machine."""
        machine = getattr(self, "machine", None)
        if machine is not None:
            machine.close()
        self.agent.close()
