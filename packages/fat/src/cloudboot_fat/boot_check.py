"""Checks of the boot sector, its backup, and FSInfo, beyond what a reader needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudboot_base import Finding

from .geometry import (
    BOOT_SIGNATURE,
    FSI_LEAD_SIGNATURE,
    FSI_STRUCT_SIGNATURE,
    FSI_TRAIL_SIGNATURE,
    FSI_UNKNOWN,
    MEDIA,
    MIN_CLUSTERS,
    extended_record,
    is_jump,
)
from .plan import MAX_CLUSTER_SIZE
from .records import BPB, ExtendedBootRecord, FSInfo

if TYPE_CHECKING:
    from .reader import FatReader

Findings = list[Finding]


def check_boot_sector(reader: FatReader, findings: Findings) -> None:
    """Rules of "Boot Sector and BPB" that do not keep a volume from being read."""
    geometry = reader.geometry
    sector = reader.storage.read_at(0, 512)
    bpb = BPB.unpack_from(sector)

    def add(field: str, message: str, expected: object = None) -> None:
        offset = BPB.LAYOUT.offsets[field]
        findings.append(Finding("boot-sector-field", message, "BPB", field, offset, expected, getattr(bpb, field)))

    if sector[510:512] != BOOT_SIGNATURE:
        findings.append(
            Finding(
                "boot-signature", "no boot signature", "BPB", None, 510, expected=BOOT_SIGNATURE, actual=sector[510:512]
            )
        )
    if not is_jump(bpb.BS_jmpBoot):
        add("BS_jmpBoot", "not a jump", "EB xx 90 or E9 xx xx")
    if geometry.media not in MEDIA:
        add("BPB_Media", "not a media byte", "0xF0 or 0xF8 to 0xFF")
    if geometry.cluster_size > MAX_CLUSTER_SIZE:
        add("BPB_SecPerClus", "clusters larger than 32 KiB", f"at most {MAX_CLUSTER_SIZE // geometry.sector_size}")
    if bpb.BPB_TotSec16 and bpb.BPB_TotSec32 and bpb.BPB_TotSec16 != bpb.BPB_TotSec32:
        add("BPB_TotSec32", "two sizes", bpb.BPB_TotSec16)
    if geometry.root_entries * 32 % geometry.sector_size:
        add("BPB_RootEntCnt", "the root directory does not fill its last sector")
    if geometry.sectors_per_track == 0:
        add("BPB_SecPerTrk", "no CHS geometry", "at least 1")
    if geometry.heads == 0:
        add("BPB_NumHeads", "no CHS geometry", "at least 1")
    if geometry.counted_clusters < MIN_CLUSTERS[geometry.fat_type]:
        findings.append(
            Finding(
                "fat-type-cluster-count",
                f"a FAT{geometry.fat_type} boot sector, but too few clusters: OVMF and mtools do not read it",
                structure="BPB",
                expected=f"at least {MIN_CLUSTERS[geometry.fat_type]}",
                actual=geometry.counted_clusters,
            )
        )
    if geometry.clusters < geometry.counted_clusters:
        findings.append(
            Finding(
                "fat-length",
                "the FAT is too short for the clusters: the last ones cannot be used",
                structure="BPB",
                field="BPB_FATSz32" if geometry.fat_type == 32 else "BPB_FATSz16",
                expected=f"{geometry.counted_clusters + 2} entries",
                actual=geometry.end_cluster,
            )
        )
    if geometry.size > reader.storage.size:
        message = "the storage ends before the volume"
        findings.append(Finding("truncated", message, "BPB", expected=geometry.size, actual=reader.storage.size))
    _check_state(reader, sector, findings)
    if geometry.fat_type == 32:
        _check_backup(reader, sector, findings)


def _check_state(reader: FatReader, sector: bytes, findings: Findings) -> None:
    """The flags that Linux and Windows NT keep in the boot sector, besides those in ``FAT[1]``."""
    state = extended_record(sector, reader.geometry).BS_Reserved1
    offset = reader.geometry.extended_offset + ExtendedBootRecord.LAYOUT.offsets["BS_Reserved1"]
    for bit, kind, message in (
        (1, "dirty", "the volume was not unmounted cleanly"),
        (2, "disk-errors", "the driver met disk errors"),
    ):
        if state & bit:
            where = ("ExtendedBootRecord", "BS_Reserved1", offset)
            findings.append(Finding(kind, message, *where, expected=0, actual=state))


def _check_backup(reader: FatReader, sector: bytes, findings: Findings) -> None:
    geometry = reader.geometry
    if geometry.backup_sector == 0:
        findings.append(Finding("backup-boot-sector", "there is none", "BPB32", "BPB_BkBootSec", expected=6, actual=0))
        return
    offset = geometry.backup_sector * geometry.sector_size
    if geometry.backup_sector >= geometry.reserved_sectors:
        message = "outside the reserved sectors"
        findings.append(Finding("backup-boot-sector", message, "BPB32", "BPB_BkBootSec", actual=geometry.backup_sector))
        return
    backup = reader.storage.read_at(offset, 512)
    if backup != sector:
        at = next(index for index in range(512) if backup[index] != sector[index])
        findings.append(
            Finding(
                "backup-boot-sector",
                "differs from the boot sector",
                "BPB",
                offset=offset + at,
                expected=sector[at],
                actual=backup[at],
            )
        )


def check_fsinfo(reader: FatReader, free: int, findings: Findings) -> None:
    """Signatures and counts of FSInfo; counts may be unknown, but not wrong."""
    geometry = reader.geometry
    if geometry.fat_type != 32:
        return
    offset = geometry.fsinfo_sector * geometry.sector_size

    def add(field: str, message: str, expected: object, actual: object) -> None:
        at = offset + FSInfo.LAYOUT.offsets[field]
        findings.append(Finding("fsinfo", message, "FSInfo", field, at, expected, actual))

    if not 0 < geometry.fsinfo_sector < geometry.reserved_sectors:
        message = "outside the reserved sectors"
        findings.append(Finding("fsinfo", message, "BPB32", "BPB_FSInfo", expected=1, actual=geometry.fsinfo_sector))
        return
    info = FSInfo.unpack_from(reader.storage.read_at(offset, FSInfo.SIZE))
    for field, expected in (
        ("FSI_LeadSig", FSI_LEAD_SIGNATURE),
        ("FSI_StrucSig", FSI_STRUCT_SIGNATURE),
        ("FSI_TrailSig", FSI_TRAIL_SIGNATURE),
    ):
        if getattr(info, field) != expected:
            add(field, "wrong signature", expected, getattr(info, field))
            return
    if info.FSI_Free_Count not in {free, FSI_UNKNOWN}:
        add("FSI_Free_Count", "wrong count of free clusters", free, info.FSI_Free_Count)
    if info.FSI_Nxt_Free != FSI_UNKNOWN and not 2 <= info.FSI_Nxt_Free < geometry.end_cluster:
        add("FSI_Nxt_Free", "not a cluster", f"2 to {geometry.end_cluster - 1}", info.FSI_Nxt_Free)
