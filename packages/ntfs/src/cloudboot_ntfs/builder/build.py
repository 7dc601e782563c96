"""Writing a volume in one sequential pass: system files, directories, files, the MFT, and at last the boot sector."""

from __future__ import annotations

import hashlib
import itertools
import operator
import os
from typing import TYPE_CHECKING

from cloudboot_base import new_image
from cloudboot_base.lightdata import dataclass, replace
from cloudboot_ntfs import upcase
from cloudboot_ntfs.errors import NoSpaceError
from cloudboot_ntfs.layout import boot
from cloudboot_ntfs.layout.constants import FIRST_USER_RECORD, SYSTEM_NAMES, Number, RecordFlag, Type, reference
from cloudboot_ntfs.layout.fixup import protect_all
from cloudboot_ntfs.layout.times import from_unix_ns
from cloudboot_vfs.notices import Notices

from . import options as layout_options
from . import system
from .content import MemoryContent
from .copies import Piece, gather
from .opening import opened_tree
from .options import MIN_SIZE, Options
from .placement import Allocator, Placed, contiguous
from .plain import PlainRecords, is_plain
from .plan import FIRST_RECORD, Item, Plan, standard_information
from .record import Packed, assemble, fits, spread
from .secure import SYSTEM_READ, SYSTEM_WRITE, Descriptors

if TYPE_CHECKING:
    import contextlib
    from collections.abc import Callable, Iterator, Sequence

    from cloudboot_base import WritableStorage
    from cloudboot_ntfs.layout.boot import Geometry
    from cloudboot_ntfs.layout.filename import Name

    from .content import Content
    from .plan import Blocks
    from .source import Node, Tree, TreeBuilder

_PIECE = 1 << 20
_ONES = b"\xff" * _PIECE


@dataclass(frozen=True, slots=True)
class Built:
    """What was made. Sizes in bytes."""

    geometry: Geometry
    files: int  #: files and directories of the tree
    used: int  #: from the start of the volume to the end of what is in use
    foreign: tuple[str, ...] = ()  #: paths of the tree with names that Windows' own interface cannot open
    notices: tuple[str, ...] = ()  #: what was left out of an archive, or done otherwise than it says


def format(  # noqa: A001 -- the usual word
    target: str | os.PathLike[str] | WritableStorage,
    options: Options | None = None,
    *,
    size: int | None = None,
    force: bool = False,
) -> Built:
    """Make an empty volume; arguments and errors as :func:`build`, and a path needs a ``size``."""
    return build(target, {}, options, size=size, force=force)


