"""Format a volume, or build one around a whole tree in a single pass.

Every file and directory of a built volume is contiguous: first the directories, level by level, then the files in the
order of their paths. fatgen103, "FAT Volume Initialization".
"""

from __future__ import annotations

import zlib
from array import array
from typing import TYPE_CHECKING

from . import names, plan, table, times, tree
from .boot import write_boot_sectors
from .content import open_content, zero
from .entries import ATTR_ARCHIVE, ATTR_DIRECTORY, dot_entries, label_entry, label_field, short_entry
from .errors import DirectoryError
from .filesystem import FatFileSystem
from .geometry import ENTRY_SIZE, MAX_DIRECTORY_SIZE, FatType, Geometry
from .plan import FormatOptions, Needs
from .tree import DirectoryNode, FileNode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloudboot_base import WritableStorage

    from .tree import Tree


def format(storage: WritableStorage, options: FormatOptions | None = None) -> FatFileSystem:  # noqa: A001 -- the usual word
    """Make ``storage`` an empty volume.

    Raises:
        NoSpaceError: too small for any volume the options allow.
        OptionError: the options cannot be met at this size.
    """
    return build(storage, {}, options)


def required_size(content: Tree, options: FormatOptions | None = None) -> int:
    """Bytes of the smallest volume that holds a tree.

    Raises:
        NoSpaceError: no volume the options allow holds it.
    """
    options = options or FormatOptions()
    with tree.opened(content) as found:
        return plan.smallest_size(options, _Plan(tree.load(found), options).needs())


def build(storage: WritableStorage, content: Tree, options: FormatOptions | None = None) -> FatFileSystem:
    """Make ``storage`` a volume that holds a tree: a host folder, a tar archive, or ``{"/EFI/BOOT": folder}``.

    The boot sector is written last, so that an interrupted build is not mistaken for a volume.

    Raises:
        NoSpaceError: the storage is too small; the error says how many bytes it needs.
        OptionError: the options cannot be met at this size.
        InvalidNameError, FileExistsError, FileTooLargeError, DirectoryError: the tree holds what FAT cannot.
        SourceError: a member of an archive that cannot be stored, or a damaged archive.
        TruncatedError: a file of the host became shorter while it was read.
        OSError: the host refuses.
    """
    with tree.opened(content) as found:
        return _build(storage, _Plan(tree.load(found), options or FormatOptions()))


def _build(storage: WritableStorage, planned: _Plan) -> FatFileSystem:
    options = planned.options
    geometry = plan.choose(storage.size, options, planned.needs())
    used = planned.place(geometry)
    directories = planned.directory_bytes()
    if not options.fresh:
        zero(storage, 0, geometry.data_offset)
    _write_files(storage, geometry, planned.files, fresh=options.fresh)
    if geometry.fat_type != 32:
        storage.write_at(geometry.root_offset, directories.pop(0))
    if directories:
        _write_directories(storage, geometry, directories, fresh=options.fresh)
    fat = table.encode(planned.entries(geometry, used), geometry.fat_type)
    for copy in range(geometry.fats):
        storage.write_at(geometry.fat_offset(copy), fat)
    write_boot_sectors(storage, geometry, options, used, planned.digest())
    return FatFileSystem(storage, timestamp=options.timestamp)


