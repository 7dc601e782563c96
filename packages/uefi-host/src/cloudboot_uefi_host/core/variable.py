"""What is kept of a variable, and its attributes (UEFI 2.10 section 8.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cloudboot_uefi_abi.guids import GUIDS

if TYPE_CHECKING:
    from cloudboot_uefi_abi.layout.records import EFI_TIME

NON_VOLATILE, BOOTSERVICE_ACCESS, RUNTIME_ACCESS, APPEND_WRITE = 0x1, 0x2, 0x4, 0x40
COUNT_AUTHENTICATED, AUTHENTICATED, ENHANCED = 0x10, 0x20, 0x80
GLOBAL: Final = GUIDS["EFI_GLOBAL_VARIABLE"].bytes_le

Key = tuple[bytes, str]
"""A variable's vendor, 16 bytes, and its name."""


@dataclass(slots=True)
class Variable:
    """Attributes and data; of an authenticated variable also when it was signed, and who may write it again."""

    attributes: int
    data: bytes
    timestamp: EFI_TIME | None = None
    signer: bytes = b""
