"""An NTFS volume that can be changed in place: each method is one operation, and several can be put into one."""

from __future__ import annotations

import contextlib
import io
import os
import stat
import struct
from typing import TYPE_CHECKING, Final

from cloudboot_base import Window, WritableStorage, open_storage
from cloudboot_ntfs import errors
from cloudboot_ntfs.builder.members import check_name
from cloudboot_ntfs.builder.placing import Placed, resident
from cloudboot_ntfs.builder.record import Packed, capacity
from cloudboot_ntfs.layout.constants import (
    AttributeFlag,
    FileAttribute,
    Namespace,
    Number,
    RecordFlag,
    Type,
    reference,
)
from cloudboot_ntfs.layout.filename import Name, namespace_of
from cloudboot_ntfs.layout.filename import parse as parse_name
from cloudboot_ntfs.layout.index import pack_last, pack_root
from cloudboot_ntfs.layout.records import StandardInformation
from cloudboot_ntfs.layout.runlist import Run
from cloudboot_ntfs.layout.times import from_unix_ns
from cloudboot_ntfs.reader.reparse import symlink_data
from cloudboot_ntfs.reader.volume import NTFS, Child
from cloudboot_ntfs.security import from_sddl

from .draft import Draft, load, parsed, runs_of, value
from .table import Table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from typing_extensions import Buffer

    from cloudboot_ntfs.reader.volume import Source

_PIECE: Final = 1 << 20
_MAX_LINKS: Final = 1024
#: What a whole file is read into memory for at most: one that is resident, compressed or has holes and is changed.
_MAX_REWRITE: Final = 1 << 30


