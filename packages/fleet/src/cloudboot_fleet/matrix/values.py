"""Values of a matrix file: each function gives a value that fits, or raises the error of its place."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cloudboot_base.command import parse_size, printable
from cloudboot_base.parser import suggestion
from cloudboot_fleet.errors import MatrixError

from .kinds import GLOBBED

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .cells import Value
    from .kinds import Kind
    from .places import Key

#: Bytes of a text: the longest path that Linux takes (PATH_MAX).
_LONGEST = 4095
#: Characters that make a text a pattern.
_SIGNS = frozenset("*?[")
#: Another value of the same cell, in a text.
FIELD = re.compile(r"\{(\w+)\}")
_WORDS: dict[type, str] = {
    dict: "a table", list: "a list", str: "text", int: "a whole number", float: "a number", bool: "true or false",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Place:
    """A key of the file, for messages."""

    key: Key = ()

    def __truediv__(self, name: str | int) -> Place:
        return Place((*self.key, name))

    def __str__(self) -> str:
        """``[[cells]] 2 axes.memory``: blocks count from 1."""
        if not self.key:
            return "the file"
        if self.key[0] != "cells" or len(self.key) == 1:
            return f"[{self.key[0]}] {'.'.join(map(str, self.key[1:]))}".strip() if len(self.key) > 1 else self._head
        rest = ".".join(str(part) for part in self.key[2:] if isinstance(part, str))
        return f"[[cells]] {int(self.key[1]) + 1} {rest}".strip()

    @property
    def _head(self) -> str:
        return {"cells": "[[cells]]", "defaults": "[defaults]", "cluster": "[cluster]"}.get(
            str(self.key[0]), str(self.key[0])
        )

    def error(self, told: str, hint: str | None = None) -> MatrixError:
        """An error about this key."""
        return MatrixError(f"{self} {told}", hint=hint, key=self.key)


def is_pattern(kind: Kind, name: str, value: Value) -> bool:
    """Whether a value stands for several files or tags (:mod:`.globs`), and is no text with another value in it."""
    parameter = kind.parameter(name)
    if parameter is None or parameter.pin not in GLOBBED or not isinstance(value, str):
        return False
    return bool(_SIGNS & set(value)) and "{" not in value


def checked_value(kind: Kind, name: str, value: object, where: Place) -> Value:
    """A value of a parameter of the kind, if it is one that the parameter takes."""
    parameter = kind.parameter(name)
    if parameter is None:
        known = [each.name for each in kind.parameters]
        hint = suggestion(name, known) or f"{kind.name} has: {', '.join(known)}"
        raise where.error(f"is no parameter of the kind {kind.name}", hint)
    fits = isinstance(value, parameter.types) and (not isinstance(value, bool) or bool in parameter.types)
    if not fits or not isinstance(value, str | int | float | bool):
        wanted = " or ".join(_WORDS[each] for each in parameter.types)
        raise where.error(f"is {printable(repr(value))[:80]}, not {wanted}")
    if isinstance(value, float) and not math.isfinite(value):
        raise where.error("is not a finite number")
    if isinstance(value, str):
        _check_text(value, where)
        if parameter.size and not FIELD.search(value):
            size_of(value, where, int(parameter.least or 1))
    elif parameter.least is not None and value < parameter.least:
        raise where.error(f"is {value}, and {parameter.least:.16g} is the least")
    elif not -(1 << 63) <= value < 1 << 63:
        raise where.error("does not fit in 64 bits")
    choices = parameter.known()
    if choices and value not in choices and not FIELD.search(str(value)):
        known = [str(each) for each in choices]
        hint = suggestion(str(value), known) or f"there are: {', '.join(known)}"
        raise where.error(f"is {printable(str(value))!r}, which there is not", hint)
    return value


def _check_text(value: str, where: Place) -> None:
    if not value:
        raise where.error("is empty")
    if "\0" in value:
        raise where.error("has a NUL character, which no path or reference has")
    if len(value.encode("utf-8", "surrogatepass")) > _LONGEST:
        raise where.error(f"has more than {_LONGEST} bytes")


def size_of(text: str, where: Place, least: int) -> int:
    """The bytes of a size like ``"2G"``."""
    try:
        size = parse_size(text)
    except ValueError as error:
        raise where.error(f"is not usable: {error}") from None
    if not least <= size <= 1 << 50:
        raise where.error(f"is {printable(text)}, not a size from {least} bytes to 1024T")
    return size


def known_keys(table: Mapping[str, object], known: Iterable[str], where: Place) -> None:
    """Raise for a key that is not one of ``known``."""
    names = sorted(known)
    for key in table:
        if key not in names:
            hint = suggestion(key, names) or f"there are: {', '.join(names)}"
            raise MatrixError(f"{where} has no key {printable(key)}", hint=hint, key=(where / key).key)


def table_of(value: object, where: Place) -> dict[str, Any]:
    """A table."""
    found: dict[str, Any] = typed(value, dict, where)
    return found


def typed(value: Any, kind: type, where: Place) -> Any:
    """A value of a type; true and false are no numbers."""
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise where.error(f"is {printable(repr(value))[:80]}, not {_WORDS[kind]}")
    return value


def amount_of(value: object, where: Place) -> float:
    """A finite number of 0 or more."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise where.error(f"is {printable(repr(value))}, not a number of 0 or more")
    return value


def whole(value: object, where: Place, least: int, most: int) -> int:
    """A whole number from ``least`` to ``most``."""
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise where.error(f"is {printable(repr(value))}, not a whole number from {least} to {most}")
    return value
