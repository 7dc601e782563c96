"""Device paths as protocols (UEFI 2.10 sections 10.2, 10.5, 10.6)."""

from __future__ import annotations

from typing import Final

from cloudboot_uefi_abi.declarations import structure
from cloudboot_uefi_abi.guids import GUIDS

EFI_DEVICE_PATH_PROTOCOL: Final = structure(
    "EFI_DEVICE_PATH_PROTOCOL",
    "10.2",
    """
    UINT8 Type;
    UINT8 SubType;
    UINT8 Length[2];
    """,
    guid=GUIDS["EFI_DEVICE_PATH_PROTOCOL"],
)
"""The head of a node: the interface is the device path itself, and has no functions."""

EFI_DEVICE_PATH_UTILITIES_PROTOCOL: Final = structure(
    "EFI_DEVICE_PATH_UTILITIES_PROTOCOL",
    "10.5",
    """
    UINTN GetDevicePathSize(IN EFI_DEVICE_PATH_PROTOCOL *DevicePath);
    EFI_DEVICE_PATH_PROTOCOL *DuplicateDevicePath(IN EFI_DEVICE_PATH_PROTOCOL *DevicePath);
    EFI_DEVICE_PATH_PROTOCOL *AppendDevicePath(IN EFI_DEVICE_PATH_PROTOCOL *Src1, IN EFI_DEVICE_PATH_PROTOCOL *Src2);
    EFI_DEVICE_PATH_PROTOCOL *AppendDeviceNode(IN EFI_DEVICE_PATH_PROTOCOL *DevicePath,
        IN EFI_DEVICE_PATH_PROTOCOL *DeviceNode);
    EFI_DEVICE_PATH_PROTOCOL *AppendDevicePathInstance(IN EFI_DEVICE_PATH_PROTOCOL *DevicePath,
        IN EFI_DEVICE_PATH_PROTOCOL *DevicePathInstance);
    EFI_DEVICE_PATH_PROTOCOL *GetNextDevicePathInstance(IN OUT EFI_DEVICE_PATH_PROTOCOL **DevicePathInstance,
        OUT UINTN *DevicePathInstanceSize OPTIONAL);
    BOOLEAN IsDevicePathMultiInstance(IN EFI_DEVICE_PATH_PROTOCOL *DevicePath);
    EFI_DEVICE_PATH_PROTOCOL *CreateDeviceNode(IN UINT8 NodeType, IN UINT8 NodeSubType, IN UINT16 NodeLength);
    """,
    guid=GUIDS["EFI_DEVICE_PATH_UTILITIES_PROTOCOL"],
)

EFI_DEVICE_PATH_TO_TEXT_PROTOCOL: Final = structure(
    "EFI_DEVICE_PATH_TO_TEXT_PROTOCOL",
    "10.6.3",
    """
    CHAR16 *ConvertDeviceNodeToText(IN EFI_DEVICE_PATH_PROTOCOL *DeviceNode, IN BOOLEAN DisplayOnly,
        IN BOOLEAN AllowShortcuts);
    CHAR16 *ConvertDevicePathToText(IN EFI_DEVICE_PATH_PROTOCOL *DevicePath, IN BOOLEAN DisplayOnly,
        IN BOOLEAN AllowShortcuts);
    """,
    guid=GUIDS["EFI_DEVICE_PATH_TO_TEXT_PROTOCOL"],
)

EFI_DEVICE_PATH_FROM_TEXT_PROTOCOL: Final = structure(
    "EFI_DEVICE_PATH_FROM_TEXT_PROTOCOL",
    "10.6.4",
    """
    EFI_DEVICE_PATH_PROTOCOL *ConvertTextToDeviceNode(IN CHAR16 *TextDeviceNode);
    EFI_DEVICE_PATH_PROTOCOL *ConvertTextToDevicePath(IN CHAR16 *TextDevicePath);
    """,
    guid=GUIDS["EFI_DEVICE_PATH_FROM_TEXT_PROTOCOL"],
)