class _Plan:
    """Where everything of a tree goes."""

    def __init__(self, root: DirectoryNode, options: FormatOptions) -> None:
        self.options = options
        self.directories = list(_directories(root))
        self.files = [node for parent in self.directories for node in parent.ordered() if isinstance(node, FileNode)]
        self._file_clusters: dict[int, int] = {}
        self._slots = [self._count_slots(directory) for directory in self.directories]
        self._label = label_field(options.label) if options.label else None

    def _count_slots(self, directory: DirectoryNode) -> int:
        own = (1 if self.options.label else 0) if directory is self.directories[0] else 2
        slots = own + sum(1 + names.long_entry_count(node.name) for node in directory.children.values())
        if slots * ENTRY_SIZE > MAX_DIRECTORY_SIZE:
            raise DirectoryError(
                "a directory has too many entries",
                field=directory.name or "/",
                expected=f"at most {MAX_DIRECTORY_SIZE // ENTRY_SIZE}, those of long names included",
                actual=slots,
            )
        return slots

    def needs(self) -> Needs:
        """What the tree asks of a volume."""

        def clusters(fat_type: FatType, cluster_size: int) -> int:
            if cluster_size not in self._file_clusters:
                self._file_clusters[cluster_size] = sum(-(-node.size // cluster_size) for node in self.files)
            return self._file_clusters[cluster_size] + sum(self._directory_clusters(fat_type, cluster_size))

        return Needs(clusters, self._slots[0])

    def _directory_clusters(self, fat_type: FatType, cluster_size: int) -> list[int]:
        counts = [max(1, -(-slots * ENTRY_SIZE // cluster_size)) for slots in self._slots]
        return counts if fat_type == 32 else [0, *counts[1:]]

    def _counts(self, geometry: Geometry) -> list[int]:
        """Clusters of every directory and then of every file."""
        size = geometry.cluster_size
        return self._directory_clusters(geometry.fat_type, size) + [-(-node.size // size) for node in self.files]

    def place(self, geometry: Geometry) -> int:
        """Give every node its first cluster; returns how many clusters are used."""
        following = 2
        nodes: list[FileNode | DirectoryNode] = [*self.directories, *self.files]
        for node, count in zip(nodes, self._counts(geometry), strict=True):
            node.cluster = following if count else 0
            following += count
        return following - 2

    def entries(self, geometry: Geometry, used: int) -> table.Entries:
        """The FAT from its first entry to the last one in use."""
        fat = array("I", range(1, used + 3))
        end = 1
        for count in self._counts(geometry):
            end += count
            if count:
                fat[end] = geometry.entry_mask
        fat[0] = geometry.entry_mask & ~0xFF | geometry.media
        fat[1] = geometry.entry_mask
        return fat

    def directory_bytes(self) -> list[bytes]:
        """The contents of the directories, in order."""
        parents = {id(child): parent for parent in self.directories for child in parent.children.values()}
        stamp = times.encode(self.options.timestamp)
        contents = []
        for directory in self.directories:
            parent = parents.get(id(directory))
            if parent is None:
                parts = [] if self._label is None else [label_entry(self._label, stamp)]
            else:
                # The root directory is cluster 0 in "..", on FAT32 too.
                above = 0 if parent is self.directories[0] else parent.cluster
                parts = [dot_entries(directory.cluster, above, stamp)]
            shorts = _short_names(directory)
            for node in directory.ordered():
                short = shorts[node.name]
                if names.long_entry_count(node.name):
                    parts.append(names.long_entries(node.name, short))
                if isinstance(node, FileNode):
                    parts.append(short_entry(short, ATTR_ARCHIVE, node.cluster, node.size, stamp))
                else:
                    parts.append(short_entry(short, ATTR_DIRECTORY, node.cluster, 0, stamp))
            contents.append(b"".join(parts))
        return contents

    def digest(self) -> int:
        """A number that differs between trees: a CRC of names and sizes."""
        crc = 0
        for directory in self.directories:
            for node in directory.ordered():
                size = node.size if isinstance(node, FileNode) else -1
                crc = zlib.crc32(f"{node.name}\0{size}\0".encode(), crc)
            crc = zlib.crc32(b"/", crc)
        return crc


def _directories(root: DirectoryNode) -> Iterator[DirectoryNode]:
    """``root`` and the directories below it, level by level."""
    level = [root]
    while level:
        yield from level
        level = [node for parent in level for node in parent.ordered() if isinstance(node, DirectoryNode)]


def _short_names(directory: DirectoryNode) -> dict[str, bytes]:
    """The short name of every child.

    Names that need no numeric tail come first: a tail never collides with one of them.
    """
    taken: set[bytes] = set()
    found: dict[str, bytes] = {}
    chooser = names.ShortNames()
    for node in sorted(directory.ordered(), key=lambda node: names.needs_tail(node.name)):
        short = chooser.choose(node.name, taken.__contains__)
        taken.add(short)
        found[node.name] = short
    return found


def _write_files(storage: WritableStorage, geometry: Geometry, files: list[FileNode], *, fresh: bool) -> None:
    for node in files:
        if not node.size:
            continue
        offset = geometry.cluster_offset(node.cluster)
        with open_content(node.source) as source:
            source.copy_to(storage, offset, 0, node.size, skip_holes=fresh)
        if not fresh:
            zero(storage, offset + node.size, -node.size % geometry.cluster_size)


def _write_directories(storage: WritableStorage, geometry: Geometry, contents: list[bytes], *, fresh: bool) -> None:
    """All directories with clusters, which are the first clusters of the volume, in one write."""
    size = geometry.cluster_size
    padded = b"".join(data.ljust(max(1, -(-len(data) // size)) * size, b"\0") for data in contents)
    storage.write_at(geometry.cluster_offset(2), padded.rstrip(b"\0") if fresh else padded)
