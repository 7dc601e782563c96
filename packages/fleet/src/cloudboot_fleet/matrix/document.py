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
from .kinds import GLOBBED, KINDS, Kind
from .places import Key, line_of, lines_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

MAX_MATRIX = 1 << 20
#: Bytes of a text: the longest path that Linux takes (PATH_MAX).
_LONGEST = 4095
#: Characters that make a text a pattern.
_SIGNS = frozenset("*?[")
#: More cells than this are refused: a slip in an axis, not a campaign.
MAX_CELLS = 1_000_000
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_FIELD = re.compile(r"\{(\w+)\}")
_RUN = {"priority", "retries", "resources"}
_LIMITS = {item.name for item in dataclasses.fields(Limits)}
_SIZES = {"memory", "file_size"}
#: Keys of ``[cluster]`` with their types, of every kind of cluster.
CLUSTER: dict[str, type] = {
    "workers": int, "resources": dict, "tls": dict, "queue": str, "account": str, "walltime": str, "memory": str,
    "cores": int, "interface": str, "directives": list, "prologue": list, "python": str, "image": str,
    "namespace": str, "secret": str, "cpu": str, "devices": dict,
}  # fmt: skip
_TABLE = {"kind", "axes", "include", "exclude", "limits", *_RUN, "timeout"}


@dataclass(frozen=True)
class Block:
    """One ``[[cells]]`` table: the product of its axes, without what is excluded, and what is included on top."""

    number: int
    kind: Kind
    axes: Mapping[str, Sequence[Value]]
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
        for chosen in _product(list(self.axes.values())):
            values = dict(zip(names, chosen, strict=True))
            if not any(_matches(values, each) for each in self.excludes):
                yield _filled(values, self.number)
        single = {name: values[0] for name, values in self.axes.items() if len(values) == 1}
        for include in self.includes:
            yield _filled({**single, **include}, self.number)


@dataclass(frozen=True)
class Matrix:
    """A whole file.

    ``folder`` is what relative paths in it start from, ``cluster`` its ``[cluster]`` table. ``path`` is the file as it
    was named, ``lines`` has the line of each of its keys.
    """

    name: str
    blocks: tuple[Block, ...]
    folder: Path = field(default_factory=Path)
    cluster: Mapping[str, Any] = field(default_factory=dict)
    path: str | None = None
    lines: Mapping[Key, int] = field(default_factory=dict, repr=False)

    def place(self, key: Key) -> dict[str, int | str]:
        """Where a key is in the file, as errors say it: ``{"line": 7}``, or nothing if that is not known."""
        line = line_of(key, self.lines)
        return {} if line is None else {"line": line}

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


def _product(axes: Sequence[Sequence[Value]]) -> Iterator[tuple[Value, ...]]:
    """Every choice of a value of each axis, the last axis first; unlike :func:`itertools.product` it copies no axis."""
    if not axes:
        yield ()
        return
    for before in _product(axes[:-1]):
        for value in axes[-1]:
            yield (*before, value)


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
        text = data.decode("utf-8-sig")  # editors of Windows write a byte order mark
    except OSError as error:
        raise MatrixError(f"cannot read the matrix: {error.strerror}", path=str(path)) from None
    except UnicodeDecodeError as error:
        raise MatrixError("the matrix is not UTF-8", path=str(path), where={"offset": error.start}) from None
    try:
        return dataclasses.replace(parse(text, _name_of(file), file.parent), path=str(path))
    except MatrixError as error:
        error.path = str(path)
        raise


def _name_of(file: Path) -> str:
    """A campaign's name from that of its file: ``My Nightly.toml`` is ``my-nightly``."""
    return re.sub(r"[^a-z0-9._-]+", "-", file.stem.lower()).strip("-._")[:63] or "matrix"


def parse(text: str, name: str = "matrix", folder: Path | None = None) -> Matrix:
    """A matrix from TOML; ``name`` is used where the file has none.

    Raises:
        MatrixError: an unknown key, a value of the wrong type, a parameter that the kind does not have, or no cell.
            ``where`` has the line.
    """
    text = text.replace("\r\n", "\n")
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _syntax_error(str(error), text) from None
    except RecursionError:
        raise MatrixError("lists or tables are nested too deeply") from None
    lines = lines_of(text)
    try:
        return _matrix(document, name, folder or Path(), lines)
    except MatrixError as error:
        line = line_of(error.key, lines)
        if line is not None:
            error.where = {"line": line}
        raise


