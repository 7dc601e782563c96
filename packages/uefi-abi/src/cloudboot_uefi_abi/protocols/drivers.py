"""The driver model, and strings drivers and shells need (UEFI 2.10 chapter 11, sections 17.1, 34.3)."""

from __future__ import annotations

from typing import Final

from cloudboot_uefi_abi.declarations import structure
from cloudboot_uefi_abi.guids import GUIDS

EFI_DRIVER_BINDING_PROTOCOL: Final = structure(
    "EFI_DRIVER_BINDING_PROTOCOL",
    "11.1",
    """
    EFI_STATUS Supported(IN EFI_DRIVER_BINDING_PROTOCOL *This, IN EFI_HANDLE ControllerHandle,
        IN EFI_DEVICE_PATH_PROTOCOL *RemainingDevicePath OPTIONAL);
    EFI_STATUS Start(IN EFI_DRIVER_BINDING_PROTOCOL *This, IN EFI_HANDLE ControllerHandle,
        IN EFI_DEVICE_PATH_PROTOCOL *RemainingDevicePath OPTIONAL);
    EFI_STATUS Stop(IN EFI_DRIVER_BINDING_PROTOCOL *This, IN EFI_HANDLE ControllerHandle, IN UINTN NumberOfChildren,
        IN EFI_HANDLE *ChildHandleBuffer OPTIONAL);
    UINT32 Version;
    EFI_HANDLE ImageHandle;
    EFI_HANDLE DriverBindingHandle;
    """,
    guid=GUIDS["EFI_DRIVER_BINDING_PROTOCOL"],
)

EFI_COMPONENT_NAME2_PROTOCOL: Final = structure(
    "EFI_COMPONENT_NAME2_PROTOCOL",
    "11.5",
    """
    EFI_STATUS GetDriverName(IN EFI_COMPONENT_NAME2_PROTOCOL *This, IN CHAR8 *Language, OUT CHAR16 **DriverName);
    EFI_STATUS GetControllerName(IN EFI_COMPONENT_NAME2_PROTOCOL *This, IN EFI_HANDLE ControllerHandle,
        IN EFI_HANDLE ChildHandle OPTIONAL, IN CHAR8 *Language, OUT CHAR16 **ControllerName);
    CHAR8 *SupportedLanguages;
    """,
    guid=GUIDS["EFI_COMPONENT_NAME2_PROTOCOL"],
)

EFI_UNICODE_COLLATION_PROTOCOL2: Final = structure(
    "EFI_UNICODE_COLLATION_PROTOCOL2",
    "17.1",
    """
    INTN StriColl(IN EFI_UNICODE_COLLATION_PROTOCOL2 *This, IN CHAR16 *Str1, IN CHAR16 *Str2);
    BOOLEAN MetaiMatch(IN EFI_UNICODE_COLLATION_PROTOCOL2 *This, IN CHAR16 *String, IN CHAR16 *Pattern);
    VOID StrLwr(IN EFI_UNICODE_COLLATION_PROTOCOL2 *This, IN OUT CHAR16 *Str);
    VOID StrUpr(IN EFI_UNICODE_COLLATION_PROTOCOL2 *This, IN OUT CHAR16 *Str);
    VOID FatToStr(IN EFI_UNICODE_COLLATION_PROTOCOL2 *This, IN UINTN FatSize, IN CHAR8 *Fat, OUT CHAR16 *String);
    BOOLEAN StrToFat(IN EFI_UNICODE_COLLATION_PROTOCOL2 *This, IN CHAR16 *String, IN UINTN FatSize, OUT CHAR8 *Fat);
    CHAR8 *SupportedLanguages;
    """,
    guid=GUIDS["EFI_UNICODE_COLLATION_PROTOCOL2"],
)

