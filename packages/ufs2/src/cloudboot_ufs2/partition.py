"""Finding the file system in a disk.

This package reads no partition tables itself. Whoever can, registers a reader under the entry point group
``cloudboot.partitions``, or hands one over: a callable that takes a storage (perhaps only the start of a disk, whose
other bytes raise a TruncatedError) and returns something with ``partitions``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

from cloudboot_base import FormatError, Storage

from .errors import PartitionError, SuperblockError, UnsupportedError
from .superblock import find_superblock

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from uuid import UUID

ENTRY_POINTS = "cloudboot.partitions"
#: GPT types of partitions that hold UFS: FreeBSD's, NetBSD's, OpenBSD's.
UFS_PARTITION_TYPES = frozenset({
    "516e7cb6-6ecf-11d6-8ff8-00022d09712b",
    "49f48d5a-b10e-11dc-b99b-0019d1879648",
    "824cc7a0-36a8-11e3-890a-952519ad3f61",
})  # fmt: skip


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
    def type(self) -> UUID:
        """Its type."""


class PartitionTable(Protocol):
    """What a reader returns."""

    @property
    def partitions(self) -> Sequence[Partition]:
        """The partitions in use."""


TableReader = Callable[[Storage], PartitionTable]


class Place(NamedTuple):
    """Where a file system is, in bytes; ``size`` is ``None`` where it reaches to the end."""

    offset: int
    size: int | None


def installed_readers() -> list[TableReader]:
    """The readers that installed packages registered, in the order of their names."""
    from importlib.metadata import entry_points

    found = sorted(entry_points(group=ENTRY_POINTS), key=lambda point: point.name)
    return [point.load() for point in found]


class InstalledReaders:
    """:func:`installed_readers`, looked for only when somebody wants them."""

    def __iter__(self) -> Iterator[TableReader]:
        return iter(installed_readers())


def locate(disk: Storage, *, number: int | None = None, readers: Iterable[TableReader] = ()) -> Place:
    """The file system in ``disk``: the whole of it, or partition ``number``, or the first of a type that holds UFS.

    Raises:
        PartitionError: there is no such partition, or no table that any of ``readers`` can read.
    """
    if number is None and _is_file_system(disk):
        return Place(0, None)
    problem: FormatError | None = None
    for reader in readers:
        try:
            partitions = reader(disk).partitions
        except FormatError as error:
            problem = problem or error
            continue
        for partition in partitions:
            if partition.number == number or (number is None and str(partition.type) in UFS_PARTITION_TYPES):
                return Place(partition.offset, partition.size)
        wanted = "of a type that holds UFS" if number is None else f"number {number}"
        raise PartitionError(
            f"no partition {wanted}",
            field="partition",
            actual=", ".join(f"{partition.number}: {partition.type}" for partition in partitions) or "none",
        )
    hint = "pip install cloudboot-gpt, or say where it starts: --offset"
    if problem is not None:
        raise PartitionError(f"no UFS, and no partition table that can be read: {problem}", hint=hint) from problem
    raise PartitionError("no UFS at its start, and nothing installed that reads partition tables", hint=hint)


def _is_file_system(disk: Storage) -> bool:
    try:
        find_superblock(disk)
    except SuperblockError:
        return False
    except UnsupportedError:
        return True
    return True