def _syntax_error(told: str, text: str) -> MatrixError:
    """What :mod:`tomllib` says, with the line first as everywhere else."""
    found = re.fullmatch(r"(.*) \(at line (\d+), column (\d+)\)", told)
    if found is None:
        line = text.count("\n") + 1
        return MatrixError(told.removesuffix(" (at end of document)"), where={"line": line})
    return MatrixError(f"{found[1]}, at column {found[3]}", where={"line": int(found[2])})


def _matrix(document: dict[str, Any], name: str, folder: Path, lines: Mapping[Key, int]) -> Matrix:
    top = Place()
    _known(document, {"name", "cells", "defaults", "cluster"}, top)
    title = _typed(document.get("name", name), str, top / "name")
    if not _NAME.fullmatch(title):
        raise (top / "name").error(f"is {printable(title)!r}, not 1 to 63 lower-case letters, digits, '.', '_' and '-'")
    defaults = _table(document.get("defaults", {}), top / "defaults")
    _known(defaults, {"limits", "timeout", *_RUN}, top / "defaults")
    tables = document.get("cells", [])
    if isinstance(tables, dict):
        raise (top / "cells").error("is one table, not a list of them", hint="write [[cells]]")
    if not _typed(tables, list, top / "cells"):
        raise MatrixError("the matrix has no cells", hint='add a table: [[cells]], kind = "probe"')
    defaults = _one_timeout(defaults, top / "defaults")
    blocks = tuple(
        _block(number, _merged(defaults, _one_timeout(_table(table, top / "cells" / number), top / "cells" / number)))
        for number, table in enumerate(tables)
    )
    total = sum(block.most for block in blocks)
    if total > MAX_CELLS:
        raise MatrixError(f"the axes make {total} cells; at most {MAX_CELLS} are run")
    cluster = _table(document.get("cluster", {}), top / "cluster")
    for key, value in cluster.items():
        if key not in CLUSTER:
            hint = suggestion(key, CLUSTER) or f"there are: {', '.join(CLUSTER)}"
            raise (top / "cluster").error(f"has no key {printable(key)}", hint)
        _typed(value, CLUSTER[key], top / "cluster" / key)
    if "workers" in cluster:
        _whole(cluster["workers"], top / "cluster" / "workers", 1, 10_000)
    matrix = Matrix(title, blocks, folder, cluster, lines=lines)
    if next(matrix.cells(), None) is None:
        raise MatrixError("every cell is excluded")
    return matrix


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


def _block(number: int, table: Mapping[str, Any]) -> Block:
    where = Place(("cells", number))
    _known(table, _TABLE, where)
    kind = _kind(table.get("kind"), where)
    axes = {
        name: _axis(kind, name, value, where / "axes" / name)
        for name, value in _table(table.get("axes", {}), where / "axes").items()
    }
    cases = {
        word: tuple(
            {
                name: _value(kind, name, value, where / word / place / name)
                for name, value in _table(case, where / word / place).items()
            }
            for place, case in enumerate(_typed(table.get(word, []), list, where / word))
        )
        for word in ("include", "exclude")
    }
    for place, case in enumerate(cases["exclude"]):
        if not case:
            raise (where / "exclude" / place).error("has no key: it would remove every cell")
        for name in case:
            if name not in axes:
                raise (where / "exclude" / place / name).error("is not one of the axes", suggestion(name, axes))
    if "CELL" in _table(table.get("resources", {}), where / "resources"):
        raise (where / "resources" / "CELL").error("is the fleet's own: each worker runs one cell at a time")
    resources = {
        _typed(name, str, where / "resources"): float(_number(amount, where / "resources" / name))
        for name, amount in _table(table.get("resources", {}), where / "resources").items()
    }
    block = Block(
        number,
        kind,
        axes,
        cases["include"],
        cases["exclude"],
        _limits(table, where),
        resources,
        _whole(table.get("priority", 0), where / "priority", -1000, 1000),
        _whole(table.get("retries", 3), where / "retries", 0, 100),
    )
    if not any(is_pattern(kind, name, value) for name, values in axes.items() for value in values):
        check_cases(block)
    return block


