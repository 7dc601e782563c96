"""Repairing what an interrupted change leaves behind, and no more.

Records are believed: a file has the names, the clusters and the sizes that its records say. The bitmaps, $MFTMirr, link
counts, what directories repeat of their files, and directories and $Reparse:$R as a whole are made anew from them where
they differ, as are the indexes of $Secure from its descriptors. A file that no directory of the volume can hold under
its name gets one in ``/found.000``. Damaged records, clusters that two files have, a log that is to be replayed, and
everything else are refused and listed.

Everything is worked out in memory and checked there. Only then it is written, the mark that says that the volume is
clean last: a repair that is cut off leaves a volume that is marked dirty, and can be repeated.
"""

from __future__ import annotations

import contextlib
import struct
from typing import TYPE_CHECKING, Final

from cloudboot_base import Window, WritableStorage, open_storage
from cloudboot_base.lightdata import dataclass
from cloudboot_base.overlay import Overlay, flush
from cloudboot_ntfs.builder.placement import resident
from cloudboot_ntfs.checker.check import survey
from cloudboot_ntfs.checker.space import bits_of
from cloudboot_ntfs.errors import NtfsError, ReadOnlyError, RepairRefusedError
from cloudboot_ntfs.layout.constants import REFERENCE_MASK, Collation, Namespace, Number, RecordFlag, Type, reference
from cloudboot_ntfs.layout.index import pack_last, pack_root
from cloudboot_ntfs.layout.secure import entry_by_hash, entry_by_id
from cloudboot_ntfs.reader.volume import NTFS
from cloudboot_vfs.exclusive import claim

from .draft import gather, load, value
from .preen_secure import is_of_secure, recover
from .space import write_stream
from .volume import WritableNTFS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cloudboot_base import Finding
    from cloudboot_ntfs.checker.context import Context, FileFacts
    from cloudboot_ntfs.layout.filename import Name
    from cloudboot_ntfs.reader.stream import Stream
    from cloudboot_ntfs.reader.volume import Source

    from .draft import Draft
    from .preen_secure import Recovered

_ROUNDS: Final = 8
_MAPS: Final = frozenset(
    {
        "volume-dirty", "mft-mirror", "cluster-bitmap", "cluster-bitmap-leak", "cluster-bitmap-free", "record-bitmap",
        "cluster-bitmap-end", "record-bitmap-leak", "record-bitmap-free",
    }
)  # fmt: skip
#: Orphans only where nothing is lost, lists where the records have all that they name.
_RECORDS: Final = frozenset({"link-count", "extension-orphan", "attribute-list"})
_NAMES: Final = frozenset(
    {
        "index-dangling", "index-name", "index-sequence", "index-repeats", "index-order", "index-duplicate",
        "index-bitmap", "index-block-unreachable", "index-block-twice", "index-node", "orphan", "reparse-index",
    }
)  # fmt: skip
_INDEX_STRUCTURES: Final = frozenset({"IndexBlock", "IndexEntry", "IndexHeader"})
_FOUND: Final = "found.000"
#: How the indexes are sorted that are made anew.
_COLLATIONS: Final = {
    "$I30": Collation.FILE_NAME, "$R": Collation.ULONGS, "$SII": Collation.ULONG, "$SDH": Collation.SECURITY_HASH,
}  # fmt: skip
_PAGE: Final = 4096  #: in which an overlay tells its changes


@dataclass(frozen=True, slots=True)
class Repaired:
    """What was repaired, or would be."""

    findings: tuple[Finding, ...]  #: what was wrong
    actions: tuple[str, ...]  #: what was done about it
    size: int  #: bytes that were written


