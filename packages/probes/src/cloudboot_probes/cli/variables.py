"""Options that name the variables of a firmware."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cloudboot_base import in_file
from cloudboot_disk_image import open_disk
from cloudboot_uefi_abi.commands.variables import load_variables
from cloudboot_uefi_abi.variables import variables_from_dump

if TYPE_CHECKING:
    from pathlib import Path

    from cloudboot_uefi_abi.variables import Variable

    from .console import Console

#: Bytes of a flash image; those of the virt machines have 64 MiB.
_MAX_FLASH: Final = 256 << 20


def stored_variables(source: Path, console: Console) -> tuple[Variable, ...]:
    """The variables of a folder of efivarfs, or of a dump in any container: Fedora's flash images are in qcow2.

    Raises:
        VariableError: it is malformed.
        DiskImageError: a damaged container, or one that is not read.
    """
    if source.is_dir():
        return load_variables(source, console.warn)
    with in_file(source), open_disk(source, limit=_MAX_FLASH) as opened:
        storage = opened.storage
        flash = storage.read_at(0, min(storage.size, _MAX_FLASH))
        return variables_from_dump(flash, lambda error: console.warn(f"the variables end there: {error}"))
