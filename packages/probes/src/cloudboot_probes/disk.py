"""A disk image opened and looked at: its table, both file systems, its manifest, the map of whose bytes are where."""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import cloudboot_fat as fat
import cloudboot_gpt as gpt
import cloudboot_ntfs as ntfs
import cloudboot_ufs2 as ufs2
from cloudboot_base import Finding, MissingDependencyError
from cloudboot_gpt import partition_types
from cloudboot_ntfs.layout.constants import Type as AttributeType
from cloudboot_uefi_host.drivers.el_torito import SECTOR as ISO_SECTOR
from cloudboot_uefi_host.drivers.el_torito import is_iso9660

from . import cd
from .blockmap import BlockMap, Extent
from .errors import CloudbootError, ManifestError
from .loader import pe_problems
from .manifest import MAX_SIZE, PATH, Manifest
from .media.errors import IsoError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cloudboot_base import Storage

    from .media.iso import IsoTree


#: The OEM ID of NTFS, at byte 3 of its boot sector.
_NTFS_SIGNATURE = b"NTFS    "
#: The partition records of an MBR, and the type of the one that protects a GPT.
_SECTOR, _ENTRIES, _PROTECTIVE = 512, 446, 0xEE
#: MBR types of an EFI system partition (UEFI 2.10 section 5.2.2), and of NTFS. The first is a CD's platform too.
_MBR_ESP, _MBR_NTFS = 0xEF, 0x07
_COMPRESSED = "WofCompressedData"


AnyPartition = gpt.Partition | gpt.MBRPartition | gpt.BSDPartition | cd.BootImage


@dataclass(frozen=True, slots=True)
class Loader:
    """The EFI program a disk starts with; ``warnings`` are why a firmware may refuse it."""

    path: str
    size: int
    sha256: str
    warnings: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, object]:
        """The loader, ready for JSON; the warnings stand elsewhere."""
        return {"path": self.path, "size": self.size, "sha256": self.sha256}


