"""Block devices and disks (UEFI 2.10 sections 13.7 to 13.10, 13.18)."""

from __future__ import annotations

from typing import Final

from cloudboot_uefi_abi.declarations import structure
from cloudboot_uefi_abi.guids import GUIDS

EFI_BLOCK_IO_PROTOCOL: Final = structure(
    "EFI_BLOCK_IO_PROTOCOL",
    "13.9",
    """
    UINT64 Revision;
    EFI_BLOCK_IO_MEDIA *Media;
    EFI_STATUS Reset(IN EFI_BLOCK_IO_PROTOCOL *This, IN BOOLEAN ExtendedVerification);
    EFI_STATUS ReadBlocks(IN EFI_BLOCK_IO_PROTOCOL *This, IN UINT32 MediaId, IN EFI_LBA LBA, IN UINTN BufferSize,
        OUT VOID *Buffer);
    EFI_STATUS WriteBlocks(IN EFI_BLOCK_IO_PROTOCOL *This, IN UINT32 MediaId, IN EFI_LBA LBA, IN UINTN BufferSize,
        IN VOID *Buffer);
    EFI_STATUS FlushBlocks(IN EFI_BLOCK_IO_PROTOCOL *This);
    """,
    guid=GUIDS["EFI_BLOCK_IO_PROTOCOL"],
    revision=0x0002001F,
)
"""Revision 2.31 (EFI_BLOCK_IO_PROTOCOL_REVISION3): the media then has ``OptimalTransferLengthGranularity``."""

EFI_BLOCK_IO2_PROTOCOL: Final = structure(
    "EFI_BLOCK_IO2_PROTOCOL",
    "13.10",
    """
    EFI_BLOCK_IO_MEDIA *Media;
    EFI_STATUS Reset(IN EFI_BLOCK_IO2_PROTOCOL *This, IN BOOLEAN ExtendedVerification);
    EFI_STATUS ReadBlocksEx(IN EFI_BLOCK_IO2_PROTOCOL *This, IN UINT32 MediaId, IN EFI_LBA LBA,
        IN OUT EFI_BLOCK_IO2_TOKEN *Token, IN UINTN BufferSize, OUT VOID *Buffer);
    EFI_STATUS WriteBlocksEx(IN EFI_BLOCK_IO2_PROTOCOL *This, IN UINT32 MediaId, IN EFI_LBA LBA,
        IN OUT EFI_BLOCK_IO2_TOKEN *Token, IN UINTN BufferSize, IN VOID *Buffer);
    EFI_STATUS FlushBlocksEx(IN EFI_BLOCK_IO2_PROTOCOL *This, IN OUT EFI_BLOCK_IO2_TOKEN *Token);
    """,
    guid=GUIDS["EFI_BLOCK_IO2_PROTOCOL"],
)

EFI_DISK_IO_PROTOCOL: Final = structure(
    "EFI_DISK_IO_PROTOCOL",
    "13.7",
    """
    UINT64 Revision;
    EFI_STATUS ReadDisk(IN EFI_DISK_IO_PROTOCOL *This, IN UINT32 MediaId, IN UINT64 Offset, IN UINTN BufferSize,
        OUT VOID *Buffer);
    EFI_STATUS WriteDisk(IN EFI_DISK_IO_PROTOCOL *This, IN UINT32 MediaId, IN UINT64 Offset, IN UINTN BufferSize,
        IN VOID *Buffer);
    """,
    guid=GUIDS["EFI_DISK_IO_PROTOCOL"],
    revision=0x00010000,
)

EFI_DISK_IO2_PROTOCOL: Final = structure(
    "EFI_DISK_IO2_PROTOCOL",
    "13.8",
    """
    UINT64 Revision;
    EFI_STATUS Cancel(IN EFI_DISK_IO2_PROTOCOL *This);
    EFI_STATUS ReadDiskEx(IN EFI_DISK_IO2_PROTOCOL *This, IN UINT32 MediaId, IN UINT64 Offset,
        IN OUT EFI_DISK_IO2_TOKEN *Token, IN UINTN BufferSize, OUT VOID *Buffer);
    EFI_STATUS WriteDiskEx(IN EFI_DISK_IO2_PROTOCOL *This, IN UINT32 MediaId, IN UINT64 Offset,
        IN OUT EFI_DISK_IO2_TOKEN *Token, IN UINTN BufferSize, IN VOID *Buffer);
    EFI_STATUS FlushDiskEx(IN EFI_DISK_IO2_PROTOCOL *This, IN OUT EFI_DISK_IO2_TOKEN *Token);
    """,
    guid=GUIDS["EFI_DISK_IO2_PROTOCOL"],
    revision=0x00020000,
)

EFI_PARTITION_INFO_PROTOCOL: Final = structure(
    "EFI_PARTITION_INFO_PROTOCOL",
    "13.18",
    """
    UINT32 Revision;
    UINT32 Type;
    UINT8 System;
    UINT8 Reserved[7];
    UINT8 Info[128];
    """,
    guid=GUIDS["EFI_PARTITION_INFO_PROTOCOL"],
    revision=0x00010000,
)
"""A packed structure: ``Info`` is an MBR_PARTITION_RECORD or an EFI_PARTITION_ENTRY, as ``Type`` (1 or 2) says."""
