"""Errors and findings: what went wrong, where, and what the user can do next.

    Error                       the base of every package's tree
    +-- UsageError              an option or argument cannot be met (also a ValueError)
    +-- FileKindError           a path is a directory, pipe or device where a file is needed (also an OSError)
    +-- HostNameError           the encoding of the locale cannot hold the name of a file of the host
    +-- MissingDependencyError  a program or package is not installed; the hint names it
    +-- FormatError             an image breaks its format: structure, field, offset, expected, actual
        +-- TruncatedError      a structure reaches past the end of what there is (also an EOFError)
        +-- RangeError          a value does not fit the field it is written to (also a ValueError)
        +-- BudgetError         reading took more steps than a valid input needs

Each package derives its own tree from :class:`Error`, a format package from :class:`FormatError`. A reader raises; a
checker returns :class:`Finding` objects, which carry the same facts and let the check go on.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Iterator, Mapping
from typing import ClassVar, Self

from . import lightdata
from .exit_codes import BAD_INPUT, SYSTEM, USAGE


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


def kind_of(error: type[Exception]) -> str:
    """``TruncatedError`` -> ``"truncated"``, ``BootSectorError`` -> ``"boot-sector"``."""
    words = re.findall(r"[A-Z]+(?=[A-Z][a-z])|[A-Z][a-z0-9]*|[A-Z]+", error.__name__.removesuffix("Error"))
    return "-".join(word.lower() for word in words) or "error"


class Error(Exception):
    """Something this project's packages refuse or cannot do.

    ``hint`` says what the user can do next, ``path`` names the file concerned, ``where`` places the error within it
    (``{"lba": 1}``, ``{"inode": 17}``), ``kind`` is a stable, kebab-case name: the one of the :class:`Finding` that
    reports the same fault, or what follows from the class's name. ``exit_code`` is what a command ends with.
    """

    exit_code: ClassVar[int] = BAD_INPUT
    kind: str = "error"

    def __init_subclass__(cls, **arguments: object) -> None:
        super().__init_subclass__(**arguments)
        if "kind" not in cls.__dict__:
            cls.kind = kind_of(cls)

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        path: str | None = None,
        where: Mapping[str, int | str] | None = None,
        kind: str | None = None,
    ) -> None:
        self.message = message
        self.hint = hint
        self.path = path
        self.where: dict[str, int | str] = dict(where or {})
        if kind is not None:
            self.kind = kind
        super().__init__(message)

    def __str__(self) -> str:
        text = place_text(self.where) + self.message
        return f"{self.path}: {text}" if self.path else text

    def facts(self) -> dict[str, object]:
        """What a subclass adds to :meth:`as_dict`."""
        return {}

    def as_dict(self) -> dict[str, object]:
        """The facts of the error, ready for JSON."""
        facts: dict[str, object] = {
            "error": type(self).__name__,
            "message": self.message,
            "path": self.path,
            **{name: plain(value) for name, value in self.facts().items()},
            "where": plain(self.where) if self.where else None,
            "hint": self.hint,
        }
        return {name: value for name, value in facts.items() if value is not None}


class UsageError(Error, ValueError):
    """An option or an argument cannot be met."""

    exit_code = USAGE


class FileKindError(Error, OSError):
    """A path names a directory, a pipe, a socket or a device where a file is needed."""

    exit_code = USAGE


class HostNameError(Error):
    """The encoding of the locale cannot hold the name of a file of the host."""

    exit_code = SYSTEM


class MissingDependencyError(Error):
    """A program or a package is not installed; the hint names what to install."""

    exit_code = SYSTEM


class FormatError(Error):
    """An image breaks its format.

    ``structure`` and ``field`` are the specification's names, ``offset`` is in bytes from the start of the image
    (``None`` where no single place is at fault), ``expected`` and ``actual`` are the values compared.
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
        path: str | None = None,
        where: Mapping[str, int | str] | None = None,
        kind: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint, path=path, where=where, kind=kind)
        self.structure = structure
        self.field = field
        self.offset = offset
        self.expected = expected
        self.actual = actual

    def __str__(self) -> str:
        text = place_text(self.where) + _describe(self)
        return f"{self.path}: {text}" if self.path else text

    def facts(self) -> dict[str, object]:
        """Structure, field, offset, and the values compared."""
        return {
            "structure": self.structure,
            "field": self.field,
            "offset": self.offset,
            "expected": self.expected,
            "actual": self.actual,
        }


class TruncatedError(FormatError, EOFError):
    """A structure reaches past the end of the image."""


class RangeError(FormatError, ValueError):
    """A value does not fit the field it is to be written to."""


class BudgetError(FormatError):
    """Reading took more steps or bytes than a valid input needs: a loop, or sizes made to exhaust the reader."""


def name_file(error: BaseException | None, path: str | os.PathLike[str]) -> None:
    """Let a :class:`FormatError` name the file in which it was found, unless it names one already."""
    if isinstance(error, FormatError) and error.path is None:
        error.path = os.fsdecode(path)


@contextlib.contextmanager
def in_file(source: object) -> Iterator[None]:
    """A :class:`FormatError` in this context names the file ``source``, where ``source`` is a path."""
    try:
        yield
    except FormatError as error:
        if isinstance(source, str | os.PathLike):
            name_file(error, source)
        raise


_REFUSED_WRITES = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EPERM})


def name_write(error: BaseException | None, path: str | os.PathLike[str]) -> None:
    """Let an :class:`OSError` that only a write can end with name the file written to, unless it names one already."""
    if isinstance(error, OSError) and error.errno in _REFUSED_WRITES and error.filename is None:
        error.filename = os.fsdecode(path)


@contextlib.contextmanager
def naming_writes(path: str | os.PathLike[str]) -> Iterator[None]:
    """A write that the system refuses in this context is an error of the file ``path``."""
    try:
        yield
    except OSError as error:
        name_write(error, path)
        raise


def interrupted(error: BaseException) -> bool:
    """Whether ``error`` is an interrupt, or took the place of one.

    What a ``finally`` raises while an interrupt passes through it (in :mod:`argparse`, for one) replaces the interrupt,
    which then stands only in its context.
    """
    seen: BaseException | None = error
    while seen is not None and not isinstance(seen, KeyboardInterrupt):
        seen = seen.__context__
    return seen is not None


def place_text(where: Mapping[str, int | str]) -> str:
    """``"lba 1 entry 3: "`` for ``{"lba": 1, "entry": 3}``, or nothing."""
    return " ".join(f"{name} {_shown(value)}" for name, value in where.items()) + ": " if where else ""


_FACTS = ("structure", "field", "offset", "expected", "actual")


@lightdata.dataclass(frozen=True, slots=True)
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
    where: Mapping[str, int | str] = lightdata.field(default_factory=dict)

    @classmethod
    def from_error(cls, error: Error, **where: int | str) -> Self:
        """The finding that reports what ``error`` says; ``where`` adds to the error's own place."""
        facts = {name: value for name, value in error.facts().items() if name in _FACTS}
        return cls(error.kind, error.message, where={**error.where, **where}, **facts)  # type: ignore[arg-type]  # facts() gives exactly these fields

    def __str__(self) -> str:
        return f"{self.kind}: {place_text(self.where)}{_describe(self)}"

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


def error_facts(error: Error | OSError) -> dict[str, object]:
    """An error of this project or of the operating system as a gate or ``--json`` shows it."""
    if isinstance(error, Error):
        return error.as_dict()
    facts = {"error": type(error).__name__, "message": error.strerror or str(error), "path": error.filename}
    return {name: plain(value) for name, value in facts.items() if value is not None}
