"""One operation on a file system: everything it changes, and the order in which that reaches the storage.

Until :meth:`Transaction.commit` only free space is written to (the contents of new blocks), so an operation that fails
leaves no trace. A commit writes in stages, such that at any cut every pointer on disk leads to something that is
marked in use and written, and nothing is marked free that a pointer still leads to:

1. the superblock, marked unclean;
2. new inodes' blocks, groups with what is taken, new indirect blocks, then those that gain pointers;
3. inodes that gain a name, then directory records that are added, then directories that grew;
4. directory records that are removed;
5. all other inodes, then indirect blocks and contents that were cut short;
6. groups with what is given back, the summary area, and the superblock, marked clean.

So a cut between operations leaves a clean file system; a cut within one leaves blocks, inodes or link counts too many,
counters that disagree, at worst a file under its old and its new name, and the mark that fsck is needed. It never
leaves a block in two files, a name without its inode, or a file without its name.
"""

from __future__ import annotations

import enum
import os
import struct
from array import array
from typing import TYPE_CHECKING

from cloudboot_base.lightdata import dataclass, replace
from cloudboot_base.storage import descriptor_of
from cloudboot_ufs2.errors import InodeError, ReadOnlyError
from cloudboot_ufs2.layout.constants import CK_INODE, FS_NEEDSFSCK
from cloudboot_ufs2.layout.inode import SIZE as INODE_SIZE
from cloudboot_ufs2.layout.inode import generations, pack_inode
from cloudboot_ufs2.layout.records import Ufs2Dinode
from cloudboot_ufs2.layout.superblock import has_hash, pack_superblock
from cloudboot_ufs2.reader.blocks import pack_pointers, read, unpack_pointers

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Buffer

    from cloudboot_base import WritableStorage
    from cloudboot_records import ByteOrder
    from cloudboot_ufs2.layout.geometry import Geometry
    from cloudboot_ufs2.layout.records import Fs

    from .free_space import Space

JOURNAL_IS_NEEDED = "the journal of soft updates, without which FreeBSD does not mount the file system"
_SECOND = 1_000_000_000
_ZEROS = bytes(65536)
_GEN = Ufs2Dinode.LAYOUT.offsets["di_gen"]


class Stage(enum.IntEnum):
    """When a write happens; see the module."""

    INITIAL = 0  #: blocks of inodes never used before; the groups with what is taken follow
    NEW = 1  #: indirect blocks nothing points to yet
    EXTEND = 2  #: indirect blocks with more pointers than before
    GAIN = 3  #: inodes with a new name
    ADD = 4  #: directory records
    GROW = 5  #: directories that are larger than before
    REMOVE = 6  #: directory records
    LOSE = 7  #: all other inodes
    CUT = 8  #: what the inodes no longer reach


@dataclass(slots=True)
class Store:
    """What the operations on one file system share."""

    storage: WritableStorage
    fs: Fs
    fs_offset: int
    geometry: Geometry
    byteorder: ByteOrder
    space: Space
    read_inode: Callable[[int], Ufs2Dinode]
    durable: bool
    link_max: int
    journal: int = 0  #: the inode of the journal of soft updates, where there is one
    broken: bool = False  #: a commit failed midway: what is on disk is no longer known

    def sync(self) -> None:
        """Have the device keep what was written, where the storage is a file."""
        descriptor = descriptor_of(self.storage)
        if descriptor is not None:
            os.fdatasync(descriptor[0])


