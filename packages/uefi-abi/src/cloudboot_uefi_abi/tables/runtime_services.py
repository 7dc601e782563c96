"""The runtime services table (UEFI 2.10 section 4.5) and the prototype of each service (chapter 8)."""

from __future__ import annotations

from typing import Final

from cloudboot_uefi_abi.declarations import structure

EFI_RUNTIME_SERVICES: Final = structure(
    "EFI_RUNTIME_SERVICES",
    "4.5",
    """
    EFI_TABLE_HEADER Hdr;
    EFI_STATUS GetTime(OUT EFI_TIME *Time, OUT EFI_TIME_CAPABILITIES *Capabilities OPTIONAL);
    EFI_STATUS SetTime(IN EFI_TIME *Time);
    EFI_STATUS GetWakeupTime(OUT BOOLEAN *Enabled, OUT BOOLEAN *Pending, OUT EFI_TIME *Time);
    EFI_STATUS SetWakeupTime(IN BOOLEAN Enable, IN EFI_TIME *Time OPTIONAL);
    EFI_STATUS SetVirtualAddressMap(IN UINTN MemoryMapSize, IN UINTN DescriptorSize, IN UINT32 DescriptorVersion,
        IN EFI_MEMORY_DESCRIPTOR *VirtualMap);
    EFI_STATUS ConvertPointer(IN UINTN DebugDisposition, IN OUT VOID **Address);
    EFI_STATUS GetVariable(IN CHAR16 *VariableName, IN EFI_GUID *VendorGuid, OUT UINT32 *Attributes OPTIONAL,
        IN OUT UINTN *DataSize, OUT VOID *Data OPTIONAL);
    EFI_STATUS GetNextVariableName(IN OUT UINTN *VariableNameSize, IN OUT CHAR16 *VariableName,
        IN OUT EFI_GUID *VendorGuid);
    EFI_STATUS SetVariable(IN CHAR16 *VariableName, IN EFI_GUID *VendorGuid, IN UINT32 Attributes, IN UINTN DataSize,
        IN VOID *Data);
    EFI_STATUS GetNextHighMonotonicCount(OUT UINT32 *HighCount);
    VOID ResetSystem(IN EFI_RESET_TYPE ResetType, IN EFI_STATUS ResetStatus, IN UINTN DataSize,
        IN VOID *ResetData OPTIONAL);
    EFI_STATUS UpdateCapsule(IN EFI_CAPSULE_HEADER **CapsuleHeaderArray, IN UINTN CapsuleCount,
        IN EFI_PHYSICAL_ADDRESS ScatterGatherList OPTIONAL);
    EFI_STATUS QueryCapsuleCapabilities(IN EFI_CAPSULE_HEADER **CapsuleHeaderArray, IN UINTN CapsuleCount,
        OUT UINT64 *MaximumCapsuleSize, OUT EFI_RESET_TYPE *ResetType);
    EFI_STATUS QueryVariableInfo(IN UINT32 Attributes, OUT UINT64 *MaximumVariableStorageSize,
        OUT UINT64 *RemainingVariableStorageSize, OUT UINT64 *MaximumVariableSize);
    """,
    signature=b"RUNTSERV",
)