def repair(source: Source, *, offset: int = 0, size: int | None = None, dry_run: bool = False) -> Repaired:
    """Repair a volume as a whole or not at all.

    Args:
        source: a path, a writable buffer, file or storage.
        offset: where the volume starts, in bytes.
        size: of the volume in bytes; by default all that follows.
        dry_run: say what would be done, and write nothing.

    Raises:
        RepairRefusedError: there is damage of another kind; ``findings`` lists it, and nothing has been written.
        ReadOnlyError: the storage cannot be written to, or somebody else writes to it.
        NtfsError: not a volume of NTFS, or one whose MFT cannot be read.
    """
    with contextlib.ExitStack() as stack:
        storage = stack.enter_context(open_storage(source, writable=not dry_run)).storage
        volume = Window(storage, offset, storage.size - offset if size is None else size)
        if not dry_run:
            if not isinstance(storage, WritableStorage):
                raise ReadOnlyError("the storage cannot be written to")
            claim(storage, stack, ReadOnlyError)
        work = _Repair(Overlay(volume))
        work.run()
        changes = work.overlay.changes()
        if not dry_run and changes:
            _write(volume, work.overlay, changes)
        return Repaired(tuple(work.found), tuple(work.actions), sum(len(data) for _, data in changes))


def _write(volume: Window, overlay: Overlay, changes: list[tuple[int, bytes]]) -> None:
    """Mark the volume dirty, write everything but what holds the mark, and then that: the copy in $MFTMirr first."""
    with NTFS(overlay) as mended:
        mirror = mended.mft.stream(mended.mft.file(Number.MFT_MIRR), Type.DATA)
        size = mended.geometry.record_size
        places = [*_places(mirror, Number.VOLUME * size, size), *_places(mended.mft.data, Number.VOLUME * size, size)]
    starts = [page for place, count in places for page in range(place - place % _PAGE, place + count, _PAGE)]
    pages = {start: min(_PAGE, overlay.size - start) for start in starts}
    last = [(start, overlay.read_at(start, size)) for start, size in pages.items()]
    with NTFS(volume) as found:
        was_dirty = found.is_dirty
    if not was_dirty:
        with WritableNTFS(volume, force=True) as marked:
            marked.mark_dirty()
    flush(volume, [change for change in changes if change[0] not in pages])
    flush(volume, last)


def _places(stream: Stream, start: int, size: int) -> Iterator[tuple[int, int]]:
    """Where bytes of a stream stand in the volume: ``(place, bytes)``."""
    for begin, place, length in stream.places():
        first, last = max(start, begin), min(start + size, begin + length)
        if first < last:
            yield place + first - begin, last - first


