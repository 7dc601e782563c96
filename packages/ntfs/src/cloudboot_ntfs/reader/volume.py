"""Reading an NTFS volume: paths, files, streams, links, security."""

from __future__ import annotations

import collections
import contextlib
from stat import S_IFDIR, S_IFLNK, S_IFREG
from typing import TYPE_CHECKING, Self

from cloudboot_base import FormatError, Window, open_storage
from cloudboot_base.lightdata import NamedTuple
from cloudboot_ntfs import errors
from cloudboot_ntfs.layout import boot, filename, times
from cloudboot_ntfs.layout.constants import (
    REFERENCE_MASK,
    TAG_LX_SYMLINK,
    TAG_MOUNT_POINT,
    TAG_SYMLINK,
    TAG_WOF,
    VOLUME_DIRTY,
    FileAttribute,
    Namespace,
    Number,
    Type,
)
from cloudboot_ntfs.layout.records import BootSector, VolumeInformation
from cloudboot_ntfs.layout.records import UsnRecord as UsnHead
from cloudboot_ntfs.security import to_sddl
from cloudboot_ntfs.upcase import SIZE as UPCASE_SIZE
from cloudboot_ntfs.upcase import mapping_of_bytes, units
from cloudboot_vfs import DirEntry, Extent, Region, Stat

from . import reparse
from .entry import Reparse, StreamInfo, UsnRecord
from .file import NTFSFile
from .index import Index
from .logfile import LogState, read_log
from .mft import Mft
from .secure import Secure, standard_information

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator
    from typing import BinaryIO

    from typing_extensions import Buffer

    from cloudboot_base import Storage
    from cloudboot_ntfs.layout.filename import Name

    from .mft import Record
    from .reparse import WofStream
    from .stream import Stream

    Source = str | os.PathLike[str] | BinaryIO | Buffer | Storage

_MAX_LINKS = 40
_MAX_PATH = 65536
_HIBERNATION_HEAD = 4096
_CACHED_DIRECTORIES = 64
_LINK_TAGS = (TAG_SYMLINK, TAG_MOUNT_POINT, TAG_LX_SYMLINK)


class Child(NamedTuple):
    """What a directory says of a name in it."""

    reference: int
    name: Name

    @property
    def number(self) -> int:
        """The number of the file's record."""
        return self.reference & REFERENCE_MASK

    @property
    def sequence(self) -> int:
        """The sequence number of the file's record."""
        return self.reference >> 48

    @property
    def kind(self) -> int:
        """``S_IFDIR``, ``S_IFLNK`` or ``S_IFREG``."""
        if self.name.attributes & FileAttribute.REPARSE_POINT and self.name.reparse_tag in _LINK_TAGS:
            return S_IFLNK
        return S_IFDIR if self.name.attributes & FileAttribute.DIRECTORY else S_IFREG


class _Directory(NamedTuple):
    #: by the name, short names not included
    children: dict[str, Child]
    #: by the upper case of every name, short ones included
    folded: dict[str, list[tuple[str, Child]]]


