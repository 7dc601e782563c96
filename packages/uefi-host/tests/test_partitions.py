"""What partition drivers find on disks and CDs: EDK2's own driver, cut from the installed firmware, is the judge."""

import functools
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from cloudboot_base import MemoryStorage
from cloudboot_base.testing import judge, judge_file, run
from cloudboot_uefi_abi.guids import GUIDS
from cloudboot_uefi_abi.layout.records import EFI_BLOCK_IO_MEDIA
from cloudboot_uefi_host import Firmware, publish_block_io, vendor_path
from cloudboot_uefi_host.core.device_paths import body
from cloudboot_uefi_host.core.protocols import DEVICE_PATH, protocol_name
from cloudboot_uefi_host.drivers.disk_io import Media
from cloudboot_uefi_host.drivers.el_torito import SECTOR, find_catalogue
from cloudboot_uefi_host.edk2 import DISK_DRIVERS, FIRMWARE_IMAGES, installed_modules, load_drivers
from cloudboot_uefi_host.firmware_volume import Module
from cloudboot_uefi_host.protocols.block_io import BLOCK_IO
from cloudboot_uefi_host.testing import fat_volume

PARTITION_INFO = GUIDS["EFI_PARTITION_INFO_PROTOCOL"].bytes_le
SIGNATURE = 0x12345678
EMPTY = bytes(16)
Found = dict[str, tuple[list[str], EFI_BLOCK_IO_MEDIA, bytes]]


def record(kind: int, start: int, count: int, indicator: int = 0) -> bytes:
    """A partition record."""
    return struct.pack("<B3sB3sII", indicator, b"\xff" * 3, kind, b"\xff" * 3, start, count)


def disk(tables: Mapping[int, Sequence[bytes]]) -> bytes:
    """A disk of 1 MiB with partition records in these sectors."""
    image = bytearray(1 << 20)
    for sector, records in tables.items():
        table = b"".join(records).ljust(64, b"\0") + b"\x55\xaa"
        image[sector * 512 + 446 : sector * 512 + 512] = table
    image[440:444] = struct.pack("<I", SIGNATURE)
    return bytes(image)


DISKS = {
    "an empty record, logical partitions, an ESP": disk(
        {
            0: [EMPTY, record(0x83, 64, 100), record(0x05, 200, 600), record(0xEF, 900, 200)],
            200: [record(0x83, 10, 50), record(0x05, 100, 200)],
            300: [record(0x83, 10, 50), record(0x05, 300, 200)],
            500: [record(0x83, 10, 50)],
        }
    ),
    "a first logical partition that leaves the extended one": disk(
        {0: [record(0x0F, 64, 100)], 64: [record(0x83, 90, 50)]}
    ),
    "an extended partition inside the first record": disk(
        {0: [record(0x0F, 64, 1000)], 64: [record(0x05, 100, 200)], 164: [record(0x83, 10, 50)]}
    ),
    "a protective record without a GPT": disk({0: [record(0xEE, 1, 50), record(0x83, 64, 100)]}),
    "a boot indicator of no meaning": disk({0: [record(0x83, 64, 100, 0x33), record(0x83, 264, 100)]}),
    "partitions that overlap": disk({0: [record(0x83, 64, 100), record(0x83, 100, 100)]}),
    "a partition that leaves the disk": disk({0: [record(0x83, 64, 100), record(0x83, 264, 1 << 12)]}),
    "a partition of the whole disk": disk({0: [record(0x83, 0, 2048)]}),
    "a partition in a partition of the disk": disk({0: [record(0x83, 64, 500)], 64: [record(0x83, 10, 50)]}),
}


def cd(folder: Path, *options: str, mformat: bool = True) -> bytes:
    """A CD with a boot image for UEFI and one for a BIOS; ``mformat`` writes a partition table into a FAT volume."""
    tree = folder / "tree"
    tree.mkdir()
    efi = tree / "efi.img"
    if mformat:
        run(judge("mformat", "mtools"), "-i", efi, "-C", "-f", "2880", "-L", "16", "::")
    else:
        efi.write_bytes(fat_volume({"/hello.txt": b"hello"}, 2 << 20))
    (tree / "bios.img").write_bytes(bytes(range(256)) * 64)
    output = folder / "cd.iso"
    run(judge("xorriso", "xorriso"), "-as", "mkisofs", "-quiet", "-o", output, "-c", "boot.cat", *options, tree)
    return output.read_bytes()


