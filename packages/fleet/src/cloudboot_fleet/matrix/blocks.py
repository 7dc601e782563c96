"""A matrix that was read: blocks of cells, expanded one cell at a time."""

from __future__ import annotations

import dataclasses
import itertools
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudboot_base.command import printable
from cloudboot_base.parser import suggestion
from cloudboot_fleet.errors import MatrixError

from .cells import Cell, Limits
from .places import line_of
from .values import FIELD, Place

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from .cells import Value
    from .kinds import Kind
    from .places import Key


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
        there = product and not any(_matches(values, each) for each in block.excludes)
        if there or include in block.includes[:place]:
            raise (where / "include" / place).error("is a cell that there is already")


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
        for found in FIELD.finditer(value):
            if found[1] not in values:
                hint = suggestion(found[1], values) or f"there are: {', '.join(values)}"
                where = Place(("cells", block, "axes", name))
                raise where.error(f"has {found[0]}, which names no value of the cell", hint)
            if FIELD.search(str(values[found[1]])):
                where = Place(("cells", block, "axes", name))
                raise where.error(f"has {found[0]}, whose value has a name in braces itself")
        filled[name] = FIELD.sub(lambda found: str(values[found[1]]), value)
    return filled
