"""The text of device paths: nodes after ``/``, instances after ``,``, both outside parentheses (section 10.6.1)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from cloudboot_uefi_abi.errors import DevicePathError

from . import acpi, hardware, media, messaging_network, messaging_serial, messaging_storage
from .arguments import Arguments
from .media import FilePath
from .node import KEYWORDS, Node, keyword, node_from_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["KIND_MODULES", "parse_node_text", "parse_path_text"]

KIND_MODULES: Final = (hardware, acpi, messaging_storage, messaging_serial, messaging_network, media)
"""The modules that define the kinds of nodes; importing them registers those."""

_CANONICAL = re.compile(r"([0-9A-Za-z-]+)\((.*)\)", re.DOTALL)
_MARKS = re.compile(r"[/,()]")
_MOST_CHARACTERS: Final = 1 << 20


def _generic(kind: int) -> Callable[[Arguments], Node]:
    def read(arguments: Arguments) -> Node:
        return node_from_bytes(kind, arguments.integer(8), arguments.hexdump(default=""))

    return read


for _kind, _name in ((1, "HardwarePath"), (2, "AcpiPath"), (3, "Msg"), (4, "MediaPath"), (5, "BbsPath")):
    keyword(_name)(_generic(_kind))


@keyword("Path")
def _path(arguments: Arguments) -> Node:
    kind, subtype = arguments.integer(8), arguments.integer(8)
    if kind & 0x7F == 0x7F:
        raise arguments.error("an end node is not written as a node", actual=kind)
    return node_from_bytes(kind, subtype, arguments.hexdump(default=""))


def parse_node_text(text: str, offset: int = 0) -> Node:
    """The node that ``text`` writes: ``Name(arguments)`` with a name of the specification, or else a file's path.

    ``offset`` is where the node is in a longer text, in characters, for errors.

    Raises:
        DevicePathError: the arguments are not those of the node.
    """
    found = _CANONICAL.fullmatch(text)
    read = KEYWORDS.get(found[1]) if found else None
    if found is None or read is None:
        if "\0" in text:
            raise DevicePathError("a file's path has no null character", structure="FilePath", offset=offset)
        return FilePath(text)
    arguments = Arguments(found[1], found[2], offset)
    made = read(arguments)
    arguments.end()
    if len(made.body()) > 0xFFFF - 4:
        raise DevicePathError(
            "the node is too large", structure=found[1], offset=offset, expected=0xFFFF - 4, actual=len(made.body())
        )
    return made


def _pieces(text: str) -> Iterator[tuple[str, int, str]]:
    """Each node's text, where it starts, and the mark behind it: ``/``, ``,``, or nothing at the end."""
    depth = start = 0
    for found in _MARKS.finditer(text):
        mark = found[0]
        if mark == "(":
            depth += 1
        elif mark == ")":
            depth = max(0, depth - 1)
        elif not depth:
            yield text[start : found.start()], start, mark
            start = found.end()
    yield text[start:], start, ""


def parse_path_text(text: str) -> tuple[tuple[Node, ...], ...]:
    """The instances that ``text`` writes, each a tuple of nodes; empty nodes are passed over.

    Raises:
        DevicePathError: a node's arguments are not its own, or the text is longer than a MiB.
    """
    if len(text) > _MOST_CHARACTERS:
        raise DevicePathError("the text is too long", expected=f"at most {_MOST_CHARACTERS}", actual=len(text))
    instances: list[tuple[Node, ...]] = []
    nodes: list[Node] = []
    for piece, offset, mark in _pieces(text):
        if piece:
            nodes.append(parse_node_text(piece, offset))
        if mark != "/":
            instances.append(tuple(nodes))
            nodes = []
    return tuple(instances)
