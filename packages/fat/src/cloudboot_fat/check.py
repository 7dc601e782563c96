"""Recompute every invariant of a volume. Nothing is repaired, and nothing stops at the first fault."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING

from cloudboot_base import Finding, FormatError, TruncatedError

from . import directory as directories
from . import names, table, times
from .boot_check import check_boot_sector, check_fsinfo
from .directory import Directory
from .entries import ATTR_DIRECTORY, DOT, DOT_DOT, DirEntry
from .errors import ChainError
from .extents import ExtentStorage
from .fat import PAGE, Run
from .geometry import MAX_DIRECTORY_SIZE
from .paths import MAX_PATH, join
from .reader import FatReader

if TYPE_CHECKING:
    from cloudboot_base import Storage

    from .boot_check import Findings

_INVERT = bytes([1, 0]) + bytes(range(2, 256))
_COMPARE_CHUNK = 1 << 16
_CLEAN_BITS = {16: (0x8000, 0x4000), 32: (0x08000000, 0x04000000)}


def check(storage: Storage, *, codepage: str = "cp437", limit: int = 1000) -> list[Finding]:
    """Everything wrong with a volume, at most ``limit`` findings.

    Raises:
        BootSectorError: the storage does not start with the boot sector of a FAT volume.
        TruncatedError: the storage ends before the data area of the volume does.
        OptionError: there is no such code page.
    """
    findings: Findings = []
    reader = FatReader(storage, codepage=codepage, truncated=True)
    check_boot_sector(reader, findings)
    _check_copies(reader, findings)
    _check_reserved_entries(reader, findings)
    walk = _Walk(reader, findings, limit)
    walk.run()
    free = walk.check_unreached()
    check_fsinfo(reader, free, findings)
    return findings[:limit]


def _finding(kind: str, error: FormatError, **where: int | str) -> Finding:
    return Finding(
        kind,
        error.message,
        structure=error.structure,
        field=error.field,
        offset=error.offset,
        expected=error.expected,
        actual=error.actual,
        where=where,
    )


def _check_copies(reader: FatReader, findings: Findings) -> None:
    """The copies of the FAT are equal, unless mirroring is off."""
    geometry = reader.geometry
    if geometry.active_fat is not None:
        return
    for copy in range(1, geometry.fats):
        for start in range(0, geometry.fat_size, _COMPARE_CHUNK):
            size = min(_COMPARE_CHUNK, geometry.fat_size - start)
            first = reader.storage.read_at(geometry.fat_offset() + start, size)
            other = reader.storage.read_at(geometry.fat_offset(copy) + start, size)
            if first != other:
                at = next(index for index, (one, two) in enumerate(zip(first, other, strict=True)) if one != two)
                findings.append(
                    Finding(
                        "fat-copies",
                        "the copies of the FAT differ",
                        structure="FAT",
                        offset=geometry.fat_offset(copy) + start + at,
                        expected=first[at],
                        actual=other[at],
                        where={"copy": copy + 1},
                    )
                )
                break


def _check_reserved_entries(reader: FatReader, findings: Findings) -> None:
    """``FAT[0]`` holds the media byte; ``FAT[1]`` ends a chain, but for two flags."""
    geometry = reader.geometry
    mask = geometry.entry_mask
    expected = mask & ~0xFF | geometry.media
    if reader.fat.entry(0) != expected:
        findings.append(
            Finding(
                "fat-media",
                "the first entry does not repeat BPB_Media",
                structure="FAT",
                field="FAT[0]",
                offset=geometry.fat_offset(geometry.main_fat),
                expected=expected,
                actual=reader.fat.entry(0),
            )
        )
    clean, no_errors = _CLEAN_BITS.get(geometry.fat_type, (0, 0))
    entry = reader.fat.entry(1)

    def add(kind: str, message: str) -> None:
        offset = geometry.fat_offset(geometry.main_fat) + geometry.fat_type // 8
        findings.append(Finding(kind, message, "FAT", "FAT[1]", offset, actual=entry))

    if entry | clean | no_errors < geometry.end_of_chain:
        add("fat-end-mark", "not an end-of-chain mark")
    if clean and not entry & clean:
        add("dirty", "the volume was not unmounted cleanly")
    if no_errors and not entry & no_errors:
        add("disk-errors", "the driver met disk errors")


class _Walk:
    """One pass over the tree that notes whose every cluster is."""

    def __init__(self, reader: FatReader, findings: Findings, limit: int) -> None:
        self._reader, self._findings, self._limit = reader, findings, limit
        self._reached = bytearray(reader.geometry.end_cluster)  # 1 where something has the cluster

    def run(self) -> None:
        """Check every directory and file."""
        root = self._reader.geometry.root_cluster
        # The path above, the name, the first cluster, and what ".." must hold.
        pending = [("/", "", root, 0)]
        while pending and len(self._findings) < self._limit:
            outer, name, cluster, above = pending.pop()
            path = join(outer, name)
            if len(path) > MAX_PATH:
                self._add(
                    "path-length", "the path is too long to be followed", path,
                    expected=f"at most {MAX_PATH} characters", actual=len(path),
                )  # fmt: skip
                continue
            directory = self._load(path, cluster)
            if directory is None:
                continue
            self._check_dots(directory, path, above)
            self._check_names(directory, path)
            self._check_labels(directory, path)
            parent = 0 if cluster == root else cluster
            for entry in directory.entries:
                inner = join(path, entry.name)
                self._check_entry(entry, inner)
                if not entry.is_dir:
                    self._check_file(entry, inner)
                elif self._is_new(entry, inner):
                    pending.append((path, entry.name, entry.cluster, parent))

    def _add(
        self,
        kind: str,
        message: str,
        path: str,
        entry: DirEntry | None = None,
        *,
        field: str | None = None,
        expected: object = None,
        actual: object = None,
    ) -> None:
        offset = None if entry is None else entry.offset
        self._findings.append(
            Finding(kind, message, "DirectoryEntry", field, offset, expected, actual, where={"path": path})
        )

    # Chains

    def _claim(self, start: int, limit: int, path: str) -> list[Run]:
        """The chain of a file or directory up to the first cluster that another file has, too."""
        claimed: list[Run] = []
        try:
            for run in self._reader.fat.runs(start, limit):
                first = self._reached.find(1, run.cluster, run.cluster + run.length)
                if first >= 0:
                    self._findings.append(
                        Finding(
                            "cross-linked",
                            "the cluster belongs to something else too",
                            structure="FAT",
                            field=f"FAT[{first}]",
                            offset=self._reader.geometry.cluster_offset(first),
                            where={"path": path, "cluster": first},
                        )
                    )
                    free = first - run.cluster
                    self._reached[run.cluster : first] = b"\1" * free
                    if free:
                        claimed.append(Run(run.cluster, free))
                    break
                self._reached[run.cluster : run.cluster + run.length] = b"\1" * run.length
                claimed.append(run)
        except ChainError as error:
            self._findings.append(_finding("chain", error, path=path))
        return claimed

    def _load(self, path: str, cluster: int) -> Directory | None:
        reader, geometry = self._reader, self._reader.geometry
        if cluster == 0:
            extents = reader.directory_extents(0)
        else:
            most = max(1, MAX_DIRECTORY_SIZE // geometry.cluster_size)
            runs = self._claim(cluster, most + 1, path)
            if sum(run.length for run in runs) > most:
                self._add(
                    "directory-size", "the directory is too large", path,
                    expected=f"at most {MAX_DIRECTORY_SIZE} bytes", actual="more",
                )  # fmt: skip
                return None
            extents = [reader.run_extent(run) for run in runs]
        if not extents:
            return None
        data = bytearray(sum(extent.length for extent in extents))
        try:
            ExtentStorage(reader.storage, extents).readinto_at(0, data)
        except TruncatedError as error:
            self._findings.append(_finding("truncated", error, path=path))
            return None
        found = Directory(cluster, extents, data, wide=reader.wide)

        def report(kind: str, message: str, index: int) -> None:
            self._findings.append(
                Finding(kind, message, structure="LongNameEntry", offset=found.slot_offset(index), where={"path": path})
            )

        return directories.parse(found, reader.codepage, report)

    def _is_new(self, entry: DirEntry, path: str) -> bool:
        """Whether a directory can be entered; one reached before would never end."""
        cluster = entry.cluster
        if not 2 <= cluster < self._reader.geometry.end_cluster:
            self._add("first-cluster", "a directory without a cluster", path, entry, actual=cluster)
            return False
        if self._reached[cluster]:
            self._add("cross-linked", "its first cluster belongs to something else too", path, entry, actual=cluster)
            return False
        return True

    def _check_file(self, entry: DirEntry, path: str) -> None:
        geometry = self._reader.geometry
        if entry.cluster == 0:
            if entry.size:
                self._add("file-size", "a file with bytes but without a cluster", path, entry, actual=entry.size)
            return
        found = sum(run.length for run in self._claim(entry.cluster, geometry.clusters, path))
        wanted = -(-entry.size // geometry.cluster_size)
        if found != wanted:
            self._add(
                "file-size",
                "the chain does not fit DIR_FileSize",
                path,
                entry,
                field="DIR_FileSize",
                expected=f"{wanted} clusters",
                actual=found,
            )

    # Entries

    def _check_entry(self, entry: DirEntry, path: str) -> None:
        record = entry.record
        if entry.is_dir and entry.size:
            self._add("directory-file-size", "a directory has DIR_FileSize 0", path, entry, actual=entry.size)
        if record.DIR_Attr & 0xC0:
            self._add("attributes", "reserved bits of DIR_Attr are set", path, entry, actual=record.DIR_Attr)
        problem = names.short_name_problem(record.DIR_Name, self._reader.codepage)
        if problem is not None:
            self._add("short-name", problem, path, entry, field="DIR_Name", actual=record.DIR_Name)
        written = times.decode(record.DIR_WrtDate, record.DIR_WrtTime)
        if written is None and (record.DIR_WrtDate or record.DIR_WrtTime):
            self._add("date", "no such date", path, entry, field="DIR_WrtDate", actual=record.DIR_WrtDate)

    def _check_names(self, directory: Directory, path: str) -> None:
        """No name, long or short, stands for two entries."""
        seen: dict[str, DirEntry] = {}
        for entry in directory.entries:
            for key in {names.fold(entry.name), names.fold(entry.short_name)}:
                other = seen.setdefault(key, entry)
                if other is not entry:
                    self._add("duplicate-name", "another entry has the name", join(path, entry.name), entry, actual=key)
                    break

    def _check_labels(self, directory: Directory, path: str) -> None:
        if path != "/" and directory.labels:
            offset = directory.slot_offset(directory.labels[0])
            self._add("label", f"a label outside the root directory, at byte {offset}", path)
        for index in directory.hidden:
            offset = directory.slot_offset(index)
            self._add("label", f"a label that is marked as a directory, too, at byte {offset}", path)
        if path == "/" and len(directory.labels) > 1:
            self._add("label", "more than one label", path, expected="at most 1", actual=len(directory.labels))
        label, boot_label = self._reader.label_of(directory), self._reader.boot_label
        if path == "/" and label != boot_label and self._reader.has_boot_label:
            self._add(
                "label-differs", "the boot sector has another label than the root directory", path,
                expected=label or "none", actual=boot_label or "none",
            )  # fmt: skip

    def _check_dots(self, directory: Directory, path: str, above: int) -> None:
        found = [(dot.record.DIR_Name, dot.index, dot.cluster) for dot in directory.dots]
        expected = [] if path == "/" else [(DOT, 0, directory.cluster), (DOT_DOT, 1, above)]
        if found != expected:
            self._add(
                "dot-entries",
                "'.' and '..' must come first and lead to the directory itself and to the one above",
                path,
                expected=[cluster for _name, _index, cluster in expected],
                actual=[cluster for _name, _index, cluster in found],
            )
        elif not all(dot.record.DIR_Attr & ATTR_DIRECTORY for dot in directory.dots):
            self._add("dot-entries", "'.' or '..' is not marked as a directory", path)

    # Clusters that no file has

    def check_unreached(self) -> int:
        """Report clusters that are in use and belong to no file; gives the number of free ones."""
        geometry, fat = self._reader.geometry, self._reader.fat
        free = lost = 0
        first_lost = None
        for number in fat.page_numbers():
            entries = fat.page(number)
            first = number * PAGE
            is_free = table.free_flags(entries)
            if number == 0:
                is_free[:2] = b"\0\0"
            free += is_free.count(1)
            # An entry in use that nothing has: neither flag is set. Long stretches without one are passed over.
            reached = self._reached[first : first + len(entries)]
            neither = bytes(map(operator.or_, is_free, reached)) if is_free.translate(_INVERT) != reached else b""
            at = neither.find(0, 2 if number == 0 else 0)
            while at >= 0:
                if entries[at] != geometry.end_of_chain - 1:
                    first_lost = first + at if first_lost is None else first_lost
                    lost += 1
                at = neither.find(0, at + 1)
        if lost and len(self._findings) < self._limit:
            self._findings.append(
                Finding(
                    "lost-clusters",
                    "clusters are in use, but no file or directory has them",
                    structure="FAT",
                    field=f"FAT[{first_lost}]",
                    expected=0,
                    actual=lost,
                )
            )
        return free