def _one_timeout(table: Mapping[str, Any], where: Place) -> dict[str, Any]:
    """The table with its ``timeout``, which is checked here, among its ``limits``."""
    limits = dict(_table(table.get("limits", {}), where / "limits"))
    for place, value in ((where, table.get("timeout")), (where / "limits", limits.get("timeout"))):
        if value is not None and not 0 < _number(value, place / "timeout") <= 30 * 86400:
            raise (place / "timeout").error(f"is {value}, not a number of seconds up to 30 days")
    if "timeout" not in table:
        return {**table, "limits": limits}
    if "timeout" in limits:
        raise (where / "timeout").error("is also one of the limits")
    return {name: value for name, value in table.items() if name != "timeout"} | {
        "limits": {**limits, "timeout": table["timeout"]}
    }


def _merged(defaults: Mapping[str, Any], table: Mapping[str, Any]) -> dict[str, Any]:
    """The table with what only the defaults have; of ``limits`` and ``resources`` each key by itself."""
    inner = {
        name: {**defaults[name], **table[name]}
        for name in ("limits", "resources")
        if isinstance(defaults.get(name), dict) and isinstance(table.get(name), dict)
    }
    return {**defaults, **table, **inner}


def is_pattern(kind: Kind, name: str, value: Value) -> bool:
    """Whether a value stands for several files or tags (:mod:`.globs`), and is no text with another value in it."""
    parameter = kind.parameter(name)
    if parameter is None or parameter.pin not in GLOBBED or not isinstance(value, str):
        return False
    return bool(_SIGNS & set(value)) and "{" not in value


def check_cases(block: Block) -> None:
    """Raise for an exclusion that removes nothing, and for an inclusion of what is a cell already.

    Raises:
        MatrixError: the one or the other.
    """
    where = Place(("cells", block.number))
    for place, case in enumerate(block.excludes):
        for name, value in case.items():
            if value not in block.axes[name]:
                hint = suggestion(str(value), [str(each) for each in itertools.islice(block.axes[name], 1000)])
                told = f"is {printable(repr(value))[:80]}, which the axis does not have: nothing is excluded"
                raise (where / "exclude" / place / name).error(told, hint)
    single = {name: values[0] for name, values in block.axes.items() if len(values) == 1}
    for place, include in enumerate(block.includes):
        values = {**single, **include}
        product = values.keys() == block.axes.keys() and all(
            value in block.axes[name] for name, value in values.items()
        )
        if include in block.includes[:place] or (
            product and not any(_matches(values, each) for each in block.excludes)
        ):
            raise (where / "include" / place).error("is a cell that there is already")


def _kind(name: object, where: Place) -> Kind:
    if not isinstance(name, str) or name not in KINDS:
        told = "has no kind" if name is None else f"has the kind {printable(str(name))!r}, which there is not"
        hint = suggestion(str(name), KINDS) or f"the kinds are {', '.join(KINDS)}"
        raise MatrixError(f"{where} {told}", hint=hint, key=(where / "kind").key)
    return KINDS[name]


def _limits(table: Mapping[str, Any], where: Place) -> Limits:
    given = dict(_table(table.get("limits", {}), where / "limits"))
    _known(given, _LIMITS, where / "limits")
    found: dict[str, Any] = {}
    for name, value in given.items():
        place = where / "limits" / name
        if name == "timeout":
            found[name] = float(value)
        elif name in _SIZES and isinstance(value, str):
            found[name] = _size(value, place, 1)
        else:
            found[name] = _whole(value, place, 1, 1 << 50)
    return Limits(**found)


