"""Which FAT volumes the FAT driver takes, and which of their files it can read: EDK2's own driver is the judge."""

import functools
import struct

import pytest

import cloudboot_fat
from cloudboot_base import MemoryStorage
from cloudboot_base.testing import judge_file
from cloudboot_fat import FatReader, FormatOptions
from cloudboot_uefi_abi.status import Status, status_name
from cloudboot_uefi_host import Firmware, publish_block_io, vendor_path
from cloudboot_uefi_host.edk2 import DISK_DRIVERS, FIRMWARE_IMAGES, installed_modules, load_drivers
from cloudboot_uefi_host.errors import ServiceError
from cloudboot_uefi_host.firmware_volume import Module

SIZES = {12: 2 << 20, 16: 5 << 20, 32: 34 << 20}
CLUSTERS = {12: None, 16: 512, 32: 512}
FIELDS = {
    "BS_jmpBoot": (0, "B"), "BPB_BytsPerSec": (11, "H"), "BPB_SecPerClus": (13, "B"), "BPB_RsvdSecCnt": (14, "H"),
    "BPB_NumFATs": (16, "B"), "BPB_RootEntCnt": (17, "H"), "BPB_TotSec16": (19, "H"), "BPB_Media": (21, "B"),
    "BPB_FATSz16": (22, "H"), "BPB_TotSec32": (32, "I"), "BPB_FATSz32": (36, "I"), "BPB_ExtFlags": (40, "H"),
    "BPB_FSVer": (42, "H"), "BPB_RootClus": (44, "I"), "BPB_FSInfo": (48, "H"), "Signature_word": (510, "H"),
}  # fmt: skip
COMMON = {
    "BS_jmpBoot": (0, 0xE9), "BPB_BytsPerSec": (0, 128, 513, 2048, 4096, 8192), "BPB_SecPerClus": (0, 3, 8, 128),
    "BPB_RsvdSecCnt": (0, 0xFFFF), "BPB_NumFATs": (0, 255), "BPB_Media": (0, 0x20, 0xF0, 0xF7, 0xFF),
    "Signature_word": (0,),
}  # fmt: skip
CHANGES = {
    12: {**COMMON, "BPB_RootEntCnt": (0,), "BPB_TotSec16": (1, 100), "BPB_FATSz16": (0, 0xFFFF)},
    16: {"BPB_TotSec16": (100, 0xFFFF), "BPB_RootEntCnt": (0,), "BPB_SecPerClus": (2, 64)},
    32: {
        "BPB_SecPerClus": (2, 64), "BPB_RsvdSecCnt": (0xFFFF,), "BPB_NumFATs": (255,), "BPB_TotSec16": (100, 0xFFFF),
        "BPB_TotSec32": (100, 0xFFFFFFFF, 0x10000000), "BPB_FATSz32": (0, 0xFFFFFFFF), "BPB_ExtFlags": (1, 0x80, 0x81),
        "BPB_FSVer": (1,), "BPB_RootClus": (1, 0xFFFFFFFF), "BPB_FSInfo": (0, 0xFFFF),
    },
}  # fmt: skip
Found = dict[str, bool | str] | None


@functools.cache
def modules() -> dict[str, Module]:
    """The modules of the installed firmware."""
    judge_file(*FIRMWARE_IMAGES["amd64"])
    return installed_modules("amd64")


