"""Lists of subkeys: index leaf (li), fast leaf (lf), hash leaf (lh) and index root (ri)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from cloudboot_ntfs.errors import HiveError
from cloudboot_ntfs.upcase import upcase

from .records import ListHead

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .cells import Cells

#: Elements of one leaf; more go to several leaves under an index root.
LEAF_ELEMENTS = 500


def name_hash(name: str) -> int:
    """The hash that a hash leaf keeps of a name (section Hash leaf)."""
    total = 0
    for unit in upcase(name):
        total = (total * 37 + ord(unit)) & 0xFFFFFFFF
    return total


def name_hint(name: str) -> bytes:
    """The hint that a fast leaf keeps: the first four characters, or zeros for a name that is not in Latin-1."""
    try:
        return name[:4].encode("latin-1").ljust(4, b"\0") if name.isascii() else bytes(4)
    except UnicodeEncodeError:
        return bytes(4)


def read_list(cells: Cells, offset: int, expected: int) -> list[int]:
    """The cells of the keys that a list of subkeys names, in its order.

    Raises:
        HiveError: a list of another kind, or one that names another number of keys than ``expected``.
    """
    kind, elements = _leaf(cells, offset)
    if kind == b"ri":
        found: list[int] = []
        for leaf in elements:
            kind, below = _leaf(cells, leaf)
            if kind == b"ri":
                raise HiveError(
                    "an index root below an index root", structure="ListHead", field="signature", actual=leaf
                )
            found += below
            if len(found) > expected:
                break
        elements = found
    if len(elements) != expected:
        raise HiveError(
            "a list of subkeys has another number of elements than its key says",
            structure="ListHead",
            field="count",
            expected=expected,
            actual=len(elements),
            where={"cell": offset},
        )
    return elements


def _leaf(cells: Cells, offset: int) -> tuple[bytes, list[int]]:
    head = ListHead.unpack_from(cells.content(offset, ListHead.SIZE, "ListHead"))
    if head.signature in (b"lf", b"lh"):
        data = cells.content(offset, ListHead.SIZE + 8 * head.count, "ListHead")
        return head.signature, list(struct.unpack_from(f"<{2 * head.count}I", data, ListHead.SIZE)[::2])
    if head.signature in (b"li", b"ri"):
        data = cells.content(offset, ListHead.SIZE + 4 * head.count, "ListHead")
        return head.signature, list(struct.unpack_from(f"<{head.count}I", data, ListHead.SIZE))
    raise HiveError(
        "not a list of subkeys",
        structure="ListHead",
        field="signature",
        expected="lf, lh, li or ri",
        actual=head.signature,
        where={"cell": offset},
    )


def pack_leaf(elements: Sequence[tuple[int, str]], *, hashed: bool) -> bytes:
    """A hash leaf, or a fast leaf for the versions that have none, of ``(cell, name)`` in the order of names."""
    parts = [ListHead(b"lh" if hashed else b"lf", len(elements)).pack()]
    for cell, name in elements:
        parts.append(struct.pack("<II", cell, name_hash(name)) if hashed else struct.pack("<I", cell) + name_hint(name))
    return b"".join(parts)


def pack_root(leaves: Sequence[int]) -> bytes:
    """An index root of leaves."""
    return ListHead(b"ri", len(leaves)).pack() + struct.pack(f"<{len(leaves)}I", *leaves)
