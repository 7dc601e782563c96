"""The choice of a partition, whatever kind of table it is in.

This package reads no partition tables itself. A package that can registers a reader under the entry point group
``cloudboot.partitions``: a callable that takes a storage (perhaps only the start of a disk, whose other bytes raise a
TruncatedError) and returns a :class:`PartitionTable`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

from cloudboot_base import FormatError, Storage, UsageError
from cloudboot_base.lightdata import NamedTuple

from .errors import NoPartitionReaderError, PartitionChoiceError, PartitionError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from uuid import UUID

ENTRY_POINTS = "cloudboot.partitions"
_NO_READER = "pip install cloudboot-gpt, which reads GPT and MBR; or say where it starts: --offset"
_NO_TABLE = "if a file system is in it, say where it starts: --offset"


class Partition(Protocol):
    """A partition, as a reader of tables describes it."""

    @property
    def number(self) -> int:
        """Its number, from 1."""

    @property
    def offset(self) -> int:
        """Where it starts, in bytes."""

    @property
    def size(self) -> int:
        """How long it is, in bytes."""

    @property
    def type(self) -> UUID | int:
        """Its type: a GUID in GPT, one byte in an MBR."""

    @property
    def type_name(self) -> str | None:
        """The type's short name (``"freebsd-ufs"``, ``"esp"``), or ``None`` for an unknown one."""

    @property
    def name(self) -> str:
        """Its own name; empty where the table has none."""

    @property
    def guid(self) -> UUID | None:
        """Its own GUID; ``None`` in an MBR."""


class PartitionTable(Protocol):
    """What a reader returns.

    A table with an attribute ``notices``, a sequence of sentences, has something to tell: that its primary copy is
    damaged and the backup was read, say.
    """

    @property
    def partitions(self) -> Sequence[Partition]:
        """The partitions in use."""


PartitionReader = Callable[[Storage], PartitionTable]
Chosen = TypeVar("Chosen", bound=Partition)


class Place(NamedTuple):
    """Where something is on a disk, in bytes; ``size`` is ``None`` where it reaches to the end."""

    offset: int
    size: int | None


def stated_place(offset: int | None, size: int | None, partition: object = None) -> Place | None:
    """The place that ``offset`` and ``size`` state; ``None`` where neither is given, and it has to be looked for.

    Raises:
        UsageError: ``partition`` names a partition as well, which has an offset and a size of its own.
    """
    if offset is None and size is None:
        return None
    if partition is not None:
        raise UsageError(
            f"{'an offset' if offset is not None else 'a size'} and a partition are given, which both say where it is",
            hint="name the partition alone, or give the offset, and the size where it does not reach to the end",
        )
    return Place(offset or 0, size)


def installed_readers() -> list[PartitionReader]:
    """The readers that installed packages registered, in the order of their names."""
    from importlib.metadata import entry_points

    found = sorted(entry_points(group=ENTRY_POINTS), key=lambda point: point.name)
    return [point.load() for point in found]


class InstalledReaders:
    """:func:`installed_readers`, looked for only when they are iterated over (entry points take 10 ms to find)."""

    def __iter__(self) -> Iterator[PartitionReader]:
        return iter(installed_readers())


def read_partitions(disk: Storage, readers: Iterable[PartitionReader]) -> PartitionTable:
    """The table of ``disk``, from the first reader that can read it.

    Raises:
        NoPartitionReaderError: there is no reader.
        PartitionError: no reader can read it.
    """
    problem: FormatError | None = None
    for reader in readers:
        try:
            return reader(disk)
        except FormatError as error:
            problem = problem or error
    if problem is not None:
        raise PartitionError(
            f"no partition table that can be read: {problem}", hint=problem.hint or _NO_TABLE
        ) from problem
    raise NoPartitionReaderError("nothing is installed that reads partition tables", hint=_NO_READER)


def choose(partitions: Sequence[Chosen], wanted: str) -> Chosen:
    """The partition that ``wanted`` names: by number, name, GUID, or type (an alias such as ``esp``, or its GUID).

    Raises:
        PartitionChoiceError: none is named so, or several are.
    """
    text = wanted.strip()
    if text.isascii() and text.isdigit():
        found = [each for each in partitions if each.number == int(text)]
    else:
        found = [each for each in partitions if each.name and each.name == wanted]
        if not found:
            lowered = text.lower().replace("_", "-")
            found = [
                each for each in partitions if lowered in {str(each.guid or "").lower(), *_type_words(each)} - {""}
            ]
    if len(found) == 1:
        return found[0]
    if found:
        problem = f"{len(found)} partitions are named so"
    else:
        problem = f"no partition number {text}" if text.isdigit() else "no partition is named so"
    hint = "name one by its number, name, GUID or type: " + described(partitions)
    raise PartitionChoiceError(
        problem, field="partition", expected=wanted, actual=described(found or partitions), hint=hint
    )


def described(partitions: Sequence[Partition]) -> str:
    """``"1 esp 'EFI system', 2 freebsd-ufs"``."""
    words = (
        f"{each.number} {each.type_name or _type_text(each.type)}" + (f" {each.name!r}" if each.name else "")
        for each in partitions
    )
    return ", ".join(words) or "none"


def locate(
    disk: Storage,
    *,
    partition: str | None = None,
    readers: Iterable[PartitionReader] = (),
    whole: Callable[[Storage], bool],
    types: Collection[str],
    what: str,
) -> Place:
    """Where a file system is: the whole disk, the partition named, or the first one of a fitting type.

    Args:
        disk: the disk.
        partition: what :func:`choose` takes; by default the disk itself where ``whole`` says so, or the first partition
            of one of ``types``.
        readers: what reads partition tables.
        whole: whether a storage begins with a file system of the kind looked for.
        types: GPT type GUIDs and MBR types (``"0xa5"``) that hold this kind.
        what: the kind's name, for messages.

    Raises:
        NoPartitionReaderError: a partition is named, and there is no reader.
        PartitionError: no such partition, or no table that any of ``readers`` can read.
    """
    if partition is None and whole(disk):
        return Place(0, None)
    try:
        table = read_partitions(disk, readers)
    except PartitionError as error:
        if partition is not None:
            raise
        raise PartitionError(f"no {what} at its start, and {error.message}", hint=error.hint) from error
    if partition is not None:
        chosen = choose(table.partitions, partition)
        return Place(chosen.offset, chosen.size)
    for each in table.partitions:
        if _type_text(each.type) in types:
            return Place(each.offset, each.size)
    raise PartitionError(
        f"no partition of a type that holds {what}", field="partition", actual=described(table.partitions),
        hint="if one of them holds it all the same, name it with --partition",
    )  # fmt: skip


def _type_text(kind: UUID | int) -> str:
    """``"c12a7328-..."`` or ``"0xa5"``."""
    return f"{kind:#04x}" if isinstance(kind, int) else str(kind)


def _type_words(partition: Partition) -> set[str]:
    return {_type_text(partition.type), (partition.type_name or "").lower()}
