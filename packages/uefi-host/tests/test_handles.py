"""Who uses a protocol, which drivers are started and in which order, and what a level of priority lets through."""

import struct
from collections.abc import Callable, Iterator

import pytest

from cloudboot_base import MemoryStorage
from cloudboot_uefi_abi.constants import OpenProtocolAttribute as Open
from cloudboot_uefi_abi.device_path import DevicePath
from cloudboot_uefi_abi.guids import GUIDS
from cloudboot_uefi_abi.protocols.drivers import EFI_DRIVER_BINDING_PROTOCOL
from cloudboot_uefi_abi.status import Status
from cloudboot_uefi_abi.tables import EFI_BOOT_SERVICES
from cloudboot_uefi_host import (
    BlockDevice,
    Firmware,
    file_systems_below,
    publish_block_io,
    start,
    vendor_path,
)
from cloudboot_uefi_host.compiling import pe_image
from cloudboot_uefi_host.core.device_paths import END
from cloudboot_uefi_host.core.memory_map import MemoryType
from cloudboot_uefi_host.programs import standin
from cloudboot_uefi_host.testing import boot_disk

BLOCK_IO = GUIDS["EFI_BLOCK_IO_PROTOCOL"].bytes_le
DISK_IO = GUIDS["EFI_DISK_IO_PROTOCOL"].bytes_le
DEVICE_PATH = GUIDS["EFI_DEVICE_PATH_PROTOCOL"].bytes_le
BINDING = GUIDS["EFI_DRIVER_BINDING_PROTOCOL"].bytes_le
MINE, OTHER = bytes(range(16)), bytes(range(1, 17))


@pytest.fixture
def firmware() -> Iterator[Firmware]:
    """A machine."""
    with Firmware("amd64", memory=64 << 20) as made:
        yield made


@pytest.fixture
def device(firmware: Firmware) -> BlockDevice:
    """A disk with an ESP, its drivers started."""
    published = publish_block_io(firmware, MemoryStorage(boot_disk("amd64", standin("amd64"))), vendor_path())
    assert firmware.drivers.connect(published.handle) == Status.SUCCESS
    return published


def service(firmware: Firmware, name: str, *arguments: int) -> int:
    """Call a boot service as a program does."""
    return firmware.machine.call(
        firmware.memory.u64(firmware.boot_services + EFI_BOOT_SERVICES.offset(name)), *arguments
    )


class Recorder:
    """A driver for every handle with ``MINE``, which notes when it is asked and started."""

    def __init__(self, firmware: Firmware, name: str, version: int, notes: list[str], *, installs: bytes = b"") -> None:
        self.firmware, self.name, self.notes, self.installs = firmware, name, notes, installs
        self.image, self.status = firmware.handles.publish({OTHER: 0}), Status.SUCCESS
        self.handle = firmware.handles.publish(
            {
                BINDING: firmware.publisher.publish(
                    EFI_DRIVER_BINDING_PROTOCOL,
                    {"Supported": self.supported, "Start": self.start, "Stop": self.stop},
                    {"Version": version, "ImageHandle": self.image, "DriverBindingHandle": 0},
                )
            }
        )

    def open(self, handle: int) -> int:
        """Open ``MINE`` for this driver."""
        return self.firmware.protocols.open(handle, MINE, self.handle, handle, Open.BY_DRIVER)[0]

    def supported(self, _this: int, handle: int, _rest: int) -> int:
        if self.firmware.handles.pointer(handle, MINE) is None:
            return Status.UNSUPPORTED
        status = self.open(handle)
        if status == Status.SUCCESS:
            self.firmware.protocols.close(handle, MINE, self.handle, handle)
        return status

    def start(self, _this: int, handle: int, _rest: int) -> int:
        self.notes.append(self.name)
        return self.open(handle) if self.status == Status.SUCCESS else self.status

    def stop(self, _this: int, handle: int, count: int, _children: int) -> int:
        self.notes.append(f"-{self.name}")
        return Status.SUCCESS if count else self.firmware.protocols.close(handle, MINE, self.handle, handle)