EFI_IMAGE = ("-e", "efi.img", "-no-emul-boot")
BIOS_IMAGE = ("-b", "bios.img", "-no-emul-boot", "-boot-load-size", "4")
CDS = {
    "for UEFI": EFI_IMAGE,
    "for a BIOS and for UEFI": (*BIOS_IMAGE, "-eltorito-alt-boot", *EFI_IMAGE),
    "for a BIOS": BIOS_IMAGE,
    "with a plain MBR": (*EFI_IMAGE, "-partition_offset", "16", "--mbr-force-bootable"),
    "with an ESP in the MBR": (*BIOS_IMAGE, "-eltorito-alt-boot", *EFI_IMAGE, "-isohybrid-gpt-basdat"),
    "of data": (),
}


@functools.cache
def modules() -> dict[str, Module]:
    """The modules of the installed firmware, which take most of a second to unpack."""
    return installed_modules("amd64")


def found(image: bytes, block_size: int, *, own: bool) -> Found:
    """The protocols, the medium and the partition information of each handle below a disk, by device path."""
    with Firmware("amd64", memory=64 << 20, drivers=own) as firmware:
        if not own:
            load_drivers(firmware, modules(), DISK_DRIVERS)
        storage = MemoryStorage(image)
        device = publish_block_io(
            firmware, storage, vendor_path(), block_size=block_size, removable=block_size == SECTOR
        )
        firmware.drivers.connect(device.handle)
        seen: Found = {}
        for handle in firmware.handles.with_protocol(DEVICE_PATH):
            path, block_io = firmware.path_of(handle), firmware.handles.pointer(handle, BLOCK_IO)
            if path is None or not path.startswith(body(vendor_path())) or block_io is None:
                continue
            info = firmware.handles.pointer(handle, PARTITION_INFO)
            seen[firmware.path_text(handle)] = (
                sorted(map(protocol_name, firmware.handles.protocols(handle))),
                Media(firmware, block_io).record(),
                firmware.memory.read(info, 144) if info else b"",
            )
        return seen


@pytest.mark.parametrize("block_size", [512, SECTOR])
@pytest.mark.parametrize("name", DISKS)
def test_the_partitions_of_an_mbr_are_those_that_edk2_finds(name: str, block_size: int) -> None:
    judge_file(*FIRMWARE_IMAGES["amd64"])
    ours = found(DISKS[name], block_size, own=True)
    assert ours == found(DISKS[name], block_size, own=False)


@pytest.mark.parametrize("block_size", [512, SECTOR])
@pytest.mark.parametrize("mformat", [True, False])
@pytest.mark.parametrize("name", CDS)
def test_the_boot_images_of_a_cd_are_those_that_edk2_finds(
    name: str, block_size: int, tmp_path: Path, *, mformat: bool
) -> None:
    judge_file(*FIRMWARE_IMAGES["amd64"])
    image = cd(tmp_path, *CDS[name], mformat=mformat)
    ours = found(image, block_size, own=True)
    assert ours == found(image, block_size, own=False)
    file_systems = [path for path, (protocols, _, _) in ours.items() if "EFI_SIMPLE_FILE_SYSTEM_PROTOCOL" in protocols]
    assert len(file_systems) == ("UEFI" in name or "MBR" in name)
    if file_systems and "CDROM" in file_systems[0]:
        assert file_systems[0].endswith(",0x1680)") == mformat


@pytest.mark.parametrize("sectors", [0, 1, 2, 0xFFFF])
@pytest.mark.parametrize("media", [0, 1, 2, 3, 4])
def test_the_size_of_a_boot_image_is_edk2s(sectors: int, media: int, tmp_path: Path) -> None:
    judge_file(*FIRMWARE_IMAGES["amd64"])
    image = bytearray(cd(tmp_path, *EFI_IMAGE, mformat=False))
    sector = find_catalogue(MemoryStorage(image))
    assert sector is not None
    image[sector * SECTOR + 33] = media
    image[sector * SECTOR + 38 : sector * SECTOR + 40] = sectors.to_bytes(2, "little")
    for block_size in (512, SECTOR):
        ours, theirs = (found(bytes(image), block_size, own=own) for own in (True, False))
        assert ours == theirs
        (path,) = (path for path in ours if "CDROM" in path)
        assert "EFI_SIMPLE_FILE_SYSTEM_PROTOCOL" in ours[path][0]


def test_a_chain_of_logical_partitions_that_comes_back_has_an_end() -> None:
    tables = {
        0: [record(0x05, 64, 1000)],
        64: [record(0x83, 10, 5), record(0x05, 100, 50)],
        164: [record(0x83, 10, 5), record(0x05, 200, 50)],
        264: [record(0x83, 10, 5), record(0x05, 100, 50)],
    }
    with Firmware("amd64", memory=64 << 20) as firmware:
        device = publish_block_io(firmware, MemoryStorage(disk(tables)), vendor_path())
        firmware.drivers.connect(device.handle)
        (extended,) = firmware.drivers.children(device.handle)
        assert len(firmware.drivers.children(extended)) == 3
        assert "the chain of logical partitions comes back to block 100" in firmware.problems
