"""Transaction logs: what was to be written to a hive when its machine stopped, applied to a copy in memory.

Section "Format of transaction log files" of the specification: the old format (a dirty vector, "DIRT") up to Windows 8,
and the new one (entries, "HvLE") from Windows 8.1 on.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from cloudboot_base.lightdata import NamedTuple
from cloudboot_ntfs.errors import HiveDirtyError, HiveError

from .cells import checksum, read_base_block
from .constants import (
    BASE_BLOCK_SIZE,
    BIN_ALIGNMENT,
    FILE_TYPE_NEW_LOG,
    FILE_TYPE_OLD_LOG,
    FILE_TYPE_PRIMARY,
    LOG_SECTOR,
)
from .records import BaseBlock, DirtyPage, HiveBin, LogEntry

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_SEED = 0x82EF4D887A4E55C5
_MASK = 0xFFFFFFFF
#: The flags of the base block that an entry has a copy of (note 11 of the section Log entries).
_LOGGED_FLAGS = 1
#: Bytes by which a hive may grow beyond what a log writes into it: Windows extends files in steps.
_MAX_GROWTH = 16 << 20


def marvin32(data: bytes, seed: int = _SEED) -> int:
    """The Marvin32 hash of ``data``, 64 bits; ``seed`` is the one that all hives use."""
    low, high = seed & _MASK, seed >> 32
    whole = len(data) // 4
    tail = data[4 * whole :] + b"\x80"
    words = (*struct.unpack_from(f"<{whole}I", data), int.from_bytes(tail, "little"), 0)
    for word in words:
        low = (low + word) & _MASK
        high ^= low
        low = (low << 20 | low >> 12) & _MASK
        low = (low + high) & _MASK
        high = (high << 9 | high >> 23) & _MASK
        high ^= low
        low = (low << 27 | low >> 5) & _MASK
        low = (low + high) & _MASK
        high = (high << 19 | high >> 13) & _MASK
    return high << 32 | low


class _Entry(NamedTuple):
    sequence: int
    hive_bins_size: int
    flags: int
    pages: list[tuple[int, bytes]]


class _Log(NamedTuple):
    head: BaseBlock
    data: bytes


def replay(hive: bytes, logs: Sequence[bytes]) -> bytes:
    """The hive with what its logs hold applied, clean.

    A hive that is clean already is given back as it is. Logs may be given in any order. One whose base block cannot be
    read is passed over: Windows leaves empty ones beside a hive, and an interrupted write damages the one it was in.
    A log ends at its first entry whose hash is wrong.

    Raises:
        HiveError: not a hive, or a log that is the primary file of one.
        HiveDirtyError: no log continues the hive.
    """
    base = BaseBlock.unpack_from(hive) if len(hive) >= BaseBlock.SIZE else None
    is_whole = base is not None and base.signature == b"regf" and base.checksum == checksum(hive)
    if base is not None and is_whole and base.primary_sequence == base.secondary_sequence:
        return hive
    found, problems = _readable(logs)
    if base is None or not is_whole:
        if not found or hive[BASE_BLOCK_SIZE : BASE_BLOCK_SIZE + 4] != b"hbin":
            read_base_block(hive)  # raises what is wrong with it
        return _without_base_block(hive, found, problems)
    new = [log for log in found if log.head.file_type == FILE_TYPE_NEW_LOG]
    entries = _continuing(base, new)
    if entries:
        return _apply_new(hive, base, entries)
    old = _applicable(base.last_written, base, [log for log in found if log.head.file_type in FILE_TYPE_OLD_LOG])
    if old is None:
        raise _no_log(base, problems)
    return _apply_old(hive, old)


def _readable(logs: Sequence[bytes]) -> tuple[list[_Log], list[str]]:
    """The logs with a base block that can be read, and what is wrong with the others."""
    found, problems = [], []
    for log in logs:
        try:
            head = read_base_block(log, what="log BaseBlock")
        except HiveError as error:
            problems.append(error.message)
            continue
        if head.file_type == FILE_TYPE_PRIMARY:
            raise HiveError(
                "not a transaction log",
                structure="log BaseBlock",
                field="file_type",
                offset=28,
                expected=f"{FILE_TYPE_NEW_LOG}, or {FILE_TYPE_OLD_LOG[0]} or {FILE_TYPE_OLD_LOG[1]} before Windows 8.1",
                actual=head.file_type,
                hint="this is a hive; give its files .LOG1 and .LOG2",
            )
        found.append(_Log(head, log))
    return found, problems


def _without_base_block(hive: bytes, logs: Sequence[_Log], problems: list[str]) -> bytes:
    """The hive with the base block of a log in place of its own; Windows takes only the log with the latest entries."""
    new = [log for log in logs if log.head.file_type == FILE_TYPE_NEW_LOG]
    if new:
        latest = new[0]
        for log in new[1:]:
            if _reaches(log.head.primary_sequence, latest.head.primary_sequence):
                latest = log
        entries = list(_entries(latest))
        if entries:
            return _apply_new(hive, latest.head, entries)
    written = HiveBin.unpack_from(hive, BASE_BLOCK_SIZE).timestamp
    old = _applicable(written, None, [log for log in logs if log.head.file_type in FILE_TYPE_OLD_LOG])
    if old is None:
        raise _no_log(None, problems)
    return _apply_old(hive, old)


def _reaches(first: int, second: int) -> bool:
    """Whether sequence number ``first`` is ``second`` or later; they go round after 32 bits."""
    return (first - second) & _MASK < 1 << 31


def _continuing(base: BaseBlock, logs: Sequence[_Log]) -> list[_Entry]:
    """The entries of the logs that follow the hive without a gap: first the log with the earlier ones, then the other.

    A log is not older than the hive, and its first entry has the number of its base block (notes 5 to 8).
    """
    entries: list[_Entry] = []
    pending = [log for log in logs if _reaches(log.head.primary_sequence, base.secondary_sequence)]
    while pending:
        first = pending[0]
        for log in pending[1:]:
            if not _reaches(log.head.primary_sequence, first.head.primary_sequence):
                first = log
        pending.remove(first)
        if not entries or first.head.primary_sequence == (entries[-1].sequence + 1) & _MASK:
            entries += _entries(first)
    return entries


def _entries(log: _Log) -> Iterator[_Entry]:
    """The entries of a new log, up to the first that is not whole."""
    position, expected = LOG_SECTOR, log.head.primary_sequence
    while position + LogEntry.SIZE <= len(log.data):
        head = LogEntry.unpack_from(log.data, position)
        end = position + head.size
        if head.signature != b"HvLE" or head.size < LogEntry.SIZE or head.size % LOG_SECTOR or end > len(log.data):
            return
        whole = log.data[position:end]
        if head.sequence != expected or marvin32(whole[:32]) != head.hash_2 or marvin32(whole[40:]) != head.hash_1:
            return
        pages = _pages(whole, head)
        if pages is None:
            return
        yield _Entry(head.sequence, head.hive_bins_size, head.flags, pages)
        position, expected = end, (expected + 1) & _MASK


def _pages(entry: bytes, head: LogEntry) -> list[tuple[int, bytes]] | None:
    references = LogEntry.SIZE + head.page_count * DirtyPage.SIZE
    if references > len(entry) or head.hive_bins_size % BIN_ALIGNMENT:
        return None
    pages, position = [], references
    for page in DirtyPage.iter_unpack(entry[LogEntry.SIZE : references]):
        if page.offset + page.size > head.hive_bins_size or position + page.size > len(entry):
            return None
        pages.append((page.offset, entry[position : position + page.size]))
        position += page.size
    return pages


def _apply_new(hive: bytes, base: BaseBlock, entries: list[_Entry]) -> bytes:
    changed = bytearray(hive)
    for entry in entries:
        _resize(changed, entry.hive_bins_size, sum(len(page) for _, page in entry.pages))
        for offset, page in entry.pages:
            changed[BASE_BLOCK_SIZE + offset : BASE_BLOCK_SIZE + offset + len(page)] = page
    last = entries[-1]
    base.flags = base.flags & ~_LOGGED_FLAGS | last.flags & _LOGGED_FLAGS
    return _finish(changed, base, last.hive_bins_size, last.sequence)


def _applicable(written: int, base: BaseBlock | None, logs: Sequence[_Log]) -> _Log | None:
    """The old log that was written whole and is not older than the hive: the latest, and the first of equal ones."""
    usable = [
        log
        for log in logs
        if log.head.primary_sequence == log.head.secondary_sequence
        and log.head.last_written >= written
        and (base is None or _reaches(log.head.primary_sequence, base.secondary_sequence))
    ]
    return max(usable, key=lambda log: log.head.last_written, default=None)


def _apply_old(hive: bytes, found: _Log) -> bytes:
    """Apply a log of the old format: a bit for every 512 bytes of the hive bins, then the pages."""
    head, log = found
    if head.hive_bins_size % BIN_ALIGNMENT:
        raise HiveError(
            "the size of the hive bins cannot be", structure="log BaseBlock", field="hive_bins_size", offset=40,
            expected=f"a multiple of {BIN_ALIGNMENT}", actual=head.hive_bins_size,
        )  # fmt: skip
    bits = head.hive_bins_size // LOG_SECTOR
    vector = log[LOG_SECTOR + 4 : LOG_SECTOR + 4 + bits // 8]
    if log[LOG_SECTOR : LOG_SECTOR + 4] != b"DIRT" or len(vector) != bits // 8:
        raise HiveError(
            "the log has no dirty vector", structure="log", field="signature", offset=LOG_SECTOR, expected=b"DIRT"
        )
    changed = bytearray(hive)
    _resize(changed, head.hive_bins_size, len(log))
    position = -(-(LOG_SECTOR + 4 + len(vector)) // LOG_SECTOR) * LOG_SECTOR
    for bit in range(bits):
        if vector[bit // 8] >> bit % 8 & 1:
            page = log[position : position + LOG_SECTOR]
            if len(page) < LOG_SECTOR:
                raise HiveError("the log ends before its last page", structure="log", offset=position)
            start = BASE_BLOCK_SIZE + bit * LOG_SECTOR
            changed[start : start + LOG_SECTOR] = page
            position += LOG_SECTOR
    return _finish(changed, head, head.hive_bins_size, head.primary_sequence)


def _no_log(base: BaseBlock | None, problems: Sequence[str]) -> HiveDirtyError:
    return HiveDirtyError(
        "the hive is dirty, and no log continues it",
        structure="BaseBlock",
        field="secondary_sequence" if base is not None else "checksum",
        offset=8 if base is not None else 508,
        expected=f"a log that begins with sequence {base.secondary_sequence} or later"
        if base is not None else "a log with a base block and entries",
        hint="logs that cannot be read: " + "; ".join(problems) if problems else "give the files .LOG1 and .LOG2",
    )  # fmt: skip


def _resize(changed: bytearray, hive_bins_size: int, written: int) -> None:
    """Let a hive grow, for whose new bins the log has ``written`` bytes at most.

    Raises:
        HiveError: it would grow by more than any log makes it.
    """
    missing = BASE_BLOCK_SIZE + hive_bins_size - len(changed)
    if missing > written + _MAX_GROWTH:
        raise HiveError(
            "the log makes the hive larger than what it holds", structure="log", field="hive_bins_size",
            expected=f"at most {len(changed) - BASE_BLOCK_SIZE + written + _MAX_GROWTH}", actual=hive_bins_size,
        )  # fmt: skip
    if missing > 0:
        changed.extend(bytes(missing))


def _finish(changed: bytearray, base: BaseBlock, hive_bins_size: int, sequence: int) -> bytes:
    base.file_type = FILE_TYPE_PRIMARY
    base.hive_bins_size = hive_bins_size
    base.primary_sequence = base.secondary_sequence = sequence
    base.checksum = checksum(base.pack())
    base.pack_into(changed)
    return bytes(changed)