def test_memory_below_one_mebibyte_is_kept_for_those_who_ask_for_it(firmware: Firmware) -> None:
    cell = firmware.allocator.place(bytes(8))
    found = []
    while service(firmware, "AllocatePages", 0, MemoryType.LOADER_DATA, 1024, cell) == Status.SUCCESS:
        found.append(firmware.memory.u64(cell))
    while service(firmware, "AllocatePages", 0, MemoryType.LOADER_DATA, 1, cell) == Status.SUCCESS:
        found.append(firmware.memory.u64(cell))
    assert min(found) >= 1 << 20
    firmware.memory.put64(cell, 0x9FFFF)
    assert service(firmware, "AllocatePages", 1, MemoryType.LOADER_DATA, 1, cell) == Status.SUCCESS
    assert firmware.memory.u64(cell) == 0x9F000


def test_equal_opens_are_counted_and_closed_together(firmware: Firmware) -> None:
    handle, agent = firmware.handles.publish({MINE: 0x1000}), firmware.handles.publish({OTHER: 0})
    for _ in range(3):
        assert firmware.protocols.open(handle, MINE, agent, 0, Open.GET_PROTOCOL) == (Status.SUCCESS, 0x1000)
    assert firmware.protocols.open(handle, MINE, agent, 0, Open.BY_HANDLE_PROTOCOL)[0] == Status.SUCCESS
    entries, count, guid = (firmware.allocator.place(data) for data in (bytes(8), bytes(8), MINE))
    assert service(firmware, "OpenProtocolInformation", handle, guid, entries, count) == Status.SUCCESS
    assert firmware.memory.u64(count) == 2
    first = firmware.memory.read(firmware.memory.u64(entries), 48)
    assert struct.unpack("<QQIIQQII", first) == (
        agent, 0, Open.GET_PROTOCOL, 3, agent, 0, Open.BY_HANDLE_PROTOCOL, 1,
    )  # fmt: skip
    assert service(firmware, "CloseProtocol", handle, guid, agent, 0) == Status.SUCCESS
    assert service(firmware, "CloseProtocol", handle, guid, agent, 0) == Status.NOT_FOUND


def test_a_second_driver_is_refused_and_an_exclusive_user_displaces_the_first(
    firmware: Firmware, device: BlockDevice
) -> None:
    agent = firmware.handles.publish({OTHER: 0})
    before = firmware.drivers.children(device.handle)
    assert before
    for protocol in (BLOCK_IO, DISK_IO):
        status, _ = firmware.protocols.open(device.handle, protocol, agent, device.handle, Open.BY_DRIVER)
        assert status == Status.ACCESS_DENIED
    assert firmware.drivers.children(device.handle) == before, "the refused driver changes nothing"
    assert file_systems_below(firmware, device.path)
    status, pointer = firmware.protocols.open(device.handle, BLOCK_IO, agent, device.handle, Open.EXCLUSIVE)
    assert (status, pointer) == (Status.SUCCESS, device.interface)
    assert firmware.drivers.children(device.handle) == []
    assert firmware.handles.pointer(device.handle, DISK_IO) is None
    assert file_systems_below(firmware, device.path) == []
    other = firmware.handles.publish({OTHER: 0})
    for attributes in (Open.BY_DRIVER, Open.EXCLUSIVE, Open.BY_DRIVER | Open.EXCLUSIVE):
        assert firmware.protocols.open(device.handle, BLOCK_IO, other, device.handle, attributes)[0] == (
            Status.ACCESS_DENIED
        )
    assert firmware.drivers.connect(device.handle) == Status.NOT_FOUND
    assert firmware.protocols.close(device.handle, BLOCK_IO, agent, device.handle) == Status.SUCCESS
    assert firmware.drivers.connect(device.handle) == Status.SUCCESS
    assert file_systems_below(firmware, device.path)


def test_a_driver_that_opened_otherwise_before_is_refused(firmware: Firmware) -> None:
    handle, agent = firmware.handles.publish({MINE: 0}), firmware.handles.publish({OTHER: 0})
    both = Open.BY_DRIVER | Open.EXCLUSIVE
    assert firmware.protocols.open(handle, MINE, agent, handle, both)[0] == Status.SUCCESS
    assert firmware.protocols.open(handle, MINE, agent, handle, both)[0] == Status.ALREADY_STARTED
    assert firmware.protocols.open(handle, MINE, agent, handle, Open.BY_DRIVER)[0] == Status.ACCESS_DENIED


