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


def read_list(cells: Cells, offset: int, expected: int) -> Sequence[int]:
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


def candidates(cells: Cells, offset: int, name: str) -> list[int]:
    """The cells of the keys in a list of subkeys that may have ``name``, by their hashes; none where there is no hash.

    Raises:
        HiveError: a list of another kind, or one that passes the end of its cell.
    """
    kind, elements = _elements(cells, offset)
    leaves = [_elements(cells, leaf) for leaf in elements] if kind == b"ri" else [(kind, elements)]
    wanted = name_hash(name)
    return [
        cell
        for kind, numbers in leaves
        if kind == b"lh"
        for cell, found in zip(numbers[::2], numbers[1::2], strict=True)
        if found == wanted
    ]


def _leaf(cells: Cells, offset: int) -> tuple[bytes, Sequence[int]]:
    kind, elements = _elements(cells, offset)
    return kind, elements[::2] if kind in (b"lf", b"lh") else elements


def _elements(cells: Cells, offset: int) -> tuple[bytes, Sequence[int]]:
    """The kind of a list, and its numbers: cells, with the hash or hint behind each in a leaf that has them."""
    head = ListHead.unpack_from(cells.content(offset, ListHead.SIZE, "ListHead"))
    numbers = {b"lf": 2, b"lh": 2, b"li": 1, b"ri": 1}.get(head.signature)
    if numbers is None:
        raise HiveError(
            "not a list of subkeys",
            structure="ListHead",
            field="signature",
            expected="lf, lh, li or ri",
            actual=head.signature,
            where={"cell": offset},
        )
    count = numbers * head.count
    data = cells.content(offset, ListHead.SIZE + 4 * count, "ListHead")
    return head.signature, struct.unpack_from(f"<{count}I", data, ListHead.SIZE)


def pack_leaf(elements: Sequence[tuple[int, str]], *, hashed: bool) -> bytes:
    """A hash leaf, or a fast leaf for the versions that have none, of ``(cell, name)`` in the order of names."""
    parts = [ListHead(b"lh" if hashed else b"lf", len(elements)).pack()]
    for cell, name in elements:
        parts.append(struct.pack("<II", cell, name_hash(name)) if hashed else struct.pack("<I", cell) + name_hint(name))
    return b"".join(parts)


def pack_root(leaves: Sequence[int]) -> bytes:
    """An index root of leaves."""
    return ListHead(b"ri", len(leaves)).pack() + struct.pack(f"<{len(leaves)}I", *leaves)
