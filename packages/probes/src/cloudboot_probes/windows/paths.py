"""Where Windows keeps what its boot needs. NTFS and FAT find names in any case; a path here has that of Windows."""

from __future__ import annotations

from typing import Final

BOOT_MANAGER: Final = "/EFI/Microsoft/Boot/bootmgfw.efi"
BCD: Final = "/EFI/Microsoft/Boot/BCD"
ESP_BOOT: Final = "/EFI/Microsoft/Boot"

#: What bcdboot copies into :data:`ESP_BOOT`: folders of the Windows tree, and below which folder of the ESP.
BOOT_FOLDERS: Final = {
    "/Windows/Boot/EFI": "",
    "/Windows/Boot/Fonts": "/Fonts",
    "/Windows/Boot/Resources": "/Resources",
}
TREE_BOOT_MANAGER: Final = "/Windows/Boot/EFI/bootmgfw.efi"

WINLOAD: Final = "/Windows/System32/winload.efi"
KERNEL: Final = "/Windows/System32/ntoskrnl.exe"
SYSTEM_HIVE: Final = "/Windows/System32/config/SYSTEM"
SOFTWARE_HIVE: Final = "/Windows/System32/config/SOFTWARE"
