"""Where an entry array is or may be written, and whether blocks hold what is not the table's.

A lost header does not say where its array was. ``sgdisk --move-main-table`` puts it anywhere before FirstUsableLBA, so
that a boot loader has the blocks behind LBA 1; libfdisk leaves the array at LBA 2 and puts FirstUsableLBA at 1 MiB. So
the array is looked for first, and written only where nothing else is.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

from .errors import OccupiedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cloudboot_base import Storage

    from .copies import Copy
    from .header import CopyName

_SEARCH_LIMIT: Final = 64 << 20
_SEARCH_CHUNK: Final = 4 << 20
_MOST_COMPARISONS: Final = 1024
_FOREIGN_SHARE: Final = 8
"""A block does not belong to the array if more than one in this many of its bytes are set where the array has zeros."""


def find_array(
    storage: Storage, array: bytes, sector_size: int, bounds: tuple[int, int], candidates: Sequence[int]
) -> int | None:
    """The block within ``bounds`` (the first block, and the one after the last) where ``array`` stands, or ``None``.

    ``candidates`` are tried first, then every block of the first 64 MiB.
    """
    first, end = bounds
    blocks = -(-len(array) // sector_size)
    for lba in candidates:
        if first <= lba <= end - blocks and storage.read_at(lba * sector_size, len(array)) == array:
            return lba
    # An empty array looks like any unused blocks: it is where it usually does, or it cannot be told.
    lead = next((at for at in range(0, len(array), sector_size) if any(array[at : at + sector_size])), None)
    if lead is None:
        return None
    needle = array[lead : lead + sector_size]
    limit = min(end, first + _SEARCH_LIMIT // sector_size)
    # A disk full of copies of that one block must not take forever.
    for at in itertools.islice(_blocks_like(storage, needle, sector_size, first, limit), _MOST_COMPARISONS):
        lba = at - lead // sector_size
        if first <= lba <= end - blocks and storage.read_at(lba * sector_size, len(array)) == array:
            return lba
    return None


def _blocks_like(storage: Storage, needle: bytes, sector_size: int, first: int, end: int) -> Iterator[int]:
    """The blocks that begin with ``needle``."""
    step = _SEARCH_CHUNK // sector_size
    for lba in range(first, end, step):
        data = storage.read_at(lba * sector_size, min(step, end - lba) * sector_size)
        at = data.find(needle)
        while at >= 0:
            if at % sector_size == 0:
                yield lba + at // sector_size
            at = data.find(needle, at + 1)


def foreign_block(found: bytes, array: bytes, sector_size: int) -> int | None:
    """The first block of ``found`` that holds something where ``array`` has nothing, or ``None``.

    A damaged entry array differs from ``array`` in its entries or in a few bytes; a boot loader fills whole blocks.
    """
    for at in range(0, len(array), sector_size):
        there, wanted = found[at : at + sector_size], array[at : at + sector_size]
        if there == wanted or not any(there):
            continue
        extra = sum(1 for new, old in zip(there, wanted, strict=True) if new and not old)
        if extra > sector_size // _FOREIGN_SHARE:
            return at // sector_size
    return None


def entries_stand(found: bytes, array: bytes, sector_size: int) -> bool:
    """Whether every block of ``array`` that has entries is in ``found`` as it should be; false for an empty array."""
    used = [at for at in range(0, len(array), sector_size) if any(array[at : at + sector_size])]
    return bool(used) and all(found[at : at + sector_size] == array[at : at + sector_size] for at in used)


def choose_place(
    storage: Storage,
    array: bytes,
    sector_size: int,
    bounds: tuple[int, int],
    candidates: Sequence[int],
    *,
    copy: CopyName,
    force: bool,
) -> int:
    """Where to write ``array`` whose header is lost: where it is, or else the first free one of ``candidates``.

    ``bounds`` are the first block it may take and the one after the last.

    Raises:
        OccupiedError: every place holds something else, and ``force`` is not set.
    """
    first, end = bounds
    blocks = -(-len(array) // sector_size)
    possible = [lba for lba in dict.fromkeys(candidates) if first <= lba <= end - blocks]
    found = find_array(storage, array, sector_size, bounds, possible)
    if found is not None:
        return found
    if end - first == blocks:  # there is only one place
        require_own(storage, array, sector_size, first, copy=copy, force=force)
        return first
    for lba in possible:
        if foreign_block(storage.read_at(lba * sector_size, len(array)), array, sector_size) is None:
            return lba
    if force:
        return possible[0]
    raise _occupied(copy, possible[0], sector_size, "the entry array is lost, and every place for it is in use")


def require_own(storage: Storage, array: bytes, sector_size: int, lba: int, *, copy: CopyName, force: bool) -> None:
    """See to it that the blocks of an array hold nothing else.

    Raises:
        OccupiedError: the entries are whole, and blocks that must be empty hold something, such as a boot loader.
    """
    found = storage.read_at(lba * sector_size, len(array))
    if force or not entries_stand(found, array, sector_size):
        return
    block = foreign_block(found, array, sector_size)
    if block is not None:
        raise _occupied(copy, lba + block, sector_size, "the unused part of the entry array contains data")


def own_blocks(backup: Copy) -> list[range]:
    """The blocks that a whole backup takes: its header and its array."""
    if not backup.whole:
        return []
    first, size = backup.header.PartitionEntryLBA, backup.place.sector_size
    return [range(first, first - (-len(backup.array) // size)), range(backup.place.lba, backup.place.lba + 1)]


def require_empty(storage: Storage, sector_size: int, blocks: range, own: Sequence[range], *, force: bool) -> None:
    """See to it that ``blocks`` read as zeros, but for those that are the table's ``own``.

    Raises:
        OccupiedError: one does not, and ``force`` is not set.
    """
    used = None if force else first_used(storage, sector_size, blocks, own)
    if used is None:
        return
    if storage.read_at(used * sector_size, 8) == b"conectix":
        message, hint = "a VHD footer is at the place of the backup table", "convert the image to a raw one first"
    else:
        message, hint = "the blocks where the backup table goes are in use", None
    raise _occupied("backup", used, sector_size, message, hint)


def first_used(storage: Storage, sector_size: int, blocks: range, own: Sequence[range]) -> int | None:
    """The first of ``blocks`` that is neither all zeros nor ``own``. They are few: those that a backup takes."""
    for lba in blocks:
        if not any(lba in each for each in own) and any(storage.read_at(lba * sector_size, sector_size)):
            return lba
    return None


def _occupied(copy: CopyName, lba: int, sector_size: int, message: str, hint: str | None = None) -> OccupiedError:
    return OccupiedError(
        message,
        lba=lba, copy=copy, offset=lba * sector_size,
        hint=hint or "examine the block first; --force overwrites it",
    )  # fmt: skip
