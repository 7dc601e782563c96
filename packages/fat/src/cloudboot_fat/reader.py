"""Read a volume: directories, files, and where their bytes stand."""

from __future__ import annotations

import io
import itertools
from collections import OrderedDict
from typing import TYPE_CHECKING

from cloudboot_base import StorageFile, TruncatedError
from cloudboot_base.lightdata import NamedTuple

from . import directory as directories
from . import errors, names, table
from . import geometry as geometries
from .directory import Directory
from .entries import ATTR_DIRECTORY, NO_NAME, DirEntry
from .extents import Extent, ExtentStorage
from .fat import Fat, Run
from .geometry import ENTRY_SIZE, MAX_DIRECTORY_SIZE, Geometry
from .paths import MAX_PATH, absolute, join, split
from .records import DirectoryEntry, FSInfo

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloudboot_base import Storage

#: Bytes of directories kept in memory; their entries as objects take some twenty times as much.
_BYTES_KEPT = 4 << 20
#: Where every tool puts the backup of the boot sector: "no value other than 6 is recommended".
_BACKUP_SECTOR = 6
_FSINFO_SIGNATURES = (
    geometries.FSI_LEAD_SIGNATURE,
    geometries.FSI_STRUCT_SIGNATURE,
    geometries.FSI_TRAIL_SIGNATURE,
)


class Region(NamedTuple):
    """A named part of a volume: ``"boot sector"``, ``"FAT 1"``, or the path of a file or directory."""

    name: str
    offset: int
    length: int


def backup_hint(storage: Storage) -> str | None:
    """Where a whole backup of the boot sector of a FAT32 volume is, said for a person; ``None`` without one."""
    for sector_size in (512, 1024, 2048, 4096):
        offset = _BACKUP_SECTOR * sector_size
        if offset + 512 > storage.size:
            return None
        try:
            found = geometries.parse(storage.read_at(offset, 512))
        except errors.BootSectorError:
            continue
        if found.fat_type == 32 and (found.sector_size, found.backup_sector) == (sector_size, _BACKUP_SECTOR):
            return (
                f"a complete backup of the boot sector is at byte {offset} of the volume; copied to the start, as by "
                f"dd bs={sector_size} skip={_BACKUP_SECTOR} count=1 conv=notrunc, it makes the volume readable"
            )
    return None


