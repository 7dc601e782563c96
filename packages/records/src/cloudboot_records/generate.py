"""Write the typed, slotted dataclasses of a declaration module.

The output is deterministic and checked in; a test regenerates it and compares. Type checkers and readers get
ordinary classes, and nothing imports construct at run time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .declaration import layouts

if TYPE_CHECKING:
    from types import ModuleType

    from .model import Field, RecordLayout

_TYPES = {"e": "float", "f": "float", "d": "float"}


def generate(module: ModuleType) -> str:
    """The source of the record classes for every ``Struct`` that ``module`` declares."""
    found = layouts(module)
    has_nested_arrays = any(
        field.record is not None and field.count is not None for layout in found.values() for field in layout.fields
    )
    has_nested = any(field.record is not None for layout in found.values() for field in layout.fields)
    needs_exactly = any(field.count is not None for layout in found.values() for field in layout.fields)
    imports = ["from dataclasses import dataclass" + (", field" if has_nested else "")]
    imports.append("from typing import Any, ClassVar, Self\n")
    imports.append("from cloudboot_records.model import Field, RecordLayout")
    imports.append("from cloudboot_records.record import Record" + (", exactly" if needs_exactly else ""))
    parts = [
        f'"""The records declared in ``{module.__name__}``. Generated: change the declaration, then run\n'
        f'``python -m cloudboot_records {module.__name__}``.\n"""\n\n'
        "# ruff: noqa: E501 -- one field's doc may be longer than a line\n"
        "from __future__ import annotations\n\n" + "\n".join(imports) + "\n"
    ]
    if has_nested_arrays:
        parts[0] = parts[0].replace("from typing", "from itertools import chain\nfrom typing", 1)
    parts.extend(_record(layout, (module.__dict__[name].docs or "").strip()) for name, layout in found.items())
    return "\n\n".join(parts)


def _record(layout: RecordLayout, doc: str) -> str:
    lines = ["@dataclass(slots=True)", f"class {layout.name}(Record):"]
    summary = doc or f"The ``{layout.name}`` record."
    lines.append(f'    """{summary} ({layout.size} bytes)"""')
    lines.append("")
    for field in layout.fields:
        if field.doc:
            lines.append(f"    #: {field.doc}")
        lines.append(f"    {field.name}: {_annotation(field)} = {_default(field)}")
    lines.append("")
    lines.append("    LAYOUT: ClassVar[RecordLayout] = RecordLayout(")
    lines.append(f'        "{layout.name}",')
    lines.append("        (")
    lines.extend(f"            {_field_source(field)}," for field in layout.fields)
    lines.append("        ),")
    lines.append("    )")
    lines.append(f"    SIZE: ClassVar[int] = {layout.size}")
    lines.append("")
    lines.append("    @classmethod")
    lines.append("    def _from_values(cls, values: tuple[Any, ...]) -> Self:")
    if all((field.count is None and field.record is None) or field.code == "s" for field in layout.fields):
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
    return "\n".join(lines) + "\n"


def _annotation(field: Field) -> str:
    if field.code == "s":
        return "bytes"
    each = field.record.name if field.record is not None else _TYPES.get(field.code, "int")
    return each if field.count is None else f"tuple[{each}, ...]"


def _default(field: Field) -> str:
    if field.code == "s":
        return f"bytes({field.count})"
    if field.record is not None:
        if field.count is None:
            return f"field(default_factory=lambda: {field.record.name}())"
        return f"field(default_factory=lambda: tuple({field.record.name}() for _ in range({field.count})))"
    zero = "0.0" if field.code in _TYPES else "0"
    return zero if field.count is None else f"({zero},) * {field.count}"


def _field_source(field: Field) -> str:
    arguments = [f'"{field.name}"', f'"{field.code}"']
    if field.count is not None or field.record is not None:
        arguments.append(str(field.count))
    if field.record is not None:
        arguments.append(f"{field.record.name}.LAYOUT")
    return f"Field({', '.join(arguments)})"


def _from_values(field: Field, position: int) -> str:
    end = position + field.values
    if field.record is not None:
        name, step = field.record.name, field.record.values
        if field.count is None:
            return f"{name}._from_values(values[{position}:{end}])"
        return f"tuple({name}._from_values(values[at : at + {step}]) for at in range({position}, {end}, {step}))"
    if field.count is None or field.code == "s":
        return f"values[{position}]"
    return f"values[{position}:{end}]"


def _to_values(layout: RecordLayout, field: Field) -> str:
    value = f"self.{field.name}"
    if field.count is not None:
        value = f'exactly("{layout.name}", "{field.name}", {field.count}, {value})'
    if field.record is not None:
        if field.count is None:
            return f"*{value}._values()"
        return f"*chain.from_iterable(item._values() for item in {value})"
    return f"*{value}" if field.count is not None and field.code != "s" else value