class Transaction:
    """One operation. ``now`` is the time it happens, in nanoseconds."""

    def __init__(self, store: Store, now: int) -> None:
        self.store, self.now = store, now
        self.space, self.geometry, self.byteorder = store.space, store.geometry, store.byteorder
        self._inodes: dict[int, Ufs2Dinode] = {}
        self._packed: dict[int, bytes] = {}
        self._pointers: dict[int, array[int]] = {}
        self._pointer_stage: dict[int, Stage] = {}
        self._dropped: list[int] = []
        self._stages: list[list[tuple[int, bytes]]] = [[] for _ in Stage]
        self._hashed = has_hash(store.fs, CK_INODE)
        store.space.begin()

    # Inodes

    def inode(self, number: int) -> Ufs2Dinode:
        """The inode as this operation sees it; changes to it are written by :meth:`commit`."""
        found = self._inodes.get(number)
        if found is None:
            found = self._inodes[number] = self.store.read_inode(number)
            self._packed[number] = pack_inode(found, self.byteorder, hashed=self._hashed)
        return found

    def stage_inode(self, number: int, stage: Stage) -> None:
        """Let the inode, as it is now, be on disk by ``stage``.

        Raises:
            RangeError: a value does not fit its field.
            ReadOnlyError: it is the journal of soft updates.
        """
        data = pack_inode(self._inodes[number], self.byteorder, hashed=self._hashed)
        if data != self._packed[number]:
            if number == self.store.journal:
                raise ReadOnlyError(JOURNAL_IS_NEEDED)
            self._packed[number] = data
            self.put(stage, self.geometry.inode_offset(number), data)

    def new_inode(self, group: int, mode: int, *, is_directory: bool) -> int:
        """Take an inode and give it its times; the generation follows the one it had.

        Raises:
            NoSpaceError: there is no free space.
        """
        number, fresh = self.space.take_inode(group, is_directory=is_directory)
        seed = self.store.fs.fs_id[1]
        if fresh:
            table = bytearray(len(fresh) * INODE_SIZE)
            put = struct.Struct("<I" if self.byteorder == "little" else ">I").pack_into
            for index, generation in enumerate(generations(fresh.start, len(fresh), seed)):
                put(table, index * INODE_SIZE + _GEN, generation)
            self.put(Stage.INITIAL, self.geometry.inode_offset(fresh.start), bytes(table))
            before = generations(number, 1, seed)[0]
        else:
            old = self.store.read_inode(number)
            if old.di_mode:
                raise InodeError("the inode is in use but marked free", field="inode", actual=number)
            before = old.di_gen
        inode = Ufs2Dinode(di_mode=mode, di_gen=before % 0xFFFFFFFF + 1)
        for name in ("mtime", "atime", "ctime", "birthtime"):
            set_time(inode, name, self.now)
        self._inodes[number], self._packed[number] = inode, b""
        return number

    def drop_inode(self, number: int) -> None:
        """Give an inode back whose blocks have been given back; it is cleared but for its generation."""
        inode = self._inodes[number]
        self.space.give_inode(number, is_directory=inode.di_mode & 0o170000 == 0o040000)
        self._inodes[number] = Ufs2Dinode(di_gen=inode.di_gen)

    def touch(self, inode: Ufs2Dinode, *, content: bool) -> None:
        """Set the time of change, and of modification if the content changed."""
        set_time(inode, "ctime", self.now)
        if content:
            set_time(inode, "mtime", self.now)

    # Indirect blocks

    def pointers(self, address: int) -> array[int]:
        """The pointers of an indirect block as this operation sees them; see :meth:`changed_pointers`."""
        found = self._pointers.get(address)
        if found is None:
            data = read(self.store.storage, address * self.geometry.fragment_size, self.geometry.block_size)
            found = self._pointers[address] = unpack_pointers(data, self.geometry.pointer_size, self.byteorder)
        return found

    def new_pointers(self, address: int) -> None:
        """A new indirect block is at ``address``, all holes."""
        self._pointers[address] = array("q", bytes(8 * self.geometry.pointers_per_block))
        self._pointer_stage[address] = Stage.NEW

    def changed_pointers(self, address: int, stage: Stage) -> None:
        """The indirect block at ``address`` was changed and must be written, by ``stage`` or earlier."""
        self._pointer_stage[address] = min(stage, self._pointer_stage.get(address, stage))

    def dropped_pointers(self, address: int) -> None:
        """The indirect block at ``address`` is none any more."""
        self._pointer_stage.pop(address, None)
        self._pointers.pop(address, None)
        self._dropped.append(address)

    def settle_pointers(self) -> None:
        """Let the indirect blocks that changed so far be written as they are now; what follows is a second write."""
        for address, stage in self._pointer_stage.items():
            data = pack_pointers(self._pointers[address], self.byteorder)
            self.put(stage, address * self.geometry.fragment_size, data)
        self._pointer_stage.clear()

    # Bytes

    def write(self, offset: int, data: Buffer) -> None:
        """Write into space that nothing on disk points to yet, or that lies beyond the end of a file, at once."""
        self.store.storage.write_at(offset, data)

    def zero(self, offset: int, length: int) -> None:
        """:meth:`write` zeros."""
        for start in range(0, length, len(_ZEROS)):
            self.write(offset + start, memoryview(_ZEROS)[: length - start])

    def put(self, stage: Stage, offset: int, data: bytes) -> None:
        """Write ``data`` at ``offset`` when ``stage`` has come."""
        self._stages[stage].append((offset, data))

    # The end

    @property
    def changed_inodes(self) -> list[int]:
        """The inodes this operation looked at or changed."""
        return list(self._inodes)

    @property
    def changed_blocks(self) -> list[int]:
        """The indirect blocks this operation looked at or changed."""
        return [*self._pointers, *self._dropped]

    def roll_back(self) -> None:
        """Forget the operation."""
        self.space.roll_back()

    def commit(self) -> None:
        """Write everything.

        Raises:
            RangeError: a value does not fit its field; nothing has been written then.
            OSError: the storage refused. The file system is then marked unclean, and refuses further changes.
        """
        for number in self._inodes:
            self.stage_inode(number, Stage.LOSE)
        self.settle_pointers()
        if not any(self._stages) and not self.space.changed:
            return
        seconds = self.now // _SECOND
        fs = self.store.fs
        fs.fs_time = max(fs.fs_time, seconds)
        self.store.broken = True
        flags = fs.fs_flags
        # With FS_NEEDSFSCK, fsck does not trust a soft updates journal, which knows nothing of this operation.
        fs.fs_clean, fs.fs_flags = 0, flags | FS_NEEDSFSCK
        self._write_superblock()
        self._stages[Stage.INITIAL].extend(self.space.pack_taken(seconds))
        for writes in self._stages:
            self._write_all(writes)
        self._write_all(self.space.pack_given(seconds))
        self._write_all(self.space.pack_summary())
        fs.fs_cstotal = replace(self.space.total)
        fs.fs_clean, fs.fs_flags = 1, flags
        self._write_superblock()
        self.store.broken = False

    def _write_all(self, writes: list[tuple[int, bytes]]) -> None:
        for offset, data in writes:
            self.store.storage.write_at(offset, data)
        if writes:
            self._sync()

    def _write_superblock(self) -> None:
        store = self.store
        store.storage.write_at(store.fs_offset, pack_superblock(store.fs, store.byteorder, store.fs_offset))
        self._sync()

    def _sync(self) -> None:
        if self.store.durable:
            self.store.sync()


def set_time(inode: Ufs2Dinode, name: str, time_ns: int) -> None:
    """Set one of ``mtime``, ``atime``, ``ctime`` and ``birthtime``."""
    seconds, nanoseconds = divmod(time_ns, _SECOND)
    setattr(inode, f"di_{name}", seconds)
    setattr(inode, f"di_{name.removesuffix('time')}nsec" if name == "birthtime" else f"di_{name}nsec", nanoseconds)


def get_time(inode: Ufs2Dinode, name: str) -> int:
    """One of the times of an inode, in nanoseconds."""
    field = f"di_{name.removesuffix('time')}nsec" if name == "birthtime" else f"di_{name}nsec"
    return int(getattr(inode, f"di_{name}")) * _SECOND + int(getattr(inode, field))