@functools.cache
def volume(fat_type: int) -> tuple[bytes, dict[str, bytes]]:
    """A volume that is full to four fifths, and its files."""
    size, image = SIZES[fat_type], bytearray(SIZES[fat_type])
    lengths = [100, 5000, 40000, 70000, 200000, 3, 130000, *[size // 20] * 7]
    pattern = bytes(range(251)) * (size // 20 // 251 + 1000)
    files = {f"/f{number}.bin": pattern[number : number + length] for number, length in enumerate(lengths)}
    files["/dir/sub/last.txt"] = b"x" * 1000
    files |= {f"/z{number}.bin": pattern[number : number + size // 20] for number in range(7)}
    options = FormatOptions(fat_type=fat_type, cluster_size=CLUSTERS[fat_type])  # type: ignore[arg-type]
    cloudboot_fat.build(MemoryStorage(image), dict(files), options)
    return bytes(image), files


def found(image: bytes, files: dict[str, bytes], *, own: bool) -> tuple[Found, list[str]]:
    """What reading each file gave, or ``None`` where there is no file system; and the firmware's problems."""
    with Firmware("amd64", memory=64 << 20, drivers=own) as firmware:
        if not own:
            load_drivers(firmware, modules(), DISK_DRIVERS)
        device = publish_block_io(firmware, MemoryStorage(image), vendor_path())
        firmware.drivers.connect(device.handle)
        handles = firmware.with_protocol("EFI_SIMPLE_FILE_SYSTEM_PROTOCOL")
        seen: dict[str, bool | str] = {}
        for path, content in files.items() if handles else ():
            try:
                seen[path] = firmware.read_file(handles[0], path.replace("/", "\\")) == content
            except ServiceError as error:
                seen[path] = status_name(error.status)
        return seen if handles else None, firmware.problems


@pytest.mark.parametrize("fat_type", SIZES)
def test_a_medium_that_ends_before_its_volume_is_read_as_far_as_edk2_reads_it(fat_type: int) -> None:
    image, files = volume(fat_type)
    geometry = FatReader(MemoryStorage(image)).geometry
    data, half = geometry.data_offset, len(image) // 2
    ends = {
        512: None if fat_type != 12 else 0, geometry.fat_offset(1): 0, data: 0, data + 2048: 0,
        half - 37 * 512: ..., half: ..., len(image) - 512: len(files), len(image): len(files),
    }  # fmt: skip
    for end, readable in ends.items():
        (ours, problems), (theirs, _) = (found(image[:end], files, own=own) for own in (True, False))
        assert ours == theirs, end
        count = None if ours is None else sum(value is True for value in ours.values())
        assert count == readable or (readable is ... and count and 10 < count < len(files)), (end, count)
        if readable is ...:
            assert any("the medium has" in problem for problem in problems)


@pytest.mark.parametrize(("fat_type", "field"), [(kind, field) for kind, fields in CHANGES.items() for field in fields])
def test_a_boot_sector_that_edk2_takes_is_taken(fat_type: int, field: str) -> None:
    image, files = volume(fat_type)
    offset, form = FIELDS[field]
    few = {path: files[path] for path in ("/f0.bin", "/f4.bin", "/dir/sub/last.txt", "/z6.bin")}
    for value in CHANGES[fat_type][field]:
        changed = bytearray(image)
        struct.pack_into(f"<{form}", changed, offset, value)
        ours, theirs = (found(bytes(changed), few, own=own)[0] for own in (True, False))
        assert ours == theirs, value


def test_a_volume_that_others_read_is_refused_with_a_reason() -> None:
    image, files = volume(32)
    for offset, value, reason in ((21, 0x20, "BPB_Media is 0x20"), (40, 0x80, "BPB_ExtFlags turns mirroring")):
        changed = bytearray(image)
        changed[offset] = value
        assert FatReader(MemoryStorage(changed)).read_file("/f5.bin") == files["/f5.bin"]
        seen, problems = found(bytes(changed), files, own=True)
        assert seen is None
        assert sum(reason in problem for problem in problems) == 1, problems


def test_what_edk2_publishes_and_nobody_can_read_answers_every_question() -> None:
    """A root directory outside the volume: EDK2 publishes the file system, and opening anything fails."""
    image, files = volume(32)
    changed = bytearray(image)
    struct.pack_into("<I", changed, 44, 0xFFFFFFFF)
    seen, problems = found(bytes(changed), files, own=True)
    assert seen == dict.fromkeys(files, "EFI_VOLUME_CORRUPTED")
    assert any("BPB_RootClus" in problem for problem in problems)
    with Firmware("amd64", memory=64 << 20) as firmware:
        device = publish_block_io(firmware, MemoryStorage(changed), vendor_path())
        assert firmware.drivers.connect(device.handle) == Status.SUCCESS
        assert firmware.drivers.disconnect(device.handle) == Status.SUCCESS
        assert firmware.with_protocol("EFI_SIMPLE_FILE_SYSTEM_PROTOCOL") == []