def test_drivers_are_asked_by_version_and_chosen_ones_first(firmware: Firmware) -> None:
    notes: list[str] = []
    drivers = {
        name: Recorder(firmware, name, version, notes) for name, version in (("low", 16), ("high", 32), ("mid", 24))
    }
    for driver in drivers.values():
        driver.status = Status.DEVICE_ERROR  # so that each is tried
    handle = firmware.handles.publish({MINE: 0})
    assert service(firmware, "ConnectController", handle, 0, 0, 0) == Status.NOT_FOUND
    assert notes == ["high", "mid", "low"]
    notes.clear()
    chosen = firmware.allocator.place(struct.pack("<QQQ", drivers["low"].image, drivers["mid"].image, 0))
    assert service(firmware, "ConnectController", handle, chosen, 0, 0) == Status.NOT_FOUND
    assert notes == ["low", "mid", "high"]
    notes.clear()
    for driver in drivers.values():
        driver.status = Status.SUCCESS
    assert service(firmware, "ConnectController", handle, 0, 0, 0) == Status.SUCCESS
    assert notes == ["high"], "one driver manages the protocol"
    assert service(firmware, "DisconnectController", handle, drivers["low"].handle, 0) == Status.SUCCESS
    assert notes == ["high"], "another driver's handle stops nothing"
    assert service(firmware, "DisconnectController", handle, drivers["high"].handle, 0) == Status.SUCCESS
    assert notes == ["high", "-high"]
    assert service(firmware, "DisconnectController", handle, handle, 0) == Status.INVALID_PARAMETER


def test_connecting_without_recursion_leaves_the_children_alone(firmware: Firmware) -> None:
    published = publish_block_io(firmware, MemoryStorage(boot_disk("amd64", standin("amd64"))), vendor_path())
    assert service(firmware, "ConnectController", published.handle, 0, 0, 0) == Status.SUCCESS
    (child,) = firmware.drivers.children(published.handle)
    assert firmware.handles.pointer(child, DISK_IO) is None
    assert file_systems_below(firmware, published.path) == []
    assert service(firmware, "ConnectController", child, 0, 0, 0) == Status.SUCCESS
    assert file_systems_below(firmware, published.path) == [child]


def test_an_end_node_as_remaining_path_asks_for_no_child(firmware: Firmware) -> None:
    handle = firmware.handles.publish({MINE: 0})
    nothing, something = firmware.allocator.place(END), firmware.allocator.place(vendor_path())
    assert service(firmware, "ConnectController", handle, 0, nothing, 0) == Status.SUCCESS
    assert service(firmware, "ConnectController", handle, 0, something, 0) == Status.NOT_FOUND


def test_removing_a_protocol_stops_its_drivers_first(firmware: Firmware) -> None:
    notes: list[str] = []
    Recorder(firmware, "one", 16, notes)
    handle = firmware.handles.publish({MINE: 0, OTHER: 0})
    firmware.drivers.connect(handle)
    guid = firmware.allocator.place(MINE)
    assert service(firmware, "UninstallProtocolInterface", handle, guid, 0) == Status.SUCCESS
    assert notes == ["one", "-one"]
    assert firmware.handles.pointer(handle, MINE) is None


def test_a_new_interface_is_announced_and_its_drivers_start_anew(firmware: Firmware) -> None:
    notes: list[str] = []
    Recorder(firmware, "one", 16, notes)
    handle = firmware.handles.publish({MINE: 0})
    firmware.drivers.connect(handle)
    event, key, guid = (firmware.allocator.place(data) for data in (bytes(8), bytes(8), MINE))
    assert service(firmware, "CreateEvent", 0, 8, 0, 0, event) == Status.SUCCESS
    assert service(firmware, "RegisterProtocolNotify", guid, firmware.memory.u64(event), key) == Status.SUCCESS
    assert service(firmware, "ReinstallProtocolInterface", handle, guid, 0, 0x2000) == Status.SUCCESS
    assert notes == ["one", "-one", "one"]
    assert firmware.handles.pointer(handle, MINE) == 0x2000
    assert service(firmware, "CheckEvent", firmware.memory.u64(event)) == Status.SUCCESS
    size, out = firmware.allocator.place(struct.pack("<Q", 8)), firmware.allocator.place(bytes(8))
    assert service(firmware, "LocateHandle", 1, 0, firmware.memory.u64(key), size, out) == Status.SUCCESS
    assert firmware.memory.u64(out) == handle