class _Repair:
    """One repair: rounds of looking and mending, in memory, until nothing is found."""

    def __init__(self, overlay: Overlay) -> None:
        self.overlay = overlay
        self.found: list[Finding] = []
        self.actions: list[str] = []

    def run(self) -> None:
        """Work everything out.

        Raises:
            RepairRefusedError: there is damage that is not repaired.
        """
        for number in range(_ROUNDS):
            with NTFS(self.overlay) as volume:
                context = survey(volume)
            findings = context.findings
            if not number:
                self.found = findings
            if not findings:
                return
            secure = recover(context) if any(map(is_of_secure, findings)) else None
            refused = [
                each for each in findings if not (is_of_secure(each) and secure) and not _is_known(each, context)
            ]
            if refused:
                raise RepairRefusedError(refused)
            self._mend(context, secure)
        raise RepairRefusedError(self.found)

    def _mend(self, context: Context, secure: Recovered | None) -> None:
        findings = context.findings
        kinds = {each.kind for each in findings}
        if kinds & _RECORDS:
            # What is stored anew may need records and clusters, so what is in use has to be known.
            if kinds & _MAPS:
                self._count(context)
            self._mend_records(context)
            return
        directories, reparse = _indexes_of(context)
        if directories or reparse or secure:
            self._empty(directories, reparse, secure)
            with NTFS(self.overlay) as volume:
                # What an index had is not used again before the mended volume is complete.
                self._count(survey(volume), kept=context.claims)
            with _Mender(self.overlay, force=True) as mender:
                if directories or reparse:
                    mender.fill(context, directories, self.actions, reparse=reparse)
                if secure is not None:
                    mender.fill_secure(secure)
                    self.actions.append("the indexes of $Secure are made anew from its descriptors")
            return
        if kinds & (_MAPS - {"volume-dirty", "mft-mirror"}):
            self._count(context)
        with _Mender(self.overlay, force=True) as mender:
            if "mft-mirror" in kinds:
                mender.copy_mirror()
                self.actions.append("$MFTMirr is copied from the records that it repeats")
            if "volume-dirty" in kinds:
                mender.mark_clean()
                self.actions.append("the volume is marked clean")

    def _mend_records(self, context: Context) -> None:
        listed = {int(each.where.get("record", 0)) for each in context.findings if each.kind == "attribute-list"}
        relists = {number: held for number, held in context.relists.items() if number in listed}
        with _Mender(self.overlay, force=True) as mender:
            for each in context.findings:
                record = int(each.where.get("record", 0))
                if each.kind == "attribute-list":
                    held = relists.pop(record, None)
                    if held is not None:
                        mender.store_from(record, held)
                        self.actions.append(f"the attribute list of record {record} is made anew from its records")
                elif each.kind == "link-count" and record not in listed:
                    mender.store(record)
                    self.actions.append(f"the link count of record {record} is the number of its names")
                elif each.kind == "extension-orphan":
                    mender.free_record(record)
                    self.actions.append(f"record {record}, which no file has, is freed")

    def _empty(self, directories: set[int], reparse: int, secure: Recovered | None) -> None:
        """Take the indexes that are made anew away; their clusters are free when they are counted."""
        with _Mender(self.overlay, force=True) as mender:
            if secure is not None:
                if secure.writes:
                    mender.write_descriptors(secure)
                    self.actions.append("the two copies of $Secure's descriptors are made equal")
                mender.empty_index(Number.SECURE, "$SII")
                mender.empty_index(Number.SECURE, "$SDH")
            for number in sorted(directories):
                mender.empty_index(number, "$I30")
            if reparse:
                mender.empty_index(reparse, "$R")

    def _count(self, context: Context, *, kept: Sequence[tuple[int, int, int]] = ()) -> None:
        """Write both bitmaps as the records have it; the clusters of ``kept`` stay in use."""
        mft, geometry = context.mft, context.volume.geometry
        clusters = [(start, end) for start, end, _ in [*context.claims, *kept]]
        records = [(number, number + 1) for number in context.used | context.unreadable]
        changed = False
        for number, kind, ranges, count in (
            (Number.BITMAP, Type.DATA, clusters, geometry.clusters),
            (Number.MFT, Type.BITMAP, records, mft.count),
        ):
            stream = mft.stream(mft.file(number), kind)
            old = stream.read_at(0, stream.size)
            beyond = int.from_bytes(old, "little") >> count << count
            if number == Number.BITMAP:  # nothing is free where the volume has ended
                beyond = (1 << len(old) * 8) - 1 >> count << count
            bits = (bits_of(ranges, count) & (1 << count) - 1 | beyond).to_bytes(len(old), "little")
            if bits != old:
                changed = True
                write_stream(self.overlay, stream, 0, bits)
        if changed:
            self.actions.append("the bitmaps of clusters and records are counted anew")


def _is_known(finding: Finding, context: Context) -> bool:
    if finding.kind == "extension-orphan":
        return _is_left_over(context, int(finding.where["record"]))
    if finding.kind == "attribute-list":
        return finding.where.get("record") in context.relists
    if finding.kind in _MAPS | _RECORDS | _NAMES:
        return True
    if finding.kind == "cluster-shared":
        # Until it is freed, an extension record that is left over has clusters that its successor has.
        return any(each.kind == "extension-orphan" for each in context.findings)
    number = finding.where.get("record")
    facts = context.files.get(int(number)) if number is not None else None
    return finding.structure in _INDEX_STRUCTURES and facts is not None


