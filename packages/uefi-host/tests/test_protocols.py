"""Published protocols, called through their interfaces: what they answer to right and to wrong arguments."""

import hashlib
import struct
from collections.abc import Callable, Iterator

import pytest

from cloudboot_base import FormatError, MemoryStorage
from cloudboot_uefi_abi.constants import HashAlgorithm
from cloudboot_uefi_abi.declarations import Structure
from cloudboot_uefi_abi.device_path import DevicePath, FilePath, VendorMedia
from cloudboot_uefi_abi.eventlog import EventLog, replay
from cloudboot_uefi_abi.pe import PEImage
from cloudboot_uefi_abi.pe.authenticode import authenticode_digest
from cloudboot_uefi_abi.protocols.console import EFI_GRAPHICS_OUTPUT_PROTOCOL
from cloudboot_uefi_abi.protocols.files import EFI_LOAD_FILE2_PROTOCOL
from cloudboot_uefi_abi.protocols.security import EFI_RNG_PROTOCOL, EFI_TCG2_PROTOCOL, RISCV_EFI_BOOT_PROTOCOL
from cloudboot_uefi_abi.status import Status
from cloudboot_uefi_abi.tables import EFI_BOOT_SERVICES, EFI_RUNTIME_SERVICES
from cloudboot_uefi_host import Ending, Firmware, publish_block_io, start, vendor_path
from cloudboot_uefi_host.compiling import pe_image
from cloudboot_uefi_host.core.device_paths import END
from cloudboot_uefi_host.errors import ServiceError
from cloudboot_uefi_host.platform.acpi import madt
from cloudboot_uefi_host.programs import standin
from cloudboot_uefi_host.protocols.graphics import HEIGHT, WIDTH, publish_graphics
from cloudboot_uefi_host.protocols.load_file2 import INITRD, publish_load_file2
from cloudboot_uefi_host.protocols.measured_boot import publish_measured_boot
from cloudboot_uefi_host.protocols.random import RAW, publish_random_numbers
from cloudboot_uefi_host.testing import fat_volume

Ask = Callable[..., int]


@pytest.fixture
def firmware() -> Iterator[Firmware]:
    """A machine."""
    with Firmware("amd64", memory=64 << 20) as made:
        yield made


def asker(firmware: Firmware, handle: int, structure: Structure) -> Ask:
    """Calls functions of a protocol of a handle with its interface as the first argument."""
    assert structure.guid is not None
    interface = firmware.handles.pointer(handle, structure.guid.bytes_le)
    assert interface is not None

    def ask(name: str, *arguments: int) -> int:
        function = firmware.memory.u64(interface + structure.offset(name))
        return firmware.machine.call(function, interface, *arguments)

    return ask


def test_random_numbers_repeat_and_differ(firmware: Firmware) -> None:
    seen = []
    for seed in (b"one", b"one", b"two"):
        ask = asker(firmware, publish_random_numbers(firmware, seed).handle, EFI_RNG_PROTOCOL)
        buffer, raw, other = (firmware.allocator.place(data) for data in (bytes(100), RAW, bytes(16)))
        assert ask("GetRNG", raw, 100, buffer) == Status.SUCCESS
        seen.append(firmware.memory.read(buffer, 100))
        assert ask("GetRNG", other, 100, buffer) == Status.UNSUPPORTED
        assert ask("GetRNG", 0, 0, buffer) == Status.INVALID_PARAMETER
        size = firmware.allocator.place(struct.pack("<Q", 4))
        assert ask("GetInfo", size, buffer) == Status.BUFFER_TOO_SMALL
        assert ask("GetInfo", size, buffer) == Status.SUCCESS
        assert firmware.memory.read(buffer, firmware.memory.u64(size)) == RAW
    assert seen[0] == seen[1] != seen[2]
    assert len({seen[0][at : at + 4] for at in range(0, 100, 4)}) == 25


def test_the_boot_hart_is_the_one_of_the_interrupt_controllers_table() -> None:
    with Firmware("riscv64", memory=64 << 20) as firmware:
        (handle,) = firmware.with_protocol("RISCV_EFI_BOOT_PROTOCOL")
        ask = asker(firmware, handle, RISCV_EFI_BOOT_PROTOCOL)
        hart = firmware.allocator.place(b"\xff" * 8)
        assert ask("GetBootHartId", hart) == Status.SUCCESS
        assert firmware.memory.u64(hart) == struct.unpack_from("<Q", madt("riscv64"), 44 + 8)[0]
        assert ask("GetBootHartId", 0) == Status.INVALID_PARAMETER
    with Firmware("arm64", memory=64 << 20) as firmware:
        assert firmware.with_protocol("RISCV_EFI_BOOT_PROTOCOL") == []