@dataclass(frozen=True)
class Disk:
    """A verified table over a storage; the file systems are opened when they are asked for."""

    storage: Storage
    table: gpt.Table | gpt.MBRTable | cd.BootCatalogue

    @classmethod
    def open(cls, storage: Storage) -> Disk:
        """Read the table: both copies of a GPT, a CD's boot catalogue, or a plain MBR with an EFI system partition.

        That is the order in which firmware looks for them (UEFI 2.10 section 13.3.2). An ISO image for USB sticks has a
        GPT or an MBR beside its catalogue: with a whole GPT it is a disk, else a CD. That a GPT has a hybrid MBR, or
        ends before the disk does, is among :meth:`findings`.

        Raises:
            GPTError: there is no table, or one copy is damaged or differs from the other.
            CatalogueError: a CD's boot catalogue breaks its format.
            NotBootableError: a CD has no boot image for UEFI.
        """
        try:
            return cls(storage, gpt.read(storage, backup="require", mbr="hybrid", strict=True))
        except gpt.GPTError as error:
            catalogue = cd.read(storage)
            if catalogue is not None:
                return cls(storage, catalogue)
            if isinstance(error, gpt.NoProtectiveMBRError):
                with contextlib.suppress(gpt.GPTError):
                    table = gpt.read_mbr(storage)
                    if any(partition.type == _MBR_ESP for partition in table.partitions):
                        return cls(storage, table)
            error.hint = error.hint or _without_table(storage)
            raise

    @property
    def gpt_table(self) -> gpt.Table:
        """The GPT.

        Raises:
            CloudbootError: the disk has an MBR, or is a CD.
        """
        if not isinstance(self.table, gpt.Table):
            what = "is a CD" if self.is_cd else "has an MBR"
            raise CloudbootError(f"the disk {what} and has no GPT, whose GUIDs name disks and partitions")
        return self.table

    @property
    def is_cd(self) -> bool:
        """Whether firmware finds it in a drive for CDs: its blocks are 2048 bytes."""
        return isinstance(self.table, cd.BootCatalogue)

    @property
    def identity(self) -> str:
        """The disk's GUID, the signature in its MBR, or that it is a CD."""
        if isinstance(self.table, cd.BootCatalogue):
            return "ISO 9660"
        if isinstance(self.table, gpt.MBRTable):
            return f"MBR {self.table.disk_signature:#010x}"
        return str(self.table.disk_guid)

    @cached_property
    def esp_partition(self) -> AnyPartition:
        """The EFI system partition.

        Raises:
            CloudbootError: there is none.
        """
        wanted = (partition_types.ESP, _MBR_ESP)
        found = next((partition for partition in self.table.partitions if partition.type in wanted), None)
        if found is None:
            raise CloudbootError("the disk has no EFI system partition")
        return found

    @cached_property
    def root_partition(self) -> AnyPartition | None:
        """The first partition of a UFS type, also in a disklabel, or ``None``."""
        types = partition_types.UFS_TYPES
        return next((partition for partition in self.table.partitions if partition.type in types), None)

    @cached_property
    def esp(self) -> fat.FatReader:
        """The ESP's file system; if it is larger than its partition, it is read as far as that goes, as by firmware."""
        return fat.FatReader(self.esp_partition.window(self.storage), truncated=True)

    @cached_property
    def root(self) -> ufs2.UFS2 | None:
        """The UFS2 file system, or ``None`` without a partition for one."""
        if self.root_partition is None:
            return None
        return ufs2.UFS2(self.root_partition.window(self.storage))

    @cached_property
    def tree(self) -> IsoTree | None:
        """The files of an ISO 9660 volume, which a CD or an image for sticks has; ``None`` with a root of UFS2.

        Raises:
            MissingDependencyError: pycdlib is not installed.
            IsoError: the volume breaks its format.
        """
        if self.root_partition is not None or not is_iso9660(self.storage):
            return None
        from .media.iso import IsoTree  # with tarfile, 20 ms

        return IsoTree(self.storage)

    @cached_property
    def ntfs_partitions(self) -> tuple[AnyPartition, ...]:
        """The partitions of Microsoft's basic data that have an NTFS boot sector."""
        return tuple(
            partition
            for partition in self.table.partitions
            if partition.type in {partition_types.MICROSOFT_BASIC_DATA, _MBR_NTFS}
            and partition.window(self.storage).read_at(3, len(_NTFS_SIGNATURE)) == _NTFS_SIGNATURE
        )

    @property
    def ntfs_partition(self) -> AnyPartition | None:
        """The first of them, or ``None``."""
        return next(iter(self.ntfs_partitions), None)

    @cached_property
    def ntfs(self) -> ntfs.NTFS | None:
        """The NTFS volume, or ``None`` without a partition for one.

        Raises:
            NtfsError: it is damaged so much that nothing can be found in it.
        """
        return None if self.ntfs_partition is None else ntfs.NTFS(self.ntfs_partition.window(self.storage))

    @cached_property
    def manifest(self) -> Manifest | None:
        """What the build said it put there; ``None`` in an image that was built by other means."""
        if not self.esp.exists(PATH):
            return None
        if self.esp.stat(PATH).size > MAX_SIZE:
            raise ManifestError(f"{PATH} is larger than {MAX_SIZE} bytes")
        return Manifest.from_bytes(self.esp.read_file(PATH))

    def findings(self, *, with_ntfs: bool = True) -> Iterator[tuple[str, Finding]]:
        """Everything the checkers find wrong, with the name of what they checked."""
        if isinstance(self.table, gpt.MBRTable):
            yield from (("MBR", Finding.from_error(fault)) for fault in self.table.faults)
        elif isinstance(self.table, gpt.Table):
            yield from (("GPT", finding) for finding in gpt.check(self.storage))
        yield from (("ESP", finding) for finding in fat.check(self.esp_partition.window(self.storage)))
        if self.root_partition is not None:
            window = self.root_partition.window(self.storage)
            yield from (("root", finding) for finding in ufs2.check(window))
        for partition in self.ntfs_partitions if with_ntfs else ():
            yield from (("NTFS", finding) for finding in ntfs.check(partition.window(self.storage)))

    def find_loader(self, paths: Sequence[str], architecture: str) -> Loader:
        """The first of ``paths`` that is on the ESP.

        Raises:
            CloudbootError: none is there.
        """
        for path in paths:
            if self.esp.exists(path):
                data = self.esp.read_file(path)
                warnings = tuple(f"{path} {problem}" for problem in pe_problems(data, architecture))
                return Loader(path, len(data), hashlib.sha256(data).hexdigest(), warnings)
        raise CloudbootError(f"the ESP has no {' and no '.join(paths)}", hint="build the image with --loader")

    def esp_owner(self, path: str) -> str:
        """The name under which :meth:`block_map` knows the ESP's file ``path``: FAT's names are found in any case.

        Raises:
            FileNotFoundError, NotADirectoryError: there is no such file.
        """
        parts = [part for part in path.split("/") if part]
        return "".join(f"/{self.esp.stat('/' + '/'.join(parts[: end + 1])).name}" for end in range(len(parts)))

    def owner(self, path: str) -> str:
        """The name under which :meth:`block_map` knows the root's file ``path``, which may be a link.

        Raises:
            Ufs2Error: there is no such file.
        """
        if self.tree is not None:
            return self.tree.locate(path) or path
        volume = self.root
        if volume is None:
            return path
        inode = volume.find(path)
        names = (entry.path for _, _, files in volume.walk() for entry in files if entry.inode == inode)
        return next(names, path)

    def _tree_extents(self, taken: Sequence[Extent]) -> Iterator[Extent]:
        """The files of an ISO 9660 volume, as far as they can be read, without those that are boot images.

        Several names may share bytes.
        """
        try:
            tree = self.tree
        except (MissingDependencyError, IsoError):
            return
        others, end = BlockMap(taken), 0
        for entry in sorted(tree.entries() if tree is not None else (), key=lambda entry: (entry.extent, entry.path)):
            start = entry.extent * ISO_SECTOR
            stop = start + entry.size
            if entry.size and entry.whole and start >= end and not others.overlapping(start, stop):
                yield Extent(start, stop, 0, entry.path, file=True)
                end = stop

    def block_map(self) -> BlockMap:
        """Whose bytes are where on the disk: table, file-system metadata, every file."""
        known = list(self._extents())
        return BlockMap([*known, *self._tree_extents(known)])

    def _extents(self) -> Iterator[Extent]:
        table, sector = self.table, self.table.sector_size
        if isinstance(table, gpt.MBRTable):
            yield Extent(0, sector, 0, "MBR")
        elif isinstance(table, cd.BootCatalogue):
            yield Extent(16 * sector, 17 * sector, 0, "primary volume descriptor")
            yield Extent(table.sector * sector, (table.sector + 1) * sector, 0, "boot catalogue")
        else:
            array = table.array_blocks
            for name, lba, blocks in (
                ("protective MBR", 0, 1),
                ("primary GPT header", 1, 1),
                ("primary GPT entries", table.entries_lba, array),
                ("backup GPT entries", table.backup_entries_lba, array),
                ("backup GPT header", table.last_lba, 1),
            ):
                yield Extent(lba * sector, (lba + blocks) * sector, 0, name)
        yield from _placed(self.esp_partition, esp_extents(self.esp))
        if self.root is not None and self.root_partition is not None:
            yield from _placed(self.root_partition, root_extents(self.root))
        for partition in self.ntfs_partitions:
            # A volume that is damaged has owners as far as it can be read; the check says what is wrong with it.
            with contextlib.suppress(ntfs.NtfsError):
                yield from _placed(partition, ntfs_extents(ntfs.NTFS(partition.window(self.storage))))


