"""Breakpoints on the firmware's functions while a program runs: which image called what."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from cloudboot_uefi_abi.guids import GUIDS
from cloudboot_uefi_abi.layout.records import SIMPLE_TEXT_OUTPUT_MODE as MODE
from cloudboot_uefi_abi.protocols.console import (
    EFI_SIMPLE_TEXT_INPUT_EX_PROTOCOL,
    EFI_SIMPLE_TEXT_INPUT_PROTOCOL,
    EFI_SIMPLE_TEXT_OUTPUT_PROTOCOL,
)
from cloudboot_uefi_abi.status import is_error
from cloudboot_uefi_abi.tables import EFI_BOOT_SERVICES, EFI_RUNTIME_SERVICES, EFI_SYSTEM_TABLE
from cloudboot_uefi_host.core.control import AwaitingInput, BootServicesExited, MachineReset
from cloudboot_uefi_host.errors import GuestFaultError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cloudboot_uefi_abi.declarations import Structure
    from cloudboot_uefi_host.cpu.stub import StubProcessor
    from cloudboot_uefi_host.machine import Machine

    from .console import LiveConsole
    from .images import LiveImages
    from .services import BootServices, LiveHandles

_BOOT_SERVICES: Final = (
    "AllocatePages", "GetMemoryMap", "WaitForEvent", "InstallProtocolInterface", "HandleProtocol", "LocateHandle",
    "LocateDevicePath", "InstallConfigurationTable", "LoadImage", "StartImage", "Exit", "UnloadImage",
    "ExitBootServices", "SetWatchdogTimer", "ConnectController", "OpenProtocol",
    "LocateHandleBuffer", "LocateProtocol",
)  # fmt: skip
"""Those that firmware and programs call seldom. A stop takes a millisecond, and the firmware itself raises and restores
the TPL, allocates pool memory and checks events thousands of times in a second."""
_RUNTIME_SERVICES: Final = ("GetVariable", "SetVariable", "ResetSystem")
_OUTPUT: Final = ("Reset", "OutputString", "SetMode", "ClearScreen", "SetCursorPosition")
_MAX_RESET_DATA: Final = 4096
_EXCEPTION: Final = re.compile(
    r"!!!! X64 Exception Type - (?P<kind>[^!\n]+?) +CPU.*?RIP +- (?P<rip>[0-9A-F]+)", re.DOTALL
)
"""What EDK2's handler of exceptions prints on the serial line before it stops for good."""
_INPUT_EX: Final = GUIDS["EFI_SIMPLE_TEXT_INPUT_EX_PROTOCOL"].bytes_le
_ARGUMENTS: Final = ("rcx", "rdx", "r8", "r9")