def _axis(kind: Kind, name: str, value: object, where: Place) -> Sequence[Value]:
    """The values of an axis: one, a list, or ``{from, to, step}`` for whole numbers, which stays a range."""
    if isinstance(value, dict):
        _known(value, {"from", "to", "step"}, where)
        for key in ("from", "to"):
            if key not in value:
                raise where.error(f"has no key {key}")
        first, last = (_whole(value[key], where / key, -(1 << 62), 1 << 62) for key in ("from", "to"))
        numbers = range(first, last + 1, _whole(value.get("step", 1), where / "step", 1, 1 << 62))
        if len(numbers) > MAX_CELLS:
            raise where.error(f"has {len(numbers)} values; at most {MAX_CELLS} cells are run")
        if not numbers:
            raise where.error("has no value")
        _value(kind, name, first, where)
        _value(kind, name, numbers[-1], where)
        return numbers
    found = value if isinstance(value, list) else [value]
    if not found:
        raise where.error("has no value")
    values = tuple(_value(kind, name, each, where) for each in found)
    seen: set[Value] = set()
    for each in values:
        if each in seen:
            raise where.error(f"has {printable(repr(each))} twice")
        seen.add(each)
    return values


def _value(kind: Kind, name: str, value: object, where: Place) -> Value:
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
        if parameter.size and not _FIELD.search(value):
            _size(value, where, int(parameter.least or 1))
    elif parameter.least is not None and value < parameter.least:
        raise where.error(f"is {value}, and {parameter.least:.16g} is the least")
    elif not -(1 << 63) <= value < 1 << 63:
        raise where.error("does not fit in 64 bits")
    choices = parameter.known()
    if choices and value not in choices and not _FIELD.search(str(value)):
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


def _size(text: str, where: Place, least: int) -> int:
    try:
        size = parse_size(text)
    except ValueError as error:
        raise where.error(f"is not usable: {error}") from None
    if not least <= size <= 1 << 50:
        raise where.error(f"is {printable(text)}, not a size from {least} bytes to 1024T")
    return size


def _check_values(block: Block, values: Mapping[str, Value]) -> None:
    """Raise unless the cell has what its kind needs."""
    for names in block.kind.needs:
        given = [name for name in names if name in values]
        if len(given) != 1:
            told = "more than one of" if given else "none of" if len(names) > 1 else "no"
            raise Place(("cells", block.number)).error(
                f"has a cell of the kind {block.kind.name} with {told} {', '.join(names)}"
            )


def _matches(values: Mapping[str, Value], case: Mapping[str, Value]) -> bool:
    return all(values[name] == value for name, value in case.items())


def _filled(values: Mapping[str, Value], block: int) -> dict[str, Value]:
    """``values`` with ``{name}`` in a text replaced by that other value."""
    filled: dict[str, Value] = {}
    for name, value in values.items():
        if not isinstance(value, str) or "{" not in value:
            filled[name] = value
            continue
        for found in _FIELD.finditer(value):
            if found[1] not in values:
                hint = suggestion(found[1], values) or f"there are: {', '.join(values)}"
                where = Place(("cells", block, "axes", name))
                raise where.error(f"has {found[0]}, which names no value of the cell", hint)
            if _FIELD.search(str(values[found[1]])):
                where = Place(("cells", block, "axes", name))
                raise where.error(f"has {found[0]}, whose value has a name in braces itself")
        filled[name] = _FIELD.sub(lambda found: str(values[found[1]]), value)
    return filled


def _known(table: Mapping[str, object], known: Iterable[str], where: Place) -> None:
    names = sorted(known)
    for key in table:
        if key not in names:
            hint = suggestion(key, names) or f"there are: {', '.join(names)}"
            raise MatrixError(f"{where} has no key {printable(key)}", hint=hint, key=(where / key).key)


def _table(value: object, where: Place) -> dict[str, Any]:
    found: dict[str, Any] = _typed(value, dict, where)
    return found


_WORDS: dict[type, str] = {
    dict: "a table", list: "a list", str: "text", int: "a whole number", float: "a number", bool: "true or false",
}  # fmt: skip


def _typed(value: Any, kind: type, where: Place) -> Any:
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise where.error(f"is {printable(repr(value))[:80]}, not {_WORDS[kind]}")
    return value


def _number(value: object, where: Place) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise where.error(f"is {printable(repr(value))}, not a number of 0 or more")
    return value


def _whole(value: object, where: Place, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise where.error(f"is {printable(repr(value))}, not a whole number from {least} to {most}")
    return value
