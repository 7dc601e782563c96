"""The matrix file: TOML with a table for each block of cells, checked before anything is expanded."""

from __future__ import annotations

import dataclasses
import itertools
import math
import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudboot_base.command import parse_size, printable
from cloudboot_base.parser import suggestion
from cloudboot_fleet.errors import MatrixError

from .cells import Cell, Limits, Value
from .kinds import KINDS, Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

MAX_MATRIX = 1 << 20
#: More cells than this are refused: a slip in an axis, not a campaign.
MAX_CELLS = 1_000_000
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_FIELD = re.compile(r"\{(\w+)\}")
_RUN = {"priority", "retries", "resources"}
_LIMITS = {item.name for item in dataclasses.fields(Limits)}
_SIZES = {"memory", "file_size"}
_TABLE = {"kind", "axes", "include", "exclude", "limits", *_RUN, "timeout"}


@dataclass(frozen=True)
class Block:
    """One ``[[cells]]`` table: the product of its axes, without what is excluded, and what is included on top."""

    number: int
    kind: Kind
    axes: Mapping[str, tuple[Value, ...]]
    includes: tuple[Mapping[str, Value], ...] = ()
    excludes: tuple[Mapping[str, Value], ...] = ()
    limits: Limits = field(default_factory=Limits)
    resources: Mapping[str, float] = field(default_factory=dict)
    priority: int = 0
    retries: int = 3

    @property
    def varying(self) -> tuple[str, ...]:
        """The names of the axes by which cells of this block differ, in the order of the file."""
        several = [name for name, values in self.axes.items() if len(values) > 1]
        return tuple(dict.fromkeys([*several, *(name for each in self.includes for name in each)]))

    @property
    def most(self) -> int:
        """How many cells there are before exclusion."""
        return math.prod(len(values) for values in self.axes.values()) + len(self.includes)

    def assignments(self) -> Iterator[dict[str, Value]]:
        """The values of each cell, one after another; none is kept."""
        names = list(self.axes)
        for chosen in itertools.product(*self.axes.values()):
            values = dict(zip(names, chosen, strict=True))
            if not any(_matches(values, each) for each in self.excludes):
                yield _filled(values)
        single = {name: values[0] for name, values in self.axes.items() if len(values) == 1}
        for include in self.includes:
            yield _filled({**single, **include})


@dataclass(frozen=True)
class Matrix:
    """A whole file. ``folder`` is what relative paths in it start from, ``cluster`` its ``[cluster]`` table."""

    name: str
    blocks: tuple[Block, ...]
    folder: Path = field(default_factory=Path)
    cluster: Mapping[str, Any] = field(default_factory=dict)

    def cells(self) -> Iterator[Cell]:
        """Every cell, lazily, those of a higher priority first, else in the order of the file."""
        index = 0
        for block in sorted(self.blocks, key=lambda each: -each.priority):
            for values in block.assignments():
                _check_values(block, values)
                yield Cell(
                    index, block.number, block.kind.name, values, block.varying, block.limits, block.resources,
                    block.priority, block.retries,
                )  # fmt: skip
                index += 1

    def with_hours(self, hours: float) -> Matrix:
        """The matrix with ``hours`` divided evenly among its cells of kind ``fuzz``.

        Raises:
            MatrixError: the matrix has no cell of that kind.
        """
        blocks = [block for block in self.blocks if block.kind.name == "fuzz"]
        count = sum(1 for block in blocks for _ in block.assignments())
        if not count:
            raise MatrixError("the matrix has no cells of the kind fuzz to share hours among")
        seconds = max(1.0, round(hours * 3600 / count, 1))

        def changed(block: Block) -> Block:
            if block.kind.name != "fuzz":
                return block
            includes = tuple({**case, "seconds": seconds} for case in block.includes)
            # A run ends by itself; then its corpus is merged, which takes as long at most.
            limits = dataclasses.replace(block.limits, timeout=max(block.limits.timeout, 2 * seconds + 600))
            return dataclasses.replace(
                block, axes={**block.axes, "seconds": (seconds,)}, includes=includes, limits=limits
            )

        return dataclasses.replace(self, blocks=tuple(changed(block) for block in self.blocks))


