"""From a construct declaration to a :class:`RecordLayout`, and back to construct in either byte order.

Declarations are restricted to what has one size and one meaning: integers and floats, ``Bytes(n)``,
``Array(n, ...)`` and nested ``Struct`` objects. Anything else is refused by name, because it could not also
be a :class:`struct.Struct` and a numpy dtype.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from construct import Array, Bytes, Construct, FormatField, Renamed, Struct

from .model import ByteOrder, Field, RecordLayout

if TYPE_CHECKING:
    from types import ModuleType

    AnyConstruct = Construct[Any, Any]

_PREFIX = {"little": "<", "big": ">"}


class DeclarationError(TypeError):
    """A declaration uses a construct that has no fixed size or no numpy counterpart."""


def layout_of(declaration: AnyConstruct, name: str, names: dict[int, str] | None = None) -> RecordLayout:
    """The layout of ``declaration``, a ``Struct`` of fixed fields.

    ``names`` maps the ``id`` of nested declarations to their record names; an unnamed nested ``Struct`` is refused,
    since its dataclass could not be referred to.
    """
    declaration = _peel(declaration)
    if not isinstance(declaration, Struct):
        raise DeclarationError(f"{name}: a record is a construct Struct, not {type(declaration).__name__}")
    return RecordLayout(name, tuple(_field(subcon, name, names or {}) for subcon in declaration.subcons))


def _field(subcon: AnyConstruct, record: str, names: dict[int, str]) -> Field:
    name, doc = subcon.name, (subcon.docs or "").strip()
    if not name:
        raise DeclarationError(f"{record}: every field of a record has a name (found {subcon!r})")
    inner = _peel(subcon)
    count: int | None = None
    if isinstance(inner, Array):
        if not isinstance(inner.count, int):
            raise DeclarationError(f"{record}.{name}: the array's length is not a constant")
        count, inner = inner.count, _peel(inner.subcon)
    if isinstance(inner, FormatField):
        return Field(name, inner.fmtstr[1:], count, doc=doc)
    if isinstance(inner, Bytes) and count is None:
        if not isinstance(inner.length, int):
            raise DeclarationError(f"{record}.{name}: the length is not a constant")
        return Field(name, "s", inner.length, doc=doc)
    if isinstance(inner, Struct):
        nested = names.get(id(inner))
        if nested is None:
            raise DeclarationError(f"{record}.{name}: a nested record is declared under a name of its own")
        return Field(name, "", count, layout_of(inner, nested, names), doc)
    raise DeclarationError(f"{record}.{name}: {type(inner).__name__} is not a fixed field")


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
    return {name: layout_of(declaration, name, names) for name, declaration in found.items()}


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
