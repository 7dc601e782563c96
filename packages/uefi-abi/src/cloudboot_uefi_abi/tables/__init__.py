"""The system, boot services and runtime services tables of UEFI 2.10: members, offsets, prototypes."""

from __future__ import annotations

from .boot_services import EFI_BOOT_SERVICES
from .runtime_services import EFI_RUNTIME_SERVICES
from .system_table import EFI_CONFIGURATION_TABLE, EFI_SYSTEM_TABLE

__all__ = ["EFI_BOOT_SERVICES", "EFI_CONFIGURATION_TABLE", "EFI_RUNTIME_SERVICES", "EFI_SYSTEM_TABLE"]