def _without_table(storage: Storage) -> str | None:
    """What a disk without a GPT is, where its first sector says so, and what to do with it."""
    first = storage.read_at(0, min(_SECTOR, storage.size)).ljust(_SECTOR, b"\0")
    if first[3:11] == _NTFS_SIGNATURE:
        return (
            "this is an NTFS volume, not a disk; cloudboot-ntfs reads it, and image build windows --from makes a disk"
        )
    if not any(first):
        return "the first sector is zeros: the image is empty, or begins elsewhere"
    kinds = {first[_ENTRIES + 16 * index + 4] for index in range(4)} - {0}
    if first[-2:] == b"\x55\xaa" and kinds and _PROTECTIVE not in kinds:
        return (
            "the disk has an MBR without an EFI system partition (type 0xef): its system starts with a BIOS; mbr2gpt "
            "of Windows converts a disk, and image build windows --from takes its files"
        )
    return None


def esp_extents(volume: fat.FatReader) -> Iterator[tuple[str, bool, int, int]]:
    """``(owner, whether it is a file, offset, length)`` in the volume, for every part of it."""
    files = set()
    for folder, _, names in volume.walk():
        files |= {f"{folder.rstrip('/')}/{entry.name}" for entry in names}
    for region in volume.regions(tree=True):
        yield region.name, region.name in files, region.offset, region.length


