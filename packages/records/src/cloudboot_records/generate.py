"""Write the typed, slotted dataclasses of a declaration module.

The output is deterministic and checked in; a test regenerates it and compares. Type checkers and readers get
ordinary classes, and nothing imports construct at run time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .declaration import layouts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import ModuleType

    from .model import Field, RecordLayout

_TYPES = {"e": "float", "f": "float", "d": "float"}


def generate(module: ModuleType) -> str:
    """The source of the record classes for every ``Struct`` that ``module`` declares."""
    found = layouts(module)
    body = [_record(layout, (module.__dict__[name].docs or "").strip()) for name, layout in found.items()]
    head = (
        f'"""The records declared in ``{module.__name__}``. Generated: change the declaration, then run\n'
        f'``python -m cloudboot_records {module.__name__}``.\n"""\n\n'
        "# ruff: noqa: E501 -- one field's doc may be longer than a line\n"
        "from __future__ import annotations\n\n"
    )
    fields = [field for layout in found.values() for field in layout.fields]
    return head + "\n\n".join(["".join(f"{line}\n" for line in _imports(found.values(), fields)), *body])


def _imports(found: Iterable[RecordLayout], fields: list[Field]) -> Iterator[str]:
    if any(field.record is not None and field.count is not None for field in fields):
        yield "from itertools import chain"
    yield "from typing import Any, ClassVar, Self"
    if any(field.guid for field in fields):
        yield "from uuid import UUID"
    yield ""
    bases = {"EitherOrderRecord" if layout.byteorder == "either" else "Record" for layout in found}
    helpers = {
        *(["exactly"] if any(field.count is not None and not field.guid for field in fields) else []),
        *(["guid_bytes"] if any(field.guid for field in fields) else []),
        *(["joined_bits"] if any(field.bits for field in fields) else []),
    }
    ours = [
        f"from cloudboot_base.lightdata import dataclass{', field' if any(field.record for field in fields) else ''}",
        "from cloudboot_records.model import Field, RecordLayout",
        f"from cloudboot_records.record import {', '.join([*sorted(bases), *sorted(helpers)])}",
    ]
    enums = {field.enum for field in fields if field.enum is not None}
    modules = {each.__module__ for each in enums}
    theirs = [
        f"from {name} import {', '.join(sorted(each.__name__ for each in enums if each.__module__ == name))}"
        for name in modules
    ]
    yield from sorted([*ours, *theirs])


def _record(layout: RecordLayout, doc: str) -> str:
    base = "EitherOrderRecord" if layout.byteorder == "either" else "Record"
    lines = ["@dataclass(slots=True, eq=False, repr=False)", f"class {layout.name}({base}):"]
    summary = doc or f"The ``{layout.name}`` record."
    lines.append(f'    """{summary} ({layout.size} bytes)"""')
    declarations = [""]
    for field in layout.fields:
        if field.doc:
            declarations.append(f"    #: {field.doc}")
        declarations.append(f"    {field.name}: {_annotation(field)} = {_default(field)}")
    parts = [declarations, ["", *_initializer(layout)]]
    if any(field.enum is not None and field.enum.__name__ == field.name for field in layout.fields):
        parts.reverse()  # a field that bears the name of its type hides that from what follows
    lines += [line for part in parts for line in part]
    lines.append("")
    lines.append("    LAYOUT: ClassVar[RecordLayout] = RecordLayout(")
    lines.append(f'        "{layout.name}",')
    lines.append("        (")
    lines.extend(f"            {_field_source(field)}," for field in layout.fields)
    lines.append("        ),")
    if layout.byteorder != "either":
        lines.append(f'        "{layout.byteorder}",')
    lines.append("    )")
    lines.append(f"    SIZE: ClassVar[int] = {layout.size}")
    lines.append("")
    lines.append("    @classmethod")
    lines.append("    def _from_values(cls, values: tuple[Any, ...]) -> Self:")
    if all(_is_plain(field) for field in layout.fields):
        lines.append("        return cls(*values)")
    else:
        lines.append("        return cls(")
        position = 0
        for field in layout.fields:
            lines.append(f"            {_from_values(field, position)},")
            position += field.values
        lines.append("        )")
    lines.append("")
    lines.append("    def _values(self) -> tuple[Any, ...]:")
    lines.append("        return (")
    lines.extend(f"            {_to_values(layout, field)}," for field in layout.fields)
    lines.append("        )")
    for field in layout.fields:
        lines.extend(_bit_properties(layout, field))
    return "\n".join(lines) + "\n"


