"""Change a volume in place.

Data go to free clusters first; then are written: the FATs with the new chains, the directory, the FATs without the old
chains, FSInfo. So a directory entry never points at free clusters, and whatever stops an operation, what was there is
there under its old name or its new one. A file that is replaced needs room for its old and its new bytes at once,
unless the caller asks to have it overwritten in place.
"""

from __future__ import annotations

import io
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from cloudboot_base import WritableStorage
from cloudboot_base.lightdata import NamedTuple, replace

from . import errors, names, table, times
from .content import open_content, zero
from .entries import ATTR_ARCHIVE, ATTR_DIRECTORY, DOT_DOT, DirEntry, dot_entries, first_cluster, new_record
from .fat import Run
from .geometry import ENTRY_SIZE, MAX_DIRECTORY_SIZE, MAX_FILE_SIZE
from .paths import absolute, require_length, split, split_new
from .reader import FatReader

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterator

    from typing_extensions import Buffer

    from cloudboot_base import Storage

    from .content import Content, Source
    from .directory import Directory
    from .extents import Extent
    from .records import DirectoryEntry


class Slot(NamedTuple):
    """Where the entry of a file or directory is: the first cluster of its directory, and its position there."""

    directory: int
    position: int


class FatFileSystem(FatReader):
    """A FAT12, FAT16 or FAT32 volume to read and change.

    ``timestamp`` is given to everything that is written, unless a call says otherwise. One object at a time changes a
    volume: what another one has read before does not follow.
    """

    def __init__(self, storage: Storage, *, codepage: str = "cp437", timestamp: dt.datetime = times.EPOCH) -> None:
        super().__init__(storage, codepage=codepage)
        self._stamp = times.encode(timestamp)
        self._free: bytearray | None = None
        self._free_count = 0
        self._last_taken = 1
        self._pending: list[tuple[int, bytes]] = []
        self._to_zero: list[Extent] = []
        self._to_free: list[Run] = []
        self._to_end: list[int] = []

    # Files

    def write_file(
        self,
        path: str,
        content: Content,
        *,
        timestamp: dt.datetime | None = None,
        overwrite: bool = True,
        in_place: bool = False,
    ) -> DirEntry:
        """Write a whole file: bytes, a storage, or the host file at a path. Its directory must exist.

        What is replaced stays whole until its replacement is. With ``in_place`` a file is overwritten where it lies if
        there is no room for both; then an interruption, or a source that fails, loses the old bytes.

        Raises:
            FileExistsError: it exists and ``overwrite`` is false.
            IsADirectoryError: the path is a directory.
            NoSpaceError: the volume or the directory is full.
            InvalidNameError, FileTooLargeError, FileNotFoundError, NotADirectoryError: the path or the content.
            TruncatedError, OSError: the content cannot be read.
        """
        parent, name = self._parent(path)
        known = parent.find(name)
        if known is not None and known.is_dir:
            raise errors.IsADirectoryError("is a directory", field=path)
        if known is not None and not overwrite:
            raise errors.FileExistsError("the file exists", field=path)
        if known is None:
            names.validate(name)
        with self._change() as storage, open_content(content) as source:
            if source.size > MAX_FILE_SIZE:
                raise errors.FileTooLargeError("a FAT file has less than 4 GiB", field=path, actual=source.size)
            old = [] if known is None or known.cluster == 0 else self._chain(known.cluster)
            runs = self._replace(old, -(-source.size // self.geometry.cluster_size), in_place=in_place)
            self._write_data(storage, runs, source)
            cluster = runs[0].cluster if runs else 0
            stamp = self._stamp if timestamp is None else times.encode(timestamp)
            if known is None:
                return self._insert(parent, name, new_record(ATTR_ARCHIVE, cluster, source.size, stamp))
            record = first_cluster(known.record, cluster, wide=self.wide)
            return self._rewrite(parent, known, _written(record, source.size, stamp))

    def _write_data(self, storage: WritableStorage, runs: list[Run], source: Source) -> None:
        done = 0
        for run in runs:
            offset, length = self.run_extent(run)
            count = min(length, source.size - done)
            source.copy_to(storage, offset, done, count)
            zero(storage, offset + count, length - count)
            done += count

    def remove(self, path: str) -> None:
        """Remove a file.

        Raises:
            IsADirectoryError: it is a directory.
            FileNotFoundError, NotADirectoryError: there is nothing.
            ChainError: its clusters cannot be told.
        """
        parent, entry = self._existing(path)
        if entry.is_dir:
            raise errors.IsADirectoryError("is a directory", field=path)
        self._delete(parent, entry)

    # Parts of files

    def slot_of(self, path: str) -> Slot:
        """Where the entry of a path is.

        Raises:
            OptionError: it is the root directory, which has none.
            FileNotFoundError, NotADirectoryError: there is nothing.
        """
        parent, entry = self._existing(path)
        return Slot(parent.cluster, entry.index)

    def entry_at(self, slot: Slot) -> DirEntry:
        """The entry in a slot.

        Raises:
            FileNotFoundError: there is no such file.
        """
        return self._in_slot(slot)[1]

    def _in_slot(self, slot: Slot) -> tuple[Directory, DirEntry]:
        parent = self.directory(slot.directory)
        entry = parent.at(slot.position)
        if entry is None:
            raise errors.FileNotFoundError("no such directory entry", structure="DirectoryEntry", actual=slot)
        return parent, entry

    def write_into(self, slot: Slot, offset: int, data: Buffer, *, timestamp: dt.datetime | None = None) -> DirEntry:
        """Write into the file whose entry is in ``slot``, from byte ``offset`` on; it grows as far as needed.

        FAT has no holes: what lies between the old end and ``offset`` is filled with zeros. New clusters are written
        before the file points at them; those it has are written in place.

        Raises:
            FileTooLargeError: it would have 4 GiB or more.
            NoSpaceError: the volume is full.
            IsADirectoryError, FileNotFoundError: there is no file in the slot.
            ChainError: its clusters cannot be told.
        """
        view = memoryview(data).cast("B")
        return self._set_size(slot, lambda old: max(old, offset + len(view)), timestamp, offset, view)

    def resize(self, slot: Slot, size: int, *, timestamp: dt.datetime | None = None) -> DirEntry:
        """Let the file whose entry is in ``slot`` have ``size`` bytes; new ones are zero.

        Raises:
            FatError: as :meth:`write_into` has it.
        """
        return self._set_size(slot, lambda _: size, timestamp, size, memoryview(b""))

    def _set_size(
        self, slot: Slot, choose: Callable[[int], int], timestamp: dt.datetime | None, offset: int, view: memoryview
    ) -> DirEntry:
        with self._change() as storage:
            parent, entry = self._in_slot(slot)
            size = choose(entry.size)
            if entry.is_dir:
                raise errors.IsADirectoryError("is a directory", field=entry.name)
            if size > MAX_FILE_SIZE:
                raise errors.FileTooLargeError("a FAT file has less than 4 GiB", field=entry.name, actual=size)
            runs = self._fit(entry, size)
            for at, length in self._pieces(runs, entry.size, offset - entry.size):
                zero(storage, at, length)
            done = 0
            for at, length in self._pieces(runs, offset, len(view)):
                storage.write_at(at, view[done : done + length])
                done += length
            stamp = self._stamp if timestamp is None else times.encode(timestamp)
            record = first_cluster(entry.record, runs[0].cluster if runs else 0, wide=self.wide)
            return self._rewrite(parent, entry, _written(record, size, stamp))

    def _fit(self, entry: DirEntry, size: int) -> list[Run]:
        """The clusters of a file once it has as many as ``size`` bytes need."""
        runs = self._chain(entry.cluster) if entry.cluster else []
        wanted = -(-size // self.geometry.cluster_size)
        missing = wanted - sum(run.length for run in runs)
        if missing > 0:
            new = self._replace([], missing)
            if runs:
                self.fat.link([Run(runs[-1].cluster + runs[-1].length - 1, 1)], following=new[0].cluster)
            return runs + new
        kept: list[Run] = []
        for run in runs:
            here = min(run.length, wanted)
            wanted -= here
            if here:
                kept.append(Run(run.cluster, here))
            if here < run.length:
                self._to_free.append(Run(run.cluster + here, run.length - here))
        if kept and missing < 0:  # the chain ends earlier only when the entry no longer claims the rest
            self._to_end.append(kept[-1].cluster + kept[-1].length - 1)
        return kept

    def _pieces(self, runs: list[Run], start: int, length: int) -> Iterator[tuple[int, int]]:
        """Where ``length`` bytes of a file from ``start`` on stand: offset in the volume, and length."""
        for run in runs:
            if length <= 0:
                return
            offset, size = self.run_extent(run)
            if start < size:
                here = min(length, size - start)
                yield offset + start, here
                start, length = 0, length - here
            else:
                start -= size

    def change_entry(self, slot: Slot, **fields: Any) -> DirEntry:
        """Set fields of the directory entry in ``slot``, under their names in the specification: ``DIR_Attr``, say.

        Raises:
            FileNotFoundError: there is no such file.
        """
        with self._change():
            parent, entry = self._in_slot(slot)
            return self._rewrite(parent, entry, replace(entry.record, **fields))

    # Directories

    def mkdir(self, path: str, *, timestamp: dt.datetime | None = None, exist_ok: bool = False) -> None:
        """Make a directory.

        Raises:
            FileExistsError: the path is taken, unless by a directory and ``exist_ok`` is true.
            NoSpaceError: the volume or the directory above is full.
            InvalidNameError, FileNotFoundError, NotADirectoryError: the path.
        """
        if not split(path) and exist_ok:
            return
        parent, name = self._parent(path)
        known = parent.find(name)
        if known is not None:
            if exist_ok and known.is_dir:
                return
            raise errors.FileExistsError("the path is taken", field=path)
        names.validate(name)
        stamp = self._stamp if timestamp is None else times.encode(timestamp)
        self._make_directory(parent, name, stamp)

    def _make_directory(self, parent: Directory, name: str, stamp: times.Stamp) -> DirEntry:
        with self._change() as storage:
            cluster = self._replace([], 1)[0].cluster
            content = dot_entries(cluster, self._as_parent(parent), stamp)
            storage.write_at(self.geometry.cluster_offset(cluster), content.ljust(self.geometry.cluster_size, b"\0"))
            return self._insert(parent, name, new_record(ATTR_DIRECTORY, cluster, 0, stamp))

    def makedirs(self, path: str, *, timestamp: dt.datetime | None = None) -> None:
        """Make a directory and those above it; what exists already stays.

        Every name is judged before the first directory is made.

        Raises:
            FileExistsError: a file is in the way.
            NoSpaceError, InvalidNameError, PathTooLongError: as for :meth:`mkdir`.
        """
        parts = split(path)
        require_length(path)
        stamp = self._stamp if timestamp is None else times.encode(timestamp)
        trail, depth = [self._root_entry()], 0
        while depth < len(parts):
            found = self._enter(trail[-1], path).find(parts[depth])
            if parts[depth] == "..":
                trail = trail[:-1] or trail
            elif found is None:
                break
            elif not found.is_dir:
                raise errors.FileExistsError("the path is taken", field="/".join(parts[: depth + 1]))
            else:
                trail.append(found)
            depth += 1
        for name in parts[depth:]:
            names.validate(name)
        entry = trail[-1]
        for name in parts[depth:]:
            entry = self._make_directory(self._enter(entry, path), name, stamp)

    def rmdir(self, path: str) -> None:
        """Remove an empty directory.

        Raises:
            DirectoryNotEmptyError: it is not empty.
            NotADirectoryError: it is a file.
            FileNotFoundError: there is nothing.
            OptionError: it is the root directory.
            ChainError: its clusters cannot be told.
        """
        parent, entry = self._existing(path)
        if self._enter(entry, path).entries:
            raise errors.DirectoryNotEmptyError("the directory is not empty", field=path)
        self._delete(parent, entry)
        self._cache.pop(entry.cluster, None)

    def rename(self, old: str, new: str, *, overwrite: bool = False) -> DirEntry:
        """Move a file or directory. Nothing may be at ``new``, except what is moved, for another spelling.

        With ``overwrite`` a file takes the place of a file, and a directory that of an empty one: ``new`` names the old
        content or the new one, whatever interrupts the change.

        Raises:
            FileExistsError: the path is taken, and ``overwrite`` is false.
            IsADirectoryError, NotADirectoryError, DirectoryNotEmptyError: what is there cannot be replaced.
            OptionError: a directory would move into itself, or it is the root directory.
            NoSpaceError: the target directory is full.
            InvalidNameError, FileNotFoundError, NotADirectoryError: a path.
        """
        source, entry = self._existing(old)
        target, name = self._parent(new)
        if target.cluster == source.cluster:
            target = source  # one object for one directory, even if the cache has dropped it in between
        known = target.find(name)
        if known is not None and known.offset != entry.offset:
            if not overwrite:
                raise errors.FileExistsError("the path is taken", field=new)
            self._require_replaceable(entry, known, new)
        if entry.is_dir and self._leads_through(new, entry.cluster):
            raise errors.OptionError("a directory cannot move into itself", field=new)
        if known is not None and known.offset != entry.offset:
            return self._take_place(source, entry, target, known)
        names.validate(name)
        with self._change():
            erased = source.erase(entry)
            self._remember(source)
            moved = self._insert(target, name, replace(entry.record, DIR_NTRes=0))
            # The old entry goes last, less the slots that the new one has taken.
            taken = {offset for offset, _raw in self._pending}
            self._pending += [write for write in erased if write[0] not in taken]
            if entry.is_dir and source is not target:
                self._point_up(moved, target)
        return moved

    def _require_replaceable(self, entry: DirEntry, known: DirEntry, path: str) -> None:
        """Refuse to let ``entry`` take the place of ``known`` where rename(2) would."""
        if known.is_dir and not entry.is_dir:
            raise errors.IsADirectoryError("is a directory", field=path)
        if entry.is_dir and not known.is_dir:
            raise errors.NotADirectoryError("not a directory", field=path)
        if known.is_dir and self._enter(known, path).entries:
            raise errors.DirectoryNotEmptyError("the directory is not empty", field=path)

    def _take_place(self, source: Directory, entry: DirEntry, target: Directory, known: DirEntry) -> DirEntry:
        """Let ``entry`` take the place of ``known``, whose names stay."""
        with self._change():
            if known.cluster:
                self._replace(self._chain(known.cluster), 0)
            moved = self._rewrite(target, known, replace(entry.record, DIR_Name=known.record.DIR_Name, DIR_NTRes=0))
            self._pending += source.erase(entry)
            self._remember(source)
            if known.is_dir:
                self._cache.pop(known.cluster, None)
                if source is not target:
                    self._point_up(moved, target)
        return moved

    def _leads_through(self, path: str, cluster: int) -> bool:
        parts = split(absolute(path))
        return any(self.stat("/".join(parts[:depth])).cluster == cluster for depth in range(1, len(parts)))

    def _point_up(self, moved: DirEntry, parent: Directory) -> None:
        """Correct ``..`` of a directory that has moved."""
        above = self._as_parent(parent)
        for dot in self.directory(moved.cluster).dots:
            if dot.record.DIR_Name == DOT_DOT and dot.offset is not None:
                self._pending.append((dot.offset, first_cluster(dot.record, above, wide=self.wide).pack()))
        self._cache.pop(moved.cluster)

    def _as_parent(self, directory: Directory) -> int:
        """What ``..`` holds for a directory: 0 for the root directory, on FAT32 too."""
        return 0 if directory.cluster == self.geometry.root_cluster else directory.cluster

    # Directory entries

    def _parent(self, path: str) -> tuple[Directory, str]:
        """The directory a path is in, and its last name."""
        parts = split_new(path)
        require_length(path)
        if not parts:
            raise errors.FileExistsError("the root directory is always there", field=path)
        above = "/" + "/".join(parts[:-1])
        try:
            return self._enter(self.stat(above), above), parts[-1]
        except errors.FileNotFoundError as error:
            error.hint = f"make the directory first: cloudboot-fat mkdir IMAGE {above}"
            raise

    def _existing(self, path: str) -> tuple[Directory, DirEntry]:
        if not split_new(path):
            raise errors.OptionError("the root directory stays where it is", field=path)
        parent, name = self._parent(path)
        entry = parent.find(name)
        if entry is None:
            raise errors.FileNotFoundError("no such file or directory", field=path)
        return parent, entry

    def _insert(self, parent: Directory, name: str, record: DirectoryEntry) -> DirEntry:
        slots = 1 + names.long_entry_count(name)
        first = parent.free_slots(slots)
        missing = (first + slots) * ENTRY_SIZE - len(parent.data)
        if missing > 0:
            self._grow(parent, missing)
        short = parent.short_name(name)
        record = replace(record, DIR_Name=short)
        raw = (names.long_entries(name, short) if slots > 1 else b"") + record.pack()
        index = first + slots - 1
        display = names.display_short(short, self.codepage)
        entry = DirEntry(name, display, record, index, slots, parent.slot_offset(index), self.wide)
        self._pending += parent.put(first, raw, entry)
        self._remember(parent)
        return entry

    def _grow(self, directory: Directory, missing: int) -> None:
        size = len(directory.data) + missing
        if directory.cluster == 0 or size > MAX_DIRECTORY_SIZE:
            raise errors.NoSpaceError("the directory is full", structure="DirectoryEntry", actual=directory.used_slots)
        geometry = self.geometry
        last = 1 + (directory.extents[-1].end - geometry.data_offset) // geometry.cluster_size
        runs = self._replace([], -(-missing // geometry.cluster_size))
        self.fat.link([Run(last, 1)], following=runs[0].cluster)
        extents = [self.run_extent(run) for run in runs]
        directory.grow(extents)
        self._to_zero += extents

    def _rewrite(self, parent: Directory, entry: DirEntry, record: DirectoryEntry) -> DirEntry:
        changed = replace(entry, record=record)
        self._pending += parent.update(changed)
        self._remember(parent)
        return changed

    def _delete(self, parent: Directory, entry: DirEntry) -> None:
        with self._change():
            if entry.cluster:
                self._replace(self._chain(entry.cluster), 0)
            self._pending += parent.erase(entry)
            self._remember(parent)

    # Clusters

    @contextmanager
    def _change(self) -> Iterator[WritableStorage]:
        """Gather changes of metadata, and write them at the end; drop them if anything is raised before."""
        storage = self.storage
        if not isinstance(storage, WritableStorage):
            raise io.UnsupportedOperation("the storage is read-only")
        try:
            yield storage
            for extent in self._to_zero:  # before the FAT makes them part of a directory
                zero(storage, extent.offset, extent.length)
            self.fat.flush(storage)
            for offset, raw in _joined(self._pending):
                storage.write_at(offset, raw)
            for cluster in self._to_end:
                self.fat.link([Run(cluster, 1)])
            self._release(self._to_free)
            self.fat.flush(storage)
            self._write_fsinfo(storage)
        except BaseException:
            self.fat.forget()
            self._cache.clear()
            self._free = None
            raise
        finally:
            self._pending, self._to_zero, self._to_free, self._to_end = [], [], [], []

    def _write_fsinfo(self, storage: WritableStorage) -> None:
        info = self.fsinfo()
        if info is not None and self._free is not None:
            info.FSI_Free_Count = self._free_count
            info.FSI_Nxt_Free = max(2, self._last_taken)
            storage.write_at(self.geometry.fsinfo_sector * self.geometry.sector_size, info.pack())

    def _chain(self, cluster: int) -> list[Run]:
        return list(self.fat.runs(cluster, self.geometry.clusters))

    def _free_map(self) -> bytearray:
        """One byte a cluster, by number: 1 where it is free."""
        if self._free is None:
            free = bytearray()
            for number in self.fat.page_numbers():
                free += table.free_flags(self.fat.page(number))
            free[:2] = b"\0\0"
            self._free, self._free_count = free, free.count(1)
        return self._free

    def _replace(self, old: list[Run], count: int, *, in_place: bool = False) -> list[Run]:
        """Take ``count`` clusters, and free those of ``old`` once nothing points at them any more.

        With ``in_place`` the same ones are taken where there are too few others; ``old`` is then free at once.

        Raises:
            NoSpaceError: there are too few all the same.
        """
        free = self._free_map()
        runs = self._find(free, count)
        if runs is None and in_place:
            self._release(old)
            runs = self._find(free, count)
        else:
            self._to_free += old
        if runs is None:
            size = self.geometry.cluster_size
            enough = in_place or count > self._free_count + sum(run.length for run in old)
            raise errors.NoSpaceError(
                "the volume is full",
                expected=f"{count * size} bytes, which is {(count - self._free_count) * size} more",
                actual=self._free_count * size,
                hint=None if enough else "the old file stays until the new one is written; --in-place overwrites it",
            )
        for run in runs:
            free[run.cluster : run.cluster + run.length] = bytes(run.length)
            self._free_count -= run.length
            self._last_taken = run.cluster + run.length - 1
        self.fat.link(runs)
        return runs

    def _release(self, runs: list[Run]) -> None:
        """Free clusters."""
        self.fat.release(runs)
        for run in runs:
            free = self._free_map()
            part = slice(run.cluster, run.cluster + run.length)
            self._free_count += free[part].count(0)  # a damaged volume may have counted some as free already
            free[part] = b"\1" * run.length

    def _find(self, free: bytearray, count: int) -> list[Run] | None:
        """``count`` free clusters: consecutive ones after the last taken, else any consecutive ones, else any."""
        if count == 0:
            return []
        if count > self._free_count:
            return None
        start = self._last_taken + 1
        wanted = b"\1" * count
        if free.startswith(wanted, start):
            return [Run(start, count)]
        whole = free.find(wanted)
        if whole >= 0:
            return [Run(whole, count)]
        pieces = []
        for piece in _FREE.finditer(free):
            length = min(count, piece.end() - piece.start())
            pieces.append(Run(piece.start(), length))
            count -= length
            if not count:
                break
        return pieces


_FREE = re.compile(rb"\x01+")


def _joined(writes: list[tuple[int, bytes]]) -> list[tuple[int, bytearray]]:
    """Writes that follow one another made one, so that the slots of an entry reach the storage together."""
    joined: list[tuple[int, bytearray]] = []
    for offset, raw in writes:
        if joined and offset == joined[-1][0] + len(joined[-1][1]):
            joined[-1][1].extend(raw)
        else:
            joined.append((offset, bytearray(raw)))
    return joined


def _written(record: DirectoryEntry, size: int, stamp: times.Stamp) -> DirectoryEntry:
    """``record`` after its file was written."""
    return replace(
        record,
        DIR_Attr=record.DIR_Attr | ATTR_ARCHIVE,
        DIR_LstAccDate=stamp.date,
        DIR_WrtTime=stamp.time,
        DIR_WrtDate=stamp.date,
        DIR_FileSize=size,
    )