def test_load_file2_gives_the_size_first(firmware: Firmware) -> None:
    content = bytes(range(256)) * 40
    published = publish_load_file2(firmware, MemoryStorage(content))
    ask = asker(firmware, published.handle, EFI_LOAD_FILE2_PROTOCOL)
    path, size, buffer = firmware.allocator.place(END), firmware.allocator.place(bytes(8)), firmware.allocator.pages(3)
    assert ask("LoadFile", path, 1, size, 0) == Status.UNSUPPORTED
    assert ask("LoadFile", 0, 0, size, 0) == Status.INVALID_PARAMETER
    assert ask("LoadFile", path, 0, size, 0) == Status.BUFFER_TOO_SMALL
    assert firmware.memory.u64(size) == len(content)
    assert ask("LoadFile", path, 0, size, buffer) == Status.SUCCESS
    assert firmware.memory.read(buffer, len(content)) == content


def test_pictures_go_between_buffer_and_screen(firmware: Firmware) -> None:
    graphics = publish_graphics(firmware)
    ask = asker(firmware, graphics.handle, EFI_GRAPHICS_OUTPUT_PROTOCOL)
    blue, green, red = (struct.pack("<I", value) for value in (0x0000FF, 0x00FF00, 0xFF0000))
    pixels = firmware.allocator.place((blue + green + red) * 4)
    assert ask("Blt", pixels + 8, 0, 0, 0, 10, 20, 30, 40, 0) == Status.SUCCESS  # fill with red
    assert ask("Blt", pixels, 2, 0, 0, 0, 0, 3, 2, 24) == Status.SUCCESS  # two rows of three, six pixels apart
    assert ask("Blt", 0, 3, 0, 0, 100, 100, 3, 1, 0) == Status.SUCCESS
    picture = graphics.pixels()

    def pixel(x: int, y: int) -> bytes:
        at = 3 * (y * WIDTH + x)
        return picture[at : at + 3]

    assert [pixel(x, 0) for x in range(4)] == [b"\0\0\xff", b"\0\xff\0", b"\xff\0\0", b"\0\0\0"]
    assert [pixel(x, 100) for x in (100, 101, 102, 103)] == [b"\0\0\xff", b"\0\xff\0", b"\xff\0\0", b"\0\0\0"]
    assert (pixel(10, 20), pixel(39, 59), pixel(40, 59), pixel(9, 20)) == (
        b"\xff\0\0",
        b"\xff\0\0",
        b"\0\0\0",
        b"\0\0\0",
    )
    back = firmware.allocator.place(bytes(64))
    assert ask("Blt", back, 1, 0, 0, 1, 1, 3, 1, 16) == Status.SUCCESS
    assert firmware.memory.read(back + 16 + 4, 12) == blue + green + red
    for wrong in ((pixels, 4, 0, 0, 0, 0, 1, 1), (pixels, 0, 0, 0, WIDTH, 0, 1, 1), (pixels, 0, 0, 0, 0, 0, 0, 1),
                  (0, 0, 0, 0, 0, 0, 1, 1), (pixels, 1, 0, HEIGHT, 0, 0, 1, 1)):  # fmt: skip
        assert ask("Blt", *wrong, 0) == Status.INVALID_PARAMETER
    size, information = firmware.allocator.place(bytes(8)), firmware.allocator.place(bytes(8))
    assert ask("QueryMode", 0, size, information) == Status.SUCCESS
    assert struct.unpack("<III", firmware.memory.read(firmware.memory.u64(information), 12)) == (0, WIDTH, HEIGHT)
    assert ask("QueryMode", 1, size, information) == Status.INVALID_PARAMETER
    assert ask("SetMode", 1) == Status.UNSUPPORTED
    assert ask("SetMode", 0) == Status.SUCCESS
    assert not any(graphics.pixels())


