"""The shape of a fixed binary record: its fields, and the struct and numpy views that follow from them."""

from __future__ import annotations

import struct
from functools import cache, cached_property
from typing import TYPE_CHECKING, Literal

from cloudboot_base.lightdata import dataclass

if TYPE_CHECKING:
    from collections.abc import Collection

    import numpy as np

    from .enums import OpenEnum

ByteOrder = Literal["little", "big"]
#: What a declaration says: one order, or both, so that each use has to say which.
DeclaredOrder = Literal["little", "big", "either"]
_PREFIX = {"little": "<", "big": ">"}
_NUMPY_CODES = {
    "b": "i1", "B": "u1", "h": "i2", "H": "u2", "i": "i4", "I": "u4", "l": "i4", "L": "u4", "q": "i8", "Q": "u8",
    "e": "f2", "f": "f4", "d": "f8",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a record.

    ``code`` is a :mod:`struct` format character, ``"s"`` for bytes, or ``""`` for a nested record. ``count`` is
    the number of array elements (``None`` for a scalar) or, for bytes, the length. ``enum`` is the class that an
    integer's values belong to, ``bits`` the ranges an integer is made of, the least significant first, and ``guid``
    marks 16 bytes as a GUID: the three are for the generator and change neither size nor struct.
    """

    name: str
    code: str
    count: int | None = None
    record: RecordLayout | None = None
    doc: str = ""
    enum: type[OpenEnum] | None = None
    bits: tuple[tuple[str, int], ...] = ()
    guid: bool = False

    @property
    def struct_format(self) -> str:
        """This field in :mod:`struct` notation, without a byte order."""
        if self.record is not None:
            return self.record.struct_format * (1 if self.count is None else self.count)
        return self.code if self.count is None else f"{self.count}{self.code}"

    @property
    def size(self) -> int:
        """Bytes the field occupies."""
        return struct.calcsize("<" + self.struct_format)

    @property
    def alignment(self) -> int:
        """What a C compiler aligns the field to, in bytes: the size of its largest scalar (4 for a GUID)."""
        if self.record is not None:
            return self.record.alignment
        if self.guid:
            return 4
        return 1 if self.code == "s" else struct.calcsize("<" + self.code)

    @property
    def values(self) -> int:
        """Python values the field takes in the flat tuple :mod:`struct` packs and unpacks."""
        if self.code == "s":
            return 1
        each = 1 if self.record is None else self.record.values
        return each * (1 if self.count is None else self.count)


@dataclass(frozen=True)
class RecordLayout:
    """The layout of one record: fields in order; what is between them is a field too."""

    name: str
    fields: tuple[Field, ...]
    byteorder: DeclaredOrder = "either"

    @cached_property
    def struct_format(self) -> str:
        """The whole record in :mod:`struct` notation, without a byte order."""
        return "".join(field.struct_format for field in self.fields)

    @cached_property
    def size(self) -> int:
        """Bytes the record occupies."""
        return struct.calcsize("<" + self.struct_format)

    @cached_property
    def alignment(self) -> int:
        """What a C compiler aligns the record to, in bytes."""
        return max((field.alignment for field in self.fields), default=1)

    @cached_property
    def values(self) -> int:
        """Python values in the record's flat tuple."""
        return sum(field.values for field in self.fields)

    @cached_property
    def offsets(self) -> dict[str, int]:
        """Byte offset of each field from the start of the record."""
        offsets, position = {}, 0
        for field in self.fields:
            offsets[field.name] = position
            position += field.size
        return offsets

    def pick(self, names: Collection[str], byteorder: ByteOrder | None = None) -> struct.Struct:
        """The record as a :class:`struct.Struct` of some fields only, in the record's order.

        Reading passes over the others, and packing makes them zero. Of an array the first element is taken.

        Raises:
            ValueError: there is no such field, or it is a nested record or bytes.
        """
        return _picked(self, frozenset(names), self._order(byteorder))

    def struct(self, byteorder: ByteOrder | None = None) -> struct.Struct:
        """The record as a :class:`struct.Struct`."""
        return _struct(self, self._order(byteorder))

    def dtype(self, byteorder: ByteOrder | None = None) -> np.dtype[np.void]:
        """The record as a numpy structured dtype; bytes fields are void, so trailing zeros survive."""
        return _dtype(self, self._order(byteorder))

    def _order(self, byteorder: ByteOrder | None) -> ByteOrder:
        if byteorder is not None:
            return byteorder
        if self.byteorder == "either":
            raise TypeError(f"{self.name} exists in both byte orders; say which")
        return self.byteorder

    @cached_property
    def _hash(self) -> int:
        return hash((self.name, self.fields, self.byteorder))

    def __hash__(self) -> int:
        # Every pack and unpack looks its struct up by the layout, and hashing all fields takes longer than unpacking.
        return self._hash


@cache
def _struct(layout: RecordLayout, byteorder: ByteOrder) -> struct.Struct:
    return struct.Struct(_PREFIX[byteorder] + layout.struct_format)


@cache
def _picked(layout: RecordLayout, names: frozenset[str], byteorder: ByteOrder) -> struct.Struct:
    unsuitable = names - {field.name for field in layout.fields if len(field.code) == 1 and field.code != "s"}
    if unsuitable:
        raise ValueError(f"{layout.name} has no numbers in {', '.join(sorted(unsuitable))}")
    parts = [_PREFIX[byteorder]]
    for field in layout.fields:
        taken = struct.calcsize("<" + field.code) if field.name in names else 0
        parts.append((field.code if taken else "") + (f"{field.size - taken}x" if field.size > taken else ""))
    return struct.Struct("".join(parts))


@cache
def _dtype(layout: RecordLayout, byteorder: ByteOrder) -> np.dtype[np.void]:
    import numpy as np  # only here: a program that reads record by record starts without it

    columns: list[tuple[str, object] | tuple[str, object, tuple[int]]] = []
    for field in layout.fields:
        base: object
        if field.record is not None:
            base = _dtype(field.record, byteorder)
        elif field.code == "s":
            columns.append((field.name, f"V{field.count}"))
            continue
        else:
            base = _PREFIX[byteorder] + _NUMPY_CODES[field.code]
        columns.append((field.name, base) if field.count is None else (field.name, base, (field.count,)))
    return np.dtype(columns)
