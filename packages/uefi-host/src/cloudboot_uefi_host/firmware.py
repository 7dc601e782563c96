"""The firmware: memory, tables and services of one machine, put together."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final, Self
from uuid import UUID

from cloudboot_base import UsageError
from cloudboot_uefi_abi.constants import SPECIFICATION_REVISION
from cloudboot_uefi_abi.device_path import DevicePath
from cloudboot_uefi_abi.guids import GUIDS
from cloudboot_uefi_abi.image_executions import ImageExecution, pack_image_executions
from cloudboot_uefi_abi.layout.records import EFI_TABLE_HEADER
from cloudboot_uefi_abi.status import Status, is_error
from cloudboot_uefi_abi.tables import EFI_BOOT_SERVICES, EFI_CONFIGURATION_TABLE, EFI_RUNTIME_SERVICES, EFI_SYSTEM_TABLE

from .core.authenticated import IMAGE_SECURITY
from .core.clock import DEFAULT_EPOCH, Clock
from .core.console import PATH as CONSOLE_PATH
from .core.console import Console
from .core.core import Core
from .core.device_paths import END
from .core.images import FILE_SYSTEM
from .core.memory_map import PAGE, MemoryType
from .core.runtime import RuntimeServices
from .core.variables import Variables
from .core.virtual import VirtualMode
from .cpu.architecture import architecture_of
from .cpu.create import create
from .drivers.disk_io import DiskIo
from .drivers.fat import Fat
from .drivers.partition import Partition
from .errors import ServiceError
from .machine import Budget, Machine
from .platform.acpi import publish_acpi
from .platform.smbios import publish_smbios
from .protocols.boot_hart import publish_boot_hart
from .trace import Trace

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloudboot_uefi_abi.declarations import Structure

    from .cpu.create import BackEnd
    from .machine import Service
    from .trace import CallRecord

VENDOR: Final = "cloudboot"
MACHINE_GUID: Final = UUID("c10ddb00-7e1a-4001-91b0-070cb1ec80b2")
"""What the system information of SMBIOS says the machine is."""
_FIRMWARE_REVISION: Final = 0x00010000
DEFAULT_MEMORY: Final = 512 << 20
MIN_MEMORY: Final = 32 << 20


class Firmware(Core):
    """A UEFI firmware in this process.

    Args:
        architecture: ``amd64``, ``arm64``, ``riscv64``.
        memory: bytes of RAM.
        budget: what a run may use.
        listener: is given every service call.
        trap_null: makes accesses to page 0 of amd64 faults. Firmware maps that page, and programs read it.
        drivers: publishes Python's Disk IO, partition and FAT drivers.
        epoch: what the clock shows at power on, in seconds since 1970.
        back_end: ``unicorn``, ``gdb``, or a function that makes a processor; by default the fastest that is installed.

    Raises:
        UsageError: the architecture is not known, or the memory too small.
        BackEndMissingError: no processor back end for it is installed.
    """

    def __init__(
        self,
        architecture: str = "amd64",
        *,
        memory: int = DEFAULT_MEMORY,
        budget: Budget | None = None,
        listener: Callable[[CallRecord], None] | None = None,
        trap_null: bool = False,
        drivers: bool = True,
        epoch: int = DEFAULT_EPOCH,
        back_end: str | BackEnd | None = None,
    ) -> None:
        described = architecture_of(architecture)
        if memory < MIN_MEMORY or memory % PAGE:
            raise UsageError(f"{memory} bytes of memory are too few, or no whole pages", hint="32 MiB or more")
        clock = Clock(epoch=epoch, frequency=described.counter_frequency)
        memory = min(memory, described.max_memory)
        processor = create(architecture, memory, clock, back_end)
        machine = Machine(processor, budget=budget or Budget(), trace=Trace(listener))
        super().__init__(machine, clock)
        if trap_null and described.name == "amd64":
            processor.guard(0, PAGE)
        self.variables = Variables(self.memory, self.trace)
        self.runtime = RuntimeServices(self.memory, self.clock)
        self.virtual = VirtualMode(self.memory, self.events)
        self.console = Console(self.machine, self.allocator, self.publisher, self.events, self.handles, self.clock)
        self.variables.set_console(CONSOLE_PATH)
        self._monotonic = 0
        self._configuration: dict[bytes, int] = {}
        self._configuration_at = 0
        self._publish_tables()
        self._link()
        publish_acpi(self)
        publish_smbios(self, VENDOR, MACHINE_GUID)
        #: The images that Secure Boot did not let run, as EFI_IMAGE_EXECUTION_INFO_TABLE has them.
        self.refused_images: list[ImageExecution] = []
        self._publish_refused_images()
        if described.name == "riscv64":
            publish_boot_hart(self)
        if drivers:
            self.python_drivers = (DiskIo(self), Partition(self), Fat(self))

    # Construction

    def _header(self, structure: Structure) -> bytes:
        return EFI_TABLE_HEADER(
            Signature=structure.signature or bytes(8), Revision=SPECIFICATION_REVISION, HeaderSize=structure.size
        ).pack()

    def _publish_tables(self) -> None:
        runtime = MemoryType.RUNTIME_SERVICES_DATA
        self.boot_services = self.publisher.publish(
            EFI_BOOT_SERVICES, self._boot_functions(), {"Hdr": self._header(EFI_BOOT_SERVICES)}
        )
        self.runtime_services = self.publisher.publish(
            EFI_RUNTIME_SERVICES,
            self._runtime_functions(),
            {"Hdr": self._header(EFI_RUNTIME_SERVICES)},
            memory_type=runtime,
        )
        vendor = self.allocator.place(VENDOR.encode("utf-16-le") + b"\0\0", runtime)
        console = self.console
        self.system_table = self.publisher.publish(
            EFI_SYSTEM_TABLE,
            {},
            {
                "Hdr": self._header(EFI_SYSTEM_TABLE),
                "FirmwareVendor": vendor,
                "FirmwareRevision": _FIRMWARE_REVISION,
                "ConsoleInHandle": console.handle,
                "ConIn": console.input,
                "ConsoleOutHandle": console.handle,
                "ConOut": console.output,
                "StandardErrorHandle": console.handle,
                "StdErr": console.output,
                "RuntimeServices": self.runtime_services,
                "BootServices": self.boot_services,
            },
            memory_type=runtime,
        )
        self._update_configuration()
        for table, structure in (
            (self.boot_services, EFI_BOOT_SERVICES),
            (self.runtime_services, EFI_RUNTIME_SERVICES),
        ):
            self._checksum(table, structure)

    def _link(self) -> None:
        """What the parts of the core need of the tables."""
        self.images.system_table = self.system_table
        self.install_table = self.install_configuration_table
        self.virtual.convert_tables = self._convert_tables
        self.images.boot_services_exited = self._exit_boot_services
        self.images.refusal = self._refusal
        self.machine.after_service = self._after_service
        self.machine.on_slice = self._after_slice
        self.machine.on_halt = self.events.halt

    def _boot_functions(self) -> dict[str, Callable[..., int | None]]:
        events, protocols, images, drivers, memory = (
            self.events, self.protocols, self.images, self.drivers, self.allocator,
        )  # fmt: skip
        return {
            "RaiseTPL": events.raise_tpl,
            "RestoreTPL": events.restore_tpl,
            "AllocatePages": memory.allocate_pages,
            "FreePages": memory.free_pages,
            "GetMemoryMap": memory.get_memory_map,
            "AllocatePool": memory.allocate_pool,
            "FreePool": memory.free_pool,
            "CreateEvent": events.create_event,
            "SetTimer": events.timer,
            "WaitForEvent": events.wait_for_event,
            "SignalEvent": events.signal_event,
            "CloseEvent": events.close_event,
            "CheckEvent": events.check_event,
            "InstallProtocolInterface": protocols.install,
            "ReinstallProtocolInterface": protocols.reinstall,
            "UninstallProtocolInterface": protocols.uninstall,
            "HandleProtocol": protocols.handle_protocol,
            "RegisterProtocolNotify": protocols.register_protocol_notify,
            "LocateHandle": protocols.locate_handle,
            "LocateDevicePath": protocols.locate_device_path,
            "InstallConfigurationTable": self._install_configuration_table,
            "LoadImage": images.load_image,
            "StartImage": images.start_image,
            "Exit": images.exit,
            "UnloadImage": images.unload_image,
            "ExitBootServices": images.exit_boot_services,
            "GetNextMonotonicCount": self._get_next_monotonic_count,
            "Stall": events.stall,
            "SetWatchdogTimer": lambda _timeout, _code, _size, _data: Status.SUCCESS,
            "ConnectController": drivers.connect_controller,
            "DisconnectController": drivers.disconnect_controller,
            "OpenProtocol": protocols.open_protocol,
            "CloseProtocol": protocols.close_protocol,
            "OpenProtocolInformation": protocols.open_protocol_information,
            "ProtocolsPerHandle": protocols.protocols_per_handle,
            "LocateHandleBuffer": protocols.locate_handle_buffer,
            "LocateProtocol": protocols.locate_protocol,
            "InstallMultipleProtocolInterfaces": protocols.install_multiple,
            "UninstallMultipleProtocolInterfaces": protocols.uninstall_multiple,
            "CalculateCrc32": memory.calculate_crc32,
            "CopyMem": memory.copy_mem,
            "SetMem": memory.set_mem,
            "CreateEventEx": events.create_event_ex,
        }

    def _runtime_functions(self) -> dict[str, Callable[..., int | None]]:
        return {
            "GetTime": self.runtime.get_time,
            "SetTime": self.runtime.set_time,
            "GetWakeupTime": self.runtime.get_wakeup_time,
            "SetWakeupTime": self.runtime.set_wakeup_time,
            "SetVirtualAddressMap": self.virtual.set_virtual_address_map,
            "ConvertPointer": self.virtual.convert_pointer,
            "GetVariable": self.variables.get_variable,
            "GetNextVariableName": self.variables.get_next_variable_name,
            "SetVariable": self.variables.set_variable,
            "QueryVariableInfo": self.variables.query_variable_info,
            "GetNextHighMonotonicCount": self.runtime.get_next_high_monotonic_count,
            "ResetSystem": self.runtime.reset_system,
            "UpdateCapsule": self.runtime.update_capsule,
            "QueryCapsuleCapabilities": self.runtime.query_capsule_capabilities,
        }

    # Tables

    def _checksum(self, table: int, structure: Structure) -> None:
        at = table + EFI_TABLE_HEADER.LAYOUT.offsets["CRC32"]
        self.memory.put32(at, 0)
        self.memory.put32(at, zlib.crc32(self.memory.read(table, structure.size)))

    def _update_configuration(self) -> None:
        """Write the configuration table anew, and the system table's checksum."""
        entries = b"".join(
            EFI_CONFIGURATION_TABLE.pack({"VendorGuid": guid, "VendorTable": pointer})
            for guid, pointer in self._configuration.items()
        )
        old, self._configuration_at = (
            self._configuration_at,
            self.allocator.place(entries or bytes(EFI_CONFIGURATION_TABLE.size), MemoryType.RUNTIME_SERVICES_DATA),
        )
        if old:
            self.allocator.pool.free(old)
        table = EFI_SYSTEM_TABLE
        self.memory.put64(self.system_table + table.offset("NumberOfTableEntries"), len(self._configuration))
        self.memory.put64(self.system_table + table.offset("ConfigurationTable"), self._configuration_at)
        self._checksum(self.system_table, table)

    def install_configuration_table(self, guid: bytes, pointer: int) -> bool:
        """Add, replace or (with 0) remove an entry; false if there was none to remove."""
        if pointer:
            self._configuration[guid] = pointer
        elif self._configuration.pop(guid, None) is None:
            return False
        self._update_configuration()
        self.events.signal_group(guid)
        return True

    def _install_configuration_table(self, guid: int, table: int) -> int:
        if not guid:
            return Status.INVALID_PARAMETER
        done = self.install_configuration_table(self.memory.read(guid, 16), table)
        return Status.SUCCESS if done else Status.NOT_FOUND

    def _get_next_monotonic_count(self, count: int) -> int:
        if not count:
            return Status.INVALID_PARAMETER
        self._monotonic += 1
        self.memory.put64(count, self._monotonic)
        return Status.SUCCESS

    def _refusal(self, image: bytes, path: bytes) -> str | None:
        """Why Secure Boot does not let an image run; the table of refused images gets an entry."""
        refused = self.variables.refusal(image)
        if refused is None:
            return None
        self.problems.append(f"Secure Boot: {refused.reason}")
        if path != END:  # EDK2 has no entry for an image that LoadImage got without a device path
            named = DevicePath.parse(path)
            name = named.text(shortcuts=True)
            self.refused_images.append(ImageExecution(refused.action, name, named, refused.signatures))
            self._publish_refused_images()
        return refused.reason

    def _publish_refused_images(self) -> None:
        """Write EFI_IMAGE_EXECUTION_INFO_TABLE anew; like EDK2, a firmware that refused no image has an empty one."""
        table = self.allocator.place(pack_image_executions(self.refused_images), MemoryType.RUNTIME_SERVICES_DATA)
        old = self._configuration.get(IMAGE_SECURITY)
        self.install_configuration_table(IMAGE_SECURITY, table)
        if old is not None:
            self.allocator.pool.free(old)

    def _exit_boot_services(self) -> None:
        """Take boot services out of the system table, as section 7.4.6 says."""
        table = EFI_SYSTEM_TABLE
        for name in ("ConsoleInHandle", "ConIn", "ConsoleOutHandle", "ConOut", "StandardErrorHandle", "StdErr"):
            self.memory.put64(self.system_table + table.offset(name), 0)
        self.memory.put64(self.system_table + table.offset("BootServices"), 0)
        self._checksum(self.system_table, table)
        self.variables.at_runtime = self.virtual.exited = True

    def _convert_tables(self) -> None:
        """Give the pointers of the system table and of the runtime services their virtual addresses."""
        system, runtime = EFI_SYSTEM_TABLE, EFI_RUNTIME_SERVICES
        functions = [self.runtime_services + member.offset for member in runtime.services]
        names = ("FirmwareVendor", "RuntimeServices", "ConfigurationTable")
        for at in (*functions, *(self.system_table + system.offset(name) for name in names)):
            address = self.virtual.convert(self.memory.u64(at))
            if address is not None:
                self.memory.put64(at, address)
        self._checksum(self.runtime_services, runtime)
        self._checksum(self.system_table, system)

    def _after_service(self, service: Service) -> None:
        self.clock.after_call(polls=service.polls)
        self.events.poll()

    def _after_slice(self) -> None:
        self.clock.after_slice()
        self.events.poll()

    # Use

    def with_protocol(self, name: str) -> list[int]:
        """The handles with the protocol that the specification calls ``name``."""
        return self.handles.with_protocol(GUIDS[name].bytes_le)

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

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the machine back."""
        self.machine.close()