class Observer:
    """Counts what images call, and tells the console what they print.

    ``counts`` of the machine's trace grow by each call that returns into an image. Firmware calls its own functions as
    well; those are not counted.
    """

    def __init__(
        self,
        machine: Machine,
        processor: StubProcessor,
        services: BootServices,
        handles: LiveHandles,
        images: LiveImages,
        console: LiveConsole,
        system_table: int,
        serial: Callable[[], str],
    ) -> None:
        self._machine, self._processor, self._memory = machine, processor, machine.memory
        self._services, self._handles, self._images, self._console = services, handles, images, console
        self._table, self._serial = system_table, serial
        self._output = self._field("ConOut")
        self._watched: dict[int, tuple[str, Callable[..., None] | None]] = {}
        self._polls: dict[int, str] = {}
        self._returns: dict[int, Callable[[], None]] = {}
        self._polled = self._waiting = False
        machine.on_watched, machine.on_slice = self._stopped, self._slice

    def _field(self, name: str) -> int:
        return self._memory.u64(self._table + EFI_SYSTEM_TABLE.offset(name))

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Set the breakpoints until the block ends. They stay where a run was ended in the middle of a program."""
        if not self._watched:
            self._collect()
        self._console.begin()
        self._machine.sliced, self._polled, self._waiting = True, False, False
        self._processor.watch(self._watched)
        yield
        self._processor.unwatch([*self._watched, *self._polls, *self._returns])
        self._returns.clear()
        self._machine.sliced = False

    def _collect(self) -> None:
        handlers: dict[str, Callable[..., None]] = {
            "WaitForEvent": self._wait_for_event,
            "StartImage": self._start_image,
            "ExitBootServices": self._exit_boot_services,
            "ResetSystem": self._reset_system,
            "Reset": self._new_line,
            "OutputString": self._output_string,
            "SetMode": self._new_line,
            "ClearScreen": self._new_line,
            "SetCursorPosition": self._set_cursor_position,
        }
        for table, structure, names in (
            (self._services.table, EFI_BOOT_SERVICES, _BOOT_SERVICES),
            (self._field("RuntimeServices"), EFI_RUNTIME_SERVICES, _RUNTIME_SERVICES),
            (self._output, EFI_SIMPLE_TEXT_OUTPUT_PROTOCOL, _OUTPUT),
        ):
            for name in names:
                self._watched[self._function(table, structure, name)] = f"{structure.name}.{name}", handlers.get(name)
        extended = self._handles.pointer(self._field("ConsoleInHandle"), _INPUT_EX)
        for pointer, structure, name in (
            (self._services.table, EFI_BOOT_SERVICES, "CheckEvent"),
            (self._field("ConIn"), EFI_SIMPLE_TEXT_INPUT_PROTOCOL, "ReadKeyStroke"),
            (extended, EFI_SIMPLE_TEXT_INPUT_EX_PROTOCOL, "ReadKeyStrokeEx"),
        ):
            if pointer:
                self._polls[self._function(pointer, structure, name)] = f"{structure.name}.{name}"

    def _function(self, table: int, structure: Structure, name: str) -> int:
        return self._memory.u64(table + structure.offset(name))

    # Stops

    def _stopped(self, address: int) -> None:
        if address in self._returns:
            self._processor.unwatch([address])
            self._returns.pop(address)()
            return
        sp = self._processor.read("rsp")
        image = self._images.name_at(self._memory.u64(sp))
        if not image:
            return
        if address in self._polls:
            self._console.asked()
            return
        name, function = self._watched[address]
        self._machine.trace.counts[name] += 1
        self._waiting = False
        if function is not None:
            function(image, *self._processor.read_many(_ARGUMENTS))

    def _slice(self) -> None:
        """Half a second has passed without a stop."""
        fault = _EXCEPTION.search(self._serial())
        if fault is not None:
            raise self._fault(fault["kind"], int(fault["rip"], 16))
        if self._console.silent():
            if self._waiting:
                raise AwaitingInput
            if not self._polled:
                self._polled = True
                self._processor.watch(self._polls)
        elif self._polled:
            self._polled = False
            self._processor.unwatch(self._polls)

    def _fault(self, kind: str, pc: int) -> GuestFaultError:
        where: dict[str, int | str] = {"pc": pc}
        image = self._images.name_at(pc)
        if image:
            where["image"] = image
        report = self._machine.report(pc)
        return GuestFaultError(f"the firmware met an exception of the processor: {kind}", where=where, report=report)

    def _new_line(self, image: str, *_: int) -> None:
        self._console.output(image, "\n")

    def _output_string(self, image: str, _this: int, string: int, *_: int) -> None:
        self._console.output_string(image, string)

    def _set_cursor_position(self, image: str, this: int, _column: int, row: int, *_: int) -> None:
        mode = self._memory.u64(this + EFI_SIMPLE_TEXT_OUTPUT_PROTOCOL.offset("Mode"))
        if row != self._memory.u32(mode + MODE.LAYOUT.offsets["CursorRow"]):
            self._console.output(image, "\n")

    def _wait_for_event(self, _image: str, *_: int) -> None:
        self._waiting = True

    def _start_image(self, _image: str, handle: int, *_: int) -> None:
        def learn() -> None:
            self._images.learn(handle)

        self._machine.interrupt_call(learn)

    def _exit_boot_services(self, _image: str, handle: int, *_: int) -> None:
        back = self._memory.u64(self._processor.read("rsp"))

        def returned() -> None:
            if not is_error(self._processor.read("rax")):
                raise BootServicesExited(handle)

        self._returns[back] = returned
        self._processor.watch([back])

    def _reset_system(self, _image: str, kind: int, status: int, size: int, data: int) -> None:
        content = self._memory.read(data, min(size, _MAX_RESET_DATA)) if data and size else b""
        raise MachineReset(kind, status, content)
