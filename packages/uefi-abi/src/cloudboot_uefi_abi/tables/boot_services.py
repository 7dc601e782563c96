"""The boot services table (UEFI 2.10 section 4.4) and the prototype of each service (chapter 7)."""

from __future__ import annotations

from typing import Final

from cloudboot_uefi_abi.declarations import structure

EFI_BOOT_SERVICES: Final = structure(
    "EFI_BOOT_SERVICES",
    "4.4",
    """
    EFI_TABLE_HEADER Hdr;
    EFI_TPL RaiseTPL(IN EFI_TPL NewTpl);
    VOID RestoreTPL(IN EFI_TPL OldTpl);
    EFI_STATUS AllocatePages(IN EFI_ALLOCATE_TYPE Type, IN EFI_MEMORY_TYPE MemoryType, IN UINTN Pages,
        IN OUT EFI_PHYSICAL_ADDRESS *Memory);
    EFI_STATUS FreePages(IN EFI_PHYSICAL_ADDRESS Memory, IN UINTN Pages);
    EFI_STATUS GetMemoryMap(IN OUT UINTN *MemoryMapSize, OUT EFI_MEMORY_DESCRIPTOR *MemoryMap, OUT UINTN *MapKey,
        OUT UINTN *DescriptorSize, OUT UINT32 *DescriptorVersion);
    EFI_STATUS AllocatePool(IN EFI_MEMORY_TYPE PoolType, IN UINTN Size, OUT VOID **Buffer);
    EFI_STATUS FreePool(IN VOID *Buffer);
    EFI_STATUS CreateEvent(IN UINT32 Type, IN EFI_TPL NotifyTpl, IN EFI_EVENT_NOTIFY NotifyFunction OPTIONAL,
        IN VOID *NotifyContext OPTIONAL, OUT EFI_EVENT *Event);
    EFI_STATUS SetTimer(IN EFI_EVENT Event, IN EFI_TIMER_DELAY Type, IN UINT64 TriggerTime);
    EFI_STATUS WaitForEvent(IN UINTN NumberOfEvents, IN EFI_EVENT *Event, OUT UINTN *Index);
    EFI_STATUS SignalEvent(IN EFI_EVENT Event);
    EFI_STATUS CloseEvent(IN EFI_EVENT Event);
    EFI_STATUS CheckEvent(IN EFI_EVENT Event);
    EFI_STATUS InstallProtocolInterface(IN OUT EFI_HANDLE *Handle, IN EFI_GUID *Protocol,
        IN EFI_INTERFACE_TYPE InterfaceType, IN VOID *Interface);
    EFI_STATUS ReinstallProtocolInterface(IN EFI_HANDLE Handle, IN EFI_GUID *Protocol, IN VOID *OldInterface,
        IN VOID *NewInterface);
    EFI_STATUS UninstallProtocolInterface(IN EFI_HANDLE Handle, IN EFI_GUID *Protocol, IN VOID *Interface);
    EFI_STATUS HandleProtocol(IN EFI_HANDLE Handle, IN EFI_GUID *Protocol, OUT VOID **Interface);
    VOID *Reserved;
    EFI_STATUS RegisterProtocolNotify(IN EFI_GUID *Protocol, IN EFI_EVENT Event, OUT VOID **Registration);
    EFI_STATUS LocateHandle(IN EFI_LOCATE_SEARCH_TYPE SearchType, IN EFI_GUID *Protocol OPTIONAL,
        IN VOID *SearchKey OPTIONAL, IN OUT UINTN *BufferSize, OUT EFI_HANDLE *Buffer);
    EFI_STATUS LocateDevicePath(IN EFI_GUID *Protocol, IN OUT EFI_DEVICE_PATH_PROTOCOL **DevicePath,
        OUT EFI_HANDLE *Device);
    EFI_STATUS InstallConfigurationTable(IN EFI_GUID *Guid, IN VOID *Table);
    EFI_STATUS LoadImage(IN BOOLEAN BootPolicy, IN EFI_HANDLE ParentImageHandle,
        IN EFI_DEVICE_PATH_PROTOCOL *DevicePath OPTIONAL, IN VOID *SourceBuffer OPTIONAL, IN UINTN SourceSize,
        OUT EFI_HANDLE *ImageHandle);
    EFI_STATUS StartImage(IN EFI_HANDLE ImageHandle, OUT UINTN *ExitDataSize, OUT CHAR16 **ExitData OPTIONAL);
    EFI_STATUS Exit(IN EFI_HANDLE ImageHandle, IN EFI_STATUS ExitStatus, IN UINTN ExitDataSize,
        IN CHAR16 *ExitData OPTIONAL);
    EFI_STATUS UnloadImage(IN EFI_HANDLE ImageHandle);
    EFI_STATUS ExitBootServices(IN EFI_HANDLE ImageHandle, IN UINTN MapKey);
    EFI_STATUS GetNextMonotonicCount(OUT UINT64 *Count);
    EFI_STATUS Stall(IN UINTN Microseconds);
    EFI_STATUS SetWatchdogTimer(IN UINTN Timeout, IN UINT64 WatchdogCode, IN UINTN DataSize,
        IN CHAR16 *WatchdogData OPTIONAL);
    EFI_STATUS ConnectController(IN EFI_HANDLE ControllerHandle, IN EFI_HANDLE *DriverImageHandle OPTIONAL,
        IN EFI_DEVICE_PATH_PROTOCOL *RemainingDevicePath OPTIONAL, IN BOOLEAN Recursive);
    EFI_STATUS DisconnectController(IN EFI_HANDLE ControllerHandle, IN EFI_HANDLE DriverImageHandle OPTIONAL,
        IN EFI_HANDLE ChildHandle OPTIONAL);
    EFI_STATUS OpenProtocol(IN EFI_HANDLE Handle, IN EFI_GUID *Protocol, OUT VOID **Interface OPTIONAL,
        IN EFI_HANDLE AgentHandle, IN EFI_HANDLE ControllerHandle, IN UINT32 Attributes);
    EFI_STATUS CloseProtocol(IN EFI_HANDLE Handle, IN EFI_GUID *Protocol, IN EFI_HANDLE AgentHandle,
        IN EFI_HANDLE ControllerHandle);
    EFI_STATUS OpenProtocolInformation(IN EFI_HANDLE Handle, IN EFI_GUID *Protocol,
        OUT EFI_OPEN_PROTOCOL_INFORMATION_ENTRY **EntryBuffer, OUT UINTN *EntryCount);
    EFI_STATUS ProtocolsPerHandle(IN EFI_HANDLE Handle, OUT EFI_GUID ***ProtocolBuffer, OUT UINTN *ProtocolBufferCount);
    EFI_STATUS LocateHandleBuffer(IN EFI_LOCATE_SEARCH_TYPE SearchType, IN EFI_GUID *Protocol OPTIONAL,
        IN VOID *SearchKey OPTIONAL, OUT UINTN *NoHandles, OUT EFI_HANDLE **Buffer);
    EFI_STATUS LocateProtocol(IN EFI_GUID *Protocol, IN VOID *Registration OPTIONAL, OUT VOID **Interface);
    EFI_STATUS InstallMultipleProtocolInterfaces(IN OUT EFI_HANDLE *Handle, ...);
    EFI_STATUS UninstallMultipleProtocolInterfaces(IN EFI_HANDLE Handle, ...);
    EFI_STATUS CalculateCrc32(IN VOID *Data, IN UINTN DataSize, OUT UINT32 *Crc32);
    VOID CopyMem(IN VOID *Destination, IN VOID *Source, IN UINTN Length);
    VOID SetMem(IN VOID *Buffer, IN UINTN Size, IN UINT8 Value);
    EFI_STATUS CreateEventEx(IN UINT32 Type, IN EFI_TPL NotifyTpl, IN EFI_EVENT_NOTIFY NotifyFunction OPTIONAL,
        IN CONST VOID *NotifyContext OPTIONAL, IN CONST EFI_GUID *EventGroup OPTIONAL, OUT EFI_EVENT *Event);
    """,
    signature=b"BOOTSERV",
)
"""Variadic services take pairs of ``EFI_GUID *`` and ``VOID *``, ended by a null pointer (sections 7.3.19, 7.3.20)."""
