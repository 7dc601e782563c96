"""What $Extend holds: reparse points and object ids by their keys, and the change journal."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from cloudboot_ntfs.errors import NtfsError
from cloudboot_ntfs.layout.constants import REFERENCE_MASK, Number
from cloudboot_ntfs.reader.index import Index

from .directories import check_index

if TYPE_CHECKING:
    from cloudboot_ntfs.layout.index import Entry

    from .context import Context


def _entries(context: Context, file: str, name: str) -> list[Entry] | None:
    """The entries of an index of a file in $Extend, or ``None`` where there is none."""
    try:
        found = context.volume.lookup(Number.EXTEND, file)
        if found is None:
            return None
        index = Index(context.mft, context.mft.file(found.number), name)
    except NtfsError as error:
        context.caught(error)
        return None
    return check_index(context, index, found.number)


def check_reparse(context: Context) -> None:
    """$Reparse:$R has every reparse point once, in the order of tags."""
    entries = _entries(context, "$Reparse", "$R")
    if entries is None:
        return
    listed: set[tuple[int, int]] = set()
    previous: tuple[int, ...] | None = None
    for entry in entries:
        if len(entry.key) != 12:
            context.report(
                "reparse-index", "a key of another size", structure="$Reparse:$R", expected=12, actual=len(entry.key)
            )
            continue
        key = struct.unpack("<III", entry.key)
        if previous is not None and key <= previous:
            context.report("reparse-index", "the entries are not in order", structure="$Reparse:$R", actual=str(key))
        previous = key
        tag, reference = struct.unpack("<IQ", entry.key)
        number = reference & REFERENCE_MASK
        facts = context.files.get(number)
        if facts is None or facts.sequence != reference >> 48 or facts.reparse_tag != tag:
            context.report(
                "reparse-index",
                "an entry for a file without this reparse point",
                structure="$Reparse:$R",
                expected=f"{tag:#x}",
                record=number,
            )
        listed.add((tag, number))
    for facts in context.files.values():
        if facts.reparse_tag is not None and (facts.reparse_tag, facts.number) not in listed:
            context.report(
                "reparse-index",
                "a reparse point is not in the index",
                structure="$Reparse:$R",
                expected=f"{facts.reparse_tag:#x}",
                record=facts.number,
            )


def check_object_ids(context: Context) -> None:
    """$ObjId:$O leads to the files with the object ids."""
    entries = _entries(context, "$ObjId", "$O")
    if entries is None:
        return
    listed: set[int] = set()
    for entry in entries:
        reference = int.from_bytes(entry.data[:8], "little")
        number = reference & REFERENCE_MASK
        facts = context.files.get(number)
        if facts is None or facts.sequence != reference >> 48 or facts.object_id != entry.key:
            context.report(
                "object-id-index",
                "an entry for a file without this object id",
                structure="$ObjId:$O",
                expected=entry.key,
                record=number,
            )
        listed.add(number)
    for facts in context.files.values():
        if facts.object_id and facts.number not in listed and facts.number != Number.VOLUME:
            context.report(
                "object-id-index",
                "an object id is not in the index",
                structure="$ObjId:$O",
                expected=facts.object_id,
                record=facts.number,
            )


def check_journal(context: Context) -> None:
    """The records of $UsnJrnl are at the places that they say."""
    previous = -1
    for record in context.volume.usn_records():
        context.budget.spend()
        if record.usn <= previous:
            context.report(
                "usn-journal",
                "a record has a number that is not after the one before",
                structure="UsnRecord",
                field="usn",
                expected=f"above {previous}",
                actual=record.usn,
            )
        previous = record.usn
