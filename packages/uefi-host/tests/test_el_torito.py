"""A CD's boot catalogue, written by pycdlib, leads to the loader in its FAT image; catalogues that lie are refused."""

import io

import pycdlib
import pytest

from cloudboot_base import MemoryStorage
from cloudboot_base.testing import flipped
from cloudboot_uefi_abi.status import Status
from cloudboot_uefi_host import Firmware, boot_path, file_systems_below, publish_block_io, start, vendor_path
from cloudboot_uefi_host.drivers.el_torito import (
    EFI_PLATFORM,
    SECTOR,
    BootEntry,
    CatalogueError,
    find_catalogue,
    read_catalogue,
)
from cloudboot_uefi_host.programs import standin
from cloudboot_uefi_host.testing import fat_volume

ARCHITECTURES = {"amd64": "BOOTX64.EFI", "arm64": "BOOTAA64.EFI", "riscv64": "BOOTRISCV64.EFI"}
FAT_SIZE = 2 << 20


def cd(architecture: str) -> bytes:
    """A CD with a FAT image that holds the stand-in loader as its EFI boot image."""
    volume = fat_volume({f"/EFI/BOOT/{ARCHITECTURES[architecture]}": standin(architecture)}, FAT_SIZE)
    disc, written = pycdlib.PyCdlib(), io.BytesIO()
    disc.new()
    disc.add_fp(io.BytesIO(volume), len(volume), "/EFI.IMG;1")
    disc.add_eltorito("/EFI.IMG;1", platform_id=EFI_PLATFORM, boot_load_size=FAT_SIZE // 512)
    disc.write_fp(written)
    disc.close()
    return written.getvalue()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("block_size", [512, 2048])
def test_the_loader_of_a_cd_runs(architecture: str, block_size: int) -> None:
    disc = cd(architecture)
    with Firmware(architecture, memory=64 << 20) as firmware:
        device = publish_block_io(firmware, MemoryStorage(disc), vendor_path(), block_size=block_size)
        assert firmware.drivers.connect(device.handle) == Status.SUCCESS
        (handle,) = file_systems_below(firmware, device.path)
        assert "/CDROM(" in firmware.path_text(handle)
        image = firmware.images.load_from(boot_path(firmware, device), parent=firmware.handle)
        assert start(firmware, image).status == Status.NOT_FOUND
        assert firmware.console.text.startswith("cloudboot stand-in EFI loader")


def test_the_catalogue_says_what_pycdlib_wrote() -> None:
    disc = cd("amd64")
    (entry,) = read_catalogue(MemoryStorage(disc))
    assert entry == BootEntry(0, EFI_PLATFORM, entry.sector, FAT_SIZE, FAT_SIZE // 512)
    assert disc[entry.sector * SECTOR + 510 : entry.sector * SECTOR + 512] == b"\x55\xaa"


def test_catalogues_that_lie() -> None:
    disc = cd("amd64")
    sector = find_catalogue(MemoryStorage(disc))
    assert sector is not None
    place = sector * SECTOR
    for offset, field in (
        (place, "Header ID"),
        (place + 30, "Header ID"),
        (place + 4, "Checksum"),
        (place + 43, "Load RBA"),
    ):
        with pytest.raises(CatalogueError) as caught:
            read_catalogue(MemoryStorage(flipped(disc, offset)))
        assert caught.value.field == field
        assert caught.value.offset is not None
    pointer = disc.index(b"EL TORITO SPECIFICATION") - 7 + 0x47
    with pytest.raises(CatalogueError):
        read_catalogue(MemoryStorage(flipped(disc, pointer + 3)))
    assert read_catalogue(MemoryStorage(bytes(1 << 20))) == []
    endless = bytearray(disc[: SECTOR * 16] + (b"\x01CD001\x01".ljust(SECTOR, b"\0")) * 100)
    with pytest.raises(CatalogueError):
        read_catalogue(MemoryStorage(endless))
