"""From a construct declaration to a :class:`RecordLayout`, and back to construct in either byte order.

Declarations are restricted to what has one size and one meaning: integers and floats, ``Bytes(n)``,
``Array(n, ...)`` and nested ``Struct`` objects, and what this module adds: :data:`Guid`, :class:`Enumerated`,
:class:`BitRanges` and :class:`NaturalStruct`. Anything else is refused by name, because it could not also be a
:class:`struct.Struct` and a numpy dtype.

The byte order of a record is the one its fields are declared in (``Int32ul``, ``Int32ub``); fields of both are refused.
A module whose records exist in both says ``BYTE_ORDER = "either"``; how its fields are declared then does not matter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from construct import Array, Bytes, Construct, FormatField, Renamed, Struct, Subconstruct

from .model import ByteOrder, DeclaredOrder, Field, RecordLayout

if TYPE_CHECKING:
    from types import ModuleType

    from .enums import OpenEnum

    AnyConstruct = Construct[Any, Any]
    _Wrapper = Subconstruct[Any, Any, Any, Any]
else:
    _Wrapper = Subconstruct  # generic for type checkers only

_PREFIX = {"little": "<", "big": ">"}


class DeclarationError(TypeError):
    """A declaration uses a construct that has no fixed size or no numpy counterpart."""


class NaturalStruct(Struct):
    """A ``Struct`` as a C compiler lays it out: every field aligned to its size, the whole to its largest field.

    What the compiler leaves free becomes fields named ``Padding1``, ``Padding2`` and so on.
    """


class _GuidBytes(Bytes):
    """Sixteen bytes that are a GUID."""


#: A GUID: 16 bytes whose first three parts are little-endian (UEFI 2.10 appendix A); a :class:`uuid.UUID` in records.
Guid = _GuidBytes(16)


class Enumerated(_Wrapper):
    """An integer whose values an :class:`~cloudboot_records.OpenEnum` names: ``Enumerated(Int32ul, MemoryType)``."""

    def __init__(self, integer: AnyConstruct, enum: type[OpenEnum]) -> None:
        super().__init__(integer)
        self.enum = enum


class BitRanges(_Wrapper):
    """An integer made of bit ranges, the least significant first: ``BitRanges(Int64ul, record=48, sequence=16)``.

    The generated class has the integer under the field's name, a property ``<field>_<range>`` for each range, and
    ``join_<field>(**ranges)``, which makes the integer.
    """

    def __init__(self, integer: AnyConstruct, **widths: int) -> None:
        super().__init__(integer)
        self.widths = widths


def layout_of(
    declaration: AnyConstruct,
    name: str,
    names: dict[int, str] | None = None,
    *,
    byteorder: DeclaredOrder | None = None,
) -> RecordLayout:
    """The layout of ``declaration``, a ``Struct`` of fixed fields.

    ``names`` maps the ``id`` of nested declarations to their record names; an unnamed nested ``Struct`` is refused,
    since its dataclass could not be referred to. ``byteorder`` is what the declaration's fields say unless given.

    Raises:
        DeclarationError: a field without a fixed size, or fields of both byte orders.
    """
    declaration = _peel(declaration)
    if not isinstance(declaration, Struct):
        raise DeclarationError(f"{name}: a record is a construct Struct, not {type(declaration).__name__}")
    if byteorder is None:
        orders = _orders(declaration)
        if len(orders) > 1:
            raise DeclarationError(
                f'{name}: fields in both byte orders; BYTE_ORDER = "either" declares records of both'
            )
        byteorder = orders.pop() if orders else "little"
    fields = tuple(_field(subcon, name, names or {}, byteorder) for subcon in declaration.subcons)
    return RecordLayout(name, _aligned(fields) if isinstance(declaration, NaturalStruct) else fields, byteorder)


def _orders(declaration: AnyConstruct) -> set[DeclaredOrder]:
    """The byte orders of all fields that have one."""
    inner = _peel(declaration)
    if isinstance(inner, Struct):
        return {order for subcon in inner.subcons for order in _orders(subcon)}
    if isinstance(inner, FormatField):
        single = inner.length == 1
        return set() if single else {"big" if inner.fmtstr[0] == ">" else "little"}
    return _orders(inner.subcon) if isinstance(inner, Subconstruct) else set()


def _aligned(fields: tuple[Field, ...]) -> tuple[Field, ...]:
    """``fields`` with the padding a C compiler puts between and behind them."""
    placed: list[Field] = []
    position = padding = 0
    behind = max((field.alignment for field in fields), default=1)
    for field, alignment in [*((field, field.alignment) for field in fields), (None, behind)]:
        gap = -position % alignment
        if gap:
            padding += 1
            placed.append(Field(f"Padding{padding}", "s", gap))
        position += gap
        if field is not None:
            placed.append(field)
            position += field.size
    return tuple(placed)


def _field(subcon: AnyConstruct, record: str, names: dict[int, str], byteorder: DeclaredOrder) -> Field:
    name, doc = subcon.name, (subcon.docs or "").strip()
    if not name:
        raise DeclarationError(f"{record}: every field of a record has a name (found {subcon!r})")
    inner = _peel(subcon)
    count: int | None = None
    if isinstance(inner, Array):
        if not isinstance(inner.count, int):
            raise DeclarationError(f"{record}.{name}: the array's length is not a constant")
        count, inner = inner.count, _peel(inner.subcon)
    if isinstance(inner, Enumerated | BitRanges):
        return _annotated(inner, name, record, count, doc)
    if isinstance(inner, FormatField):
        return Field(name, inner.fmtstr[1:], count, doc=doc)
    if isinstance(inner, Bytes) and count is None:
        if not isinstance(inner.length, int):
            raise DeclarationError(f"{record}.{name}: the length is not a constant")
        return Field(name, "s", inner.length, doc=doc, guid=isinstance(inner, _GuidBytes))
    if isinstance(inner, Struct):
        nested = names.get(id(inner))
        if nested is None:
            raise DeclarationError(f"{record}.{name}: a nested record is declared under a name of its own")
        return Field(name, "", count, layout_of(inner, nested, names, byteorder=byteorder), doc)
    raise DeclarationError(f"{record}.{name}: {type(inner).__name__} is not a fixed field")


def _annotated(inner: Enumerated | BitRanges, name: str, record: str, count: int | None, doc: str) -> Field:
    integer = _peel(inner.subcon)
    if not isinstance(integer, FormatField) or integer.fmtstr[1:] in "efd":
        raise DeclarationError(f"{record}.{name}: {type(inner).__name__} is about an integer")
    code = integer.fmtstr[1:]
    if isinstance(inner, Enumerated):
        return Field(name, code, count, doc=doc, enum=inner.enum)
    if count is not None or sum(inner.widths.values()) != 8 * integer.length:
        raise DeclarationError(
            f"{record}.{name}: the ranges do not add up to the {8 * integer.length} bits of one integer"
        )
    return Field(name, code, doc=doc, bits=tuple(inner.widths.items()))


def _peel(subcon: AnyConstruct) -> AnyConstruct:
    """What a name or a doc was put on: ``"name" / x`` and ``x * "doc"`` each wrap ``x`` in a ``Renamed``."""
    while isinstance(subcon, Renamed):
        subcon = subcon.subcon
    return subcon


def declarations(module: ModuleType) -> dict[str, AnyConstruct]:
    """The public ``Struct`` objects of a module, documented or not, in the order they are declared."""
    return {
        name: value
        for name, value in vars(module).items()
        if not name.startswith("_") and isinstance(value, Construct) and isinstance(_peel(value), Struct)
    }


def layouts(module: ModuleType) -> dict[str, RecordLayout]:
    """The layout of every record a module declares, in order."""
    found = declarations(module)
    names = {id(_peel(declaration)): name for name, declaration in found.items()}
    stated: DeclaredOrder | None = getattr(module, "BYTE_ORDER", None)
    return {name: layout_of(declaration, name, names, byteorder=stated) for name, declaration in found.items()}


def construct_of(layout: RecordLayout, byteorder: ByteOrder = "little") -> Struct:
    """A construct that parses and builds ``layout`` in the byte order given."""
    return Struct(*(field.name / _construct_field(field, byteorder) for field in layout.fields))


def _construct_field(field: Field, byteorder: ByteOrder) -> AnyConstruct:
    if field.code == "s":
        return Bytes(field.size)
    if field.record is not None:
        inner: AnyConstruct = construct_of(field.record, byteorder)
    else:
        inner = FormatField(_PREFIX[byteorder], field.code)
    return inner if field.count is None else Array(field.count, inner)
