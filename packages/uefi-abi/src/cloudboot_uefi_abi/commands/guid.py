"""``guid``: names of GUIDs, and GUIDs of names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudboot_base.command import OK, print_json
from cloudboot_uefi_abi.guids import CATEGORIES, guid_name, named_guid

if TYPE_CHECKING:
    import argparse
    from uuid import UUID

    from cloudboot_base.program import Program

__all__ = ["add"]


def add(program: Program) -> None:
    """Add the command."""
    parser = program.command("guid", run, "Print the name of a GUID, the GUID of a name, or all that are known.")
    parser.add_argument("guid", nargs="*", metavar="GUID", help="GUID, or the specification's name of one.")
    parser.add_argument("--category", choices=sorted(CATEGORIES), metavar="CATEGORY", help="Only what names these.")


def run(options: argparse.Namespace) -> int:
    """Print what was asked for, or the whole table."""
    rows = [_row(named_guid(given)) for given in options.guid]
    if not options.guid:
        chosen = [options.category] if options.category else list(CATEGORIES)
        rows = [_row(guid) for category in chosen for guid in CATEGORIES[category].values()]
    if options.json:
        print_json(rows)
        return OK
    for row in rows:
        print(f"{row['guid']} {row['name'] or 'unknown'} {row['bytes']}")
    return OK


def _row(guid: UUID) -> dict[str, str | None]:
    """A GUID with its name and the bytes that are stored for it."""
    category = next((name for name, guids in CATEGORIES.items() if guid in guids.values()), None)
    return {
        "guid": str(guid).upper(),
        "name": guid_name(guid),
        "category": category,
        "bytes": guid.bytes_le.hex(),
    }
