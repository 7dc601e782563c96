"""File systems, files, and images loaded from them (UEFI 2.10 sections 9.1, 13.1 to 13.5)."""

from __future__ import annotations

from typing import Final

from cloudboot_uefi_abi.declarations import structure
from cloudboot_uefi_abi.guids import GUIDS

EFI_SIMPLE_FILE_SYSTEM_PROTOCOL: Final = structure(
    "EFI_SIMPLE_FILE_SYSTEM_PROTOCOL",
    "13.4",
    """
    UINT64 Revision;
    EFI_STATUS OpenVolume(IN EFI_SIMPLE_FILE_SYSTEM_PROTOCOL *This, OUT EFI_FILE_PROTOCOL **Root);
    """,
    guid=GUIDS["EFI_SIMPLE_FILE_SYSTEM_PROTOCOL"],
    revision=0x00010000,
)

EFI_FILE_PROTOCOL: Final = structure(
    "EFI_FILE_PROTOCOL",
    "13.5",
    """
    UINT64 Revision;
    EFI_STATUS Open(IN EFI_FILE_PROTOCOL *This, OUT EFI_FILE_PROTOCOL **NewHandle, IN CHAR16 *FileName,
        IN UINT64 OpenMode, IN UINT64 Attributes);
    EFI_STATUS Close(IN EFI_FILE_PROTOCOL *This);
    EFI_STATUS Delete(IN EFI_FILE_PROTOCOL *This);
    EFI_STATUS Read(IN EFI_FILE_PROTOCOL *This, IN OUT UINTN *BufferSize, OUT VOID *Buffer);
    EFI_STATUS Write(IN EFI_FILE_PROTOCOL *This, IN OUT UINTN *BufferSize, IN VOID *Buffer);
    EFI_STATUS GetPosition(IN EFI_FILE_PROTOCOL *This, OUT UINT64 *Position);
    EFI_STATUS SetPosition(IN EFI_FILE_PROTOCOL *This, IN UINT64 Position);
    EFI_STATUS GetInfo(IN EFI_FILE_PROTOCOL *This, IN EFI_GUID *InformationType, IN OUT UINTN *BufferSize,
        OUT VOID *Buffer);
    EFI_STATUS SetInfo(IN EFI_FILE_PROTOCOL *This, IN EFI_GUID *InformationType, IN UINTN BufferSize,
        IN VOID *Buffer);
    EFI_STATUS Flush(IN EFI_FILE_PROTOCOL *This);
    EFI_STATUS OpenEx(IN EFI_FILE_PROTOCOL *This, OUT EFI_FILE_PROTOCOL **NewHandle, IN CHAR16 *FileName,
        IN UINT64 OpenMode, IN UINT64 Attributes, IN OUT EFI_FILE_IO_TOKEN *Token);
    EFI_STATUS ReadEx(IN EFI_FILE_PROTOCOL *This, IN OUT EFI_FILE_IO_TOKEN *Token);
    EFI_STATUS WriteEx(IN EFI_FILE_PROTOCOL *This, IN OUT EFI_FILE_IO_TOKEN *Token);
    EFI_STATUS FlushEx(IN EFI_FILE_PROTOCOL *This, IN OUT EFI_FILE_IO_TOKEN *Token);
    """,
    revision=0x00020000,
)
"""Revision 2; revision 0x00010000 ends with ``Flush``. The protocol is never installed on a handle."""

EFI_LOADED_IMAGE_PROTOCOL: Final = structure(
    "EFI_LOADED_IMAGE_PROTOCOL",
    "9.1",
    """
    UINT32 Revision;
    EFI_HANDLE ParentHandle;
    EFI_SYSTEM_TABLE *SystemTable;
    EFI_HANDLE DeviceHandle;
    EFI_DEVICE_PATH_PROTOCOL *FilePath;
    VOID *Reserved;
    UINT32 LoadOptionsSize;
    VOID *LoadOptions;
    VOID *ImageBase;
    UINT64 ImageSize;
    EFI_MEMORY_TYPE ImageCodeType;
    EFI_MEMORY_TYPE ImageDataType;
    EFI_STATUS Unload(IN EFI_HANDLE ImageHandle);
    """,
    guid=GUIDS["EFI_LOADED_IMAGE_PROTOCOL"],
    revision=0x00001000,
)

EFI_LOAD_FILE_PROTOCOL: Final = structure(
    "EFI_LOAD_FILE_PROTOCOL",
    "13.1",
    """
    EFI_STATUS LoadFile(IN EFI_LOAD_FILE_PROTOCOL *This, IN EFI_DEVICE_PATH_PROTOCOL *FilePath, IN BOOLEAN BootPolicy,
        IN OUT UINTN *BufferSize, OUT VOID *Buffer OPTIONAL);
    """,
    guid=GUIDS["EFI_LOAD_FILE_PROTOCOL"],
)

EFI_LOAD_FILE2_PROTOCOL: Final = structure(
    "EFI_LOAD_FILE2_PROTOCOL",
    "13.2",
    """
    EFI_STATUS LoadFile(IN EFI_LOAD_FILE2_PROTOCOL *This, IN EFI_DEVICE_PATH_PROTOCOL *FilePath, IN BOOLEAN BootPolicy,
        IN OUT UINTN *BufferSize, OUT VOID *Buffer OPTIONAL);
    """,
    guid=GUIDS["EFI_LOAD_FILE2_PROTOCOL"],
)