def test_the_longest_device_path_wins_and_the_rest_is_what_is_left(firmware: Firmware) -> None:
    device = "PciRoot(0x0)/Pci(0x1,0x0)"
    texts = ["PciRoot(0x0)", device, f"{device}/Sata(0x1,0xFFFF,0x0)", "PciRoot(0x1)"]
    paths = [DevicePath.from_text(text).pack() for text in texts]
    handles = [firmware.handles.publish({MINE: 0, DEVICE_PATH: firmware.allocator.place(path)}) for path in paths]
    asked = DevicePath.from_text("PciRoot(0x0)/Pci(0x1,0x0)/Sata(0x0,0xFFFF,0x0)").pack()
    start_at, guid, found = (
        firmware.allocator.place(asked),
        firmware.allocator.place(MINE),
        firmware.allocator.place(bytes(8)),
    )
    pointer = firmware.allocator.place(struct.pack("<Q", start_at))
    assert service(firmware, "LocateDevicePath", guid, pointer, found) == Status.SUCCESS
    assert firmware.memory.u64(found) == handles[1]
    assert firmware.memory.u64(pointer) - start_at == len(paths[1]) - len(END)
    unknown = firmware.allocator.place(DevicePath.from_text("PciRoot(0x2)").pack())
    firmware.memory.put64(pointer, unknown)
    assert service(firmware, "LocateDevicePath", guid, pointer, found) == Status.NOT_FOUND
    assert firmware.memory.u64(pointer) == unknown, "nothing is changed"


def test_what_an_image_opened_is_closed_when_it_ends(firmware: Firmware) -> None:
    handle = firmware.handles.publish({MINE: 0x1000})
    image = firmware.images.load(pe_image("amd64", b"\x31\xc0\xc3"), END, parent=firmware.handle)
    free = sum(region.pages for region in firmware.map if region.type == MemoryType.CONVENTIONAL)
    assert firmware.protocols.open(handle, MINE, image.handle, handle, Open.BY_DRIVER)[0] == Status.SUCCESS
    assert start(firmware, image).status == Status.SUCCESS
    interface = firmware.handles.interface(handle, MINE)
    assert interface is not None
    assert interface.uses == []
    now = sum(region.pages for region in firmware.map if region.type == MemoryType.CONVENTIONAL)
    assert now == free + image.pages, "its memory is free again"


def test_an_ended_image_leaves_the_level_and_the_registers_as_they_were(firmware: Firmware) -> None:
    # sub rsp, 0x28; mov rax, [rdx+0x60]; mov ecx, 16; call [rax+24] (RaiseTPL); xor ebx, ebx; add rsp, 0x28;
    # xor eax, eax; ret
    code = bytes.fromhex("4883ec28 488b4260 b910000000 ff5018 31db 4883c428 31c0 c3".replace(" ", ""))
    firmware.machine.processor.write("rbx", 0x1234)
    image = firmware.images.load(pe_image("amd64", code), END, parent=firmware.handle)
    assert start(firmware, image).status == Status.SUCCESS
    assert firmware.events.tpl == 4
    assert firmware.machine.processor.read("rbx") == 0x1234


def test_notifications_run_above_the_level_the_highest_first(firmware: Firmware) -> None:
    notes: list[str] = []

    def noting(name: str) -> Callable[[object], None]:
        return lambda _event: notes.append(name)

    events = firmware.events
    made = [events.create(0x200, tpl, noting(f"{number}@{tpl}")) for number, tpl in enumerate((8, 16, 8, 16))]
    before = events.raise_tpl(8)
    for event in made:
        events.signal(event)
        events.signal(event)  # signalled already: once is enough
    events.dispatch()
    assert notes == ["1@16", "3@16"], "those of the level itself wait"
    events.restore_tpl(before)
    assert notes == ["1@16", "3@16", "0@8", "2@8"]


