"""``cloudboot image boot-entries``: which boot entry starts from a disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cloudboot_base import in_file
from cloudboot_base.command import CHECK_FAILED, OK, printable
from cloudboot_disk_image import open_disk
from cloudboot_probes.boot_entries import examine
from cloudboot_probes.describe import opened
from cloudboot_uefi_abi.commands.variables import load_variables
from cloudboot_uefi_abi.variables import variables_from_dump

from .registry import reach

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from cloudboot_uefi_abi.variables import Variable

    from .console import Console


#: Bytes of a flash image; those of the virt machines have 64 MiB.
_MAX_FLASH: Final = 256 << 20


def _variables(source: Path, console: Console) -> tuple[Variable, ...]:
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


def main(options: argparse.Namespace, console: Console) -> int:
    """Print a verdict on every entry."""
    variables = _variables(options.variables, console)
    with (
        console.progress("fetching") as progress,
        opened(options.image, *reach(options), progress=progress) as disk,
    ):
        verdicts = examine(disk, variables, options.architecture)
    chosen = next((verdict for verdict in verdicts if verdict.boots), None)
    if console.json:
        console.result(
            {
                "boots": chosen.name if chosen else None,
                "entries": [verdict.as_dict() for verdict in verdicts],
            }
        )
        return OK if chosen else CHECK_FAILED
    for verdict in verdicts:
        order = "-" if verdict.order is None else str(verdict.order)
        title = f"{verdict.name} {verdict.description}".strip()
        console.print(printable(f"{order:>3} {title}: {'boots ' if verdict.boots else ''}{verdict.reason}"))
    console.print(printable(f"starts: {chosen.name}") if chosen else "no entry starts from this disk")
    return OK if chosen else CHECK_FAILED
