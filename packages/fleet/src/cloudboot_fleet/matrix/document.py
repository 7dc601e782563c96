"""The matrix file: TOML with a table for each block of cells, checked before anything is expanded."""

from __future__ import annotations

import dataclasses
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudboot_base.command import printable
from cloudboot_base.parser import suggestion
from cloudboot_fleet.errors import MatrixError

from .blocks import Block, Matrix, check_cases
from .cells import Limits
from .kinds import KINDS
from .places import line_of, lines_of
from .values import Place, amount_of, checked_value, is_pattern, known_keys, size_of, table_of, typed, whole

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .cells import Value
    from .kinds import Kind
    from .places import Key

MAX_MATRIX = 1 << 20
#: More cells than this are refused: a slip in an axis, not a campaign.
MAX_CELLS = 1_000_000
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
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
    known_keys(document, {"name", "cells", "defaults", "cluster"}, top)
    title = typed(document.get("name", name), str, top / "name")
    if not _NAME.fullmatch(title):
        raise (top / "name").error(f"is {printable(title)!r}, not 1 to 63 lower-case letters, digits, '.', '_' and '-'")
    defaults = table_of(document.get("defaults", {}), top / "defaults")
    known_keys(defaults, {"limits", "timeout", *_RUN}, top / "defaults")
    tables = document.get("cells", [])
    if isinstance(tables, dict):
        raise (top / "cells").error("is one table, not a list of them", hint="write [[cells]]")
    if not typed(tables, list, top / "cells"):
        raise MatrixError("the matrix has no cells", hint='add a table: [[cells]], kind = "probe"')
    defaults = _one_timeout(defaults, top / "defaults")
    blocks = tuple(
        _block(number, _merged(defaults, _one_timeout(table_of(table, top / "cells" / number), top / "cells" / number)))
        for number, table in enumerate(tables)
    )
    total = sum(block.most for block in blocks)
    if total > MAX_CELLS:
        raise MatrixError(f"the axes make {total} cells; at most {MAX_CELLS} are run")
    cluster = table_of(document.get("cluster", {}), top / "cluster")
    for key, value in cluster.items():
        if key not in CLUSTER:
            hint = suggestion(key, CLUSTER) or f"there are: {', '.join(CLUSTER)}"
            raise (top / "cluster").error(f"has no key {printable(key)}", hint)
        typed(value, CLUSTER[key], top / "cluster" / key)
    if "workers" in cluster:
        whole(cluster["workers"], top / "cluster" / "workers", 1, 10_000)
    matrix = Matrix(title, blocks, folder, cluster, lines=lines)
    if next(matrix.cells(), None) is None:
        raise MatrixError("every cell is excluded")
    return matrix


def _block(number: int, table: Mapping[str, Any]) -> Block:
    where = Place(("cells", number))
    known_keys(table, _TABLE, where)
    kind = _kind(table.get("kind"), where)
    axes = {
        name: _axis(kind, name, value, where / "axes" / name)
        for name, value in table_of(table.get("axes", {}), where / "axes").items()
    }
    cases = {
        word: tuple(
            {
                name: checked_value(kind, name, value, where / word / place / name)
                for name, value in table_of(case, where / word / place).items()
            }
            for place, case in enumerate(typed(table.get(word, []), list, where / word))
        )
        for word in ("include", "exclude")
    }
    for place, case in enumerate(cases["exclude"]):
        if not case:
            raise (where / "exclude" / place).error("has no key: it would remove every cell")
        for name in case:
            if name not in axes:
                raise (where / "exclude" / place / name).error("is not one of the axes", suggestion(name, axes))
    if "CELL" in table_of(table.get("resources", {}), where / "resources"):
        raise (where / "resources" / "CELL").error("is the fleet's own: each worker runs one cell at a time")
    resources = {
        typed(name, str, where / "resources"): float(amount_of(amount, where / "resources" / name))
        for name, amount in table_of(table.get("resources", {}), where / "resources").items()
    }
    block = Block(
        number,
        kind,
        axes,
        cases["include"],
        cases["exclude"],
        _limits(table, where),
        resources,
        whole(table.get("priority", 0), where / "priority", -1000, 1000),
        whole(table.get("retries", 3), where / "retries", 0, 100),
    )
    if not any(is_pattern(kind, name, value) for name, values in axes.items() for value in values):
        check_cases(block)
    return block


def _one_timeout(table: Mapping[str, Any], where: Place) -> dict[str, Any]:
    """The table with its ``timeout``, which is checked here, among its ``limits``."""
    limits = dict(table_of(table.get("limits", {}), where / "limits"))
    for place, value in ((where, table.get("timeout")), (where / "limits", limits.get("timeout"))):
        if value is not None and not 0 < amount_of(value, place / "timeout") <= 30 * 86400:
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


def _kind(name: object, where: Place) -> Kind:
    if not isinstance(name, str) or name not in KINDS:
        told = "has no kind" if name is None else f"has the kind {printable(str(name))!r}, which there is not"
        hint = suggestion(str(name), KINDS) or f"the kinds are {', '.join(KINDS)}"
        raise MatrixError(f"{where} {told}", hint=hint, key=(where / "kind").key)
    return KINDS[name]


def _limits(table: Mapping[str, Any], where: Place) -> Limits:
    given = dict(table_of(table.get("limits", {}), where / "limits"))
    known_keys(given, _LIMITS, where / "limits")
    found: dict[str, Any] = {}
    for name, value in given.items():
        place = where / "limits" / name
        if name == "timeout":
            found[name] = float(value)
        elif name in _SIZES and isinstance(value, str):
            found[name] = size_of(value, place, 1)
        else:
            found[name] = whole(value, place, 1, 1 << 50)
    return Limits(**found)


def _axis(kind: Kind, name: str, value: object, where: Place) -> Sequence[Value]:
    """The values of an axis: one, a list, or ``{from, to, step}`` for whole numbers, which stays a range."""
    if isinstance(value, dict):
        known_keys(value, {"from", "to", "step"}, where)
        for key in ("from", "to"):
            if key not in value:
                raise where.error(f"has no key {key}")
        first, last = (whole(value[key], where / key, -(1 << 62), 1 << 62) for key in ("from", "to"))
        numbers = range(first, last + 1, whole(value.get("step", 1), where / "step", 1, 1 << 62))
        if len(numbers) > MAX_CELLS:
            raise where.error(f"has {len(numbers)} values; at most {MAX_CELLS} cells are run")
        if not numbers:
            raise where.error("has no value")
        checked_value(kind, name, first, where)
        checked_value(kind, name, numbers[-1], where)
        return numbers
    found = value if isinstance(value, list) else [value]
    if not found:
        raise where.error("has no value")
    values = tuple(checked_value(kind, name, each, where) for each in found)
    seen: set[Value] = set()
    for each in values:
        if each in seen:
            raise where.error(f"has {printable(repr(each))} twice")
        seen.add(each)
    return values
