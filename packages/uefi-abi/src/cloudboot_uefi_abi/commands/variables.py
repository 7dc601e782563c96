"""``variables``: the variables of a flash image, of efivarfs, of an EC2 instance, or of virt-firmware's JSON."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from cloudboot_base import in_file, read_file
from cloudboot_base.command import OK, notice, print_json, printable
from cloudboot_uefi_abi.constants import VariableAttribute
from cloudboot_uefi_abi.errors import VariableError
from cloudboot_uefi_abi.guids import guid_name
from cloudboot_uefi_abi.variables import (
    BootEntry,
    Variable,
    boot_entries,
    describe,
    variable_from_efivarfs,
    variables_from_dump,
)

from .loadoption import option_facts
from .source import LIMIT

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from cloudboot_base.program import Program

__all__ = ["add", "load_variables"]


def add(program: Program) -> None:
    """Add the command."""
    parser = program.command(
        "variables", run, "Print the variables of a flash image, efivarfs, an EC2 instance, or JSON."
    )
    parser.add_argument(
        "source", metavar="SOURCE", help="Flash image, folder of efivarfs files, EC2 uefi-data, or JSON."
    )
    parser.add_argument("--boot", action="store_true", help="Print the boot entries in the boot manager's order.")
    parser.add_argument("--name", metavar="NAME", help="Print the variables of that name only.")


def run(options: argparse.Namespace) -> int:
    """Print the variables, or the boot entries."""
    found = load_variables(options.source, lambda text: notice("cloudboot-uefi-abi", text))
    if options.boot:
        if any(each.is_global and each.name == "BootOrder" and len(each.data) % 2 for each in found):
            notice("cloudboot-uefi-abi", "BootOrder ends in half a number, which is left out")
        entries = boot_entries(found)
        if options.json:
            print_json([_entry_facts(entry) for entry in entries])
            return OK
        for entry in entries:
            print(_entry_line(entry))
        return OK
    chosen = [variable for variable in found if options.name in {None, variable.name}]
    if options.json:
        print_json([_facts(variable) for variable in chosen])
        return OK
    for variable in chosen:
        vendor = guid_name(variable.vendor) or str(variable.vendor)
        print(printable(f"{vendor} {variable.name} {_attributes(variable.attributes)}: {describe(variable)}"))
    return OK


def load_variables(source: str | os.PathLike[str], warn: Callable[[str], None] | None = None) -> tuple[Variable, ...]:
    """The variables of a file or folder.

    In a folder, what is not a file of efivarfs, or was read while its variable was deleted, is passed over and ``warn``
    is told, as of a record of a flash that ends what can be read; without ``warn`` that is an error.

    Raises:
        VariableError: the source is malformed, or a folder without variables.
        OSError: it cannot be read.
    """
    if not os.path.isdir(source):
        with in_file(source):
            return variables_from_dump(
                read_file(source, LIMIT), warn and (lambda error: warn(f"the variables end there: {error}"))
            )
    found = []
    for name in sorted(os.listdir(source)):
        path = os.path.join(source, name)
        try:
            with in_file(path):
                found.append(_from_efivarfs(path))
        except VariableError as error:
            if warn is None:
                raise
            warn(f"passed over: {error}")
    if not found:
        raise VariableError(
            f"{os.fspath(source)} has no files of efivarfs", structure="efivarfs",
            hint="Linux has them in /sys/firmware/efi/efivars, where efivarfs is mounted",
        )  # fmt: skip
    return tuple(found)


def _from_efivarfs(path: str) -> Variable:
    if os.path.isdir(path):
        raise VariableError("a folder, not a file of efivarfs", structure="efivarfs")
    return variable_from_efivarfs(os.path.basename(path), read_file(path, LIMIT))


_SHORT = {
    VariableAttribute.NON_VOLATILE: "NV", VariableAttribute.BOOTSERVICE_ACCESS: "BS",
    VariableAttribute.RUNTIME_ACCESS: "RT", VariableAttribute.HARDWARE_ERROR_RECORD: "HR",
    VariableAttribute.AUTHENTICATED_WRITE_ACCESS: "AW",
    VariableAttribute.TIME_BASED_AUTHENTICATED_WRITE_ACCESS: "AT", VariableAttribute.APPEND_WRITE: "AP",
}  # fmt: skip


def _attributes(attributes: VariableAttribute) -> str:
    return "+".join(text for flag, text in _SHORT.items() if flag in attributes) or "0"


def _facts(variable: Variable) -> dict[str, object]:
    return {
        "name": variable.name,
        "vendor": variable.vendor,
        "vendor_name": guid_name(variable.vendor),
        "attributes": int(variable.attributes),
        "data": variable.data.hex(),
        "text": describe(variable),
    }


def _entry_line(entry: BootEntry) -> str:
    place = "next" if entry.is_next else "-" if entry.position is None else str(entry.position + 1)
    if entry.option is None:
        return printable(f"{place:>4} {entry.name}  not usable: {entry.problem}")
    mark = "*" if entry.option.active else " "
    paths = " ".join(str(path) for path in entry.option.paths)
    return printable(f"{place:>4} {entry.name}{mark} {entry.option.description}  {paths}")


def _entry_facts(entry: BootEntry) -> dict[str, object]:
    return {
        "name": entry.name,
        "position": entry.position,
        "is_next": entry.is_next,
        "problem": entry.problem,
        "option": option_facts(entry.option) if entry.option else None,
    }
