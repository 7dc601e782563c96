"""Random numbers, measurement, memory attributes (UEFI 2.10 chapters 37 and 38, TCG EFI Protocol Specification 1.0)."""

from __future__ import annotations

from typing import Final

from cloudboot_uefi_abi.declarations import structure
from cloudboot_uefi_abi.guids import GUIDS

EFI_RNG_PROTOCOL: Final = structure(
    "EFI_RNG_PROTOCOL",
    "37.5",
    """
    EFI_STATUS GetInfo(IN EFI_RNG_PROTOCOL *This, IN OUT UINTN *RNGAlgorithmListSize, OUT EFI_GUID *RNGAlgorithmList);
    EFI_STATUS GetRNG(IN EFI_RNG_PROTOCOL *This, IN EFI_GUID *RNGAlgorithm OPTIONAL, IN UINTN RNGValueLength,
        OUT UINT8 *RNGValue);
    """,
    guid=GUIDS["EFI_RNG_PROTOCOL"],
)

EFI_TCG2_PROTOCOL: Final = structure(
    "EFI_TCG2_PROTOCOL",
    "TCG EFI Protocol Specification 1.0 section 6",
    """
    EFI_STATUS GetCapability(IN EFI_TCG2_PROTOCOL *This,
        IN OUT EFI_TCG2_BOOT_SERVICE_CAPABILITY *ProtocolCapability);
    EFI_STATUS GetEventLog(IN EFI_TCG2_PROTOCOL *This, IN EFI_TCG2_EVENT_LOG_FORMAT EventLogFormat,
        OUT EFI_PHYSICAL_ADDRESS *EventLogLocation, OUT EFI_PHYSICAL_ADDRESS *EventLogLastEntry,
        OUT BOOLEAN *EventLogTruncated);
    EFI_STATUS HashLogExtendEvent(IN EFI_TCG2_PROTOCOL *This, IN UINT64 Flags, IN EFI_PHYSICAL_ADDRESS DataToHash,
        IN UINT64 DataToHashLen, IN EFI_TCG2_EVENT *EfiTcgEvent);
    EFI_STATUS SubmitCommand(IN EFI_TCG2_PROTOCOL *This, IN UINT32 InputParameterBlockSize,
        IN UINT8 *InputParameterBlock, IN UINT32 OutputParameterBlockSize, IN UINT8 *OutputParameterBlock);
    EFI_STATUS GetActivePcrBanks(IN EFI_TCG2_PROTOCOL *This, OUT UINT32 *ActivePcrBanks);
    EFI_STATUS SetActivePcrBanks(IN EFI_TCG2_PROTOCOL *This, IN UINT32 ActivePcrBanks);
    EFI_STATUS GetResultOfSetActivePcrBanks(IN EFI_TCG2_PROTOCOL *This, OUT UINT32 *OperationPresent,
        OUT UINT32 *Response);
    """,
    guid=GUIDS["EFI_TCG2_PROTOCOL"],
)

EFI_CC_MEASUREMENT_PROTOCOL: Final = structure(
    "EFI_CC_MEASUREMENT_PROTOCOL",
    "38.2",
    """
    EFI_STATUS GetCapability(IN EFI_CC_MEASUREMENT_PROTOCOL *This,
        IN OUT EFI_CC_BOOT_SERVICE_CAPABILITY *ProtocolCapability);
    EFI_STATUS GetEventLog(IN EFI_CC_MEASUREMENT_PROTOCOL *This, IN EFI_CC_EVENT_LOG_FORMAT EventLogFormat,
        OUT EFI_PHYSICAL_ADDRESS *EventLogLocation, OUT EFI_PHYSICAL_ADDRESS *EventLogLastEntry,
        OUT BOOLEAN *EventLogTruncated);
    EFI_STATUS HashLogExtendEvent(IN EFI_CC_MEASUREMENT_PROTOCOL *This, IN UINT64 Flags,
        IN EFI_PHYSICAL_ADDRESS DataToHash, IN UINT64 DataToHashLen, IN EFI_CC_EVENT *EfiCcEvent);
    EFI_STATUS MapPcrToMrIndex(IN EFI_CC_MEASUREMENT_PROTOCOL *This, IN UINT32 PCRIndex, OUT EFI_CC_MR_INDEX *MrIndex);
    """,
    guid=GUIDS["EFI_CC_MEASUREMENT_PROTOCOL"],
)

EFI_MEMORY_ATTRIBUTE_PROTOCOL: Final = structure(
    "EFI_MEMORY_ATTRIBUTE_PROTOCOL",
    "37.7",
    """
    EFI_STATUS GetMemoryAttributes(IN EFI_MEMORY_ATTRIBUTE_PROTOCOL *This, IN EFI_PHYSICAL_ADDRESS BaseAddress,
        IN UINT64 Length, OUT UINT64 *Attributes);
    EFI_STATUS SetMemoryAttributes(IN EFI_MEMORY_ATTRIBUTE_PROTOCOL *This, IN EFI_PHYSICAL_ADDRESS BaseAddress,
        IN UINT64 Length, IN UINT64 Attributes);
    EFI_STATUS ClearMemoryAttributes(IN EFI_MEMORY_ATTRIBUTE_PROTOCOL *This, IN EFI_PHYSICAL_ADDRESS BaseAddress,
        IN UINT64 Length, IN UINT64 Attributes);
    """,
    guid=GUIDS["EFI_MEMORY_ATTRIBUTE_PROTOCOL"],
)

RISCV_EFI_BOOT_PROTOCOL: Final = structure(
    "RISCV_EFI_BOOT_PROTOCOL",
    "RISC-V UEFI Protocol Specification 1.0",
    """
    UINT64 Revision;
    EFI_STATUS GetBootHartId(IN RISCV_EFI_BOOT_PROTOCOL *This, OUT UINTN *BootHartId);
    """,
    guid=GUIDS["RISCV_EFI_BOOT_PROTOCOL"],
    revision=0x00010000,
)

SHIM_LOCK: Final = structure(
    "SHIM_LOCK",
    "shim",
    """
    EFI_STATUS Verify(IN VOID *Buffer, IN UINT32 Size);
    EFI_STATUS Hash(IN UINT8 *Data, IN INT32 DataSize, OUT VOID *Context, OUT UINT8 *Sha256Hash, OUT UINT8 *Sha1Hash);
    EFI_STATUS Context(IN UINT8 *Data, IN UINT32 DataSize, OUT VOID *Context);
    """,
    guid=GUIDS["SHIM_LOCK"],
)
