"""The parts of a firmware that its drivers and its publishers of protocols use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cloudboot_uefi_host.cpu.architecture import TRAP_SIZE
from cloudboot_uefi_host.cpu.arm64 import TABLE_SIZE
from cloudboot_uefi_host.machine import TRAPS

from .allocator import Allocator
from .drivers import DriverServices
from .events import Events
from .files import FileReader
from .handles import Handles
from .images import ImageServices
from .memory_map import PAGE, MemoryMap, MemoryType
from .protocols import ProtocolServices
from .publisher import Publisher

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloudboot_uefi_host.machine import Machine

    from .access import Access
    from .clock import Clock

_STACK_PAGES: Final = 128
"""512 KiB; section 2.3 asks for 128 KiB or more."""
#: amd64: the first 64 KiB hold page 0, the descriptor table and the page tables; 640 KiB to 1 MiB is no RAM.
_X86_LOW_RESERVED, _X86_LOW_END, _X86_HIGH = 0x10000, 0xA0000, 0x100000


class Core:
    """Memory, events, handles, protocols, drivers and images of one machine.

    ``problems`` says in words what the firmware's own drivers met: no table, a damaged file system, a failed read.
    ``accesses`` is what programs opened and read in published file systems.
    """

    def __init__(self, machine: Machine, clock: Clock) -> None:
        self.machine, self.clock = machine, clock
        self.memory, self.architecture, self.trace = machine.memory, machine.architecture, machine.trace
        self.problems: list[str] = []
        self.accesses: list[Access] = []
        self.map = self._memory_map()
        self.allocator = Allocator(self.memory, self.map)
        self._place_fixed()
        self.publisher = Publisher(machine, self.allocator)
        self.events = Events(machine, clock, self.allocator.pool)
        self.handles = Handles(self.allocator.pool, self.events)
        self.protocols = ProtocolServices(self.memory, self.allocator, self.events, self.handles, self.trace)
        self.drivers = DriverServices(machine, self.allocator, self.handles)
        self.files = FileReader(machine, self.allocator)
        self.images = ImageServices(machine, self.allocator, self.events, self.handles, self.protocols, self.files)
        #: The firmware's own handle: the parent of images it loads, the agent of what it opens.
        self.handle = self.handles.create()
        self.protocols.image = self.handle
        #: Adds an entry to the configuration table; the firmware sets it.
        self.install_table: Callable[[bytes, int], bool] = lambda _guid, _pointer: False
        self.protocols.connect = self.drivers.connect
        self.protocols.disconnect = self.drivers.disconnect

    def _memory_map(self) -> MemoryMap:
        memory = self.memory
        if self.architecture.name != "amd64":
            found = MemoryMap(runtime_alignment=self.architecture.runtime_alignment)
            tables = TABLE_SIZE if self.architecture.name == "arm64" else 0
            found.add(memory.base, memory.size - tables, MemoryType.CONVENTIONAL)
            if tables:
                found.add(memory.end - tables, tables, MemoryType.BOOT_SERVICES_DATA)
            return found
        found = MemoryMap(low_limit=_X86_HIGH)
        found.add(0, _X86_LOW_RESERVED, MemoryType.BOOT_SERVICES_DATA)
        found.add(_X86_LOW_RESERVED, _X86_LOW_END - _X86_LOW_RESERVED, MemoryType.CONVENTIONAL)
        found.add(_X86_HIGH, memory.size - _X86_HIGH, MemoryType.CONVENTIONAL)
        return found

    def _place_fixed(self) -> None:
        """The table of traps, and the stack with its guard page."""
        processor = self.machine.processor
        self.machine.place_traps(self.allocator.pages(TRAPS * TRAP_SIZE // PAGE, MemoryType.RUNTIME_SERVICES_CODE))
        stack = self.allocator.pages(_STACK_PAGES + 1)
        processor.guard(stack, PAGE)
        self.stack = stack + PAGE, stack + (_STACK_PAGES + 1) * PAGE
        processor.write(self.architecture.sp, self.stack[1] - 64)

    def path_of(self, handle: int) -> bytes | None:
        """The device path of a handle."""
        return self.protocols.device_path(handle)
