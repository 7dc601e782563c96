"""The system table and the entries of its configuration table (UEFI 2.10 sections 4.3 and 4.6)."""

from __future__ import annotations

from typing import Final

from cloudboot_uefi_abi.declarations import structure

EFI_SYSTEM_TABLE: Final = structure(
    "EFI_SYSTEM_TABLE",
    "4.3",
    """
    EFI_TABLE_HEADER Hdr;
    CHAR16 *FirmwareVendor;
    UINT32 FirmwareRevision;
    EFI_HANDLE ConsoleInHandle;
    EFI_SIMPLE_TEXT_INPUT_PROTOCOL *ConIn;
    EFI_HANDLE ConsoleOutHandle;
    EFI_SIMPLE_TEXT_OUTPUT_PROTOCOL *ConOut;
    EFI_HANDLE StandardErrorHandle;
    EFI_SIMPLE_TEXT_OUTPUT_PROTOCOL *StdErr;
    EFI_RUNTIME_SERVICES *RuntimeServices;
    EFI_BOOT_SERVICES *BootServices;
    UINTN NumberOfTableEntries;
    EFI_CONFIGURATION_TABLE *ConfigurationTable;
    """,
    signature=b"IBI SYST",
)
"""Revision 2.100 of the table, as UEFI 2.10 numbers itself; ``Hdr.CRC32`` covers all of it."""

EFI_CONFIGURATION_TABLE: Final = structure(
    "EFI_CONFIGURATION_TABLE",
    "4.6",
    """
    EFI_GUID VendorGuid;
    VOID *VendorTable;
    """,
)
"""One entry of the array that the system table's ``ConfigurationTable`` points to."""
