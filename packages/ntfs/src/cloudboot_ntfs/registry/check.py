"""Checking a hive: every rule that a reader relies on, and those that only Windows does. Nothing is repaired."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from cloudboot_base import Error, Finding
from cloudboot_ntfs.security import to_sddl
from cloudboot_ntfs.upcase import upcase

from .cells import Cells
from .constants import NO_CELL
from .hive import Hive, HiveKey
from .lists import name_hash, read_list
from .records import KeySecurity, ListHead

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .hive import Source


def check(source: Source) -> list[Finding]:
    """Everything wrong with a hive."""
    try:
        hive = Hive(source)
    except Error as error:
        return [Finding.from_error(error)]
    return list(_Check(hive).findings())


class _Watched(Cells):
    """Cells that note which of them were read."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.read: dict[int, str] = {}

    def place(self, offset: int, what: str) -> tuple[int, int]:
        """Where the content of a cell is."""
        found = super().place(offset, what)
        self.read.setdefault(offset, what)
        return found


class _Check:
    def __init__(self, hive: Hive) -> None:
        self._hive = hive
        self._hive.cells = self._watched = _Watched(hive.data)
        self._security: dict[int, int] = {}

    def findings(self) -> Iterator[Finding]:
        if self._hive.is_dirty:
            base = self._hive.cells.base
            yield Finding(
                "hive-dirty",
                "a write was begun and not ended",
                structure="BaseBlock",
                field="secondary_sequence",
                offset=8,
                expected=base.primary_sequence,
                actual=base.secondary_sequence,
            )
        try:
            cells = {offset for offset, _ in self._hive.cells.each()}
        except Error as error:
            yield Finding.from_error(error)
            return
        yield from self._keys()
        yield from self._reference_counts()
        for offset, what in self._watched.read.items():
            if offset not in cells:
                yield Finding(
                    "hive-cell", "a reference into the middle of another cell", structure=what, actual=offset,
                    where={"cell": offset},
                )  # fmt: skip

    def _keys(self) -> Iterator[Finding]:
        seen: set[int] = set()
        try:
            pending = [("", self._hive.root)]
        except Error as error:
            yield Finding.from_error(error)
            return
        while pending:
            path, key = pending.pop()
            if key.cell in seen:
                yield Finding("hive-key-twice", "a key stands in two places", structure="KeyNode", where={"key": path})
                continue
            seen.add(key.cell)
            yield from self._key(path, key)
            try:
                below = key.keys()
            except Error as error:
                yield Finding.from_error(error, key=path)
                continue
            yield from self._order(path, key, below)
            pending.extend((f"{path}\\{each.name}" if path else each.name, each) for each in reversed(below))

    def _key(self, path: str, key: HiveKey) -> Iterator[Finding]:
        try:
            _ = key.class_name
            names = [upcase(value.name) for value in key.values()]
            if len(set(names)) < len(names):
                yield Finding("hive-value-twice", "two values of one name", structure="KeyValue", where={"key": path})
            for name in key.names_in_half():
                yield Finding(
                    "hive-name", "a name in UTF-16 with an odd number of bytes", structure="KeyNode or KeyValue",
                    field="name_length", actual=name, where={"key": path},
                )  # fmt: skip
        except Error as error:
            yield Finding.from_error(error, key=path)
        cell = key.node.security
        if cell == NO_CELL:
            yield Finding(
                "hive-no-security",
                "the key has no security cell",
                structure="KeyNode",
                field="security",
                where={"key": path},
            )
            return
        try:
            descriptor = key.security
            if cell not in self._security and descriptor is not None:
                to_sddl(descriptor)
        except Error as error:
            yield Finding.from_error(error, key=path)
        self._security[cell] = self._security.get(cell, 0) + 1

    def _order(self, path: str, key: HiveKey, below: list[HiveKey]) -> Iterator[Finding]:
        folded = [upcase(each.name) for each in below]
        for first, second in pairwise(folded):
            if first >= second:
                yield Finding(
                    "hive-key-order",
                    "the keys are not in the order of their names, so that some are not found",
                    structure="ListHead",
                    expected=f"after {first}",
                    actual=second,
                    where={"key": path},
                )
        if below:
            yield from self._hashes(path, key.node.subkey_list, below)

    def _hashes(self, path: str, cell: int, below: list[HiveKey]) -> Iterator[Finding]:
        cells, names = self._hive.cells, {each.cell: each.name for each in below}
        leaves = [cell]
        head = ListHead.unpack_from(cells.content(cell, ListHead.SIZE, "ListHead"))
        if head.signature == b"ri":
            data = cells.content(cell, ListHead.SIZE + 4 * head.count, "ListHead")[ListHead.SIZE :]
            leaves = [int.from_bytes(data[at : at + 4], "little") for at in range(0, len(data), 4)]
        for leaf in leaves:
            head = ListHead.unpack_from(cells.content(leaf, ListHead.SIZE, "ListHead"))
            if head.signature != b"lh":
                continue
            data = cells.content(leaf, ListHead.SIZE + 8 * head.count, "ListHead")[ListHead.SIZE :]
            for offset, at in zip(read_list(cells, leaf, head.count), range(4, len(data), 8), strict=True):
                expected, actual = name_hash(names[offset]), int.from_bytes(data[at : at + 4], "little")
                if expected != actual:
                    yield Finding(
                        "hive-name-hash",
                        "the hash of a name is wrong",
                        structure="ListHead",
                        expected=expected,
                        actual=actual,
                        where={"key": path, "name": names[offset]},
                    )

    def _reference_counts(self) -> Iterator[Finding]:
        cells = self._hive.cells
        for cell, count in self._security.items():
            try:
                head = KeySecurity.unpack_from(cells.content(cell, KeySecurity.SIZE, "KeySecurity"))
                for neighbour in (head.flink, head.blink):
                    other = KeySecurity.unpack_from(cells.content(neighbour, KeySecurity.SIZE, "KeySecurity"))
                    if other.signature != b"sk":
                        yield Finding(
                            "hive-security-ring",
                            "the ring of security cells is broken",
                            structure="KeySecurity",
                            where={"cell": cell},
                        )
            except Error as error:
                yield Finding.from_error(error, cell=cell)
                continue
            if head.reference_count != count:
                yield Finding(
                    "hive-security-count",
                    "the reference count of a security cell is wrong",
                    structure="KeySecurity",
                    field="reference_count",
                    expected=count,
                    actual=head.reference_count,
                    where={"cell": cell},
                )