def load(path: str | Path) -> Matrix:
    """Read a matrix file.

    Raises:
        MatrixError: the file is not there, too large, not TOML, or not a matrix.
    """
    file = Path(path)
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_MATRIX + 1)
        if len(data) > MAX_MATRIX:
            raise MatrixError(f"a matrix file has at most {MAX_MATRIX} bytes", path=str(path))
        text = data.decode("utf-8")
    except OSError as error:
        raise MatrixError(f"cannot read the matrix: {error.strerror}", path=str(path)) from None
    except UnicodeDecodeError as error:
        raise MatrixError("the matrix is not UTF-8", path=str(path), where={"offset": error.start}) from None
    try:
        return parse(text, file.stem, file.parent)
    except MatrixError as error:
        error.path = str(path)
        raise


def parse(text: str, name: str = "matrix", folder: Path | None = None) -> Matrix:
    """A matrix from TOML; ``name`` is used where the file has none.

    Raises:
        MatrixError: an unknown key, a value of the wrong type, a parameter that the kind does not have, or no cell.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise MatrixError(str(error)) from None
    _known(document, {"name", "cells", "defaults", "cluster"}, "the file")
    title = _typed(document.get("name", name), str, "name")
    if not _NAME.fullmatch(title):
        raise MatrixError(f"name is {printable(title)!r}, not lower-case letters, digits, '.', '_' and '-'")
    defaults = _table(document.get("defaults", {}), "[defaults]")
    _known(defaults, {"limits", "timeout", *_RUN}, "[defaults]")
    tables = _typed(document.get("cells", []), list, "[[cells]]")
    if not tables:
        raise MatrixError("the matrix has no cells", hint='add a table: [[cells]], kind = "probe"')
    blocks = tuple(
        _block(number, {**defaults, **_table(table, f"[[cells]] {number}")}) for number, table in enumerate(tables)
    )
    total = sum(block.most for block in blocks)
    if total > MAX_CELLS:
        raise MatrixError(f"the axes make {total} cells; at most {MAX_CELLS} are run")
    cluster = _table(document.get("cluster", {}), "[cluster]")
    matrix = Matrix(title, blocks, folder or Path(), cluster)
    if next(matrix.cells(), None) is None:
        raise MatrixError("every cell is excluded")
    return matrix


def _block(number: int, table: Mapping[str, Any]) -> Block:
    where = f"[[cells]] {number}"
    _known(table, _TABLE, where)
    kind = _kind(table.get("kind"), where)
    axes = {name: _axis(kind, name, value, where) for name, value in _table(table.get("axes", {}), where).items()}
    cases = {
        word: tuple(
            {name: _value(kind, name, value, f"{where} {word}") for name, value in _table(case, where).items()}
            for case in _typed(table.get(word, []), list, f"{where} {word}")
        )
        for word in ("include", "exclude")
    }
    for case in cases["exclude"]:
        for name in case:
            if name not in axes:
                raise MatrixError(f"{where} excludes by {name}, which is none of its axes")
    resources = {
        _typed(name, str, where): float(_number(amount, f"{where} resources"))
        for name, amount in _table(table.get("resources", {}), where).items()
    }
    return Block(
        number,
        kind,
        axes,
        cases["include"],
        cases["exclude"],
        _limits(table, where),
        resources,
        _whole(table.get("priority", 0), f"{where} priority", -1000, 1000),
        _whole(table.get("retries", 3), f"{where} retries", 0, 100),
    )


def _kind(name: object, where: str) -> Kind:
    if not isinstance(name, str) or name not in KINDS:
        told = "no kind" if name is None else f"the kind {printable(str(name))!r}"
        hint = suggestion(str(name), KINDS) or f"the kinds are {', '.join(KINDS)}"
        raise MatrixError(f"{where} has {told}", hint=hint)
    return KINDS[name]


def _limits(table: Mapping[str, Any], where: str) -> Limits:
    given = dict(_table(table.get("limits", {}), where))
    if "timeout" in table:
        given["timeout"] = table["timeout"]
    _known(given, _LIMITS, f"{where} limits")
    found: dict[str, Any] = {}
    for name, value in given.items():
        place = f"{where} {name}"
        if name == "timeout":
            found[name] = float(_number(value, place))
            if not 0 < found[name] <= 30 * 86400:
                raise MatrixError(f"{place} is {value}, not a number of seconds up to 30 days")
        elif name in _SIZES and isinstance(value, str):
            try:
                found[name] = parse_size(value)
            except ValueError as error:
                raise MatrixError(f"{place}: {error}") from None
        else:
            found[name] = _whole(value, place, 1, 1 << 50)
    return Limits(**found)


def _axis(kind: Kind, name: str, value: object, where: str) -> tuple[Value, ...]:
    """The values of an axis: one, a list, or ``{from, to, step}`` for whole numbers."""
    if isinstance(value, dict):
        _known(value, {"from", "to", "step"}, f"{where} {name}")
        first, last = (_whole(value.get(key), f"{where} {name}.{key}", -(1 << 62), 1 << 62) for key in ("from", "to"))
        numbers = range(first, last + 1, _whole(value.get("step", 1), f"{where} {name}.step", 1, 1 << 62))
        if len(numbers) > MAX_CELLS:
            raise MatrixError(f"{where} {name} has {len(numbers)} values; at most {MAX_CELLS} are run")
        found: Sequence[object] = numbers
    else:
        found = value if isinstance(value, list) else [value]
    if not found:
        raise MatrixError(f"{where} {name} has no value")
    values = tuple(_value(kind, name, each, where) for each in found)
    if len(set(values)) != len(values):
        raise MatrixError(f"{where} {name} has a value twice")
    return values


def _value(kind: Kind, name: str, value: object, where: str) -> Value:
    parameter = kind.parameter(name)
    if parameter is None:
        known = [each.name for each in kind.parameters]
        hint = suggestion(name, known) or f"{kind.name} has: {', '.join(known)}"
        raise MatrixError(f"{where}: the kind {kind.name} has no parameter {printable(name)}", hint=hint)
    fits = isinstance(value, parameter.types) and (not isinstance(value, bool) or bool in parameter.types)
    if not fits or not isinstance(value, str | int | float | bool):
        wanted = " or ".join(each.__name__ for each in parameter.types)
        raise MatrixError(f"{where}: {name} is {printable(repr(value))}, not {wanted}")
    if isinstance(value, float) and not math.isfinite(value):
        raise MatrixError(f"{where}: {name} is not a finite number")
    if parameter.choices and value not in parameter.choices and not _FIELD.search(str(value)):
        hint = suggestion(str(value), parameter.choices) or f"there are: {', '.join(parameter.choices)}"
        raise MatrixError(f"{where}: no {name} is called {printable(str(value))!r}", hint=hint)
    return value


def _check_values(block: Block, values: Mapping[str, Value]) -> None:
    """Raise unless the cell has what its kind needs."""
    for names in block.kind.needs:
        given = [name for name in names if name in values]
        if len(given) != 1:
            told = "more than one of" if given else "none of" if len(names) > 1 else "no"
            raise MatrixError(
                f"[[cells]] {block.number}: a cell of the kind {block.kind.name} has {told} {', '.join(names)}"
            )


def _matches(values: Mapping[str, Value], case: Mapping[str, Value]) -> bool:
    return all(values[name] == value for name, value in case.items())


def _filled(values: Mapping[str, Value]) -> dict[str, Value]:
    """``values`` with ``{name}`` in a text replaced by that other value."""

    def replaced(found: re.Match[str]) -> str:
        other = values.get(found[1])
        if other is None:
            raise MatrixError(f"{found[0]} names no value of the cell")
        return str(other)

    return {name: _FIELD.sub(replaced, value) if isinstance(value, str) else value for name, value in values.items()}


def _known(table: Mapping[str, object], known: Iterable[str], where: str) -> None:
    names = sorted(known)
    for key in table:
        if key not in names:
            hint = suggestion(key, names) or f"there are: {', '.join(names)}"
            raise MatrixError(f"{where} has no key {printable(key)}", hint=hint)


def _table(value: object, where: str) -> dict[str, Any]:
    found: dict[str, Any] = _typed(value, dict, where)
    return found


def _typed(value: Any, kind: type, where: str) -> Any:
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        words: dict[type, str] = {dict: "a table", list: "a list", str: "text"}
        raise MatrixError(f"{where} is {printable(repr(value))[:80]}, not {words.get(kind, kind.__name__)}")
    return value


def _number(value: object, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise MatrixError(f"{where} is {printable(repr(value))}, not a number of 0 or more")
    return value


def _whole(value: object, where: str, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise MatrixError(f"{where} is {printable(repr(value))}, not a whole number from {least} to {most}")
    return value