class NTFS:
    """An NTFS volume, to be read.

    Args:
        source: a path, bytes, a file or a storage: the volume, or with ``offset`` a disk that it stands on.
        offset: where the volume starts, in bytes.
        size: of the volume in bytes; by default all that follows.
        case_sensitive: look names up as they are; otherwise by the volume's own table of upper cases, and a name that
            agrees in case comes before one that does not.
        system_files: list the files that the volume consists of ($MFT and so on), too.
        truncated: read a volume whose end is missing as far as it goes.

    Raises:
        NtfsError: not a volume of NTFS, or one whose MFT cannot be read.
    """

    def __init__(
        self,
        source: Source,
        *,
        offset: int = 0,
        size: int | None = None,
        case_sensitive: bool = False,
        system_files: bool = False,
        truncated: bool = False,
    ) -> None:
        with contextlib.ExitStack() as stack:
            storage: Storage = stack.enter_context(open_storage(source)).storage
            if offset or size is not None:
                storage = Window(storage, offset, storage.size - offset if size is None else size)
            head = storage.read_at(0, min(BootSector.SIZE, storage.size))
            self.geometry = boot.parse(head, storage.size, truncated=truncated)
            self.storage = storage
            try:
                self.mft = Mft(storage, self.geometry)
            except FormatError:
                boot.parse(head, storage.size)  # the missing end, where it is one, says more than what was not read
                raise
            self._closing = stack.pop_all()
        self._case_sensitive, self._system_files = case_sensitive, system_files
        self._directories: collections.OrderedDict[int, _Directory] = collections.OrderedDict()
        self._upcase: dict[int, int] | None = None
        self._plain_ascii = False
        self._secure: Secure | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file, if a path was given."""
        self._closing.close()

    # The volume

    @property
    def size(self) -> int:
        """Size of the volume in bytes, the backup boot sector not included."""
        return self.geometry.backup_offset

    @property
    def label(self) -> str:
        """The volume's label; empty where it has none."""
        record = self.mft.file(Number.VOLUME)
        for each in record.attributes:
            if each.type == Type.VOLUME_NAME:
                return each.value[: len(each.value) & ~1].decode("utf-16-le", "surrogatepass")
        return ""

    @property
    def information(self) -> VolumeInformation:
        """Version and flags of the volume.

        Raises:
            AttributeMissingError: $Volume does not say.
        """
        stream = self.mft.stream(self.mft.file(Number.VOLUME), Type.VOLUME_INFORMATION)
        return VolumeInformation.unpack_from(stream.read_at(0, stream.size))

    @property
    def is_dirty(self) -> bool:
        """Whether the volume was not unmounted, or its owner wants it to be checked."""
        return bool(self.information.flags & VOLUME_DIRTY)

    @property
    def log_state(self) -> LogState:
        """Whether $LogFile is empty, clean, or to be replayed; no log is replayed here."""
        return read_log(self.mft).state

    @property
    def is_hibernated(self) -> bool:
        """Whether a Windows that is hibernated (or shut down with fast startup) will resume from this volume.

        It then writes what it holds in memory, whatever was changed meanwhile. As ntfs-3g has it: ``/hiberfil.sys``
        begins with ``hibr``, or is shorter than a page, which it is on volumes that Windows does not start from.
        """
        child = self.lookup(Number.ROOT, "hiberfil.sys")
        if child is None or child.kind != S_IFREG:
            return False
        head = self.mft.stream(self.mft.file(child.number), Type.DATA).read_at(0, _HIBERNATION_HEAD)
        return len(head) < _HIBERNATION_HEAD or head[:4].lower() == b"hibr"

    def upcase_mapping(self) -> dict[int, int]:
        """The upper cases of the volume's own $UpCase.

        Raises:
            RecordError: the table has not 65,536 units.
        """
        if self._upcase is None:
            stream = self.mft.stream(self.mft.file(Number.UP_CASE), Type.DATA)
            data = stream.read_at(0, UPCASE_SIZE)
            if len(data) < UPCASE_SIZE:
                raise errors.RecordError(
                    "$UpCase is too short", structure="$UpCase", expected=UPCASE_SIZE, actual=len(data)
                )
            self._upcase = mapping_of_bytes(data)
            # str.upper is many times faster, where the table is the one that everybody has
            self._plain_ascii = all(self._upcase.get(unit, unit) == ord(chr(unit).upper()) for unit in range(128))
        return self._upcase

    def fold(self, name: str) -> str:
        """The upper case of a name by the volume's own table, in UTF-16 code units."""
        if name.isascii() and self._plain_ascii:
            return name.upper()
        return units(name).translate(self.upcase_mapping())

    # Directories

    def children(self, number: int) -> dict[str, Child]:
        """What directory ``number`` holds, by name, in its own order. Short names are not among them.

        Raises:
            NotADirectoryError: not a directory.
            IndexFormatError: its index does not hold together.
        """
        return self._directory(number).children

    def _directory(self, number: int) -> _Directory:
        found = self._directories.get(number)
        if found is not None:
            self._directories.move_to_end(number)
            return found
        record = self.mft.file(number)
        if not record.is_directory:
            raise errors.NotADirectoryError("not a directory", structure="RecordHeader", where={"record": number})
        children: dict[str, Child] = {}
        folded: dict[str, list[tuple[str, Child]]] = {}
        mapping = self.upcase_mapping()
        for entry in Index(self.mft, record, "$I30").entries():
            name = filename.parse(entry.key, record=number)
            child = Child(entry.reference, name)
            if number == Number.ROOT and child.number == Number.ROOT:
                continue  # the root holds itself as "."
            folded.setdefault(units(name.name).translate(mapping), []).append((name.name, child))
            if name.namespace == Namespace.DOS:
                continue
            if child.number < 24 and not self._system_files and number == Number.ROOT:
                continue
            children[name.name] = child
        found = self._directories[number] = _Directory(children, folded)
        if len(self._directories) > _CACHED_DIRECTORIES:
            self._directories.popitem(last=False)
        return found

    def lookup(self, directory: int, name: str) -> Child | None:
        """What directory ``directory`` holds under ``name``, short names included; or ``None``."""
        found = self._directory(directory).folded.get(self.fold(name), [])
        exact = [child for own, child in found if own == name]
        if exact or self._case_sensitive:
            return exact[0] if exact else None
        return found[0][1] if found else None

    def find(self, path: str, *, follow_symlinks: bool = True) -> int:
        """The number of the record at ``path``. Symbolic links and junctions on the way are followed.

        Raises:
            FileNotFoundError: no such name.
            NotADirectoryError: the path goes through something else.
            SymlinkLoopError: more than 40 links.
        """
        trail = [int(Number.ROOT)]
        pending = _split(path)[::-1]
        links = 0
        while pending:
            name = pending.pop()
            if name == "..":
                trail = trail[:-1] or [int(Number.ROOT)]
                continue
            child = self._lookup_in(trail[-1], name, path)
            if child.kind == S_IFLNK and (pending or follow_symlinks):
                links += 1
                if links > _MAX_LINKS:
                    raise errors.SymlinkLoopError(f"{path}: too many links")
                target = self.link_target(child.number)
                if target.startswith("/"):
                    trail = [int(Number.ROOT)]
                pending.extend(_split(target)[::-1])
            else:
                self.mft.file(child.number, child.sequence)
                trail.append(child.number)
        return trail[-1]

    def _lookup_in(self, directory: int, name: str, path: str) -> Child:
        try:
            child = self.lookup(directory, name)
        except errors.NotADirectoryError:
            raise errors.NotADirectoryError(f"{path}: goes through what is not a directory") from None
        if child is None:
            raise errors.FileNotFoundError(f"{path}: no such file or directory")
        return child

    def exists(self, path: str) -> bool:
        """Whether ``path`` leads to something: not through a link that leads nowhere, or back to itself."""
        try:
            self.find(path)
        except (errors.FileNotFoundError, errors.NotADirectoryError, errors.SymlinkLoopError):
            return False
        return True

    def listdir(self, path: str = "/") -> list[str]:
        """The names in a directory, in the order of its index."""
        return list(self.children(self.find(path)))

    def iterdir(self, path: str = "/") -> Iterator[DirEntry]:
        """The entries of a directory, like :func:`os.scandir`."""
        return self._scan(self.find(path), path.rstrip("/"))

    def _scan(self, number: int, path: str) -> Iterator[DirEntry]:
        prefix = f"{path}/"
        for name, child in self.children(number).items():
            yield DirEntry(name, prefix + name, child.number, child.kind)

    def walk(self, top: str = "/") -> Iterator[tuple[str, list[DirEntry], list[DirEntry]]]:
        """Every directory below ``top`` as ``(path, its directories, its other entries)``, parents first.

        Raises:
            IndexFormatError: a directory stands in two places, so that the walk could go in circles; or a path has more
                than 65,536 characters.
        """
        seen: set[int] = set()
        pending = [(top.rstrip("/"), self.find(top))]
        while pending:
            path, number = pending.pop()
            if len(path) > _MAX_PATH:
                raise errors.IndexFormatError(
                    "directories too deep to be walked", structure="$I30", where={"record": number}
                )
            if number in seen:
                raise errors.IndexFormatError(
                    f"{path}: the directory stands in two places", structure="$I30", where={"record": number}
                )
            seen.add(number)
            below: list[DirEntry] = []
            others: list[DirEntry] = []
            for entry in self._scan(number, path):
                (below if entry.kind == S_IFDIR else others).append(entry)
            yield path or "/", below, others
            pending.extend((entry.path, entry.inode) for entry in reversed(below))

    # Facts

    def stat(self, path: str, *, follow_symlinks: bool = True) -> Stat:
        """The facts of the file at ``path``."""
        return self.stat_inode(self.find(path, follow_symlinks=follow_symlinks))

    def stat_inode(self, number: int) -> Stat:
        """The facts of the file with this record number.

        ``st_flags`` are the file attributes of Windows, ``st_gen`` is the sequence number, owners are 0. A file that is
        read-only has no permission to write.
        """
        record = self.mft.file(number)
        facts = standard_information(self.mft, record)
        found = self.reparse_point_of(record)
        names = sum(1 for each in record.attributes if each.type == Type.FILE_NAME and each.value[65:66] != b"\2")
        size, blocks = 0, 0
        if found is not None and found.tag in _LINK_TAGS:
            mode = S_IFLNK | 0o777
            size = len(reparse.posix_target(found).encode("utf-8", "surrogatepass"))
        elif record.is_directory:
            mode = S_IFDIR | 0o755
        else:
            mode = S_IFREG | 0o644
            if any(each.type == Type.DATA and not each.name for each in record.attributes):
                stream = self.mft.stream(record, Type.DATA)
                size, blocks = stream.size, -(-stream.allocated // 512)
        if facts.attributes & FileAttribute.READONLY and not record.is_directory:
            mode &= ~0o222
        return Stat(
            mode, number, names, 0, 0, size, blocks, times.to_unix_ns(facts.accessed), times.to_unix_ns(facts.modified),
            times.to_unix_ns(facts.changed), times.to_unix_ns(facts.created), facts.attributes, record.sequence, 0,
        )  # fmt: skip

    def names_of(self, number: int) -> list[filename.Name]:
        """Every name of the file with this record number, short ones included, with the directory that has it.

        Raises:
            AttributeFormatError: a name that does not fit.
        """
        record = self.mft.file(number)
        return [filename.parse(each.value, record=number) for each in record.attributes if each.type == Type.FILE_NAME]

    def reparse_point_of(self, record: Record) -> Reparse | None:
        """The reparse point of a file, or ``None``."""
        if not any(each.type == Type.REPARSE_POINT for each in record.attributes):
            return None
        stream = self.mft.stream(record, Type.REPARSE_POINT)
        return reparse.parse(stream.read_at(0, min(stream.size, reparse.MAX_SIZE)), record=record.number)

    def reparse_point(self, path: str) -> Reparse | None:
        """The reparse point of ``path`` itself, or ``None``."""
        return self.reparse_point_of(self.mft.file(self.find(path, follow_symlinks=False)))

    def readlink(self, path: str) -> str:
        """Where a symbolic link or a junction leads: a path of this volume, with ``/``.

        Raises:
            ReparseError: it is not a link.
        """
        return self.link_target(self.find(path, follow_symlinks=False))

    def link_target(self, number: int) -> str:
        """The target of the link with this record number.

        Raises:
            ReparseError: it is not a link.
        """
        found = self.reparse_point_of(self.mft.file(number))
        if found is None:
            raise errors.ReparseError("not a link", structure="MFT record", where={"record": number})
        return reparse.posix_target(found)

    def security_descriptor(self, path: str, *, follow_symlinks: bool = True) -> bytes:
        """The self-relative security descriptor of ``path``; empty where it has none."""
        record = self.mft.file(self.find(path, follow_symlinks=follow_symlinks))
        if any(each.type == Type.SECURITY_DESCRIPTOR for each in record.attributes):
            stream = self.mft.stream(record, Type.SECURITY_DESCRIPTOR)
            return stream.read_at(0, min(stream.size, 1 << 16))
        security_id = standard_information(self.mft, record).security_id
        if not security_id:
            return b""
        if self._secure is None:
            self._secure = Secure(self.mft)
        return self._secure.get(security_id)

    def security_id(self, descriptor: bytes) -> int | None:
        """The number under which $Secure has a descriptor; ``None`` where it does not, or the volume has no $Secure."""
        if self.information.major_version < 3:
            return None
        if self._secure is None:
            self._secure = Secure(self.mft)
        return self._secure.find(descriptor)

    def sddl(self, path: str, *, follow_symlinks: bool = True) -> str:
        """The security descriptor of ``path`` as text; empty where it has none."""
        descriptor = self.security_descriptor(path, follow_symlinks=follow_symlinks)
        return to_sddl(descriptor) if descriptor else ""

    # Contents

    def streams(self, path: str, *, follow_symlinks: bool = True) -> list[StreamInfo]:
        """The data streams of ``path``; the unnamed one, if there is one, comes first."""
        record = self.mft.file(self.find(path, follow_symlinks=follow_symlinks))
        names = dict.fromkeys(each.name for each in record.attributes if each.type == Type.DATA)
        found = []
        for name in sorted(names):
            stream = self.mft.stream(record, Type.DATA, name)
            found.append(StreamInfo(name, stream.size, stream.allocated))
        return found

    def stream_names(self, number: int) -> list[str]:
        """The names of the data streams of a record's file; the unnamed one is ``""``."""
        record = self.mft.file(number)
        return list(dict.fromkeys(each.name for each in record.attributes if each.type == Type.DATA))

    def open_file(self, path: str, *, stream: str = "") -> NTFSFile:
        """The file ``path``, or another of its data streams, as a seekable raw stream.

        Raises:
            IsADirectoryError: it is one.
            StreamNotFoundError: it has no such stream.
            UnsupportedError: its content is somewhere else. What is encrypted is refused when it is read.
        """
        return self.open_inode(self.find(path), stream=stream, path=path)

    def _stream_name(self, names: Iterable[str], stream: str) -> str:
        """The name of a data stream as the file has it: as that of a file, it may be asked for in any case."""
        if not stream:
            return stream
        own = list(names)
        if stream in own:
            return stream
        folded = self.fold(stream)
        return next((name for name in own if name and self.fold(name) == folded), stream)

    def open_inode(self, number: int, *, stream: str = "", path: str = "") -> NTFSFile:
        """The file with this record number as a seekable raw stream; errors as :meth:`open_file`."""
        record = self.mft.file(number)
        if record.is_directory and not stream:
            raise errors.IsADirectoryError(f"{path or number}: is a directory")
        stream = self._stream_name((each.name for each in record.attributes if each.type == Type.DATA), stream)
        if not any(each.type == Type.DATA and each.name == stream for each in record.attributes):
            raise errors.StreamNotFoundError(f"{path or number}: no data stream {stream!r}")
        return NTFSFile(self.stream_of(record, stream), number)

    def stream_of(self, record: Record, stream: str) -> Stream | WofStream:
        """The content of a data stream of a file; what WOF compressed is decoded.

        Raises:
            StreamNotFoundError: it has no such stream.
            UnsupportedError: its content is somewhere else.
        """
        stream = self._stream_name((each.name for each in record.attributes if each.type == Type.DATA), stream)
        if not any(each.type == Type.DATA and each.name == stream for each in record.attributes):
            raise errors.StreamNotFoundError(f"{record.number}: no data stream {stream!r}")
        content = self.mft.stream(record, Type.DATA, stream)
        found = None if stream else self.reparse_point_of(record)
        if found is None:
            return content
        if found.tag != TAG_WOF:
            attributes = standard_information(self.mft, record).attributes
            if content.size and reparse.is_elsewhere(found, attributes):
                raise errors.UnsupportedError(
                    "the content of the file is not on the volume, or in a store of Windows (deduplicated, cloud file)",
                    structure="ReparseHead", field="tag", actual=f"{found.tag:#x}", where={"record": record.number},
                )  # fmt: skip
            return content
        stored = self.mft.stream(record, Type.DATA, reparse.WOF_STREAM)
        return reparse.WofStream(stored, content.size, found, record=record.number)

    def read_file(self, path: str, *, limit: int | None = None, stream: str = "") -> bytes:
        """The bytes of a file, or of another of its data streams.

        Raises:
            ContentSizeError: it has more than ``limit`` bytes (by default, as many as the volume), which a file with
                holes can; read it through :meth:`open_file`.
        """
        file = self.open_file(path, stream=stream)
        limit = self.size if limit is None else limit
        if file.size > limit:
            raise errors.ContentSizeError(
                f"{path}: too large", field="data_size", expected=f"at most {limit}", actual=file.size
            )
        return file.read_at(0, file.size)

    def extents(self, path: str, *, follow_symlinks: bool = True, stream: str = "") -> list[Extent]:
        """Where the bytes of a file stand in the volume, without its holes; empty for what stands in its record."""
        record = self.mft.file(self.find(path, follow_symlinks=follow_symlinks))
        stream = self._stream_name((each.name for each in record.attributes if each.type == Type.DATA), stream)
        content = self.mft.stream(record, Type.DATA, stream)
        return _extents(content, content.size)

    def regions(self) -> Iterator[Region]:
        """The pieces of the volume that belong to no file of a user, as far as system files say where they are."""
        for number in (
            Number.BOOT,
            Number.MFT,
            Number.MFT_MIRR,
            Number.LOG_FILE,
            Number.ATTR_DEF,
            Number.BITMAP,
            Number.UP_CASE,
        ):
            content = self.mft.stream(self.mft.file(number), Type.DATA)
            for extent in _extents(content, content.size):
                yield Region(Number(number).name.lower().replace("_", "-"), extent.offset, extent.length, int(number))
        content = self.mft.stream(self.mft.file(Number.SECURE), Type.DATA, "$SDS")
        for extent in _extents(content, content.size):
            yield Region("secure", extent.offset, extent.length, int(Number.SECURE))
        if self.storage.size >= self.geometry.backup_offset + self.geometry.sector_size:
            yield Region("backup-boot", self.geometry.backup_offset, self.geometry.sector_size)

    def usn_records(self) -> Iterator[UsnRecord]:
        """The changes recorded in $Extend/$UsnJrnl, oldest first; none where there is no journal.

        Raises:
            RecordError: a record that cannot be.
        """
        extend = self._directory(Number.EXTEND).children.get("$UsnJrnl")
        if extend is None:
            return
        record = self.mft.file(extend.number)
        stream = self.mft.stream(record, Type.DATA, "$J")
        stored: list[tuple[int, int]] = []
        for start, _, length in stream.places():
            if stored and stored[-1][1] == start:
                # Where a cluster is smaller than a page, a record may stand in two runs.
                stored[-1] = stored[-1][0], start + length
            else:
                stored.append((start, start + length))
        for start, end in stored:
            yield from _usn_records(stream, start, min(end, stream.size))


def _usn_records(stream: Stream, start: int, end: int) -> Iterator[UsnRecord]:
    position = start
    while position + UsnHead.SIZE <= end:
        raw = stream.read_at(position, UsnHead.SIZE)
        head = UsnHead.unpack_from(raw)
        if not head.length:  # the rest of a page is zeros
            position = (position // 4096 + 1) * 4096
            continue
        if head.length < UsnHead.SIZE or head.length % 8 or position + head.length > end:
            raise errors.RecordError(
                "a record of the journal cannot be",
                structure="UsnRecord",
                field="length",
                offset=position,
                actual=head.length,
            )
        if head.major_version == 2:
            body = stream.read_at(position, head.length)
            name = body[head.name_offset : head.name_offset + (head.name_length & ~1)]
            yield UsnRecord(
                head.usn, head.reference & REFERENCE_MASK, head.parent & REFERENCE_MASK,
                name.decode("utf-16-le", "surrogatepass"), head.reason, times.to_unix_ns(head.timestamp),
                head.attributes,
            )  # fmt: skip
        position += head.length


def _extents(stream: Stream, size: int) -> list[Extent]:
    found: list[Extent] = []
    for start, place, length in stream.places():
        length = min(length, size - start)  # noqa: PLW2901 -- the last cluster is not full
        if length <= 0:
            break
        if found and found[-1].offset + found[-1].length == place:
            found[-1] = Extent(found[-1].offset, found[-1].length + length)
        else:
            found.append(Extent(place, length))
    return found


def _split(path: str) -> list[str]:
    return [name for name in path.split("/") if name not in ("", ".")]
