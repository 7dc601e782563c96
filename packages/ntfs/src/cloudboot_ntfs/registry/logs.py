"""Transaction logs: what was to be written to a hive when its machine stopped, applied to a copy in memory.

Section "Format of transaction log files" of the specification: the old format (a dirty vector, "DIRT") up to Windows 8,
and the new one (entries, "HvLE") from Windows 8.1 on.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

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
from .records import BaseBlock, DirtyPage, LogEntry

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_SEED = 0x82EF4D887A4E55C5
_MASK = 0xFFFFFFFF


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


def replay(hive: bytes, logs: Sequence[bytes]) -> bytes:
    """The hive with what its logs hold applied, clean.

    A hive that is clean already is given back as it is. Logs may be given in any order; entries older than the hive
    are passed over, and a log ends at its first entry whose hash is wrong, which is what an interrupted write leaves.

    Raises:
        HiveError: not a hive, or a log that is not one.
        HiveDirtyError: no log continues the hive.
    """
    base = BaseBlock.unpack_from(hive) if len(hive) >= BaseBlock.SIZE else None
    is_whole = base is not None and base.signature == b"regf" and base.checksum == checksum(hive)
    if base is not None and is_whole and base.primary_sequence == base.secondary_sequence:
        return hive
    heads = [(read_base_block(log, what="log BaseBlock"), log) for log in logs]
    if not is_whole or base is None:
        base = _newest_head(hive, [head for head, _ in heads])
    old = [(head, log) for head, log in heads if head.file_type in FILE_TYPE_OLD_LOG]
    if old:
        return _apply_old(hive, base, old)
    found: list[_Entry] = []
    for head, log in heads:
        if head.file_type != FILE_TYPE_NEW_LOG:
            raise HiveError(
                "not a transaction log",
                structure="log BaseBlock",
                field="file_type",
                offset=28,
                expected=6,
                actual=head.file_type,
            )
        found += _entries(log)
    return _apply_new(hive, base, found)


def _newest_head(hive: bytes, heads: Sequence[BaseBlock]) -> BaseBlock:
    """The base block of a log in place of a hive's own that is damaged."""
    if not heads or hive[BASE_BLOCK_SIZE : BASE_BLOCK_SIZE + 4] != b"hbin":
        read_base_block(hive)  # raises what is wrong with it
    return max(heads, key=lambda head: head.primary_sequence)


def _entries(log: bytes) -> Iterator[_Entry]:
    """The entries of a new log, up to the first that is not whole."""
    position, previous = LOG_SECTOR, None
    while position + LogEntry.SIZE <= len(log):
        head = LogEntry.unpack_from(log, position)
        end = position + head.size
        if head.signature != b"HvLE" or head.size < LogEntry.SIZE or head.size % LOG_SECTOR or end > len(log):
            return
        is_next = previous is None or head.sequence == (previous + 1) & _MASK
        whole = log[position:end]
        if not is_next or marvin32(whole[:32]) != head.hash_2 or marvin32(whole[40:]) != head.hash_1:
            return
        pages = _pages(whole, head)
        if pages is None:
            return
        yield _Entry(head.sequence, head.hive_bins_size, head.flags, pages)
        position, previous = end, head.sequence


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
    wanted = sorted(
        (entry for entry in entries if entry.sequence >= base.secondary_sequence), key=lambda entry: entry.sequence
    )
    if not wanted:
        raise _no_log(base)
    changed = bytearray(hive)
    last = wanted[0]
    for number, entry in enumerate(wanted):
        if number and entry.sequence != (last.sequence + 1) & _MASK:
            break
        _resize(changed, entry.hive_bins_size)
        for offset, page in entry.pages:
            changed[BASE_BLOCK_SIZE + offset : BASE_BLOCK_SIZE + offset + len(page)] = page
        last = entry
    base.flags = last.flags
    return _finish(changed, base, last.hive_bins_size, last.sequence)


def _apply_old(hive: bytes, base: BaseBlock, logs: Sequence[tuple[BaseBlock, bytes]]) -> bytes:
    """Apply the newest log of the old format: a bit for every 512 bytes of the hive bins, then the pages."""
    head, log = max(logs, key=lambda found: found[0].primary_sequence)
    if head.primary_sequence != head.secondary_sequence or head.primary_sequence < base.secondary_sequence:
        raise _no_log(base)
    bits = head.hive_bins_size // LOG_SECTOR
    vector = log[LOG_SECTOR + 4 : LOG_SECTOR + 4 + bits // 8]
    if log[LOG_SECTOR : LOG_SECTOR + 4] != b"DIRT" or len(vector) != bits // 8:
        raise HiveError(
            "the log has no dirty vector", structure="log", field="signature", offset=LOG_SECTOR, expected=b"DIRT"
        )
    changed = bytearray(hive)
    _resize(changed, head.hive_bins_size)
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


def _no_log(base: BaseBlock) -> HiveDirtyError:
    return HiveDirtyError(
        "the hive is dirty, and no log continues it",
        structure="BaseBlock",
        field="secondary_sequence",
        offset=8,
        expected=f"a log entry of sequence {base.secondary_sequence} or later",
    )


def _resize(changed: bytearray, hive_bins_size: int) -> None:
    missing = BASE_BLOCK_SIZE + hive_bins_size - len(changed)
    if missing > 0:
        changed.extend(bytes(missing))


def _finish(changed: bytearray, base: BaseBlock, hive_bins_size: int, sequence: int) -> bytes:
    base.file_type = FILE_TYPE_PRIMARY
    base.hive_bins_size = hive_bins_size
    base.primary_sequence = base.secondary_sequence = sequence
    base.checksum = checksum(base.pack())
    base.pack_into(changed)
    return bytes(changed)