def _initializer(layout: RecordLayout) -> Iterator[str]:
    """``__init__`` as a dataclass has it, which would be compiled by each process that makes a record."""
    yield "    def __init__("
    yield "        self,"
    for field in layout.fields:
        if field.record is None:
            yield f"        {field.name}: {_annotation(field)} = {_default(field)},"
        else:
            yield f"        {field.name}: {_annotation(field)} | None = None,"
    yield "    ) -> None:"
    for field in layout.fields:
        made = field.name if field.record is None else f"{_new_record(field)} if {field.name} is None else {field.name}"
        yield f"        self.{field.name} = {made}"


def _is_plain(field: Field) -> bool:
    """Whether the value in the dataclass is the one :mod:`struct` gives."""
    if field.guid or field.enum is not None or field.record is not None:
        return False
    return field.count is None or field.code == "s"


def _bit_properties(layout: RecordLayout, field: Field) -> Iterator[str]:
    shift = 0
    for name, width in field.bits:
        yield ""
        yield "    @property"
        yield f"    def {field.name}_{name}(self) -> int:"
        yield f'        """Bits {shift} to {shift + width - 1} of ``{field.name}``."""'
        yield f"        return self.{field.name} >> {shift} & {(1 << width) - 1:#x}"
        shift += width
    if field.bits:
        names = [name for name, _ in field.bits]
        parts = ", ".join(f'("{name}", {width}, {name})' for name, width in field.bits)
        yield ""
        yield "    @staticmethod"
        yield f"    def join_{field.name}(*, {', '.join(f'{name}: int = 0' for name in names)}) -> int:"
        yield f'        """``{field.name}`` out of its bit ranges; RangeError where one does not fit."""'
        yield f'        return joined_bits("{layout.name}", "{field.name}", ({parts},))'


def _scalar_type(field: Field) -> str:
    return field.enum.__name__ if field.enum is not None else _TYPES.get(field.code, "int")


def _annotation(field: Field) -> str:
    if field.guid:
        return "UUID"
    if field.code == "s":
        return "bytes"
    each = field.record.name if field.record is not None else _scalar_type(field)
    return each if field.count is None else f"tuple[{each}, ...]"


def _default(field: Field) -> str:
    if field.guid:
        return "UUID(int=0)"
    if field.code == "s":
        return f"bytes({field.count})"
    if field.record is not None:
        return f"field(default_factory=lambda: {_new_record(field)})"
    zero = "0.0" if field.code in _TYPES else "0"
    if field.enum is not None:
        zero = f"{field.enum.__name__}(0)"
    return zero if field.count is None else f"({zero},) * {field.count}"


def _new_record(field: Field) -> str:
    """The default of a nested record or of an array of records."""
    name = "" if field.record is None else field.record.name
    return f"{name}()" if field.count is None else f"tuple({name}() for _ in range({field.count}))"


def _field_source(field: Field) -> str:
    arguments = [f'"{field.name}"', f'"{field.code}"']
    if field.count is not None or field.record is not None:
        arguments.append(str(field.count))
    if field.record is not None:
        arguments.append(f"{field.record.name}.LAYOUT")
    if field.guid:
        arguments.append("guid=True")
    return f"Field({', '.join(arguments)})"


def _from_values(field: Field, position: int) -> str:
    end = position + field.values
    if field.record is not None:
        name, step = field.record.name, field.record.values
        if field.count is None:
            return f"{name}._from_values(values[{position}:{end}])"
        return f"tuple({name}._from_values(values[at : at + {step}]) for at in range({position}, {end}, {step}))"
    if field.guid:
        return f"UUID(bytes_le=values[{position}])"
    if field.enum is not None:
        if field.count is None:
            return f"{field.enum.__name__}(values[{position}])"
        return f"tuple(map({field.enum.__name__}, values[{position}:{end}]))"
    if field.count is None or field.code == "s":
        return f"values[{position}]"
    return f"values[{position}:{end}]"


def _to_values(layout: RecordLayout, field: Field) -> str:
    value = f"self.{field.name}"
    if field.guid:
        return f'guid_bytes("{layout.name}", "{field.name}", {value})'
    if field.count is not None:
        value = f'exactly("{layout.name}", "{field.name}", {field.count}, {value})'
    if field.record is not None:
        if field.count is None:
            return f"*{value}._values()"
        return f"*chain.from_iterable(item._values() for item in {value})"
    return f"*{value}" if field.count is not None and field.code != "s" else value
