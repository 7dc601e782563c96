"""What every format package says when bytes are not what they should be.

    FormatError             something is wrong with an image, and where
    +-- TruncatedError      a structure reaches past the end of what there is (also an EOFError)
    +-- RangeError          a value does not fit the field it is written to (also a ValueError)

Each format package derives its own tree from :class:`FormatError`. A reader raises; a checker returns
:class:`Finding` objects, which carry the same facts and let the check go on.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping


def _shown(value: object) -> str:
    """A value in one short form: hexadecimal for large integers, bounded for everything else."""
    if isinstance(value, bool) or value is None:
        return str(value)
    if isinstance(value, int):
        return f"{value:#x}" if abs(value) > 0xFFFF else str(value)
    if isinstance(value, bytes | bytearray | memoryview):
        head = bytes(value[:24]).hex()
        return head + ("..." if len(value) > 24 else "")
    text = str(value)
    return text if len(text) <= 120 else text[:117] + "..."


class FormatError(Exception):
    """An image breaks its format.

    ``structure`` and ``field`` are the specification's names, ``offset`` is in bytes from the start of the image
    (``None`` where no single place is at fault), ``expected`` and ``actual`` are the values compared. ``hint`` says
    what a person can do next.
    """

    def __init__(
        self,
        message: str,
        *,
        structure: str | None = None,
        field: str | None = None,
        offset: int | None = None,
        expected: object = None,
        actual: object = None,
        hint: str | None = None,
    ) -> None:
        self.message = message
        self.structure = structure
        self.field = field
        self.offset = offset
        self.expected = expected
        self.actual = actual
        self.hint = hint
        super().__init__(message)

    def __str__(self) -> str:
        return _describe(self)

    def as_dict(self) -> dict[str, object]:
        """The facts of the error, ready for JSON."""
        facts: dict[str, object] = {
            "error": type(self).__name__,
            "message": self.message,
            "structure": self.structure,
            "field": self.field,
            "offset": self.offset,
            "expected": plain(self.expected),
            "actual": plain(self.actual),
            "hint": self.hint,
        }
        return {name: value for name, value in facts.items() if value is not None}


class TruncatedError(FormatError, EOFError):
    """A structure reaches past the end of the image."""


class RangeError(FormatError, ValueError):
    """A value does not fit the field it is to be written to."""


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """One broken invariant, as a checker saw it.

    ``kind`` is a stable, kebab-case name (``"group-free-blocks"``); ``where`` places it further than the byte offset
    does (``{"group": 3}``, ``{"inode": 17, "path": "/boot/kernel"}``, ``{"lba": 1}``).
    """

    kind: str
    message: str
    structure: str | None = None
    field: str | None = None
    offset: int | None = None
    expected: object = None
    actual: object = None
    where: Mapping[str, int | str] = dataclasses.field(default_factory=dict)

    def __str__(self) -> str:
        place = "".join(f" {name} {_shown(value)}" for name, value in self.where.items())
        text = _describe(self)
        return f"{self.kind}:{place}: {text}" if place else f"{self.kind}: {text}"

    def as_dict(self) -> dict[str, object]:
        """The facts of the finding, ready for JSON."""
        facts: dict[str, object] = {
            "kind": self.kind,
            "message": self.message,
            "structure": self.structure,
            "field": self.field,
            "offset": self.offset,
            "expected": plain(self.expected),
            "actual": plain(self.actual),
            "where": dict(self.where) or None,
        }
        return {name: value for name, value in facts.items() if value is not None}


def _describe(fact: FormatError | Finding) -> str:
    """One line out of the facts an error or a finding carries."""
    subject = ".".join(part for part in (fact.structure, fact.field) if part)
    where = f"at byte {fact.offset}" if fact.offset is not None else ""
    prefix = " ".join(part for part in (subject, where) if part)
    values = []
    if fact.expected is not None:
        values.append(f"expected {_shown(fact.expected)}")
    if fact.actual is not None:
        values.append(f"found {_shown(fact.actual)}")
    suffix = f" ({', '.join(values)})" if values else ""
    return f"{prefix}: {fact.message}{suffix}" if prefix else f"{fact.message}{suffix}"


def plain(value: object) -> object:
    """``value`` as JSON can hold it: bytes become hexadecimal, anything unknown its text."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).hex()
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    return str(value)
