"""An NTFS volume that can be changed in place: each method is one operation, and several can be put into one."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from cloudboot_ntfs import errors
from cloudboot_ntfs.builder.placement import resident
from cloudboot_ntfs.layout.constants import TAG_WOF, FileAttribute, Number, RecordFlag, Type
from cloudboot_ntfs.layout.index import pack_last, pack_root
from cloudboot_ntfs.layout.records import ReparseHead
from cloudboot_ntfs.layout.times import from_unix_ns
from cloudboot_ntfs.reader.reparse import MAX_SIZE as MAX_REPARSE
from cloudboot_ntfs.reader.reparse import RECALLED, WOF_STREAM, is_elsewhere, symlink_data
from cloudboot_ntfs.security import from_sddl

from .base import Editor
from .draft import Draft, load, runs_of
from .livefile import LiveFile

if TYPE_CHECKING:
    import os

    from typing_extensions import Buffer

    from cloudboot_ntfs.builder.record import Packed
    from cloudboot_ntfs.reader.mft import Record
    from cloudboot_ntfs.reader.reparse import WofStream
    from cloudboot_ntfs.reader.stream import Stream
    from cloudboot_vfs.protocol import Readable

_MODES = ("r", "r+", "w", "w+", "x", "x+", "a", "a+")


class WritableNTFS(Editor):
    """An NTFS volume, to be read and changed.

    The volume is marked dirty from the first write of an operation to its last, so that one that was interrupted is
    noticed. Put many changes into one operation with ``transaction()``. One lock serves all threads, open files
    included; a file is claimed with flock(2) until the volume is closed.

    Args:
        source: a path, a writable buffer, file or storage.
        offset: where the volume starts, in bytes.
        size: of the volume in bytes; by default all that follows.
        timestamp_ns: the time of every change, in nanoseconds since 1970, where there is no clock.
        clock: the time in nanoseconds, for what is changed (``time.time_ns``).
        case_sensitive: look names up as they are, so that two may differ in case only.
        windows_names: refuse new names that Windows' own interface cannot open.
        short_names: give new names that DOS cannot hold a short name, too.
        force: change a volume that is dirty.

    Raises:
        ReadOnlyError: the volume is dirty, its log holds what is to be replayed, or another process is writing to it.
        NtfsError: not a volume of NTFS 3.
    """

    # Names

    def mkdir(self, path: str, mode: int = 0o755) -> None:  # noqa: ARG002 -- directories have no permissions here
        """Make a directory. NTFS keeps no permissions of POSIX; it has the security of the one it is in.

        Raises:
            FileExistsError: the name is taken.
            FileNotFoundError, NotADirectoryError: there is no directory to hold it.
        """
        with self._operation():
            parent, name = self._new_name(path)
            draft = self._new_file(parent, RecordFlag.IN_USE | RecordFlag.DIRECTORY, 0)
            draft.attributes.append(self._empty_index())
            self._add_name(draft, parent, name)
            self._table.store(draft)

    def _empty_index(self) -> Packed:
        geometry = self.geometry
        per_block = max(1, geometry.index_size // geometry.index_vcn_size)
        root = pack_root(Type.FILE_NAME, 1, geometry.index_size, per_block, [pack_last()], large=False)
        return resident(Type.INDEX_ROOT, root, "$I30")

    def makedirs(self, path: str, mode: int = 0o755, *, exist_ok: bool = False) -> None:
        """Make a directory and those above it that are missing."""
        parts = [part for part in path.split("/") if part]
        with self._operation():
            for count in range(1, len(parts) + 1):
                place = "/" + "/".join(parts[:count])
                if not self.exists(place) or (count == len(parts) and not exist_ok):
                    self.mkdir(place, mode)
            if not stat.S_ISDIR(self.stat(path).st_mode):
                raise errors.FileExistsError(f"{path}: is not a directory")

    def unlink(self, path: str) -> None:
        """Remove a name of a file, or a link; the file goes with its last name.

        Raises:
            IsADirectoryError: it is a directory.
        """
        with self._operation():
            if not path.strip("/"):
                raise errors.IsADirectoryError(f"{path}: is a directory")
            parent, name, number = self._existing(path)
            draft = load(self.mft, number)
            if draft.is_directory and not draft.all(Type.REPARSE_POINT):
                raise errors.IsADirectoryError(f"{path}: is a directory")
            self._drop_name(draft, parent, name)

    def rmdir(self, path: str) -> None:
        """Remove an empty directory.

        Raises:
            DirectoryNotEmptyError: it holds something.
            NotADirectoryError: it is not a directory.
        """
        with self._operation():
            parent, name, number = self._existing(path)
            draft = load(self.mft, number)
            if not draft.is_directory or self._is_link_draft(draft):
                raise errors.NotADirectoryError(f"{path}: is not a directory")
            if not self._index(number).is_empty:
                raise errors.DirectoryNotEmptyError(f"{path}: is not empty")
            self._drop_name(draft, parent, name)

    def _is_link_draft(self, draft: Draft) -> bool:
        return stat.S_ISLNK(self.stat_inode(draft.number).st_mode)

    def rename(self, source: str, target: str) -> None:
        """Move a file or directory to another name; what stands there is replaced by the rules of POSIX.

        A name that differs only in case takes the place of the old one.

        Raises:
            PathError: a directory would move into itself.
            DirectoryNotEmptyError, IsADirectoryError, NotADirectoryError: what is there cannot be replaced.
        """
        with self._operation():
            parent, name, number = self._existing(source)
            new_parent, new_name = self._place(target)
            self._require_name(new_name, target)
            draft = load(self.mft, number)
            is_directory = draft.is_directory and not self._is_link_draft(draft)
            if is_directory:
                self._refuse_inside(number, new_parent, target)
            other = self.lookup(new_parent, new_name)
            victim: Draft | None = None
            if other is not None and other.number != number:
                victim = self._victim(target, is_directory=is_directory)
                self._take_name(victim, new_parent, self._long_name(new_parent, other))
            elif other is not None and (new_parent, self._long_name(new_parent, other)) != (parent, name):
                return  # two names of one file: POSIX leaves both
            elif other is not None and new_name == name:
                return
            self._take_name(draft, parent, name)
            self._add_name(draft, new_parent, new_name)
            self._touch(draft)
            # The file has its new name before the one that had it goes.
            self._table.store(draft)
            if victim is not None:
                self._drop(victim)

    def _victim(self, path: str, *, is_directory: bool) -> Draft:
        """What a move to ``path`` replaces."""
        _, _, number = self._existing(path)
        draft = load(self.mft, number)
        there = draft.is_directory and not self._is_link_draft(draft)
        if is_directory and not there:
            raise errors.NotADirectoryError(f"{path}: is not a directory")
        if there and not is_directory:
            raise errors.IsADirectoryError(f"{path}: is a directory")
        if there and not self._index(number).is_empty:
            raise errors.DirectoryNotEmptyError(f"{path}: is not empty")
        return draft

    def link(self, target: str, path: str) -> None:
        """Give the file at ``target``, or the symbolic link that stands there, another name.

        Raises:
            IsADirectoryError: directories have one name.
            TooManyLinksError: it has as many names as it can have.
        """
        with self._operation():
            number = self.find(target, follow_symlinks=False)
            draft = load(self.mft, number)
            if draft.is_directory:
                raise errors.IsADirectoryError(f"{target}: is a directory")
            self._require_users(draft.number, draft.flags, target)
            self._require_link_room(draft, target)
            parent, name = self._new_name(path)
            self._add_name(draft, parent, name)
            self._touch(draft)
            self._table.store(draft)

    def symlink(self, target: str, path: str, *, is_directory: bool | None = None) -> None:
        """Make a symbolic link; ``is_directory`` tells Windows what it leads to, by default what is there now."""
        with self._operation():
            if is_directory is None:
                there = target if target.startswith("/") else f"{path.rstrip('/').rpartition('/')[0]}/{target}"
                is_directory = self.exists(there) and stat.S_ISDIR(self.stat(there).st_mode)
            self.make_reparse_point(path, symlink_data(target), is_directory=is_directory)

    def make_reparse_point(self, path: str, data: bytes, *, is_directory: bool = False) -> None:
        """Make a file or directory with a reparse point: a junction, say.

        Raises:
            ReparseError: the data is shorter than a head, or longer than Windows has it.
        """
        if not ReparseHead.SIZE <= len(data) <= MAX_REPARSE:
            raise errors.ReparseError(
                "no reparse point has that size", structure="ReparseHead", expected=f"8 to {MAX_REPARSE}",
                actual=len(data),
            )  # fmt: skip
        with self._operation():
            parent, name = self._new_name(path)
            flags = RecordFlag.IN_USE | (RecordFlag.DIRECTORY if is_directory else 0)
            attributes = FileAttribute.REPARSE_POINT | (0 if is_directory else FileAttribute.ARCHIVE)
            draft = self._new_file(parent, flags, attributes)
            draft.attributes.append(self._empty_index() if is_directory else resident(Type.DATA, b""))
            draft.attributes += self._contents.value(Type.REPARSE_POINT, data)
            self._table.reparse_index(add=self._reparse_key(draft))
            self._add_name(draft, parent, name)
            self._table.store(draft)

    # Facts

    def set_attributes(self, path: str, attributes: int) -> None:
        """Set the file attributes of Windows that can be chosen: read-only, hidden, system, archive, not indexed."""
        chosen = FileAttribute.READONLY | FileAttribute.HIDDEN | FileAttribute.SYSTEM | FileAttribute.ARCHIVE | 0x2000
        with self._operation():
            draft = load(self.mft, self.find(path))
            information = draft.information()
            information.attributes = information.attributes & ~int(chosen) | attributes & int(chosen)
            self._put_information(draft, information)
            self._touch(draft)
            self._table.store(draft)

    def chmod(self, path: str, mode: int) -> None:
        """Set the read-only attribute if no write bit is set in the mode, clear it otherwise. NTFS keeps no other."""
        with self._operation():
            status = self.stat(path)
            if stat.S_ISDIR(status.st_mode):
                return
            readonly = int(FileAttribute.READONLY)
            self.set_attributes(path, status.st_flags & ~readonly | (0 if mode & 0o222 else readonly))

    def chown(self, path: str, uid: int | None = None, gid: int | None = None) -> None:  # noqa: ARG002 -- not stored
        """Nothing, but that ``path`` must exist: NTFS keeps no owners of POSIX; :meth:`set_sddl` sets its own."""
        self.find(path)

    def utime(
        self, path: str, *, atime_ns: int | None = None, mtime_ns: int | None = None, birthtime_ns: int | None = None
    ) -> None:
        """Set times, in nanoseconds since 1970; NTFS keeps hundreds."""
        with self._operation():
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
        """Give a file a security descriptor: that of $Secure which is equal, or a new one there.

        Raises:
            DescriptorError: the text breaks the grammar, or the descriptor is larger than what $Secure holds.
            NoSpaceError: $Secure cannot grow.
        """
        descriptor = from_sddl(sddl)
        with self._operation():
            security_id = self._id_of(descriptor)
            draft = load(self.mft, self.find(path))
            information = draft.information()
            information.security_id = security_id
            self._put_information(draft, information)
            old = draft.all(Type.SECURITY_DESCRIPTOR)
            self._table.space.release(runs_of(old, self.geometry.clusters))
            draft.remove(Type.SECURITY_DESCRIPTOR)
            self._touch(draft)
            self._table.store(draft)

    # Contents

    def open_file(
        self,
        path: str,
        mode: str = "rb",
        *,
        stream: str = "",
        replacing: bool = False,  # noqa: ARG002 -- NTFS keeps no reserve
    ) -> LiveFile:
        """The file ``path``, or another of its data streams, as a seekable raw stream.

        ``mode`` is one of ``rb``, ``r+b``, ``wb``, ``w+b``, ``xb``, ``x+b``, ``ab`` and ``a+b``; as with POSIX, ``wb``
        cuts a file at once, and :meth:`write_file` replaces one whole.

        Raises:
            IsADirectoryError: it is one.
            FileExistsError: with ``x``, the name is taken.
            StreamNotFoundError: it has no such stream, and ``mode`` makes none.
            OptionError: no such mode.
        """
        letters = mode.replace("b", "")
        if letters not in _MODES:
            raise errors.OptionError("no such mode", field="mode", actual=mode)
        with self.lock:
            if letters[0] == "x" and not stream:
                self._new_name(path)
            if letters[0] != "r" and path.strip("/"):
                path = self.destination(path)
            there = self.exists(path)
            if there and not stream and self.mft.file(self.find(path)).is_directory:
                raise errors.IsADirectoryError(f"{path}: is a directory")
            if letters[0] != "r":
                if not there or (stream and not self._has_stream(self.find(path), stream)):
                    self.write_file(path, b"", stream=stream)
                elif letters[0] == "w" and not stream and self._is_elsewhere(load(self.mft, self.find(path))):
                    self.write_file(path, b"")
                elif letters[0] == "w" and self.open_inode(self.find(path), stream=stream).size:
                    self.truncate_inode(self.find(path), 0, stream=stream)
            number = self.find(path)
            return LiveFile(
                self, number, stream,
                readable=letters[0] == "r" or "+" in letters, writable=letters != "r", append=letters[0] == "a",
            )  # fmt: skip

    def current_stream(self, number: int, sequence: int | None, stream: str) -> tuple[Stream | WofStream, int]:
        """The content of an open file as it stands now, and the sequence number of its record.

        Raises:
            StaleFileError: the record belongs to another file by now, or to none.
        """
        with self.lock:
            found = self._current_record(number, sequence)
            return self.stream_of(found, stream), found.sequence

    def _current_record(self, number: int, sequence: int | None) -> Record:
        try:
            return self.mft.file(number, sequence)
        except errors.RecordError as error:
            if sequence is None:
                raise
            raise errors.StaleFileError("the file has been removed", field="record", actual=number) from error

    def _require_stream(self, number: int, sequence: int | None, stream: str) -> None:
        """Refuse to write into a stream that is not there, or not on the volume; its runs are not looked at."""
        record = self._current_record(number, sequence)
        names = {each.name for each in record.attributes if each.type == Type.DATA}
        if self._stream_name(names, stream) not in names or any(
            each.type == Type.REPARSE_POINT for each in record.attributes
        ):
            self.stream_of(record, stream)

    def write_file(
        self,
        path: str,
        data: Buffer | Readable | os.PathLike[str],
        *,
        stream: str = "",
        sparse: bool = False,
    ) -> int:
        """Give the file at ``path``, made if need be, new content; its size in bytes.

        The old content stays until the new one is written.

        Args:
            path: symbolic links are followed.
            data: bytes, a binary file that is read to its end, or the path of a file of the host.
            stream: the name of another of its data streams.
            sparse: leave holes where 16 clusters and more are zero.

        Raises:
            EncryptedError: EFS encrypts the file.
            IsADirectoryError: it is one.
            NoSpaceError: the content does not fit.
        """
        with self._operation():
            if not path.strip("/") and not stream:
                raise errors.IsADirectoryError(f"{path}: is a directory")
            self._check_stream(stream)
            path = self.destination(path) if path.strip("/") else path
            if not self.exists(path):
                parent, name = self._new_name(path)
                draft = self._new_file(parent, RecordFlag.IN_USE, FileAttribute.ARCHIVE)
                draft.attributes.append(resident(Type.DATA, b""))
                self._keep_for_names(draft, name)
                size = self._contents.put(draft, data, stream, sparse=sparse)
                self._add_name(draft, parent, name)
                self._touch(draft)
            else:
                draft = self._file_draft(self.find(path), stream, path)
                stream = self._own_stream(draft, stream)
                self._drop_reparse(draft, stream)
                size = self._contents.put(draft, data, stream, sparse=sparse)
                self._touch(draft, modified=True)
            self._table.store(draft)
            return size

    def take_place(self, source: str, path: str) -> None:
        """Let the file at ``path``, if there is one, have the content of ``source``, which goes.

        So it keeps its other names and streams, its security and its attributes.

        Raises:
            EncryptedError: EFS encrypts the file at ``path``, or ``source``.
            IsADirectoryError: one of them is a directory.
        """
        with self._operation():
            path = self.destination(path)
            parent, name, number = self._existing(source)
            if not self.exists(path):
                self.rename(source, path)
                return
            target = self.find(path)
            if target == number:
                return
            giver, taker = self._file_draft(number, "", source), self._file_draft(target, "", path)
            self._contents.require_plain(taker)
            self._contents.require_plain(giver)  # $EFS does not go with its content
            self._drop_reparse(taker, "")
            parts = giver.all(Type.DATA, "")
            giver.remove(Type.DATA, "")
            self._drop_name(giver, parent, name)
            self._table.space.release(runs_of(taker.all(Type.DATA, ""), self.geometry.clusters))
            taker.replace(Type.DATA, "", parts)
            self._touch(taker, modified=True)
            self._table.store(taker)

    def write_at(self, path: str, offset: int, data: Buffer, *, stream: str = "") -> int:
        """Write ``data`` into the content of a file at ``offset``, which may be beyond its end; its size afterwards."""
        with self._operation():
            number = self.find(path)
            self._file_draft(number, stream, path)
            self.write_inode(number, offset, data, stream=stream)
            draft = load(self.mft, number)
            return self._contents.size(draft, self._own_stream(draft, stream))

    def append(self, path: str, data: Buffer) -> int:
        """Write ``data`` at the end of a file; its size afterwards."""
        with self._operation():
            return self.write_at(path, self.stat(path).st_size, data)

    def truncate(self, path: str, size: int) -> None:
        """Let a file have ``size`` bytes; what is added is zeros, in a hole where it is much."""
        with self._operation():
            number = self.find(path)
            self._file_draft(number, "", path)
            self.truncate_inode(number, size)

    def write_inode(
        self, number: int, offset: int | None, data: Buffer, sequence: int | None = None, *, stream: str = ""
    ) -> int:
        """Write into the file with this record, at its end if ``offset`` is ``None``; where the bytes end then.

        Raises:
            EncryptedError: EFS encrypts the file.
            StaleFileError: the record is another file's by now.
            NoSpaceError: there are not enough clusters.
        """
        view = memoryview(data).cast("B")
        with self._operation():
            self._require_stream(number, sequence, stream)
            draft = self._file_draft(number, stream)
            stream = self._own_stream(draft, stream)
            self._decode_wof(draft, stream)
            start = self._contents.size(draft, stream) if offset is None else offset
            if not view:
                return start  # POSIX: not even the times change
            self._contents.write(draft, start, view, stream)
            self._touch(draft, modified=True)
            self._table.store(draft)
            return start + len(view)

    def truncate_inode(self, number: int, size: int, sequence: int | None = None, *, stream: str = "") -> None:
        """Let the file with this record have ``size`` bytes; errors as :meth:`write_inode`."""
        with self._operation():
            self._require_stream(number, sequence, stream)
            draft = self._file_draft(number, stream)
            stream = self._own_stream(draft, stream)
            self._decode_wof(draft, stream)
            self._contents.resize(draft, size, stream)
            self._touch(draft, modified=True)
            self._table.store(draft)

    def remove_stream(self, path: str, stream: str) -> None:
        """Remove a data stream that has a name.

        Raises:
            StreamNotFoundError: there is none.
        """
        with self._operation():
            draft = load(self.mft, self.find(path))
            stream = self._own_stream(draft, stream)
            parts = draft.all(Type.DATA, stream)
            if not parts or not stream:
                raise errors.StreamNotFoundError(f"{path}: no data stream {stream!r}")
            self._table.space.release(runs_of(parts, self.geometry.clusters))
            draft.remove(Type.DATA, stream)
            self._touch(draft)
            self._table.store(draft)

    def sync(self) -> None:
        """Bring everything to the device."""
        with self.lock:
            self._table.sync()

    def _file_draft(self, number: int, stream: str, path: str = "") -> Draft:
        draft = load(self.mft, number)
        if draft.is_directory and not stream:
            raise errors.IsADirectoryError(f"{path or number}: is a directory")
        if number != Number.ROOT or not stream:  # the root may have streams, as every directory
            self._require_users(number, draft.flags, path or str(number))
        return draft

    def _has_stream(self, number: int, stream: str) -> bool:
        names = self.stream_names(number)
        return self._stream_name(names, stream) in names

    def _is_wof(self, draft: Draft) -> bool:
        return self._reparse_tag(draft) == TAG_WOF

    def _is_elsewhere(self, draft: Draft) -> bool:
        """Whether the content of a file is not in its $DATA: in a store of Windows, or not on the volume."""
        found = self.reparse_point_of(self.mft.file(draft.number)) if draft.all(Type.REPARSE_POINT) else None
        return found is not None and is_elsewhere(found, draft.information().attributes)

    def _drop_reparse(self, draft: Draft, stream: str) -> None:
        """Take away what says that the content of a file is compressed (WOF), or somewhere else: it gets a new one."""
        if stream or not (self._is_wof(draft) or self._is_elsewhere(draft)):
            return
        self._table.reparse_index(remove=self._reparse_key(draft))
        self._table.space.release(runs_of(draft.all(Type.REPARSE_POINT), self.geometry.clusters))
        draft.remove(Type.REPARSE_POINT)
        self._table.space.release(runs_of(draft.all(Type.DATA, WOF_STREAM), self.geometry.clusters))
        draft.remove(Type.DATA, WOF_STREAM)
        information = draft.information()
        information.attributes &= ~int(FileAttribute.REPARSE_POINT | RECALLED)
        self._put_information(draft, information)

    def _decode_wof(self, draft: Draft, stream: str) -> None:
        """Store plainly what is about to be changed in part."""
        if stream or not self._is_wof(draft):
            return
        content = self.stream_of(self.mft.file(draft.number), "")
        if content.size > self.size:
            raise errors.ContentSizeError(
                "a compressed file is too large to be changed", expected=f"at most {self.size}", actual=content.size
            )
        data = content.read_at(0, content.size)
        self._drop_reparse(draft, stream)
        self._contents.put(draft, data)
