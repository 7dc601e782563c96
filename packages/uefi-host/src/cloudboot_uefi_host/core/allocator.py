"""Memory services, and memory for the firmware's own structures (UEFI 2.10 section 7.2)."""

from __future__ import annotations

import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from cloudboot_uefi_abi.layout.records import EFI_MEMORY_DESCRIPTOR
from cloudboot_uefi_abi.status import Status
from cloudboot_uefi_host.errors import HostError

from .memory_map import DESCRIPTOR_SIZE, PAGE, MemoryType, is_allocatable
from .pool import Pool

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typing_extensions import Buffer

    from cloudboot_uefi_host.memory import GuestMemory

    from .memory_map import MemoryMap

ALLOCATE_ANY_PAGES, ALLOCATE_MAX_ADDRESS, ALLOCATE_ADDRESS = range(3)
_MAX_PAGES: Final = 1 << 52
_DESCRIPTOR_VERSION: Final = 1
SCRATCH_SIZE: Final = 256 << 10
#: What CopyMem and SetMem move in one step; a program's size may be nonsense.
_CHUNK: Final = 1 << 20


class Allocator:
    """The memory of one machine: services for programs, and :meth:`place` for the firmware."""

    def __init__(self, memory: GuestMemory, memory_map: MemoryMap) -> None:
        self.memory, self.map = memory, memory_map
        self.pool = Pool(memory_map)
        self._scratch: list[int] = []

    # The firmware's side

    def place(self, data: Buffer, memory_type: int = MemoryType.BOOT_SERVICES_DATA) -> int:
        """A copy of ``data`` in pool memory.

        Raises:
            HostError: memory is used up.
        """
        content = memoryview(data).cast("B")
        address = self.pool.allocate(memory_type, len(content))
        if address is None:
            raise HostError("the machine's memory is used up", hint="give the machine more memory")
        self.memory.write(address, content)
        return address

    def place_text(self, text: str) -> int:
        """``text`` as NUL-terminated UCS-2 in pool memory."""
        return self.place(text.encode("utf-16-le", "surrogatepass") + b"\0\0")

    def pages(self, count: int, memory_type: int = MemoryType.BOOT_SERVICES_DATA) -> int:
        """Pages for the firmware.

        Raises:
            HostError: memory is used up.
        """
        address = self.map.allocate(memory_type, count)
        if address is None:
            raise HostError("the machine's memory is used up", hint="give the machine more memory")
        return address

    @contextmanager
    def scratch(self) -> Iterator[int]:
        """The address of :data:`SCRATCH_SIZE` bytes that nobody else uses until the block ends.

        Blocks nest: a partition's read is a read of its disk.
        """
        buffer = self._scratch.pop() if self._scratch else self.pages(SCRATCH_SIZE // PAGE)
        try:
            yield buffer
        finally:
            self._scratch.append(buffer)

    @contextmanager
    def buffer(self, size: int) -> Iterator[int]:
        """The address of ``size`` bytes until the block ends.

        Raises:
            HostError: memory is used up.
        """
        count = -(-size // PAGE)
        address = self.pages(count)
        try:
            yield address
        finally:
            self.map.free(address, count)

    # Services

    def allocate_pages(self, kind: int, memory_type: int, pages: int, address: int) -> int:
        """AllocatePages."""
        if kind > ALLOCATE_ADDRESS or not address or not is_allocatable(memory_type):
            return Status.INVALID_PARAMETER
        if pages == 0 or pages >= _MAX_PAGES:
            return Status.NOT_FOUND if kind == ALLOCATE_ADDRESS else Status.OUT_OF_RESOURCES
        wanted = self.memory.u64(address)
        if kind == ALLOCATE_ADDRESS:
            if wanted % self.map.alignment(memory_type):
                return Status.NOT_FOUND
            if not self.map.allocate_at(memory_type, pages, wanted):
                return Status.NOT_FOUND
            return Status.SUCCESS
        limit = min(wanted + 1, 1 << 64) if kind == ALLOCATE_MAX_ADDRESS else 1 << 64
        found = self.map.allocate(memory_type, pages, limit)
        if found is None:
            return Status.OUT_OF_RESOURCES
        self.memory.put64(address, found)
        return Status.SUCCESS

    def free_pages(self, address: int, pages: int) -> int:
        """FreePages."""
        if address % PAGE or pages == 0:
            return Status.INVALID_PARAMETER
        if pages >= _MAX_PAGES:
            return Status.NOT_FOUND
        return Status.SUCCESS if self.map.free(address, pages) else Status.NOT_FOUND

    def allocate_pool(self, memory_type: int, size: int, buffer: int) -> int:
        """AllocatePool."""
        if not buffer or not is_allocatable(memory_type):
            return Status.INVALID_PARAMETER
        found = self.pool.allocate(memory_type, size) if size < self.memory.size else None
        if found is None:
            return Status.OUT_OF_RESOURCES
        self.memory.put64(buffer, found)
        return Status.SUCCESS

    def free_pool(self, buffer: int) -> int:
        """FreePool."""
        return Status.SUCCESS if self.pool.free(buffer) else Status.INVALID_PARAMETER

    def get_memory_map(self, size: int, buffer: int, key: int, descriptor_size: int, version: int) -> int:
        """GetMemoryMap."""
        memory = self.memory
        if not size:
            return Status.INVALID_PARAMETER
        needed = len(self.map) * DESCRIPTOR_SIZE
        room = memory.u64(size)
        memory.put64(size, needed)
        if descriptor_size:
            memory.put64(descriptor_size, DESCRIPTOR_SIZE)
        if version:
            memory.put32(version, _DESCRIPTOR_VERSION)
        if room < needed:
            return Status.BUFFER_TOO_SMALL
        if not buffer:
            return Status.INVALID_PARAMETER
        for index, region in enumerate(self.map):
            record = EFI_MEMORY_DESCRIPTOR(
                Type=MemoryType(region.type),
                PhysicalStart=region.start,
                NumberOfPages=region.pages,
                Attribute=region.attributes,
            )
            memory.write(buffer + index * DESCRIPTOR_SIZE, record.pack().ljust(DESCRIPTOR_SIZE, b"\0"))
        if key:
            memory.put64(key, self.map.key)
        return Status.SUCCESS

    def copy_mem(self, destination: int, source: int, length: int) -> None:
        """CopyMem: the ranges may overlap."""
        if length:
            self.memory.offset(destination, length)
            self.memory.write(destination, self.memory.read(source, length))

    def set_mem(self, buffer: int, size: int, value: int) -> None:
        """SetMem."""
        if size:
            self.memory.offset(buffer, size)
        for start in range(0, size, _CHUNK):
            self.memory.fill(buffer + start, min(_CHUNK, size - start), value)

    def calculate_crc32(self, data: int, size: int, crc: int) -> int:
        """CalculateCrc32."""
        if not data or not size or not crc:
            return Status.INVALID_PARAMETER
        self.memory.put32(crc, zlib.crc32(self.memory.window(data, size)))
        return Status.SUCCESS
