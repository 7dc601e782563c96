"""RISCV_EFI_BOOT_PROTOCOL: the hart that boots (RISC-V UEFI Protocol Specification 1.0)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cloudboot_uefi_abi.guids import GUIDS
from cloudboot_uefi_abi.protocols.security import RISCV_EFI_BOOT_PROTOCOL
from cloudboot_uefi_abi.status import Status

if TYPE_CHECKING:
    from cloudboot_uefi_host.core.core import Core

_PROTOCOL: Final = GUIDS["RISCV_EFI_BOOT_PROTOCOL"].bytes_le
_HART: Final = 0
"""The only hart, as the MADT has it."""


def publish_boot_hart(core: Core) -> int:
    """A handle with the protocol. Loaders for RISC-V do not start a kernel without the number."""

    def get_boot_hart_id(_this: int, hart: int) -> int:
        if not hart:
            return Status.INVALID_PARAMETER
        core.memory.put64(hart, _HART)
        return Status.SUCCESS

    return core.handles.publish(
        {_PROTOCOL: core.publisher.publish(RISCV_EFI_BOOT_PROTOCOL, {"GetBootHartId": get_boot_hart_id})}
    )