class FatReader:
    """A FAT12, FAT16 or FAT32 volume, read only.

    Paths have ``/`` between names; case does not count, and a short name is as good as the long one. Everything is
    read when it is asked for. Entries are cached, so the volume must not change behind the reader's back.

    With ``truncated`` a storage that ends before its volume does is read as far as it goes: Linux, mtools and firmware
    read it as well.

    Raises:
        BootSectorError: the storage does not start with the boot sector of a FAT volume.
        OptionError: there is no such code page.
        TruncatedError: the storage ends before the volume does; with ``truncated``, before its data area does.
    """

    def __init__(self, storage: Storage, *, codepage: str = "cp437", truncated: bool = False) -> None:
        if storage.size < 512:
            raise TruncatedError("too small for a FAT volume", structure="BPB", expected=512, actual=storage.size)
        boot = storage.read_at(0, 512)
        try:
            geometry = geometries.parse(boot)
        except errors.BootSectorError as error:
            error.hint = error.hint or backup_hint(storage)
            raise
        needed = geometry.data_offset if truncated else geometry.size
        if needed > storage.size:
            raise TruncatedError(
                "the storage ends before the volume", structure="BPB", expected=geometry.size, actual=storage.size
            )
        self.storage = storage
        self.geometry: Geometry = geometry
        names.lead_bytes(codepage)  # an unknown code page is refused before anything is read with it
        self.codepage = codepage
        self.fat = Fat(storage, geometry)
        self._extended = geometries.extended_record(boot, geometry)
        self._cache: OrderedDict[int, Directory] = OrderedDict()

    @property
    def wide(self) -> bool:
        """Whether first clusters have a high word in their entries: on FAT32."""
        return self.geometry.fat_type == 32

    @property
    def serial(self) -> int | None:
        """The volume serial number, if the boot sector has one."""
        present = self._extended.BS_BootSig in {0x28, geometries.EXTENDED_BOOT_SIGNATURE}
        return self._extended.BS_VolID if present else None

    @property
    def label(self) -> str:
        """The label in the root directory, or an empty string: one that only the boot sector has is none."""
        return self.label_of(self.directory(self.geometry.root_cluster))

    def label_of(self, root: Directory) -> str:
        """The first label in the root directory, or an empty string."""
        if not root.labels:
            return ""
        raw = bytes(root.slot(root.labels[0])[:11])
        return self._label(b"\xe5" + raw[1:] if raw[0] == 0x05 else raw)

    @property
    def boot_label(self) -> str:
        """The label in the boot sector, which drivers and tools do not look at; empty where there is none."""
        raw = self._extended.BS_VolLab
        return self._label(raw) if self.has_boot_label and raw != NO_NAME else ""

    @property
    def has_boot_label(self) -> bool:
        """Whether the boot sector has a field for the label."""
        return self._extended.BS_BootSig == geometries.EXTENDED_BOOT_SIGNATURE

    def _label(self, raw: bytes) -> str:
        return raw.decode(self.codepage, "replace").rstrip(" \0")

    def free_clusters(self) -> int:
        """Free clusters, counted in the FAT itself."""
        free = sum(table.free_flags(self.fat.page(number)).count(1) for number in self.fat.page_numbers())
        return free - sum(self.fat.entry(reserved) == 0 for reserved in (0, 1))

    # Directories

    def stat(self, path: str) -> DirEntry:
        """The entry of a path.

        Raises:
            FileNotFoundError, NotADirectoryError: there is no such path.
        """
        trail = [self._root_entry()]
        for name in split(path):
            parent = self._enter(trail[-1], path)
            if name == "..":
                trail = trail[:-1] or trail
                continue
            found = parent.find(name)
            if found is None:
                raise errors.FileNotFoundError("no such file or directory", field=path)
            trail.append(found)
        return trail[-1]

    def exists(self, path: str) -> bool:
        """Whether there is something at ``path``."""
        try:
            self.stat(path)
        except (errors.FileNotFoundError, errors.NotADirectoryError):
            return False
        return True

    def iterdir(self, path: str = "/") -> Iterator[DirEntry]:
        """The entries of a directory, in the order they are stored."""
        return iter(list(self._enter(self.stat(path), path).entries))

    def listdir(self, path: str = "/") -> list[str]:
        """The names in a directory, in the order they are stored."""
        return [entry.name for entry in self.iterdir(path)]

    def walk(self, path: str = "/") -> Iterator[tuple[str, list[DirEntry], list[DirEntry]]]:
        """Every directory at and below ``path``, top down: its path, its directories, its files.

        Raises:
            DirectoryError: a directory is reached twice (a loop, or two entries with one cluster), or is too deep.
        """
        above, _, name = absolute(path).rpartition("/")
        pending = [(above, name, self.stat(path))]
        seen: set[int] = set()
        while pending:
            above, name, entry = pending.pop()
            here = join(above, name)
            if len(here) > MAX_PATH:
                raise errors.DirectoryError(
                    "a path is too long", structure="DirectoryEntry", offset=entry.offset, expected=MAX_PATH
                )
            inside = self._enter(entry, here)
            if inside.cluster in seen:
                raise errors.DirectoryError(
                    "a directory is reached twice", structure="DirectoryEntry", offset=entry.offset
                )
            seen.add(inside.cluster)
            folders = [each for each in inside.entries if each.is_dir]
            yield here, folders, [each for each in inside.entries if not each.is_dir]
            pending.extend((here, each.name, each) for each in reversed(folders))

    def directory(self, cluster: int) -> Directory:
        """The directory that starts at a cluster; 0 is the fixed root directory of FAT12 and FAT16.

        Raises:
            ChainError, DirectoryError: it cannot be read.
        """
        known = self._cache.get(cluster)
        if known is not None:
            self._cache.move_to_end(cluster)
            return known
        extents = self.directory_extents(cluster)
        data = bytearray(sum(extent.length for extent in extents))
        ExtentStorage(self.storage, extents).readinto_at(0, data)
        found = directories.parse(Directory(cluster, extents, data, wide=self.wide), self.codepage)
        self._remember(found)
        return found

    def _remember(self, directory: Directory) -> None:
        """Keep a directory, and drop the oldest ones where they take too much memory."""
        self._cache[directory.cluster] = directory
        self._cache.move_to_end(directory.cluster)
        kept = sum(len(each.data) for each in self._cache.values())
        while kept > _BYTES_KEPT and len(self._cache) > 1:
            kept -= len(self._cache.popitem(last=False)[1].data)

    def directory_extents(self, cluster: int) -> list[Extent]:
        """The byte ranges of the directory that starts at ``cluster``.

        Raises:
            DirectoryError: the directory has more bytes than FAT allows.
        """
        geometry = self.geometry
        if cluster == 0 and geometry.fat_type != 32:
            return [Extent(geometry.root_offset, geometry.root_entries * ENTRY_SIZE)]
        most = max(1, MAX_DIRECTORY_SIZE // geometry.cluster_size)
        runs = list(self.fat.runs(cluster, most + 1))
        if sum(run.length for run in runs) > most:
            raise errors.DirectoryError(
                "the directory is too large", structure="DirectoryEntry", expected=MAX_DIRECTORY_SIZE, actual="more"
            )
        return [self.run_extent(run) for run in runs]

    def run_extent(self, run: Run) -> Extent:
        """Where the clusters of a run are."""
        return Extent(self.geometry.cluster_offset(run.cluster), run.length * self.geometry.cluster_size)

    def _root_entry(self) -> DirEntry:
        cluster = self.geometry.root_cluster
        record = DirectoryEntry(DIR_Attr=ATTR_DIRECTORY, DIR_FstClusHI=cluster >> 16, DIR_FstClusLO=cluster & 0xFFFF)
        return DirEntry("/", "/", record, slots=0)

    def _enter(self, entry: DirEntry, path: str) -> Directory:
        if not entry.is_dir:
            raise errors.NotADirectoryError("not a directory", field=path, actual=entry.name)
        cluster = entry.cluster
        if cluster == 0 and entry.offset is not None:
            raise errors.DirectoryError(
                "a directory without a cluster", structure="DirectoryEntry", field="DIR_FstClusLO", offset=entry.offset
            )
        return self.directory(cluster)

    # Files

    def extents(self, path: str) -> list[Extent]:
        """Where the bytes of a file or directory are, in order; those of a file end with its last byte."""
        entry = self.stat(path)
        return self._enter(entry, path).extents if entry.is_dir else self.file_extents(entry)

    def file_extents(self, entry: DirEntry) -> list[Extent]:
        """Where the bytes of a file are.

        Raises:
            ChainError: its chain is damaged, or too short for its size.
        """
        remaining, extents = entry.size, []
        if not remaining:
            return []
        wanted = -(-remaining // self.geometry.cluster_size)
        if wanted > self.geometry.clusters:
            raise self._too_short(entry, wanted, self.geometry.clusters)
        found = 0
        for run in self.fat.runs(entry.cluster, wanted):
            offset, length = self.run_extent(run)
            extents.append(Extent(offset, min(length, remaining)))
            remaining -= min(length, remaining)
            found += run.length
        if remaining:
            raise self._too_short(entry, wanted, found)
        return extents

    def _too_short(self, entry: DirEntry, wanted: int, found: int) -> errors.ChainError:
        return errors.ChainError(
            "the chain is too short for the file",
            structure="DirectoryEntry",
            field="DIR_FileSize",
            offset=entry.offset,
            expected=f"{wanted} clusters",
            actual=found,
        )

    def file_storage(self, path: str) -> ExtentStorage:
        """A file as a storage: positional reads, without copies.

        Raises:
            FileNotFoundError: there is no such file.
            IsADirectoryError: ``path`` is a directory.
        """
        entry = self.stat(path)
        if entry.is_dir:
            raise errors.IsADirectoryError("is a directory", field=path)
        return ExtentStorage(self.storage, self.file_extents(entry))

    def open(self, path: str) -> io.BufferedReader:
        """A file as an ordinary seekable binary file object."""
        return io.BufferedReader(StorageFile(self.file_storage(path)), 1 << 16)

    def read_file(self, path: str) -> bytes:
        """All bytes of a file."""
        content = self.file_storage(path)
        return content.read_at(0, content.size)

    # What stands where

    def regions(self, *, tree: bool = False) -> list[Region]:
        """The metadata of the volume by name and, with ``tree``, every extent of every directory and file by path.

        Slack after the end of a file belongs to no region.

        Raises:
            ChainError, DirectoryError: the tree is damaged; files that share clusters are found once they must.
        """
        geometry = self.geometry
        sector = geometry.sector_size
        found = [Region("boot sector", 0, sector)]
        if geometry.fat_type == 32:
            for name, number, size in (
                ("FSInfo", geometry.fsinfo_sector, sector),
                ("backup boot sector", geometry.backup_sector, sector),
            ):
                if 0 < number < geometry.reserved_sectors:
                    found.append(Region(name, number * sector, size))
        found += [
            Region(f"FAT {copy + 1}", geometry.fat_offset(copy), geometry.fat_size) for copy in range(geometry.fats)
        ]
        if geometry.fat_type != 32:
            found.append(Region("root directory", geometry.root_offset, geometry.root_size))
        else:
            found += [Region("root directory", *extent) for extent in self.directory_extents(geometry.root_cluster)]
        if tree:
            found += self._tree_regions()
        return found

    def _tree_regions(self) -> Iterator[Region]:
        """Every extent of every directory and file; no more than there are clusters, or some would be two files'."""
        left = self.geometry.clusters
        for path, _folders, files in self.walk():
            inside = [] if path == "/" else [(path, self.extents(path))]
            for name, extents in itertools.chain(
                inside, ((join(path, entry.name), self.file_extents(entry)) for entry in files)
            ):
                left -= len(extents)
                if left < 0:
                    raise errors.ChainError("files share clusters", structure="FAT", field=name)
                yield from (Region(name, *extent) for extent in extents)

    def fsinfo(self) -> FSInfo | None:
        """The FSInfo sector of FAT32, if there is one with its signatures."""
        geometry = self.geometry
        if geometry.fat_type != 32 or not 0 < geometry.fsinfo_sector < geometry.reserved_sectors:
            return None
        info = FSInfo.unpack_from(self.storage.read_at(geometry.fsinfo_sector * geometry.sector_size, FSInfo.SIZE))
        signatures = info.FSI_LeadSig, info.FSI_StrucSig, info.FSI_TrailSig
        return info if signatures == _FSINFO_SIGNATURES else None