def test_timers_expire_while_a_program_stalls(firmware: Firmware) -> None:
    moments: list[int] = []
    event = firmware.events.create(0x80000200, 8, lambda _event: moments.append(firmware.clock.now))
    begin = firmware.clock.now
    firmware.events.set_timer(event, begin + 1_000_000, 1_000_000)
    assert service(firmware, "Stall", 1_000_000) == Status.SUCCESS
    assert [round((moment - begin) / 1_000_000) for moment in moments] == list(range(1, 11))
    assert max(moments) - begin <= 10_100_000
    moments.clear()
    before = service(firmware, "RaiseTPL", 16)
    assert service(firmware, "Stall", 1_000_000) == Status.SUCCESS
    assert moments == []
    service(firmware, "RestoreTPL", before)
    assert len(moments) == 1, "a signal that waits is one signal"


def test_waiting_gives_the_index_of_the_event_that_came(firmware: Firmware) -> None:
    cells = firmware.allocator.place(bytes(24))
    for index in range(3):
        assert service(firmware, "CreateEvent", 0x80000000, 8, 0, 0, cells + 8 * index) == Status.SUCCESS
    for position, due in ((1, 500), (0, 5_000_000), (2, 9_000_000)):
        service(firmware, "SetTimer", firmware.memory.u64(cells + 8 * position), 2, due)
    out = firmware.allocator.place(b"\xff" * 8)
    seen = []
    for _ in range(3):
        assert service(firmware, "WaitForEvent", 3, cells, out) == Status.SUCCESS
        seen.append(firmware.memory.u64(out))
    assert seen == [1, 0, 2]


def test_freed_pool_memory_is_given_out_again(firmware: Firmware) -> None:
    cell = firmware.allocator.place(bytes(8))
    first = set()
    for _ in range(2000):
        assert service(firmware, "AllocatePool", MemoryType.LOADER_DATA, 100, cell) == Status.SUCCESS
        first.add(firmware.memory.u64(cell))
        assert service(firmware, "FreePool", firmware.memory.u64(cell)) == Status.SUCCESS
    assert len(first) < 10


def test_a_failed_removal_of_several_protocols_leaves_all_of_them(firmware: Firmware) -> None:
    handle = firmware.handles.publish({MINE: 0x1000, OTHER: 0x2000})
    mine, other = firmware.allocator.place(MINE), firmware.allocator.place(OTHER)
    status = service(firmware, "UninstallMultipleProtocolInterfaces", handle, mine, 0x1000, other, 0x3000, 0)
    assert status == Status.INVALID_PARAMETER
    assert firmware.handles.pointer(handle, MINE) == 0x1000
    assert firmware.handles.pointer(handle, OTHER) == 0x2000


def test_exit_data_reach_the_one_that_started_the_image(firmware: Firmware) -> None:
    # sub rsp, 0x28; mov rax, [rdx+0x60]; mov edx, 21; mov r8d, 6; lea r9, [rip+6]; call [rax+216] (Exit); then u"no"
    code = bytes.fromhex("4883ec28 488b4260 ba15000000 41b806000000 4c8d0d06000000 ff90d8000000".replace(" ", ""))
    program = pe_image("amd64", code + "no\0".encode("utf-16-le"))
    image = firmware.images.load(program, END, parent=firmware.handle)
    size, data = firmware.allocator.place(bytes(8)), firmware.allocator.place(bytes(8))
    assert service(firmware, "StartImage", image.handle, size, data) == 21
    assert firmware.memory.u64(size) == 6
    assert firmware.memory.text(firmware.memory.u64(data)) == "no"
    assert service(firmware, "FreePool", firmware.memory.u64(data)) == Status.SUCCESS
    again = firmware.images.load(program, END, parent=firmware.handle)
    outcome = start(firmware, again)
    assert (outcome.status, outcome.data) == (21, "no")
