"""``devpath``: device paths between text and bytes."""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING, Final

from cloudboot_base.command import OK, print_json, printable
from cloudboot_uefi_abi.device_path import DevicePath

if TYPE_CHECKING:
    import argparse

    from cloudboot_base.program import Program
    from cloudboot_uefi_abi.device_path import Node

__all__ = ["add", "path_facts"]

_HEX: Final = re.compile(r"([0-9a-fA-F]{2}){4,}")


def add(program: Program) -> None:
    """Add the command."""
    parser = program.command("devpath", run, "Convert device paths: text to hexadecimal bytes, bytes to text.")
    parser.add_argument("path", nargs="+", metavar="PATH", help="Device path as text, or as hexadecimal bytes.")
    parser.add_argument("--display", action="store_true", help="Print the short text that is not meant to be parsed.")
    parser.add_argument("--shortcuts", action="store_true", help="Use forms such as VenUtf8().")
    parser.add_argument("--nodes", action="store_true", help="Print each node with its type, sub-type and bytes.")


def run(options: argparse.Namespace) -> int:
    """Convert every path."""
    facts = []
    for given in options.path:
        is_bytes = _HEX.fullmatch(given) is not None
        path = DevicePath.parse(bytes.fromhex(given)) if is_bytes else DevicePath.from_text(given)
        if options.json:
            facts.append(path_facts(path))
        elif options.nodes:
            _print_nodes(path)
        elif is_bytes:
            exact = not options.display
            text = path.text(display=options.display, shortcuts=options.shortcuts, exact=exact)
            print(printable(text))
        else:
            print(path.pack().hex())
    if options.json:
        print_json(facts)
    return OK


def _print_nodes(path: DevicePath) -> None:
    for nodes in path.instances:
        for node in nodes:
            print(f"{node.type}/{node.subtype:<3} {printable(node.exact())}  {node.pack().hex()}")
        print("end")


def path_facts(path: DevicePath) -> dict[str, object]:
    """A device path for ``--json``."""
    return {
        "text": path.text(exact=True),
        "display": path.text(display=True, shortcuts=True),
        "hex": path.pack().hex(),
        "instances": [[_node_facts(node) for node in nodes] for nodes in path.instances],
    }


def _node_facts(node: Node) -> dict[str, object]:
    names: list[str] = [field.name for field in dataclasses.fields(node)] if dataclasses.is_dataclass(node) else []
    return {
        "kind": type(node).__name__,
        "type": node.type,
        "subtype": node.subtype,
        "text": node.exact(),
        "hex": node.pack().hex(),
        "fields": {name: getattr(node, name) for name in names},
    }