class WritableNTFS(NTFS):
    """An NTFS volume, to be read and changed.

    The volume is marked dirty from the first write of an operation to its last, so that one that was interrupted is
    noticed. Put many changes into one operation with :meth:`changing`: each directory is then written once.

    Args:
        source: a path, a writable buffer, file or storage.
        offset: where the volume starts, in bytes.
        size: of the volume in bytes; by default all that follows.
        timestamp_ns: the time of every change, in nanoseconds since 1970; there is no clock.
        force: change a volume that is dirty.

    Raises:
        ReadOnlyError: the volume is dirty, or its log holds what is to be replayed.
        NtfsError: not a volume of NTFS 3.
    """

    def __init__(
        self, source: Source, *, offset: int = 0, size: int | None = None, timestamp_ns: int = 0, force: bool = False
    ) -> None:
        with contextlib.ExitStack() as stack:
            storage = stack.enter_context(open_storage(source, writable=True)).storage
            super().__init__(storage, offset=offset, size=size)
            target = self.storage
            if not isinstance(target, WritableStorage | Window):
                raise errors.ReadOnlyError("the storage cannot be written")
            self._closing.push(stack.pop_all())
        if self.information.major_version < 3:
            raise errors.UnsupportedError("a volume of NTFS 1.2 is not changed", structure="VolumeInformation")
        if not force and (self.is_dirty or self._log_is_dirty()):
            raise errors.ReadOnlyError(
                "the volume was not unmounted", hint="let its own system or ntfsfix look at it first"
            )
        self._time = from_unix_ns(timestamp_ns)
        self._table = Table(self, target)
        self._depth = 0

    def _log_is_dirty(self) -> bool:
        stream = self.mft.stream(self.mft.file(Number.LOG_FILE), Type.DATA)
        head = stream.read_at(0, 4096)
        if head[:4] != b"RSTR":
            return False
        area = struct.unpack_from("<H", head, 24)[0]
        if area + 16 > len(head):
            return True
        in_use, flags = struct.unpack_from("<HH", head, area + 12)
        return in_use != 0xFFFF and not flags & 2

    @contextlib.contextmanager
    def changing(self) -> Iterator[None]:
        """One operation out of all the changes inside; directories are written at its end.

        What was changed before an error stays changed, and the volume is whole; only an error in the middle of a change
        (no space, say) leaves it marked dirty.
        """
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
            if not self._depth:
                self._directories.clear()
                self._table.finish()

    # Names

    def mkdir(self, path: str) -> None:
        """Make a directory.

        Raises:
            FileExistsError: the name is taken.
            FileNotFoundError, NotADirectoryError: there is no directory to hold it.
        """
        with self.changing():
            parent, name = self._new_name(path)
            draft = self._new_file(parent, RecordFlag.IN_USE | RecordFlag.DIRECTORY, 0)
            geometry = self.geometry
            per_block = max(1, geometry.index_size // geometry.index_vcn_size)
            root = pack_root(Type.FILE_NAME, 1, geometry.index_size, per_block, [pack_last()], large=False)
            draft.attributes.append(resident(Type.INDEX_ROOT, root, "$I30"))
            self._add_name(draft, parent, name)
            self._table.store(draft)

    def makedirs(self, path: str, *, exist_ok: bool = False) -> None:
        """Make a directory and those above it that are missing."""
        parts = [part for part in path.split("/") if part]
        with self.changing():
            for count in range(1, len(parts) + 1):
                place = "/" + "/".join(parts[:count])
                if not self.exists(place) or (count == len(parts) and not exist_ok):
                    self.mkdir(place)

    def write_file(self, path: str, data: Buffer | BinaryIO | os.PathLike[str], *, stream: str = "") -> int:
        """Give the file at ``path``, made if need be, new content; its size in bytes.

        ``stream`` names another of its data streams. The old content stays until the new one is written.

        Raises:
            IsADirectoryError: it is one.
            NoSpaceError: the content does not fit.
        """
        with self.changing():
            if not self.exists(path):
                self._check_stream(stream)
                parent, name = self._new_name(path)
                draft = self._new_file(parent, RecordFlag.IN_USE, FileAttribute.ARCHIVE)
                draft.attributes.append(resident(Type.DATA, b""))
                size = self._put_content(draft, data, stream)
                self._add_name(draft, parent, name)
            else:
                number = self.find(path)
                draft = load(self.mft, number)
                if draft.flags & RecordFlag.DIRECTORY and not stream:
                    raise errors.IsADirectoryError(f"{path}: is a directory")
                self._check_stream(stream)
                size = self._put_content(draft, data, stream)
                self._touch(draft, modified=True)
            self._table.store(draft)
            return size

    def write_at(self, path: str, offset: int, data: Buffer) -> int:
        """Write ``data`` into the content of a file at ``offset``, which may be beyond its end; its size afterwards."""
        view = memoryview(data).cast("B")
        with self.changing():
            number = self.find(path)
            draft = load(self.mft, number)
            if draft.flags & RecordFlag.DIRECTORY:
                raise errors.IsADirectoryError(f"{path}: is a directory")
            size = self._resize(draft, max(self._size(draft), offset + len(view)))
            self._write_into(draft, offset, view)
            self._touch(draft, modified=True)
            self._table.store(draft)
            return size

    def append(self, path: str, data: Buffer) -> int:
        """Write ``data`` at the end of a file; its size afterwards."""
        return self.write_at(path, self.stat(path).st_size, data)

    def truncate(self, path: str, size: int) -> None:
        """Let a file have ``size`` bytes; what is added is zeros."""
        with self.changing():
            draft = load(self.mft, self.find(path))
            if draft.flags & RecordFlag.DIRECTORY:
                raise errors.IsADirectoryError(f"{path}: is a directory")
            self._resize(draft, size)
            self._touch(draft, modified=True)
            self._table.store(draft)

    def unlink(self, path: str) -> None:
        """Remove a name of a file, or a link; the file goes with its last name.

        Raises:
            IsADirectoryError: it is a directory.
        """
        with self.changing():
            parent, name = self._existing(path)
            draft = load(self.mft, self._child(parent, name, path))
            if draft.flags & RecordFlag.DIRECTORY and not draft.all(Type.REPARSE_POINT):
                raise errors.IsADirectoryError(f"{path}: is a directory")
            self._drop_name(draft, parent, name)

    def rmdir(self, path: str) -> None:
        """Remove an empty directory.

        Raises:
            DirectoryNotEmptyError: it holds something.
            NotADirectoryError: it is not a directory.
        """
        with self.changing():
            parent, name = self._existing(path)
            number = self._child(parent, name, path)
            draft = load(self.mft, number)
            if not draft.flags & RecordFlag.DIRECTORY:
                raise errors.NotADirectoryError(f"{path}: is not a directory")
            if self._table.index(number).items:
                raise errors.DirectoryNotEmptyError(f"{path}: is not empty")
            self._drop_name(draft, parent, name)

    def rename(self, source: str, target: str) -> None:
        """Move a file or directory to another name; what stands there is replaced by the rules of POSIX.

        A name that differs only in case takes the place of the old one.

        Raises:
            PathError: a directory would move into itself.
            DirectoryNotEmptyError, IsADirectoryError, NotADirectoryError: what is there cannot be replaced.
        """
        with self.changing():
            parent, name = self._existing(source)
            number = self._child(parent, name, source)
            new_parent, new_name = self._place(target)
            draft = load(self.mft, number)
            is_directory = bool(draft.flags & RecordFlag.DIRECTORY)
            if is_directory:
                self._refuse_inside(number, new_parent, target)
            other = self.lookup(new_parent, new_name)
            if other is not None and other.number != number:
                self._replace(target, other.number, is_directory=is_directory)
            elif other is not None and (new_parent, other.name.name) != (parent, name):
                return  # two names of one file: POSIX leaves both
            draft = load(self.mft, number)
            self._take_name(draft, parent, name)
            self._add_name(draft, new_parent, new_name)
            self._touch(draft)
            self._table.store(draft)

    def link(self, target: str, path: str) -> None:
        """Give the file at ``target`` another name.

        Raises:
            IsADirectoryError: directories have one name.
            TooManyLinksError: it has as many names as it can have.
        """
        with self.changing():
            number = self.find(target)
            draft = load(self.mft, number)
            if draft.flags & RecordFlag.DIRECTORY:
                raise errors.IsADirectoryError(f"{target}: is a directory")
            if len(draft.names()) >= _MAX_LINKS:
                raise errors.TooManyLinksError(f"{target}: has as many names as it can have")
            parent, name = self._new_name(path)
            self._add_name(draft, parent, name)
            self._touch(draft)
            self._table.store(draft)

    def symlink(self, target: str, path: str, *, is_directory: bool = False) -> None:
        """Make a symbolic link; Windows wants to know whether it leads to a directory."""
        self.make_reparse_point(path, symlink_data(target), is_directory=is_directory)

    def make_reparse_point(self, path: str, data: bytes, *, is_directory: bool = False) -> None:
        """Make a file or directory with a reparse point: a junction, say.

        Raises:
            ReparseError: the data does not fit a record.
        """
        if len(data) > capacity(self.geometry.record_size) - 700 or len(data) < 8:
            raise errors.ReparseError(
                "the reparse point does not fit a record", structure="ReparseHead", actual=len(data)
            )
        with self.changing():
            parent, name = self._new_name(path)
            flags = RecordFlag.IN_USE | (RecordFlag.DIRECTORY if is_directory else 0)
            attributes = FileAttribute.REPARSE_POINT | (0 if is_directory else FileAttribute.ARCHIVE)
            draft = self._new_file(parent, flags, attributes)
            if is_directory:
                geometry = self.geometry
                per_block = max(1, geometry.index_size // geometry.index_vcn_size)
                root = pack_root(Type.FILE_NAME, 1, geometry.index_size, per_block, [pack_last()], large=False)
                draft.attributes.append(resident(Type.INDEX_ROOT, root, "$I30"))
            else:
                draft.attributes.append(resident(Type.DATA, b""))
            draft.attributes.append(resident(Type.REPARSE_POINT, data))
            self._table.reparse_index(add=self._reparse_key(draft))
            self._add_name(draft, parent, name)
            self._table.store(draft)

    # Facts

    def set_attributes(self, path: str, attributes: int) -> None:
        """Set the file attributes of Windows that can be chosen: read-only, hidden, system, archive, not indexed."""
        chosen = FileAttribute.READONLY | FileAttribute.HIDDEN | FileAttribute.SYSTEM | FileAttribute.ARCHIVE | 0x2000
        with self.changing():
            draft = load(self.mft, self.find(path))
            information = draft.information()
            information.attributes = information.attributes & ~int(chosen) | attributes & int(chosen)
            self._put_information(draft, information)
            self._touch(draft)
            self._table.store(draft)

    def chmod(self, path: str, mode: int) -> None:
        """Set the read-only attribute if no write bit is set in the mode, clear it otherwise. NTFS keeps no other."""
        status = self.stat(path)
        if stat.S_ISDIR(status.st_mode):
            return
        readonly = int(FileAttribute.READONLY)
        self.set_attributes(path, status.st_flags & ~readonly | (0 if mode & 0o222 else readonly))

    def utime(
        self, path: str, *, atime_ns: int | None = None, mtime_ns: int | None = None, birthtime_ns: int | None = None
    ) -> None:
        """Set times, in nanoseconds since 1970; NTFS keeps hundreds."""
        with self.changing():
            draft = load(self.mft, self.find(path))
            information = draft.information()
            if atime_ns is not None:
                information.accessed = from_unix_ns(atime_ns)
            if mtime_ns is not None:
                information.modified = from_unix_ns(mtime_ns)
            if birthtime_ns is not None:
                information.created = from_unix_ns(birthtime_ns)
            self._put_information(draft, information)
            self._touch(draft)
            self._table.store(draft)

    def set_sddl(self, path: str, sddl: str) -> None:
        """Give a file a security descriptor of its own, which stands in its record.

        Raises:
            DescriptorError: the text breaks the grammar.
        """
        descriptor = from_sddl(sddl)
        with self.changing():
            draft = load(self.mft, self.find(path))
            information = draft.information()
            information.security_id = 0
            self._put_information(draft, information)
            draft.replace(Type.SECURITY_DESCRIPTOR, "", [resident(Type.SECURITY_DESCRIPTOR, descriptor)])
            self._touch(draft)
            self._table.store(draft)

    def remove_stream(self, path: str, stream: str) -> None:
        """Remove a data stream that has a name.

        Raises:
            StreamNotFoundError: there is none.
        """
        with self.changing():
            draft = load(self.mft, self.find(path))
            parts = draft.all(Type.DATA, stream)
            if not parts or not stream:
                raise errors.StreamNotFoundError(f"{path}: no data stream {stream!r}")
            self._table.space.release(runs_of(parts, self.geometry.clusters))
            draft.remove(Type.DATA, stream)
            self._touch(draft)
            self._table.store(draft)

    def sync(self) -> None:
        """Bring everything to the device."""
        self._table.sync()

    # What the operations consist of

    def lookup(self, directory: int, name: str) -> Child | None:
        """As :meth:`.NTFS.lookup`, with what was changed in the operation under way."""
        index = self._table.loaded_index(directory)
        if index is None:
            return super().lookup(directory, name)
        found = [Child(item.reference, parse_name(item.key)) for item in index.named(self.fold(name))]
        exact = [child for child in found if child.name.name == name]
        chosen = exact or found
        return chosen[0] if chosen else None

    def children(self, number: int) -> dict[str, Child]:
        """As :meth:`.NTFS.children`, with what was changed in the operation under way."""
        self._table.flush_index(number)
        return super().children(number)

    def _place(self, path: str) -> tuple[int, str]:
        parts = [part for part in path.split("/") if part not in ("", ".")]
        if not parts or parts[-1] == "..":
            raise errors.PathError(f"{path}: names nothing that can be made, moved or removed")
        parent = self.find("/" + "/".join(parts[:-1]))
        if not self.mft.file(parent).is_directory:
            raise errors.NotADirectoryError(f"{path}: goes through what is not a directory")
        return parent, parts[-1]

    def _new_name(self, path: str) -> tuple[int, str]:
        parent, name = self._place(path)
        check_name(name, path)
        if self.lookup(parent, name) is not None:
            raise errors.FileExistsError(f"{path}: the name is taken")
        return parent, name

    def _existing(self, path: str) -> tuple[int, str]:
        parent, name = self._place(path)
        child = self.lookup(parent, name)
        if child is None:
            raise errors.FileNotFoundError(f"{path}: no such file or directory")
        if child.number < 24:
            raise errors.ReadOnlyError(f"{path}: is a file of the volume itself")
        return parent, child.name.name

    def _child(self, parent: int, name: str, path: str) -> int:
        child = self.lookup(parent, name)
        if child is None:
            raise errors.FileNotFoundError(f"{path}: no such file or directory")
        self.mft.file(child.number, child.sequence)
        return int(child.number)

    def _refuse_inside(self, number: int, parent: int, path: str) -> None:
        seen: set[int] = set()
        while parent != Number.ROOT and parent not in seen:
            if parent == number:
                raise errors.PathError(f"{path}: a directory cannot move into itself")
            seen.add(parent)
            parent = load(self.mft, parent).names()[0].parent_record

    def _replace(self, path: str, number: int, *, is_directory: bool) -> None:
        there = bool(self.mft.file(number).is_directory)
        if is_directory and not there:
            raise errors.NotADirectoryError(f"{path}: is not a directory")
        if there and not is_directory:
            raise errors.IsADirectoryError(f"{path}: is a directory")
        if there:
            self.rmdir(path)
        else:
            self.unlink(path)

    def _new_file(self, parent: int, flags: int, attributes: int) -> Draft:
        """The draft of a new file with the security of its directory."""
        above = load(self.mft, parent)
        own = above.all(Type.SECURITY_DESCRIPTOR)
        time = self._time
        information = StandardInformation(
            time, time, time, time, int(attributes), security_id=above.information().security_id
        )
        number, sequence = self._table.new_record()
        draft = Draft(
            number, sequence, int(flags), [resident(Type.STANDARD_INFORMATION, information.pack())], is_new=True
        )
        if own and not information.security_id:
            draft.attributes.append(resident(Type.SECURITY_DESCRIPTOR, value(own[0])))
        return draft

    def _name(self, draft: Draft, parent: int, name: str, namespace: int) -> Name:
        information = draft.information()
        size = allocated = 0
        data = draft.all(Type.DATA, "")
        if data and not draft.flags & RecordFlag.DIRECTORY:
            first = parsed(min(data, key=lambda part: part.lowest_vcn))
            size = first.data_size
            allocated = first.allocated_size if first.stored_size is None else first.stored_size
        attributes = information.attributes
        if draft.flags & RecordFlag.DIRECTORY:
            attributes |= FileAttribute.DIRECTORY
        reparse = draft.all(Type.REPARSE_POINT)
        tag = int.from_bytes(value(reparse[0])[:4], "little") if reparse else 0
        above = reference(parent, self.mft.record(parent).sequence)
        return Name(
            above, information.created, information.modified, information.changed, information.accessed,
            allocated, size, int(attributes), tag, namespace, name,
        )  # fmt: skip

    def _add_name(self, draft: Draft, parent: int, name: str) -> None:
        made = self._name(draft, parent, name, namespace_of(name))
        draft.attributes.append(resident(Type.FILE_NAME, made.pack(), indexed=True))
        self._table.index(parent).add(made.pack(), reference(draft.number, draft.sequence))
        self._forget(parent)

    def _take_name(self, draft: Draft, parent: int, name: str) -> None:
        """Take a name away, with the short name beside it."""
        kept = []
        for each in draft.all(Type.FILE_NAME):
            own = _parse_name(each)
            is_it = own.parent_record == parent and own.name == name
            paired = own.parent_record == parent and own.namespace == Namespace.DOS
            if is_it or (paired and self._is_pair(draft, parent, name)):
                self._table.index(parent).remove(own.pack())
            else:
                kept.append(each)
        draft.remove(Type.FILE_NAME)
        draft.attributes += kept
        self._forget(parent)

    def _is_pair(self, draft: Draft, parent: int, name: str) -> bool:
        return any(
            own.parent_record == parent and own.name == name and own.namespace == Namespace.WIN32
            for own in draft.names()
        )

    def _drop_name(self, draft: Draft, parent: int, name: str) -> None:
        self._take_name(draft, parent, name)
        if draft.all(Type.FILE_NAME):
            self._touch(draft)
            self._table.store(draft)
            return
        if draft.all(Type.REPARSE_POINT):
            self._table.reparse_index(remove=self._reparse_key(draft))
        self._table.discard(draft)
        self._forget(draft.number)

    def _reparse_key(self, draft: Draft) -> bytes:
        tag = int.from_bytes(value(draft.all(Type.REPARSE_POINT)[0])[:4], "little")
        return struct.pack("<IQ", tag, reference(draft.number, draft.sequence))

    def _touch(self, draft: Draft, *, modified: bool = False) -> None:
        """Note the time of a change, and tell every directory that has the file what it repeats."""
        information = draft.information()
        information.changed = self._time
        if modified:
            information.modified = self._time
        data = draft.all(Type.DATA, "")
        if data and not draft.flags & RecordFlag.DIRECTORY:
            flags = parsed(min(data, key=lambda part: part.lowest_vcn)).flags
            for bit, mark in (
                (AttributeFlag.SPARSE, FileAttribute.SPARSE),
                (AttributeFlag.COMPRESSED, FileAttribute.COMPRESSED),
            ):
                information.attributes &= ~int(mark)
                information.attributes |= int(mark) if flags & bit else 0
        self._put_information(draft, information)
        names = draft.names()
        draft.remove(Type.FILE_NAME)
        for own in names:
            renewed = self._name(draft, own.parent_record, own.name, own.namespace)
            draft.attributes.append(resident(Type.FILE_NAME, renewed.pack(), indexed=True))
            if draft.number != Number.ROOT:
                self._table.index(own.parent_record).put_name(renewed, reference(draft.number, draft.sequence))
                self._forget(own.parent_record)

    def _put_information(self, draft: Draft, information: StandardInformation) -> None:
        draft.replace(Type.STANDARD_INFORMATION, "", [resident(Type.STANDARD_INFORMATION, information.pack())])

    def _forget(self, number: int) -> None:
        self._directories.pop(number, None)

    # Content

    def _check_stream(self, stream: str) -> None:
        if len(stream) > 255 or set(stream) & set("/\\:\0"):
            raise errors.PathError(f"{stream!r} is not the name of a stream")

    def _put_content(self, draft: Draft, data: Buffer | BinaryIO | os.PathLike[str], stream: str) -> int:
        """New content for a stream; the old clusters are given back when the operation is over."""
        if isinstance(data, os.PathLike):
            with open(data, "rb") as file:
                return self._put_content(draft, file, stream)
        self._table.space.release(runs_of(draft.all(Type.DATA, stream), self.geometry.clusters))
        if isinstance(data, io.IOBase):
            parts, size = self._from_file(data, stream, draft)
        else:
            parts, size = self._from_bytes(bytes(memoryview(data).cast("B")), stream, draft)  # type: ignore[arg-type]  # no file, so a buffer
        draft.replace(Type.DATA, stream, parts)
        return size

    def _from_bytes(self, data: bytes, stream: str, draft: Draft) -> tuple[list[Packed], int]:
        others = sum(len(each.data) for each in draft.attributes if (each.type, each.name) != (Type.DATA, stream))
        small = resident(Type.DATA, data, stream)
        # A name may still be added to a new file.
        if others + len(small.data) + (600 if draft.is_new else 0) <= capacity(self.geometry.record_size):
            return [small], len(data)
        runs = self._table.space.store(data)
        return self._placed(len(data), runs).attributes(Type.DATA, stream), len(data)

    def _from_file(self, file: io.IOBase, stream: str, draft: Draft) -> tuple[list[Packed], int]:
        first: bytes = file.read(_PIECE)
        if len(first) < _PIECE:
            return self._from_bytes(first, stream, draft)
        runs: list[Run] = []
        size = vcn = 0
        piece = first
        while piece:
            while len(piece) < _PIECE and (more := file.read(_PIECE - len(piece))):
                piece += more
            runs += self._table.space.store(piece, vcn=vcn)
            vcn += -(-len(piece) // self.geometry.cluster_size)
            size += len(piece)
            piece = file.read(_PIECE)
        return self._placed(size, _joined(runs)).attributes(Type.DATA, stream), size

    def _placed(self, size: int, runs: list[Run]) -> Placed:
        return Placed(size, sum(run.length for run in runs), self.geometry.cluster_size, runs, [])

    def _size(self, draft: Draft) -> int:
        data = draft.all(Type.DATA, "")
        return parsed(min(data, key=lambda part: part.lowest_vcn)).data_size if data else 0

    def _resize(self, draft: Draft, size: int) -> int:
        """Let the unnamed stream have ``size`` bytes; clusters are taken or given back at its end."""
        old = self._size(draft)
        if size == old:
            return size
        parts = draft.all(Type.DATA, "")
        first = parsed(min(parts, key=lambda part: part.lowest_vcn)) if parts else None
        cluster = self.geometry.cluster_size
        if first is None or first.resident or first.flags or first.initialized_size < first.data_size or not size:
            return self._rewrite(draft, size)
        runs = runs_of(parts, self.geometry.clusters)
        have, need = sum(run.length for run in runs), -(-size // cluster)
        if need > have:
            last = runs[-1]
            near = (last.lcn or 0) + last.length
            added = self._table.space.allocate(need - have, vcn=have, near=near)
            self._table.zero(added)
            runs = _joined(runs + added)
        elif need < have:
            runs, gone = _cut(runs, need)
            self._table.space.release(gone)
        if size > old:
            end = min(have * cluster, size)
            self._table.write_runs(runs, old, bytes(max(0, end - old)))
        draft.replace(Type.DATA, "", self._placed(size, runs).attributes(Type.DATA))
        return size

    def _rewrite(self, draft: Draft, size: int) -> int:
        """New content of another size, for streams that are not simply clusters: the old one, cut or with zeros."""
        if max(size, self._size(draft)) > _MAX_REWRITE:
            raise errors.UnsupportedError(
                "too large to be rewritten", structure="DATA", expected=_MAX_REWRITE, actual=size
            )
        data = self.open_inode(draft.number).read_at(0, size) if self._size(draft) else b""
        self._put_content(draft, data.ljust(size, b"\0"), "")
        return size

    def _write_into(self, draft: Draft, offset: int, view: memoryview) -> None:
        parts = draft.all(Type.DATA, "")
        first = parsed(min(parts, key=lambda part: part.lowest_vcn))
        if first.resident:
            data = bytearray(first.value)
            data[offset : offset + len(view)] = view
            draft.replace(Type.DATA, "", [resident(Type.DATA, bytes(data))])
        elif first.flags or first.initialized_size < first.data_size:
            data = bytearray(self.open_inode(draft.number).read_at(0, first.data_size))
            data[offset : offset + len(view)] = view
            self._put_content(draft, data, "")
        else:
            self._table.write_runs(runs_of(parts, self.geometry.clusters), offset, view)


def _parse_name(each: Packed) -> Name:
    return parse_name(value(each))


def _joined(runs: list[Run]) -> list[Run]:
    """Runs that follow one another on the disk, put together."""
    joined: list[Run] = []
    for run in runs:
        last = joined[-1] if joined else None
        if last is not None and last.lcn is not None and run.lcn == last.lcn + last.length:
            joined[-1] = Run(last.vcn, last.length + run.length, last.lcn)
        else:
            joined.append(run)
    return joined


def _cut(runs: list[Run], clusters: int) -> tuple[list[Run], list[Run]]:
    """The runs of the first clusters, and those of the rest."""
    kept: list[Run] = []
    gone: list[Run] = []
    for run in runs:
        inside = max(0, min(run.length, clusters - run.vcn))
        if inside:
            kept.append(Run(run.vcn, inside, run.lcn))
        if inside < run.length:
            gone.append(Run(run.vcn + inside, run.length - inside, None if run.lcn is None else run.lcn + inside))
    return kept, gone
