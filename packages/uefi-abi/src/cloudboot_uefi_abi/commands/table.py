"""``table``: offsets and prototypes of tables and protocols."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudboot_base import UsageError
from cloudboot_base.command import OK, print_json
from cloudboot_base.parser import suggestion
from cloudboot_uefi_abi.offsets import STRUCTURES, member_text

if TYPE_CHECKING:
    import argparse

    from cloudboot_base.program import Program
    from cloudboot_uefi_abi.declarations import Structure

__all__ = ["add"]


def add(program: Program) -> None:
    """Add the command."""
    parser = program.command("table", run, "Print the members of a table or protocol with their offsets.")
    parser.add_argument(
        "name", nargs="*", metavar="NAME", help="Name, such as EFI_BOOT_SERVICES; all names without one."
    )


def run(options: argparse.Namespace) -> int:
    """Print the structures, or their names."""
    if not options.name:
        names = [{"name": each.name, "section": each.section, "size": each.size} for each in STRUCTURES.values()]
        if options.json:
            print_json(names)
        for row in [] if options.json else names:
            print(f"{row['name']} {row['size']}")
        return OK
    chosen = [_find(name) for name in options.name]
    if options.json:
        print_json([_facts(each) for each in chosen])
        return OK
    for each in chosen:
        print(f"{each.name}: {each.size} bytes")
        for member in each.members:
            print(f"{member.offset:5} {member_text(member)}")
    return OK


def _find(name: str) -> Structure:
    spellings = (name, f"{name}_PROTOCOL", f"EFI_{name}", f"EFI_{name}_PROTOCOL")
    found = next((STRUCTURES[each] for each in spellings if each in STRUCTURES), None)
    if found is None:
        raise UsageError(f"no table or protocol is named {name}", hint=suggestion(name, STRUCTURES))
    return found


def _facts(each: Structure) -> dict[str, object]:
    return {
        "name": each.name,
        "section": each.section,
        "guid": each.guid,
        "size": each.size,
        "members": [
            {"name": member.name, "offset": member.offset, "size": member.size, "text": member_text(member)}
            for member in each.members
        ],
    }
