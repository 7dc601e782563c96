"""Which file the File Path nodes of a device path name, as EDK2 opens them one after the other.

The rules are those of EDK2's DxeServicesLib and EnhancedFatDxe: a node that begins with a separator starts at the root,
blanks before a name and blanks and dots behind it do not count, and nothing but a backslash separates names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cloudboot_uefi_abi.device_path import FilePath, GenericNode

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cloudboot_uefi_abi.device_path import Node

__all__ = ["file_of"]

_FILE_PATH: Final = (4, 4)
_SEPARATOR: Final = "\\"


def file_of(nodes: Iterable[Node]) -> tuple[str | None, str]:
    """The path of the file that ``nodes`` name, with ``/`` between names; or ``None`` and the reason."""
    names: list[str] = []
    is_folder = True
    for node in nodes:
        text = _text(node)
        if text is None:
            return None, "behind the partition are other nodes than a file's path"
        if not text:
            return None, "a file's path is empty"
        if text[0] == _SEPARATOR:
            names, text = [], text[1:]
        if text[:1] == _SEPARATOR:
            text = ""  # a name without characters ends the path
        problem = _enter(names, text)
        if problem:
            return None, problem
        is_folder = not text or text[-1] == _SEPARATOR
    if is_folder or not names:
        return None, "the path names a folder, not a file"
    return "/" + "/".join(names), ""


def _text(node: Node) -> str | None:
    """The text of a File Path node up to its first null; ``None`` for another node, or one that has no null."""
    if isinstance(node, FilePath):
        return node.path
    body = node.body()
    if not isinstance(node, GenericNode) or (node.type, node.subtype) != _FILE_PATH:
        return None
    if body[-2:] != b"\0\0":
        return None
    return body[: len(body) // 2 * 2].decode("utf-16-le", "surrogatepass").partition("\0")[0]


def _enter(names: list[str], text: str) -> str | None:
    """Follow the names in ``text`` from the folder ``names``, which becomes where they lead; the problem, if any."""
    for part in text.split(_SEPARATOR):
        if part == "..":
            if not names:
                return "the path leads above the root"
            names.pop()
        elif "/" in part:
            return f"{part} is one name: only a backslash separates names"
        elif part not in {"", "."}:
            names.append(part.lstrip(" ").rstrip(" ."))
    return None
