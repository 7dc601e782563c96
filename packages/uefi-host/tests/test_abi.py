"""Every published function preserves what the calling convention says; one mutant for each register fails.

The stubs are assembled by GNU's assemblers and run as guest code: nothing of Python looks at the registers.
"""

import struct
from collections.abc import Callable, Iterator

import pytest

from cloudboot_base import MemoryStorage
from cloudboot_base.testing import judge
from cloudboot_uefi_abi.tables import EFI_BOOT_SERVICES
from cloudboot_uefi_host import Firmware, GuestPointerError, publish_block_io, vendor_path
from cloudboot_uefi_host.abi import ARGUMENTS, guarded, stub
from cloudboot_uefi_host.compiling import COMPILERS, compile_program
from cloudboot_uefi_host.core.device_paths import END
from cloudboot_uefi_host.cpu.architecture import TRAP_SIZE
from cloudboot_uefi_host.protocols.graphics import publish_graphics
from cloudboot_uefi_host.protocols.load_file2 import publish_load_file2
from cloudboot_uefi_host.protocols.random import publish_random_numbers
from cloudboot_uefi_host.testing import boot_disk

ARCHITECTURES = ("amd64", "arm64", "riscv64", "loong64")
#: Exit and ResetSystem do not return.
ENDINGS = ("EFI_BOOT_SERVICES.Exit", "EFI_RUNTIME_SERVICES.ResetSystem", "return")
Stub = Callable[..., int]
Stubbed = tuple[Firmware, Stub]


@pytest.fixture(scope="module", params=ARCHITECTURES)
def stubbed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Firmware, Stub]]:
    """A firmware with everything published, and the stub in it."""
    name: str = request.param
    for program in COMPILERS[name][:2]:
        judge(program, COMPILERS[name][2])
    source = tmp_path_factory.mktemp("stub") / "stub.S"
    source.write_text(stub(name))
    firmware = Firmware(name, memory=128 << 20)
    publish_graphics(firmware)
    publish_random_numbers(firmware)
    publish_load_file2(firmware, MemoryStorage(bytes(8192)))
    device = publish_block_io(firmware, MemoryStorage(boot_disk(name, b"no loader")), vendor_path())
    firmware.drivers.connect(device.handle)
    image = firmware.images.load(compile_program(name, source), END, parent=firmware.handle)

    def call(function: int, *arguments: int) -> int:
        values = (*arguments, *(0,) * (ARGUMENTS - len(arguments)))
        block = firmware.allocator.place(struct.pack(f"<{ARGUMENTS}Q", *values))
        return firmware.machine.call(image.entry, function, block)

    yield firmware, call
    firmware.close()


def test_every_published_function_keeps_every_register(stubbed: tuple[Firmware, Stub]) -> None:
    firmware, call = stubbed
    called, scratch = 0, firmware.allocator.place(bytes(4096))
    for index, service in enumerate(list(firmware.machine.services)):
        if service.name in ENDINGS:
            continue
        address = firmware.machine.trap_base + index * TRAP_SIZE
        try:
            assert call(address) == 0, service.name
        except GuestPointerError:  # a null pointer where the specification allows none
            assert call(address, *(scratch,) * ARGUMENTS) == 0, service.name
        called += 1
    assert called > 100


def test_calls_that_do_something_keep_them_too(stubbed: tuple[Firmware, Stub]) -> None:
    firmware, call = stubbed
    memory, table = firmware.memory, firmware.boot_services
    out = firmware.allocator.place(bytes(64))

    def service(name: str) -> int:
        return memory.u64(table + EFI_BOOT_SERVICES.offset(name))

    assert call(service("AllocatePool"), 4, 256, out) == 0
    buffer = memory.u64(out)
    assert call(service("SetMem"), buffer, 256, 0x5A) == 0
    assert memory.read(buffer, 256) == b"\x5a" * 256
    assert call(service("FreePool"), buffer) == 0
    device = firmware.with_protocol("EFI_BLOCK_IO_PROTOCOL")[-1]
    assert call(service("DisconnectController"), device) == 0
    assert call(service("ConnectController"), device, 0, 0, 1) == 0
    assert firmware.with_protocol("EFI_SIMPLE_FILE_SYSTEM_PROTOCOL") == [device]


def test_one_mutant_for_each_register_fails(stubbed: tuple[Firmware, Stub]) -> None:
    firmware, call = stubbed
    machine = firmware.machine
    prototype = EFI_BOOT_SERVICES.by_name["Stall"].prototype
    assert prototype is not None
    registers = guarded(machine.architecture.name)
    assert len(registers) >= {"amd64": 21, "arm64": 22, "riscv64": 28, "loong64": 22}[machine.architecture.name]
    flipped = {"value": ("", 0)}

    def corrupt(_microseconds: int) -> int:
        name, mask = flipped["value"]
        machine.processor.write(name, machine.processor.read(name) ^ mask)
        return 0

    function = machine.add_service("mutant", prototype, corrupt)
    for register in registers:
        if register.name == machine.architecture.sp:
            continue  # the return goes through it: a changed one never comes back
        rounding = 1 << 8 if machine.architecture.name == "loong64" else 1 << 5
        control = {"mxcsr": [1 << 13], "fpcw": [1 << 10], "fpcr": [1 << 23], "fcsr": [rounding]}.get(register.name)
        for mask in control or [1, 1 << register.bits - 1]:
            flipped["value"] = register.name, mask
            assert call(function, 0) == 1 << register.bit, (register.name, mask)
