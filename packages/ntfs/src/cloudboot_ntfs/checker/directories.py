"""Directories: their indexes, and whether they and the records agree on every name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudboot_ntfs.errors import NtfsError
from cloudboot_ntfs.layout import filename
from cloudboot_ntfs.layout.constants import (
    REFERENCE_MASK,
    Collation,
    FileAttribute,
    Namespace,
    Number,
    RecordFlag,
    Type,
)
from cloudboot_ntfs.reader.index import Index

if TYPE_CHECKING:
    from cloudboot_ntfs.layout.filename import Name
    from cloudboot_ntfs.layout.index import Entry

    from .context import Context, FileFacts

_SHOWN = 50


def check_directories(context: Context) -> None:
    """Check the index of every directory, and that every name stands in one."""
    listed: dict[int, set[tuple[int, str]]] = {}
    for facts in list(context.files.values()):
        if facts.flags & RecordFlag.DIRECTORY:
            _check_directory(context, facts, listed)
    _check_names(context, listed)
    _check_reachable(context)


def _check_directory(context: Context, facts: FileFacts, listed: dict[int, set[tuple[int, str]]]) -> None:
    try:
        index = Index(context.mft, context.mft.file(facts.number), "$I30")
    except NtfsError as error:
        context.caught(error, record=facts.number)
        return
    if index.collation != Collation.FILE_NAME or index.type != Type.FILE_NAME:
        context.report(
            "index-root", "not an index of names", structure="IndexRoot", field="collation",
            expected=int(Collation.FILE_NAME), actual=index.collation, record=facts.number,
        )  # fmt: skip
    entries = check_index(context, index, facts.number)
    previous: tuple[str, str] | None = None
    fold = context.volume.fold
    for entry in entries:
        try:
            name = filename.parse(entry.key, record=facts.number)
        except NtfsError as error:
            context.caught(error, record=facts.number)
            continue
        key = fold(name.name), name.name
        if previous is not None and key <= previous:
            same = key[1] == previous[1]
            context.report(
                "index-duplicate" if same else "index-order",
                "a name stands twice in a directory" if same else "the names of a directory are not in order",
                structure="$I30", expected=f"after {previous[1]}", actual=name.name, record=facts.number,
            )  # fmt: skip
        previous = key
        _check_entry(context, facts, entry, name, listed)


def check_index(context: Context, index: Index, number: int) -> list[Entry]:
    """The entries of an index, as far as they can be read; its blocks are compared with its bitmap."""
    entries: list[Entry] = []
    visited: set[int] = set()
    pending: list[tuple[int | None, Entry | None]] = [(None, None)]
    # An explicit stack, in the order of the index: each node is read when its turn comes.
    while pending:
        vcn, waiting = pending.pop()
        if waiting is not None:
            entries.append(waiting)
            continue
        if vcn is not None and vcn in visited:
            context.report(
                "index-block-twice",
                "an index block stands in two places",
                structure="IndexEntry",
                field="vcn",
                actual=vcn,
                record=number,
            )
            continue
        try:
            node = index.root_entries() if vcn is None else index.block_entries(vcn)
        except NtfsError as error:
            context.caught(error, record=number)
            if vcn is not None:
                visited.add(vcn)
            continue
        if vcn is not None:
            visited.add(vcn)
        context.budget.spend(len(node))
        for entry in reversed(node):
            if not entry.is_last:
                pending.append((None, entry))
            if entry.child is not None:
                pending.append((entry.child, None))
        _check_flags(context, index, vcn, node, number)
    _check_blocks(context, index, visited, number)
    return entries


def _check_flags(context: Context, index: Index, vcn: int | None, node: list[Entry], number: int) -> None:
    """Either every entry of a node has a node below it, or none has."""
    with_child = sum(1 for entry in node if entry.child is not None)
    if with_child not in (0, len(node)) or (vcn is None and bool(with_child) != index.is_large):
        context.report(
            "index-node", "some entries of a node have nodes below them and some have not", structure="IndexHeader",
            field="flags", expected=f"0 or {len(node)}", actual=with_child, record=number,
        )  # fmt: skip


def _check_blocks(context: Context, index: Index, visited: set[int], number: int) -> None:
    record = context.mft.file(number)
    has_blocks = any(each.type == Type.INDEX_ALLOCATION and each.name == index.name for each in record.attributes)
    if not has_blocks:
        return
    try:
        blocks = index.blocks()
        bitmap = context.mft.stream(record, Type.BITMAP, index.name)
    except NtfsError as error:
        context.caught(error, record=number)
        return
    count = blocks.size // index.block_size
    marked = int.from_bytes(bitmap.read_at(0, min(bitmap.size, -(-count // 8))), "little") & (1 << count) - 1
    step = max(1, index.block_size // index.vcn_size)
    used = 0
    for vcn in visited:
        if vcn // step < count:
            used |= 1 << vcn // step
    if used & ~marked:
        context.report(
            "index-bitmap",
            "an index block in use is marked free",
            structure=f"{index.name}:$BITMAP",
            expected=f"{used:#x}",
            actual=f"{marked:#x}",
            record=number,
        )
    if marked & ~used:
        context.report(
            "index-block-unreachable", "an index block marked used is not reached from the root",
            structure=f"{index.name}:$BITMAP", expected=f"{used:#x}", actual=f"{marked:#x}", record=number,
        )  # fmt: skip


def _check_entry(
    context: Context, facts: FileFacts, entry: Entry, name: Name, listed: dict[int, set[tuple[int, str]]]
) -> None:
    number, sequence = entry.reference & REFERENCE_MASK, entry.reference >> 48
    target = context.files.get(number)
    where: dict[str, int | str] = {"record": facts.number, "name": name.name}
    if target is None:
        if number not in context.unreadable:
            context.report(
                "index-dangling",
                "a name leads to a record that is not a file's",
                structure="$I30",
                actual=number,
                where=where,
            )
        return
    if sequence and sequence != target.sequence:
        context.report(
            "index-sequence", "a name leads to an older life of a record", structure="$I30", field="reference",
            expected=target.sequence, actual=sequence, where=where,
        )  # fmt: skip
        return
    if not any(own.name == name.name and own.parent_record == facts.number for own in target.names):
        context.report(
            "index-name", "a name leads to a file that does not have it", structure="$I30", actual=number, where=where
        )
        return
    listed.setdefault(number, set()).add((facts.number, name.name))
    _check_repeated(context, target, name, where)


def _check_repeated(context: Context, target: FileFacts, name: Name, where: dict[str, int | str]) -> None:
    """What the directory repeats of the file. Windows lets it grow old for files with several names."""
    is_directory = bool(target.flags & RecordFlag.DIRECTORY)
    if bool(name.attributes & FileAttribute.DIRECTORY) != is_directory:
        context.report(
            "index-repeats",
            "the directory says another kind of file",
            structure="FileName",
            field="attributes",
            expected=int(is_directory),
            actual=name.attributes,
            where=where,
        )
    if is_directory or target.number < 24 or len([own for own in target.names if own.namespace != Namespace.DOS]) != 1:
        return
    if name.data_size != target.size:
        context.report(
            "index-repeats",
            "the directory says another size",
            structure="FileName",
            field="data_size",
            expected=target.size,
            actual=name.data_size,
            where=where,
        )
    elif not target.is_packed and name.allocated_size != target.allocated:
        context.report(
            "index-repeats", "the directory says another allocated size", structure="FileName", field="allocated_size",
            expected=target.allocated, actual=name.allocated_size, where=where,
        )  # fmt: skip


def _check_names(context: Context, listed: dict[int, set[tuple[int, str]]]) -> None:
    reported = 0
    for facts in context.files.values():
        found = listed.get(facts.number, set())
        for name in facts.names:
            if (name.parent_record, name.name) in found:
                continue
            reported += 1
            if reported > _SHOWN:
                continue
            parent = context.files.get(name.parent_record)
            if parent is None or parent.sequence != name.parent >> 48:
                context.report(
                    "orphan",
                    "the directory of a name is not there",
                    structure="FileName",
                    field="parent",
                    actual=name.parent_record,
                    where={"record": facts.number, "name": name.name},
                )
            else:
                context.report(
                    "orphan",
                    "no directory lists a name",
                    structure="FileName",
                    expected=f"in record {name.parent_record}",
                    where={"record": facts.number, "name": name.name},
                )
    if reported > _SHOWN:
        context.report("orphan", f"{reported - _SHOWN} more names that no directory lists", structure="FileName")


def _check_reachable(context: Context) -> None:
    """Every directory leads to the root by its parents."""
    good: set[int] = {int(Number.ROOT)}
    for facts in context.files.values():
        if not facts.flags & RecordFlag.DIRECTORY:
            continue
        trail: list[int] = []
        on_trail: set[int] = set()
        number = facts.number
        while number not in good:
            known = context.files.get(number)
            if known is None or not known.names:
                break  # reported as an orphan
            if number in on_trail:
                context.report(
                    "directory-cycle",
                    "directories that are in one another, not in the root",
                    structure="FileName",
                    field="parent",
                    record=number,
                )
                break
            trail.append(number)
            on_trail.add(number)
            number = known.names[0].parent_record
        good.update(trail)
