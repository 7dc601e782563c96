"""What is left of $Secure after an interrupted change: every whole entry of $SDS, from which the indexes are made anew.

An entry is whole if it states its own place and its hash is right; of its two copies one is enough. What no copy has
whole was not written to its end: nothing refers to it yet, so it goes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cloudboot_base.lightdata import dataclass, field
from cloudboot_ntfs.errors import NtfsError
from cloudboot_ntfs.layout.constants import Number, Type
from cloudboot_ntfs.layout.secure import BLOCK, FIRST_ID, aligned, entry_at

if TYPE_CHECKING:
    from cloudboot_base import Finding
    from cloudboot_ntfs.checker.context import Context
    from cloudboot_ntfs.layout.records import SdsEntry
    from cloudboot_ntfs.reader.stream import Stream

_KINDS: Final = frozenset(
    {
        "sds-entry", "sds-hash", "sds-mirror", "sdh-entry", "sdh-missing", "sdh-order", "sii-entry", "sii-missing",
        "sii-order", "security-id",
    }
)  # fmt: skip
_STEP: Final = 16


@dataclass(slots=True)
class Recovered:
    """The entries of $SDS, and what is to be written there."""

    entries: dict[int, SdsEntry] = field(default_factory=dict)
    writes: list[tuple[int, bytes]] = field(default_factory=list)


def is_of_secure(finding: Finding) -> bool:
    """Whether a finding is one of $Secure and its indexes, or of an id that it should have."""
    return finding.kind in _KINDS or (
        finding.where.get("record") == Number.SECURE and (finding.kind.startswith("index-") or _is_node(finding))
    )


def _is_node(finding: Finding) -> bool:
    return finding.structure in ("IndexBlock", "IndexEntry", "IndexHeader")


def recover(context: Context) -> Recovered | None:
    """What $SDS has; ``None`` where it lacks a descriptor that a file has."""
    try:
        mft = context.mft
        stream = mft.stream(mft.file(Number.SECURE), Type.DATA, "$SDS")
        found = Recovered()
        for start in range(0, stream.size, 2 * BLOCK):
            _recover_block(stream, start, found)
    except NtfsError:
        return None
    used = {facts.security_id for facts in context.files.values() if not facts.has_descriptor}
    return found if all(number in found.entries for number in used if number >= FIRST_ID) else None


def _recover_block(stream: Stream, start: int, found: Recovered) -> None:
    """Take the entries of one block."""
    data = stream.read_at(start, 2 * BLOCK)
    main, copy = data[:BLOCK], data[BLOCK:]
    mended, mended_copy = bytearray(main), bytearray(copy)
    position = 0
    while position < len(main):
        head = entry_at(main, position, start + position)
        source = main
        if head is None:
            head, source = entry_at(copy, position, start + position), copy
        # The last entry has no copy where $SDS was to grow for it.
        is_whole = head is not None and position + head.size <= len(copy)
        if head is None or not is_whole or head.security_id < FIRST_ID or head.security_id in found.entries:
            # Zeros, or what is left of an entry.
            for each in (mended, mended_copy):
                each[position : position + _STEP] = bytes(len(each[position : position + _STEP]))
            position += _STEP
            continue
        end = position + head.size
        mended[position:end] = mended_copy[position:end] = source[position:end]
        found.entries[head.security_id] = head
        position = aligned(end)
    for offset, old, new in ((start, main, mended), (start + BLOCK, copy, mended_copy)):
        if old != new:
            found.writes.append((offset, bytes(new)))