def _is_left_over(context: Context, number: int) -> bool:
    """Whether an extension record holds nothing that its file needs: it was replaced, or its file was removed."""
    mft = context.mft
    record = mft.record(number)
    base, life = record.base & REFERENCE_MASK, record.base >> 48
    facts = context.files.get(base)
    if facts is None:
        try:
            former = mft.record(base, in_use=False)
        except NtfsError:
            return False
        # The record of a file that was removed waits for its next life.
        return not former.in_use and former.sequence == (life + 1 & 0xFFFF or 1)
    # The check has compared what it holds with what its file has.
    return facts.sequence == life


def _indexes_of(context: Context) -> tuple[set[int], int]:
    """The directories that are to be made anew, and the record of $Reparse where its index is, or 0."""
    child = context.volume.lookup(Number.EXTEND, "$Reparse") if Number.EXTEND in context.files else None
    reparse = 0 if child is None else child.number
    directories: set[int] = set()
    is_reparse = False
    for each in context.findings:
        number = int(each.where.get("record", 0))
        if each.kind == "orphan":
            for name in context.files[number].names if number in context.files else ():
                directories.add(name.parent_record)
            directories.add(int(Number.ROOT))
        elif each.kind == "reparse-index" or (number == reparse and reparse):
            is_reparse = True
        elif each.kind in _NAMES or each.structure in _INDEX_STRUCTURES:
            directories.add(number)
    known = {number for number in directories if _is_directory(context, number)}
    return known, reparse if is_reparse else 0


def _is_directory(context: Context, number: int) -> bool:
    facts = context.files.get(number)
    return facts is not None and bool(facts.flags & RecordFlag.DIRECTORY)