def test_measurements_are_logged_and_extended(firmware: Firmware) -> None:
    measured = publish_measured_boot(firmware)
    ask = asker(firmware, measured.handle, EFI_TCG2_PROTOCOL)
    place, memory = firmware.allocator.place, firmware.memory
    capability = place(bytes(40))
    assert ask("GetCapability", capability) == Status.BUFFER_TOO_SMALL
    memory.put8(capability, 36)
    assert ask("GetCapability", capability) == Status.SUCCESS
    assert memory.u8(capability + 16) == 1, "TPMPresentFlag"
    location, last, truncated = place(bytes(8)), place(bytes(8)), place(bytes(8))
    assert ask("GetEventLog", 1, location, last, truncated) == Status.INVALID_PARAMETER
    assert ask("GetEventLog", 2, location, last, truncated) == Status.SUCCESS
    program, data = pe_image("amd64", b"\xc3"), b"some data"
    event = place(struct.pack("<IIHII", 18 + 5, 14, 1, 11, 13) + b"text\0")
    assert ask("HashLogExtendEvent", 0, place(data), len(data), event) == Status.SUCCESS
    assert ask("HashLogExtendEvent", 0x10, place(program), len(program), event) == Status.SUCCESS
    assert ask("HashLogExtendEvent", 0x10, place(data), len(data), event) == Status.UNSUPPORTED
    before = measured.log()
    assert ask("HashLogExtendEvent", 0x1, place(data), len(data), event) == Status.SUCCESS
    assert measured.log() == before, "extended only"
    bad = place(struct.pack("<IIHII", 18, 14, 1, 24, 13))
    assert ask("HashLogExtendEvent", 0, place(data), len(data), bad) == Status.INVALID_PARAMETER
    digests = [
        hashlib.sha256(data).digest(),
        authenticode_digest(PEImage.parse(program)),
        hashlib.sha256(data).digest(),
    ]
    value = bytes(32)
    for digest in digests[:2]:
        value = hashlib.sha256(value + digest).digest()
    log = EventLog.parse(before)
    assert replay(log)[HashAlgorithm.SHA256][11] == value
    assert measured.pcrs[11] == hashlib.sha256(value + digests[2]).digest()
    assert memory.read(memory.u64(location), len(before)) == before
    banks = place(bytes(8))
    assert ask("GetActivePcrBanks", banks) == Status.SUCCESS
    assert memory.u32(banks) == 2
    assert ask("SetActivePcrBanks", 1) == Status.INVALID_PARAMETER
    assert ask("SubmitCommand", 0, 0, 0, 0) == Status.UNSUPPORTED
    final = [line for line in firmware.trace.missing if "SubmitCommand" in line]
    assert final == ["EFI_TCG2_PROTOCOL.SubmitCommand"]


def test_images_start_exit_and_unload(firmware: Firmware) -> None:
    memory, table = firmware.memory, firmware.boot_services

    def service(name: str, *arguments: int) -> int:
        return firmware.machine.call(memory.u64(table + EFI_BOOT_SERVICES.offset(name)), *arguments)

    out, place = firmware.allocator.place(bytes(16)), firmware.allocator.place
    program = standin("amd64")
    free = sum(region.pages for region in firmware.map if region.type == 7)
    assert service("LoadImage", 0, firmware.handle, 0, place(program), len(program), out) == Status.SUCCESS
    handle = memory.u64(out)
    assert service("LoadImage", 0, firmware.handle, place(b"\x04\x04"), 0, 0, out) == Status.INVALID_PARAMETER
    assert service("LoadImage", 0, firmware.handle, place(END), 0, 0, out) == Status.NOT_FOUND
    assert service("UnloadImage", handle) == Status.SUCCESS
    assert service("StartImage", handle, 0, 0) == Status.INVALID_PARAMETER
    assert service("LoadImage", 0, firmware.handle, 0, place(program), len(program), out) == Status.SUCCESS
    assert service("Exit", memory.u64(out), 0, 0, 0) == Status.SUCCESS, "an image that was not started is unloaded"
    assert service("LoadImage", 0, firmware.handle, 0, place(program), len(program), out) == Status.SUCCESS
    assert service("StartImage", memory.u64(out), out, 0) == Status.LOAD_ERROR, "it has no device"
    assert free - sum(region.pages for region in firmware.map if region.type == 7) < 64
    other = pe_image("arm64", b"\xc3")
    assert service("LoadImage", 0, firmware.handle, 0, place(other), len(other), out) == Status.UNSUPPORTED