def build(
    target: str | os.PathLike[str] | WritableStorage,
    tree: Tree,
    options: Options | None = None,
    *,
    size: int | None = None,
    force: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Built:
    """Make a volume that holds a tree.

    Args:
        target: a storage (a window of a disk, say), or a path. A new file appears under the path when it is whole.
        tree: a folder, a tar archive (path or binary file, compressed or not), or a mapping of paths to members.
        options: how the volume is laid out.
        size: bytes of a new file; by default what the tree needs, and a twentieth more.
        force: replace an existing file.
        progress: called with the bytes of files written, and those that there are.

    Raises:
        NoSpaceError: the tree does not fit; ``needed`` says what would do.
        OptionError: options that cannot be met.
        SourceError: a member that cannot be stored, named.
        OSError: the host refused.
    """
    options = options or Options()
    layout_options.check(options)
    notices = Notices()
    with _opened(tree, options, notices) as opened:
        root, foreign = opened.root, tuple(opened.foreign)
        if isinstance(target, str | os.PathLike):
            if size is None:
                needed = _needed(root, options)
                size = max(8 << 20, -(-(needed + needed // 20) >> 20) << 20)
            with new_image(target, size, force=force) as storage:
                built = _Volume(root, replace(options, fresh=True), size).write(storage, progress)
        else:
            built = _Volume(root, options, target.size).write(target, progress)
        return replace(built, foreign=foreign, notices=tuple(notices.lines()))


def required_size(tree: Tree, options: Options | None = None) -> int:
    """Bytes of the smallest volume that holds a tree; errors as :func:`build`."""
    options = options or Options()
    layout_options.check(options)
    with _opened(tree, options) as opened:
        return _needed(opened.root, options)


def _opened(
    tree: Tree, options: Options, notices: Notices | None = None
) -> contextlib.AbstractContextManager[TreeBuilder]:
    return opened_tree(tree, notices, case_sensitive=options.case_sensitive, windows_names=options.windows_names)


def _needed(root: Node, options: Options) -> int:
    size = MIN_SIZE
    for _ in range(8):
        try:
            _Volume(root, options, size)
        except NoSpaceError as error:
            if error.needed is None or error.needed <= size:
                raise
            size = error.needed
        else:
            return size
    return size


class _Volume:
    """A volume on paper: every cluster and every record has its place before anything is written."""

    def __init__(self, root: Node, options: Options, size: int) -> None:
        self._options, self._size = options, size
        self.geometry = layout_options.plan(options, size, _digest(root))
        self._time = from_unix_ns(options.timestamp_ns)
        self._descriptors = Descriptors()
        for text in (SYSTEM_READ, SYSTEM_WRITE, options.security):
            self._descriptors.id_of(text)
        self._writes: list[tuple[int, Callable[[WritableStorage], None]]] = []
        self._special: dict[int, list[tuple[int, list[Packed], int, int, int]]] = {}
        self._allocator = Allocator(-(-system.BOOT_SIZE // self.geometry.cluster_size))
        self._system: dict[int, system.SystemFile] = {}
        self._lay_out_system()
        self._plan = Plan(root, options, self.geometry, self._descriptors)
        for item in self._plan.items:
            if item.node.security:
                self._descriptors.id_of(item.node.security)
        self._lay_out_secure()
        self._plan.place(self._allocator)
        self._lay_out_extend()
        self._lay_out_large_files()
        self._lay_out_root()
        self._lay_out_mft()
        self._check_room()

    # Places

    def _take(self, size: int, write: Callable[[WritableStorage, int], None] | None = None) -> int:
        """Clusters for ``size`` bytes, and what is to be written there."""
        lcn = self._allocator.take(-(-size // self.geometry.cluster_size))
        if write is not None:
            offset = lcn * self.geometry.cluster_size
            self._writes.append((offset, lambda storage: write(storage, offset)))
        return lcn

    def _lay_out_system(self) -> None:
        geometry = self.geometry
        size = geometry.mirror_records * geometry.record_size
        self._add(system.in_clusters(Number.MFT_MIRR, self._take(size), size, geometry))
        log = layout_options.log_size(self._options, geometry)
        # Without a restart area the log is filled with ones: zeros are taken for damage.
        lcn = self._take(log, lambda storage, at: _fill(storage, at, log, _ONES))
        self._add(system.in_clusters(Number.LOG_FILE, lcn, log, geometry))
        self._add(system.volume_file(self._options))
        table = system.attribute_definitions()
        lcn = self._take(len(table), lambda storage, at: storage.write_at(at, table))
        self._add(system.in_clusters(Number.ATTR_DEF, lcn, len(table), geometry))
        self._add(system.in_clusters(Number.BOOT, 0, system.BOOT_SIZE, geometry))
        self._add(system.bad_clusters(geometry))
        lcn = self._take(upcase.SIZE, lambda storage, at: storage.write_at(at, upcase.default_bytes()))
        self._add(system.upcase_file(lcn, geometry))
        size = -(-geometry.clusters // 64) * 8
        self._add(system.in_clusters(Number.BITMAP, self._take(size, self._write_bitmap), size, geometry))
        for number in range(12, 16):
            self._add(system.reserved(number))

    def _add(self, found: system.SystemFile) -> None:
        self._system[found.number] = found

    def _lay_out_root(self) -> None:
        """The index of the root. The MFT comes after it, but its size is known."""
        geometry = self.geometry
        self._root_records = self._reserve_for_root()
        per_cluster = max(1, geometry.cluster_size // geometry.record_size)
        self._count = -(-self._plan.next_record // per_cluster) * per_cluster
        self._add(system.in_clusters(Number.MFT, 0, self._count * geometry.record_size, geometry))
        self._plan.place_root(self._root_names(), self._allocator)
        if self._root_records:
            numbers = iter(self._root_records)
            self._spread(self._plan.root, lambda groups: [(next(numbers), 1) for _ in groups])

    def _reserve_for_root(self) -> list[int]:
        """Extension records that the root needs; how many does not depend on the size of the MFT."""
        root = self._plan.root
        self._add(system.in_clusters(Number.MFT, 0, 0, self.geometry))
        self._plan.place_root(self._root_names(), Allocator())
        attributes = self._attributes(root)
        if fits(attributes, self.geometry.record_size):
            return []
        counted = itertools.count()
        spread(
            root.number, root.sequence, attributes, record_size=self.geometry.record_size,
            new_records=lambda groups: [(next(counted), 1) for _ in groups],
            store=lambda listed: self._in_clusters(listed, 0),
        )  # fmt: skip
        return [self._new_record()[0] for _ in range(next(counted))]

    def _root_names(self) -> list[tuple[int, Name]]:
        """The names of the files of the volume that stand in the root."""
        names = []
        for number in SYSTEM_NAMES:
            known = self._system.get(number)
            if known is None:
                flags = {
                    Number.SECURE: RecordFlag.VIEW_INDEX,
                    Number.EXTEND: RecordFlag.DIRECTORY,
                    Number.ROOT: RecordFlag.DIRECTORY,
                }
                known = system.SystemFile(
                    number, system.sequence_of(number), int(RecordFlag.IN_USE | flags.get(number, 0)), []
                )
            names.append((reference(number, system.sequence_of(number)), system.name_of(known, self._time)))
        return names

    def _lay_out_secure(self) -> None:
        stream = self._descriptors.stream()
        lcn = self._take(len(stream), lambda storage, at: storage.write_at(at, stream))
        found, blocks = system.secure_file(lcn, self._descriptors, self.geometry, self._allocator)
        self._add(found)
        for own in blocks:
            self._write_blocks(own)

    def _lay_out_extend(self) -> None:
        found, blocks = system.extend_files(self._time, self._plan.reparse_keys(), self.geometry, self._allocator)
        for each in found:
            self._add(each)
        for own in blocks:
            self._write_blocks(own)

    def _write_blocks(self, own: Blocks) -> None:
        lcn, blocks = own
        offset = lcn * self.geometry.cluster_size
        self._writes.append((offset, lambda storage: storage.write_at(offset, b"".join(blocks))))

    def _lay_out_large_files(self) -> None:
        """Extension records, for files whose attributes do not fit one."""
        for item in self._plan.items:
            # Most files have one name and one run; only the others are worth the bytes.
            if len(item.names) == 1 and not item.streams and not item.reparse and _runs(item) < 20:
                continue
            attributes = self._attributes(item)
            if fits(attributes, self.geometry.record_size):
                continue
            self._spread(item, lambda groups: [self._new_record() for _ in groups])

    def _spread(self, item: Item, new_records: Callable[[Sequence[Sequence[Packed]]], list[tuple[int, int]]]) -> None:
        """Distribute the attributes of a file over several records."""
        found = spread(
            item.number,
            item.sequence,
            self._attributes(item),
            record_size=self.geometry.record_size,
            new_records=new_records,
            store=self._store_list,
        )
        for number, own in found.records:
            is_base = number == item.number
            base = 0 if is_base else reference(item.number, item.sequence)
            links = len(item.names) if is_base else 0
            flags = item.flags if is_base else int(RecordFlag.IN_USE)
            self._special[number] = [(base, own, links, flags, item.sequence if is_base else 1)]

    def _new_record(self) -> tuple[int, int]:
        number = self._plan.next_record
        self._plan.next_record += 1
        return number, 1

    def _store_list(self, listed: bytes) -> bytes:
        return self._in_clusters(listed, self._take(len(listed), lambda storage, at: storage.write_at(at, listed)))

    def _in_clusters(self, listed: bytes, lcn: int) -> bytes:
        return contiguous(Type.ATTRIBUTE_LIST, lcn, len(listed), self.geometry.cluster_size)[0].data

    def _lay_out_mft(self) -> None:
        geometry = self.geometry
        bits = -(-self._count // 64) * 8
        bitmap_lcn = self._take(bits, lambda storage, at: storage.write_at(at, self._record_bitmap(bits)))
        size = self._count * geometry.record_size
        lcn = self._take(size, self._write_records)
        found = system.in_clusters(Number.MFT, lcn, size, geometry)
        found.attributes += contiguous(Type.BITMAP, bitmap_lcn, bits, geometry.cluster_size)
        self._add(found)
        self.geometry = replace(geometry, mft_lcn=lcn, mftmirr_lcn=-(-system.BOOT_SIZE // geometry.cluster_size))

    def _check_room(self) -> None:
        geometry = self.geometry
        if self._allocator.next > geometry.clusters:
            needed = self._allocator.next * geometry.cluster_size
            needed += needed // geometry.cluster_size // 8 + 2 * geometry.sector_size + geometry.cluster_size
            raise NoSpaceError(
                "the volume is too small for the tree", needed=-(-needed // 4096) * 4096, available=self._size
            )

    # Bytes

    def write(self, storage: WritableStorage, progress: Callable[[int, int], None] | None) -> Built:
        """Write everything, in the order of the disk; the boot sector comes last, so that half a volume is none."""
        sector = self.geometry.sector_size
        storage.write_at(0, bytes(system.BOOT_SIZE))
        self._plan_blocks()
        copies = list(gather(self._pieces(), self.geometry.cluster_size, clear=not self._options.fresh))
        total = sum([copy.size for copy in copies])
        done = 0
        writes = [(at, write, 0) for at, write in self._writes]
        writes += [(copy.offset, copy.write, copy.size) for copy in copies]
        for _, write, count in sorted(writes, key=operator.itemgetter(0)):
            write(storage)
            done += count
            if progress is not None and count:
                progress(done, total)
        self._write_mirror(storage)
        head = boot.pack(self.geometry).ljust(sector, b"\0")
        storage.write_at(self.geometry.backup_offset, head)
        storage.write_at(0, head)
        return Built(self.geometry, len(self._plan.items), self._allocator.next * self.geometry.cluster_size)

    def _plan_blocks(self) -> None:
        for item in [self._plan.root, *self._plan.items]:
            for own in item.blocks:
                self._write_blocks(own)

    def _pieces(self) -> Iterator[Piece]:
        for item in [self._plan.root, *self._plan.items]:
            if item.placed is not None and item.node.content is not None:
                yield from self._pieces_of(item.node.content, item.placed)
            for name, _, placed in item.streams:
                if placed is not None:
                    yield from self._pieces_of(item.node.streams[name], placed)
            if item.reparse_placed is not None:
                yield from self._pieces_of(MemoryContent(item.reparse), item.reparse_placed)

    def _pieces_of(self, content: Content, placed: Placed) -> Iterator[Piece]:
        for lcn, start, count in placed.pieces:
            yield Piece(lcn * self.geometry.cluster_size, count, content, start)

    def _attributes(self, item: Item) -> list[Packed]:
        return self._plan.attributes(item)

    def _record(self, number: int, item: Item | None) -> bytearray:
        """A record that is not protected yet."""
        size = self.geometry.record_size
        special = self._special.get(number)
        if special is not None:
            base, own, links, flags, sequence = special[0]
            return assemble(number, own, record_size=size, sequence=sequence, links=links, flags=flags, base=base)
        if item is not None:
            return assemble(
                number,
                self._attributes(item),
                record_size=size,
                sequence=item.sequence,
                links=len(item.names),
                flags=item.flags,
            )
        found = self._system.get(number)
        if found is None:
            unused = (
                [standard_information(self._time, 6, self._descriptors.id_of(SYSTEM_WRITE))]
                if number < FIRST_USER_RECORD
                else []
            )
            return assemble(number, unused, record_size=size, sequence=system.sequence_of(number), flags=0)
        attributes = system.attributes_of(found, self._time, self._descriptors)
        links = sum(1 for each in attributes if each.type == Type.FILE_NAME)
        return assemble(number, attributes, record_size=size, sequence=found.sequence, links=links, flags=found.flags)

    def _write_records(self, storage: WritableStorage, offset: int) -> None:
        items, size, security_of = self._plan.items, self.geometry.record_size, self._plan.security_of
        plain = PlainRecords(size)
        for first in range(0, self._count, _PIECE // size):
            piece = bytearray(min(_PIECE, (self._count - first) * size))
            for at in range(0, len(piece), size):
                number = first + at // size
                item = self._plan.root if number == Number.ROOT else None
                if FIRST_RECORD <= number < FIRST_RECORD + len(items):
                    item = items[number - FIRST_RECORD]
                    if number not in self._special and is_plain(item):
                        plain.write(piece, at, item, item.attributes, security_of(item))
                        continue
                piece[at : at + size] = self._record(number, item)
            protect_all(piece, size)
            storage.write_at(offset + first * size, piece)

    def _write_mirror(self, storage: WritableStorage) -> None:
        geometry = self.geometry
        size = geometry.mirror_records * geometry.record_size
        data = storage.read_at(geometry.mft_lcn * geometry.cluster_size, size)
        storage.write_at(geometry.mftmirr_lcn * geometry.cluster_size, data)

    def _record_bitmap(self, size: int) -> bytes:
        bits = 0xFFFF | 0b111 << FIRST_USER_RECORD
        count = self._plan.next_record - FIRST_RECORD
        bits |= (1 << count) - 1 << FIRST_RECORD
        return bits.to_bytes(size, "little")

    def _write_bitmap(self, storage: WritableStorage, offset: int) -> None:
        """One bit for each cluster: all up to the last in use but the gaps. Bits beyond the last cluster are set."""
        used, clusters = self._allocator.next, self.geometry.clusters
        size = -(-clusters // 64) * 8
        _fill(storage, offset, used // 8, _ONES)
        first_tail = clusters // 8
        if not self._options.fresh:
            _fill(storage, offset + used // 8, size - used // 8, bytes(_PIECE))
        tail = bytearray(size - first_tail)
        if clusters % 8:
            tail[0] = 0xFF << clusters % 8 & 0xFF
        tail[-(-clusters // 8) - first_tail :] = b"\xff" * (size - -(-clusters // 8))
        if used // 8 >= first_tail:
            tail[0] |= (1 << used % 8) - 1
        else:
            storage.write_at(offset + used // 8, bytes([(1 << used % 8) - 1]))
        storage.write_at(offset + first_tail, tail)
        for start, end in self._allocator.gaps:
            first, last = start // 8, -(-end // 8)
            free = (1 << end - start) - 1 << start % 8
            # Two gaps can have bits in one byte.
            bits = int.from_bytes(storage.read_at(offset + first, last - first), "little") & ~free
            storage.write_at(offset + first, bits.to_bytes(last - first, "little"))


def _runs(item: Item) -> int:
    return 0 if item.placed is None else len(item.placed.runs)


def _fill(storage: WritableStorage, offset: int, size: int, pattern: bytes) -> None:
    view = memoryview(pattern)
    for start in range(0, size, len(pattern)):
        storage.write_at(offset + start, view[: min(len(pattern), size - start)])


def _digest(root: Node) -> bytes:
    """A digest of the names, sizes and times of a tree, which the serial number follows from."""
    digest = hashlib.sha256()
    pending = [root]
    while pending:
        node = pending.pop()
        facts = []
        for name, child in (node.children or {}).items():
            size = child.content.size if child.content is not None else 0
            facts.append(f"{name}\0{size}\0{child.modified}\0")
            if child.children is not None:
                pending.append(child)
        digest.update("".join(facts).encode("utf-8", "surrogatepass"))
    return digest.digest()
