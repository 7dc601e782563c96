"""A variable: vendor's GUID, name, attributes, data (UEFI 2.10 section 8.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudboot_base.lightdata import dataclass, field
from cloudboot_uefi_abi.constants import VariableAttribute
from cloudboot_uefi_abi.guids import GUIDS
from cloudboot_uefi_abi.layout.records import EFI_TIME

if TYPE_CHECKING:
    from uuid import UUID

__all__ = ["Variable"]

_DEFAULT = VariableAttribute.NON_VOLATILE | VariableAttribute.BOOTSERVICE_ACCESS | VariableAttribute.RUNTIME_ACCESS


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable; ``timestamp`` is that of its last time-based authenticated write, all zeros without one."""

    name: str
    vendor: UUID
    data: bytes
    attributes: VariableAttribute = _DEFAULT
    timestamp: EFI_TIME = field(default_factory=EFI_TIME)

    @property
    def is_global(self) -> bool:
        """Whether the specification defines the variable (its vendor is EFI_GLOBAL_VARIABLE)."""
        return self.vendor == GUIDS["EFI_GLOBAL_VARIABLE"]
