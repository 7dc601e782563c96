"""Read a file through EFI_SIMPLE_FILE_SYSTEM_PROTOCOL, of any driver (UEFI 2.10 sections 13.4, 13.5)."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from cloudboot_uefi_abi.guids import GUIDS
from cloudboot_uefi_abi.layout.records import EFI_FILE_INFO
from cloudboot_uefi_abi.protocols.files import EFI_FILE_PROTOCOL, EFI_SIMPLE_FILE_SYSTEM_PROTOCOL
from cloudboot_uefi_abi.status import Status, is_error
from cloudboot_uefi_host.errors import HostError

if TYPE_CHECKING:
    from cloudboot_uefi_host.machine import Machine

    from .allocator import Allocator

FILE_INFO: Final = GUIDS["EFI_FILE_INFO"].bytes_le
_READ: Final = 1
_DIRECTORY: Final = 0x10
_MAX_INFO: Final = 4096


class FileReader:
    """Reads whole files, each with one Read, as EDK2 does.

    The buffers are guest memory, so programs' file systems work too.
    """

    def __init__(self, machine: Machine, allocator: Allocator) -> None:
        self._machine, self._memory, self._allocator = machine, machine.memory, allocator

    def _call(self, interface: int, name: str, *arguments: int) -> int:
        structure = EFI_SIMPLE_FILE_SYSTEM_PROTOCOL if name == "OpenVolume" else EFI_FILE_PROTOCOL
        return self._machine.call(self._memory.u64(interface + structure.offset(name)), interface, *arguments)

    def read(self, file_system: int, path: str) -> tuple[int, bytes]:
        """The status and the content of the file ``path`` (with backslashes) of a file-system interface."""
        scratch = self._allocator.place(bytes(_MAX_INFO + 64))
        name = self._allocator.place_text(path)
        try:
            status = self._call(file_system, "OpenVolume", scratch)
            if is_error(status):
                return status, b""
            root = self._memory.u64(scratch)
            status = self._call(root, "Open", scratch, name, _READ, 0)
            if is_error(status):
                self._call(root, "Close")
                return status, b""
            file = self._memory.u64(scratch)
            status, content = self._content(file, scratch)
            self._call(file, "Close")
            self._call(root, "Close")
            return status, content
        finally:
            self._allocator.pool.free(scratch)
            self._allocator.pool.free(name)

    def _content(self, file: int, scratch: int) -> tuple[int, bytes]:
        guid, info = scratch + 8, scratch + 64
        self._memory.write(guid, FILE_INFO)
        self._memory.put64(scratch, _MAX_INFO)
        status = self._call(file, "GetInfo", guid, scratch, info)
        if is_error(status):
            return status, b""
        record = EFI_FILE_INFO.unpack_from(self._memory.read(info, EFI_FILE_INFO.SIZE))
        if record.Attribute & _DIRECTORY:
            return Status.NOT_FOUND, b""
        size = record.FileSize
        if size == 0:
            return Status.SUCCESS, b""
        if size > self._memory.size:
            return Status.OUT_OF_RESOURCES, b""
        with ExitStack() as stack:
            try:
                buffer = stack.enter_context(self._allocator.buffer(size))
            except HostError:
                return Status.OUT_OF_RESOURCES, b""
            self._memory.put64(scratch, size)
            status = self._call(file, "Read", scratch, buffer)
            if is_error(status):
                return status, b""
            return Status.SUCCESS, self._memory.read(buffer, min(size, self._memory.u64(scratch)))
