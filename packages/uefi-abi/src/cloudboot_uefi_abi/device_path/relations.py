"""How device paths in bytes relate, node by node; malformed paths relate to nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudboot_uefi_abi.errors import DevicePathError

from .node import HEAD
from .path import walk

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["first_instance_size", "is_strict_prefix", "remaining"]


def first_instance_size(data: Buffer) -> int | None:
    """Bytes of the nodes of the first instance, without its end; ``None`` where the path is malformed or has no end."""
    raw = bytes(memoryview(data).cast("B"))
    try:
        for kind, _, start, _ in walk(raw):
            if kind & 0x7F == 0x7F:
                return start
    except DevicePathError:
        pass
    return None


def is_strict_prefix(parent: Buffer, child: Buffer) -> bool:
    """Whether ``child``'s first instance begins with all nodes of ``parent``'s and goes on.

    Equal paths, a prefix that ends inside a node, a path without an end and malformed paths give ``False``.
    """
    rest = remaining(parent, child)
    return rest is not None and len(rest) > HEAD.size


def remaining(parent: Buffer, child: Buffer) -> bytes | None:
    """The nodes of ``child``'s first instance behind those of ``parent``'s, and the end: what LocateDevicePath leaves.

    ``None`` where ``child`` does not begin with ``parent``, or one of them is malformed.
    """
    size, whole = first_instance_size(parent), first_instance_size(child)
    if size is None or whole is None or size > whole:
        return None
    longer, shorter = bytes(memoryview(child).cast("B")), bytes(memoryview(parent).cast("B"))
    if longer[:size] != shorter[:size]:
        return None
    # The bytes are equal, so the nodes of the parent end where nodes of the child end.
    return longer[size : whole + HEAD.size]