class _Mender(WritableNTFS):
    """The editor, with changes that leave the volume as its records have it."""

    def mark_clean(self) -> None:
        """Take the mark away."""
        self._table.mark_clean()

    def copy_mirror(self) -> None:
        """Copy the first records into $MFTMirr."""
        mirror = self.mft.stream(self.mft.file(Number.MFT_MIRR), Type.DATA)
        size = self.geometry.record_size
        for number in range(min(4, mirror.size // size)):
            write_stream(self._table.storage, mirror, number * size, self.mft.raw(number))

    def store(self, number: int) -> None:
        """Write a file's records anew."""
        with self._operation():
            self._table.store(load(self.mft, number))

    def store_from(self, number: int, records: list[int]) -> None:
        """Write a file's records anew from these, whatever its attribute list names."""
        with self._operation():
            self._table.store(gather(self.mft, number, records))

    def free_record(self, number: int) -> None:
        """Give back a record that belongs to no file."""
        with self._operation():
            self._table.free_record(number, self.mft.record(number).sequence)

    def empty_index(self, number: int, name: str) -> None:
        """Let an index have no entries; its clusters are not given back."""
        with self._operation():
            draft = load(self.mft, number)
            for kind in (Type.INDEX_ROOT, Type.INDEX_ALLOCATION, Type.BITMAP):
                draft.remove(kind, name)
            geometry = self.geometry
            per_block = max(1, geometry.index_size // geometry.index_vcn_size)
            of = Type.FILE_NAME if name == "$I30" else 0
            root = pack_root(of, _COLLATIONS[name], geometry.index_size, per_block, [pack_last()], large=False)
            draft.attributes.append(resident(Type.INDEX_ROOT, root, name))
            self._table.store(draft)

    def write_descriptors(self, secure: Recovered) -> None:
        """Put what was recovered of $SDS in its place, at once."""
        stream = self.mft.stream(self.mft.file(Number.SECURE), Type.DATA, "$SDS")
        for offset, data in secure.writes:
            write_stream(self._table.storage, stream, offset, data)

    def fill_secure(self, secure: Recovered) -> None:
        """Put the descriptors of $SDS into the indexes of $Secure."""
        with self._operation():
            for _, head in sorted(secure.entries.items()):
                self._table.index(Number.SECURE, "$SII").put_packed(entry_by_id(head))
                self._table.index(Number.SECURE, "$SDH").put_packed(entry_by_hash(head))

    def fill(self, context: Context, directories: set[int], actions: list[str], *, reparse: int) -> None:
        """Put the names that records have into the directories that are made anew."""
        with self.transaction():
            claims = self._claims(context, directories)
            lost: list[FileFacts] = []
            for facts in context.files.values():
                kept = [name for name in facts.names if _is_held(context, name)]
                if not kept and facts.names and facts.number >= 24:
                    lost.append(facts)
                for name in kept:
                    if name.parent_record in directories:
                        self._restore(facts, name, claims, actions)
            for facts in lost:
                self._adopt(facts, actions)
            if reparse:
                with self._operation():
                    for facts in context.files.values():
                        if facts.reparse_tag is not None:
                            key = struct.pack("<IQ", facts.reparse_tag, facts.reference)
                            self._table.index(reparse, "$R").put(key, 0)
                actions.append("the index of reparse points is made anew")
        actions.extend(
            f"directory {number} is made anew from the names that records have" for number in sorted(directories)
        )

    @staticmethod
    def _claims(context: Context, directories: set[int]) -> dict[tuple[int, str], int]:
        """Who has a name that two files claim: the one that was changed last."""
        found: dict[tuple[int, str], tuple[int, int]] = {}
        for facts in context.files.values():
            for name in facts.names:
                if name.parent_record in directories:
                    place = name.parent_record, name.name
                    found[place] = max(found.get(place, (-1, 0)), (name.changed, facts.number))
        return {place: number for place, (_, number) in found.items()}

    def _restore(self, facts: FileFacts, name: Name, claims: dict[tuple[int, str], int], actions: list[str]) -> None:
        with self._operation():
            draft = load(self.mft, facts.number)
            if claims[name.parent_record, name.name] == facts.number:
                renewed = self._name(draft, name.parent_record, name.name, name.namespace)
                self._index(name.parent_record).put_name(renewed, reference(draft.number, draft.sequence))
                return
            if name.namespace == Namespace.DOS:
                self._rename_attribute(draft, name, None)
                return
            free = self._free_name(name.parent_record, name.name, facts.number)
            self._rename_attribute(draft, name, free)
            actions.append(f"record {facts.number} had the name of another file, and is now {free!r}")

    def _rename_attribute(self, draft: Draft, old: Name, new: str | None) -> None:
        """Give a file another name in place of one that is not its own; ``None`` for none."""
        kept = [each for each in draft.all(Type.FILE_NAME) if value(each) != old.pack()]
        draft.remove(Type.FILE_NAME)
        draft.attributes += kept
        if new is not None:
            self._put_name(draft, self._name(draft, old.parent_record, new, Namespace.POSIX))
        self._table.store(draft)

    def _free_name(self, parent: int, name: str, record: int) -> str:
        for number in range(1 << 16):
            found = f"{name[:200]}.{record}" + (f".{number}" if number else "")
            if self.lookup(parent, found) is None:
                return found
        raise RepairRefusedError([])

    def _adopt(self, facts: FileFacts, actions: list[str]) -> None:
        """Give a file whose directory is gone a name in /found.000."""
        with self._operation():
            if not self.exists(f"/{_FOUND}"):
                self.mkdir(f"/{_FOUND}")
            parent = self.find(f"/{_FOUND}")
            long = next((own.name for own in facts.names if own.namespace != Namespace.DOS), facts.names[0].name)
            name = long if self.lookup(parent, long) is None else self._free_name(parent, long, facts.number)
            draft = load(self.mft, facts.number)
            draft.remove(Type.FILE_NAME)
            self._put_name(draft, self._name(draft, parent, name, Namespace.POSIX))
            self._table.store(draft)
            actions.append(f"record {facts.number}, whose directory is gone, is now /{_FOUND}/{name}")


def _is_held(context: Context, name: Name) -> bool:
    """Whether the directory of a name is there."""
    parent = context.files.get(name.parent_record)
    return parent is not None and parent.sequence == name.parent >> 48 and bool(parent.flags & RecordFlag.DIRECTORY)