def root_extents(volume: ufs2.UFS2) -> Iterator[tuple[str, bool, int, int]]:
    """The same of a UFS2 volume; a file's pointer blocks count as metadata of their own, and hard links once.

    A file with several names is owned by the first of them in the order of a walk: see :meth:`Disk.owner`.
    """
    for region in volume.regions():
        yield f"{region.kind} of group {region.number}", False, region.offset, region.length
    seen: set[int] = set()
    for folder, folders, files in volume.walk():
        if folder == "/":
            yield from ((f"{folder} (directory)", False, *extent) for extent in volume.extents(folder))
        for entry in (*folders, *files):
            if entry.inode in seen:
                continue
            seen.add(entry.inode)
            owner = entry.path if entry.is_file() else f"{entry.path} (directory)"
            if entry.is_symlink():
                owner = f"{entry.path} (link)"
            for extent in volume.extents(entry.path, follow_symlinks=False):
                yield owner, entry.is_file(), *extent
            for offset, length in volume.pointer_blocks(entry.path, follow_symlinks=False):
                yield f"{entry.path} (pointers)", False, offset, length


def ntfs_extents(volume: ntfs.NTFS) -> Iterator[tuple[str, bool, int, int]]:
    """The same of an NTFS volume: its system files, and the contents of files.

    What is in a record belongs to the MFT, and hard links count once. The content of a file that Windows compressed
    is in another stream.
    """
    for region in volume.regions():
        yield region.kind, False, region.offset, region.length
    seen: set[int] = set()
    for _, _, files in volume.walk():
        for entry in files:
            if entry.inode in seen:
                continue
            seen.add(entry.inode)
            record = volume.mft.file(entry.inode)
            names = {each.name for each in record.attributes if each.type == AttributeType.DATA}
            for name in names & {"", _COMPRESSED}:
                stream = volume.mft.stream(record, AttributeType.DATA, name)
                for start, place, length in stream.places():
                    yield entry.path, True, place, min(length, stream.size - start)


def _placed(partition: AnyPartition, parts: Iterator[tuple[str, bool, int, int]]) -> Iterator[Extent]:
    """Parts of a volume as extents of the disk; what passes the partition's end is not there."""
    limit = partition.offset + partition.size
    for owner, is_file, offset, length in parts:
        start = partition.offset + offset
        yield Extent(start, min(start + length, limit), partition.number, owner, is_file)