def test_the_clock_is_set_and_a_reset_ends_the_run(firmware: Firmware) -> None:
    memory, table = firmware.memory, firmware.runtime_services
    place = firmware.allocator.place

    def service(name: str, *arguments: int) -> int:
        return firmware.machine.call(memory.u64(table + EFI_RUNTIME_SERVICES.offset(name)), *arguments)

    moment = struct.pack("<HBBBBBBIhBB", 2031, 2, 3, 4, 5, 6, 0, 0, 0, 0, 0)
    time, capabilities = place(moment), place(bytes(12))
    assert service("SetTime", time) == Status.SUCCESS
    assert service("GetTime", time, capabilities) == Status.SUCCESS
    assert memory.read(time, 7) == moment[:7]
    assert service("SetTime", place(struct.pack("<HBBBBBBIhBB", 2031, 13, 3, 4, 5, 6, 0, 0, 0, 0, 0))) == (
        Status.INVALID_PARAMETER
    )
    assert service("GetNextHighMonotonicCount", time) == Status.SUCCESS
    # mov rax, [rdx + 88]; xor ecx, ecx; xor edx, edx; xor r8d, r8d; call [rax + 104]: ResetSystem(EfiResetCold)
    code = bytes.fromhex("4883ec28 488b4258 31c9 31d2 4531c0 4531c9 ff5068".replace(" ", ""))
    image = firmware.images.load(pe_image("amd64", code), END, parent=firmware.handle)
    outcome = start(firmware, image)
    assert (outcome.ending, outcome.status) == (Ending.RESET, Status.SUCCESS)


class Claims:
    """A storage that says that it has 1 TiB."""

    size = 1 << 40

    def read_at(self, offset: int, size: int) -> bytes:
        """Never called."""
        raise AssertionError(f"{size} bytes were read from {offset}")

    def readinto_at(self, offset: int, buffer: object) -> None:
        """Never called."""
        raise AssertionError(f"{buffer} was filled from {offset}")


def test_an_image_is_loaded_through_load_file_2(firmware: Firmware) -> None:
    """UEFI 2.10 section 7.4.1: Load File 2 where BootPolicy is FALSE, and not where it is TRUE."""
    path = DevicePath.of(VendorMedia(INITRD)).pack()
    file = publish_load_file2(firmware, MemoryStorage(standin("amd64")))
    image = firmware.images.load_from(path, parent=firmware.handle)
    assert (file.reads, image.device) == (1, file.handle)
    assert start(firmware, image).status == Status.NOT_FOUND
    assert firmware.console.text.startswith("cloudboot stand-in EFI loader")
    with pytest.raises(ServiceError) as caught:
        firmware.images.load_from(path, parent=firmware.handle, boot_policy=True)
    assert caught.value.status == Status.NOT_FOUND
    assert file.reads == 1


@pytest.mark.parametrize("content", [MemoryStorage(b""), Claims()])
def test_a_file_that_is_empty_or_larger_than_memory_is_not_loaded(
    firmware: Firmware, content: MemoryStorage | Claims
) -> None:
    publish_load_file2(firmware, content)
    with pytest.raises(ServiceError, match="LoadFile ended with EFI_LOAD_ERROR"):
        firmware.images.load_from(DevicePath.of(VendorMedia(INITRD)).pack(), parent=firmware.handle)


def test_what_is_no_file_is_not_read_as_one(firmware: Firmware) -> None:
    """A folder has no content; a file without bytes has none either, and is no image."""
    device = publish_block_io(firmware, MemoryStorage(fat_volume({"/folder/empty": b""}, 2 << 20)), vendor_path())
    firmware.drivers.connect(device.handle)
    (handle,) = firmware.with_protocol("EFI_SIMPLE_FILE_SYSTEM_PROTOCOL")
    assert firmware.read_file(handle, r"\folder\empty") == b""
    for name in (r"\folder", r"\none", "\\"):
        with pytest.raises(ServiceError) as caught:
            firmware.read_file(handle, name)
        assert caught.value.status == Status.NOT_FOUND, name
    with pytest.raises(ServiceError) as caught:
        firmware.read_file(firmware.handle, r"\folder")
    assert caught.value.status == Status.UNSUPPORTED
    path = DevicePath.parse(vendor_path()).append(FilePath(r"\folder\empty")).pack()
    with pytest.raises(FormatError):
        firmware.images.load_from(path, parent=firmware.handle)
