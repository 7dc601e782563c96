"""Write the boot sector, its backup and FSInfo (fatgen103, "Boot Sector and BPB")."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

from . import times
from .entries import label_field
from .geometry import (
    BOOT_SIGNATURE,
    BPB32_OFFSET,
    EXTENDED_BOOT_SIGNATURE,
    FSI_LEAD_SIGNATURE,
    FSI_STRUCT_SIGNATURE,
    FSI_TRAIL_SIGNATURE,
    FSI_UNKNOWN,
    Geometry,
)
from .records import BPB, BPB32, ExtendedBootRecord, FSInfo

if TYPE_CHECKING:
    from cloudboot_base import WritableStorage

    from .plan import FormatOptions

#: ``int 0x18`` asks the BIOS for the next boot device; then halt forever.
_BOOT_CODE = bytes.fromhex("cd18f4ebfd")


def write_boot_sectors(
    storage: WritableStorage, geometry: Geometry, options: FormatOptions, used: int, digest: int
) -> None:
    """Write the boot sector last of all, after its backup and FSInfo; ``used`` clusters are taken from the first on.

    A serial number that is not given follows from everything else, and from ``digest``, a number made of the tree.
    """
    serial = options.serial
    if serial is None:
        stamp = times.encode(options.timestamp)
        serial = zlib.crc32(boot_sector(geometry, options, 0) + struct.pack("<3HI", *stamp, digest))
    boot = boot_sector(geometry, options, serial)
    sector = geometry.sector_size
    if geometry.fat_type == 32:
        info = FSInfo(
            FSI_LeadSig=FSI_LEAD_SIGNATURE,
            FSI_StrucSig=FSI_STRUCT_SIGNATURE,
            FSI_Free_Count=geometry.clusters - used,
            FSI_Nxt_Free=1 + used,
            FSI_TrailSig=FSI_TRAIL_SIGNATURE,
        )
        storage.write_at(geometry.fsinfo_sector * sector, info.pack())
        # Nobody keeps the counts of the backup up to date, so it says that they are not known.
        info.FSI_Free_Count = info.FSI_Nxt_Free = FSI_UNKNOWN
        storage.write_at(geometry.backup_sector * sector, boot)
        storage.write_at((geometry.backup_sector + geometry.fsinfo_sector) * sector, info.pack())
    storage.write_at(0, boot)


def boot_sector(geometry: Geometry, options: FormatOptions, serial: int) -> bytes:
    """The first 512 bytes of a volume."""
    is_fat32 = geometry.fat_type == 32
    small = geometry.total_sectors <= 0xFFFF and not is_fat32
    code = geometry.extended_offset + ExtendedBootRecord.SIZE
    boot = bytearray(512)
    BPB(
        BS_jmpBoot=bytes([0xEB, code - 2, 0x90]),
        BS_OEMName=options.oem_name.ljust(8),
        BPB_BytsPerSec=geometry.sector_size,
        BPB_SecPerClus=geometry.sectors_per_cluster,
        BPB_RsvdSecCnt=geometry.reserved_sectors,
        BPB_NumFATs=geometry.fats,
        BPB_RootEntCnt=geometry.root_entries,
        BPB_TotSec16=geometry.total_sectors if small else 0,
        BPB_Media=geometry.media,
        BPB_FATSz16=0 if is_fat32 else geometry.fat_sectors,
        BPB_SecPerTrk=geometry.sectors_per_track,
        BPB_NumHeads=geometry.heads,
        BPB_HiddSec=geometry.hidden_sectors,
        BPB_TotSec32=0 if small else geometry.total_sectors,
    ).pack_into(boot)
    if is_fat32:
        BPB32(
            BPB_FATSz32=geometry.fat_sectors,
            BPB_RootClus=geometry.root_cluster,
            BPB_FSInfo=geometry.fsinfo_sector,
            BPB_BkBootSec=geometry.backup_sector,
        ).pack_into(boot, BPB32_OFFSET)
    ExtendedBootRecord(
        BS_DrvNum=0x80 if geometry.media == 0xF8 else 0,
        BS_BootSig=EXTENDED_BOOT_SIGNATURE,
        BS_VolID=serial,
        BS_VolLab=label_field(options.label),
        BS_FilSysType=f"FAT{geometry.fat_type}".encode().ljust(8),
    ).pack_into(boot, geometry.extended_offset)
    boot[code : code + len(_BOOT_CODE)] = _BOOT_CODE
    boot[510:512] = BOOT_SIGNATURE
    return bytes(boot)
