"""``variables``: the variables of a flash image, of efivarfs, or of virt-firmware's JSON."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from cloudboot_base import in_file, read_file
from cloudboot_base.command import OK, print_json, printable
from cloudboot_uefi_abi.constants import VariableAttribute
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

    from cloudboot_base.program import Program

__all__ = ["add", "load_variables"]


def add(program: Program) -> None:
    """Add the command."""
    parser = program.command("variables", run, "Print the variables of a flash image, a folder of efivarfs, or JSON.")
    parser.add_argument("source", metavar="SOURCE", help="Flash image, folder of efivarfs files, or JSON.")
    parser.add_argument("--boot", action="store_true", help="Print the boot entries in the boot manager's order.")
    parser.add_argument("--name", metavar="NAME", help="Print the variables of that name only.")


def run(options: argparse.Namespace) -> int:
    """Print the variables, or the boot entries."""
    found = load_variables(options.source)
    if options.boot:
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


def load_variables(source: str | os.PathLike[str]) -> tuple[Variable, ...]:
    """The variables of a file or folder.

    Raises:
        VariableError: a file of the source is malformed.
        OSError: it cannot be read.
    """
    if os.path.isdir(source):
        return tuple(_from_efivarfs(source, name) for name in sorted(os.listdir(source)))
    with in_file(source):
        return variables_from_dump(read_file(source, LIMIT))


def _from_efivarfs(folder: str | os.PathLike[str], name: str) -> Variable:
    path = os.path.join(folder, name)
    with in_file(path):
        return variable_from_efivarfs(name, read_file(path, LIMIT))


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