EFI_HII_DATABASE_PROTOCOL: Final = structure(
    "EFI_HII_DATABASE_PROTOCOL",
    "34.8",
    """
    EFI_STATUS NewPackageList(IN EFI_HII_DATABASE_PROTOCOL *This, IN EFI_HII_PACKAGE_LIST_HEADER *PackageList,
        IN EFI_HANDLE DriverHandle OPTIONAL, OUT EFI_HII_HANDLE *Handle);
    EFI_STATUS RemovePackageList(IN EFI_HII_DATABASE_PROTOCOL *This, IN EFI_HII_HANDLE Handle);
    EFI_STATUS UpdatePackageList(IN EFI_HII_DATABASE_PROTOCOL *This, IN EFI_HII_HANDLE Handle,
        IN EFI_HII_PACKAGE_LIST_HEADER *PackageList);
    EFI_STATUS ListPackageLists(IN EFI_HII_DATABASE_PROTOCOL *This, IN UINT8 PackageType,
        IN EFI_GUID *PackageGuid OPTIONAL, IN OUT UINTN *HandleBufferLength, OUT EFI_HII_HANDLE *Handle);
    EFI_STATUS ExportPackageLists(IN EFI_HII_DATABASE_PROTOCOL *This, IN EFI_HII_HANDLE Handle,
        IN OUT UINTN *BufferSize, OUT EFI_HII_PACKAGE_LIST_HEADER *Buffer);
    EFI_STATUS RegisterPackageNotify(IN EFI_HII_DATABASE_PROTOCOL *This, IN UINT8 PackageType,
        IN EFI_GUID *PackageGuid OPTIONAL, IN VOID *PackageNotifyFn, IN UINTN NotifyType, OUT EFI_HANDLE *NotifyHandle);
    EFI_STATUS UnregisterPackageNotify(IN EFI_HII_DATABASE_PROTOCOL *This, IN EFI_HANDLE NotificationHandle);
    EFI_STATUS FindKeyboardLayouts(IN EFI_HII_DATABASE_PROTOCOL *This, IN OUT UINT16 *KeyGuidBufferLength,
        OUT EFI_GUID *KeyGuidBuffer);
    EFI_STATUS GetKeyboardLayout(IN EFI_HII_DATABASE_PROTOCOL *This, IN EFI_GUID *KeyGuid,
        IN OUT UINT16 *KeyboardLayoutLength, OUT EFI_HII_KEYBOARD_LAYOUT *KeyboardLayout);
    EFI_STATUS SetKeyboardLayout(IN EFI_HII_DATABASE_PROTOCOL *This, IN EFI_GUID *KeyGuid);
    EFI_STATUS GetPackageListHandle(IN EFI_HII_DATABASE_PROTOCOL *This, IN EFI_HII_HANDLE PackageListHandle,
        OUT EFI_HANDLE *DriverHandle);
    """,
    guid=GUIDS["EFI_HII_DATABASE_PROTOCOL"],
)

EFI_HII_STRING_PROTOCOL: Final = structure(
    "EFI_HII_STRING_PROTOCOL",
    "34.3",
    """
    EFI_STATUS NewString(IN EFI_HII_STRING_PROTOCOL *This, IN EFI_HII_HANDLE PackageList, OUT UINT16 *StringId,
        IN CHAR8 *Language, IN CHAR16 *LanguageName OPTIONAL, IN CHAR16 *String,
        IN EFI_FONT_INFO *StringFontInfo OPTIONAL);
    EFI_STATUS GetString(IN EFI_HII_STRING_PROTOCOL *This, IN CHAR8 *Language, IN EFI_HII_HANDLE PackageList,
        IN UINT16 StringId, OUT CHAR16 *String, IN OUT UINTN *StringSize, OUT EFI_FONT_INFO **StringFontInfo OPTIONAL);
    EFI_STATUS SetString(IN EFI_HII_STRING_PROTOCOL *This, IN EFI_HII_HANDLE PackageList, IN UINT16 StringId,
        IN CHAR8 *Language, IN CHAR16 *String, IN EFI_FONT_INFO *StringFontInfo OPTIONAL);
    EFI_STATUS GetLanguages(IN EFI_HII_STRING_PROTOCOL *This, IN EFI_HII_HANDLE PackageList, IN OUT CHAR8 *Languages,
        IN OUT UINTN *LanguagesSize);
    EFI_STATUS GetSecondaryLanguages(IN EFI_HII_STRING_PROTOCOL *This, IN EFI_HII_HANDLE PackageList,
        IN CHAR8 *PrimaryLanguage, IN OUT CHAR8 *SecondaryLanguages, IN OUT UINTN *SecondaryLanguagesSize);
    """,
    guid=GUIDS["EFI_HII_STRING_PROTOCOL"],
)

EFI_SHELL_PARAMETERS_PROTOCOL: Final = structure(
    "EFI_SHELL_PARAMETERS_PROTOCOL",
    "UEFI Shell 2.2 section 2.3",
    """
    CHAR16 **Argv;
    UINTN Argc;
    VOID *StdIn;
    VOID *StdOut;
    VOID *StdErr;
    """,
    guid=GUIDS["EFI_SHELL_PARAMETERS_PROTOCOL"],
)
