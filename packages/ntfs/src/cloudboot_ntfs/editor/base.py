"""What the operations on a volume consist of: their frame, names, and the facts that directories repeat."""

from __future__ import annotations

import contextlib
import struct
from typing import TYPE_CHECKING, Final

from cloudboot_base import Window, WritableStorage, open_storage
from cloudboot_base.lightdata import NamedTuple
from cloudboot_ntfs import errors
from cloudboot_ntfs.builder.placement import resident
from cloudboot_ntfs.builder.source import is_stream_name
from cloudboot_ntfs.layout.constants import (
    FIRST_USER_RECORD,
    REFERENCE_MASK,
    AttributeFlag,
    FileAttribute,
    Namespace,
    Number,
    RecordFlag,
    Type,
    reference,
)
from cloudboot_ntfs.layout.filename import DOS_KINDS, Name, namespace_of
from cloudboot_ntfs.layout.filename import parse as parse_name
from cloudboot_ntfs.layout.names import is_windows_name, require_name, require_windows_name, short_name
from cloudboot_ntfs.layout.records import FileName, StandardInformation
from cloudboot_ntfs.layout.times import from_unix_ns
from cloudboot_ntfs.reader.logfile import SETTLED
from cloudboot_ntfs.reader.volume import Child
from cloudboot_ntfs.security import from_sddl, to_sddl
from cloudboot_vfs.exclusive import claim, run_deferred

from .content import Contents
from .draft import Draft, load, parsed, value
from .growth import grow
from .locked import LockedNTFS
from .secure import Descriptors
from .stage import Stage
from .table import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cloudboot_ntfs.builder.record import Packed
    from cloudboot_ntfs.reader.mft import Record
    from cloudboot_ntfs.reader.volume import Source

    from .tree import Tree

_MAX_LINKS: Final = 1024
#: Files at most of which is known what their names repeat.
_MOST_TOLD: Final = 1024
_NAME_LENGTH: Final = FileName.LAYOUT.offsets["name_length"]
_NAMESPACE: Final = FileName.LAYOUT.offsets["name_type"]
_FOR_DOS: Final = frozenset(bytes([kind]) for kind in DOS_KINDS)


class _Repeated(NamedTuple):
    """What $FILE_NAME repeats of a file, in its order."""

    created: int
    modified: int
    changed: int
    accessed: int
    allocated_size: int
    data_size: int
    attributes: int
    reparse_tag: int


_REPEATED: Final = struct.Struct("<6Q2I")


class Editor(LockedNTFS):
    """A volume with an operation under way now and then; :class:`.WritableNTFS` has the operations."""

    def __init__(
        self,
        source: Source,
        *,
        offset: int = 0,
        size: int | None = None,
        timestamp_ns: int = 0,
        clock: Callable[[], int] | None = None,
        case_sensitive: bool = False,
        windows_names: bool = False,
        short_names: bool = False,
        force: bool = False,
    ) -> None:
        with contextlib.ExitStack() as stack:
            storage = stack.enter_context(open_storage(source, writable=True)).storage
            claim(storage, stack, errors.ReadOnlyError)
            if not isinstance(storage, WritableStorage | Window):
                raise errors.ReadOnlyError("the storage cannot be written")
            if offset or size is not None:
                storage = Window(storage, offset, storage.size - offset if size is None else size)
            stage = Stage(storage)
            super().__init__(stage, case_sensitive=case_sensitive)
            if self.information.major_version < 3:
                raise errors.UnsupportedError("a volume of NTFS 1.2 is not changed", structure="VolumeInformation")
            if not force:
                self._require_unmounted()
            self.mft.keep_records()
            self._table = Table(self, stage, grow)
            if not force:
                self._require_awake()
            self._closing.push(stack.pop_all())
        self._clock = clock or (lambda: timestamp_ns)
        self._time = 0
        self._windows_names, self._short_names = windows_names, short_names
        self._contents = Contents(self, self._table)
        self._descriptors = Descriptors(self, self._table)
        self._batch = self._active = 0
        self._touched: set[int] = set()
        #: what the names of files repeat, by the records' numbers, with their sequence numbers
        self._told: dict[int, tuple[int, _Repeated]] = {}
        self._deferred: list[Callable[[], object]] = []
        self._closed = False
        self.changes = 0  #: operations so far

    def _require_unmounted(self) -> None:
        """Refuse a volume that its system has not let go.

        Raises:
            ReadOnlyError: it is dirty, or its log is not settled.
        """
        if self.is_dirty or self.log_state not in SETTLED:
            raise errors.ReadOnlyError(
                "the volume was not unmounted", field="$LogFile", actual=str(self.log_state),
                hint="let its own system or ntfsfix look at it first",
            )  # fmt: skip

    def _require_awake(self) -> None:
        """Refuse a volume that a system will go on with. Names are looked up by the index alone from here on.

        Raises:
            ReadOnlyError: Windows is hibernated on it.
        """
        if self.is_hibernated:
            raise errors.ReadOnlyError(
                "Windows is hibernated on this volume, and writes what it holds in memory when it resumes",
                field="hiberfil.sys", hint="shut Windows down completely (shutdown /s /f /t 0)",
            )  # fmt: skip

    # The frame of an operation

    @property
    def busy(self) -> bool:
        """Whether an operation is under way in this thread; ask while holding the lock."""
        return self._active > 0

    def when_idle(self, action: Callable[[], object]) -> None:
        """Do something now, or after the operation that is under way: destructors run in the middle of anything."""
        with self.lock:
            if self.busy:
                self._deferred.append(action)
            else:
                action()

    def close(self) -> None:
        """Close the file, if a path was given, after the operation that may be under way."""
        with self.lock:
            self.when_idle(self._close)

    def _close(self) -> None:
        self._closed = True
        super().close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """One operation out of all the changes inside: what they change is written at its end.

        What was changed before an error stays changed. Where much waits, it is written before the end, and the volume
        is marked dirty until then.
        """
        with self.lock:
            self._batch += 1
            try:
                yield
            finally:
                self._batch -= 1
                self._end()

    @contextlib.contextmanager
    def _operation(self) -> Iterator[None]:
        """The frame of every change: all of it is done, or none.

        Raises:
            ValueError: the volume is closed.
            ReadOnlyError: an earlier change could not be written completely.
        """
        with self.lock:
            if self._active:
                yield
                return
            if self._closed:
                raise ValueError("the volume is closed")
            self._table.require_whole()
            self._time = from_unix_ns(self._clock())
            self._active = 1
            try:
                yield
                self._note_directories()
                self._table.accept()
            except BaseException:
                self._table.roll_back()
                self._told.clear()
                self._descriptors.forget()
                self._secure = None
                raise
            finally:
                self._touched.clear()
                self._directories.clear()
                self._active = 0
                self.changes += 1
                self._end()

    def _end(self) -> None:
        if self._active:
            return
        if not self._batch or self._table.is_full:
            self._table.commit(is_last=not self._batch)
        run_deferred(self._deferred)

    def _note_directories(self) -> None:
        """Directories whose names changed have changed now."""
        for number in sorted(self._touched):
            draft = load(self.mft, number)
            information = draft.information()
            if (information.modified, information.changed) != (self._time, self._time):
                information.modified = information.changed = self._time
                self._put_information(draft, information)
                self._table.store(draft)

    def mark_dirty(self) -> None:
        """Mark the volume dirty until its owner has looked at it."""
        with self.lock:
            self._table.mark_dirty()

    # Names

    def lookup(self, directory: int, name: str) -> Child | None:
        """As :meth:`.NTFS.lookup`, by means of the index alone."""
        with self.lock:
            self._require_directory(self.mft.record(directory))
            items = self._index(directory).named(self.fold(name))
            found = [Child(item.reference, parse_name(item.key)) for item in items]
            exact = [child for child in found if child.name.name == name]
            chosen = exact if exact or self._case_sensitive else found
            return chosen[0] if chosen else None

    def children(self, number: int) -> dict[str, Child]:
        """As :meth:`.NTFS.children`, with what was changed in the operation under way."""
        with self.lock:
            self._require_directory(self.mft.file(number))
            found: dict[str, Child] = {}
            for item in self._index(number).items():
                child = Child(item.reference, parse_name(item.key))
                if child.name.namespace == Namespace.DOS or (number == Number.ROOT and child.number < 24):
                    continue
                found[child.name.name] = child
            return found

    def _require_directory(self, record: Record) -> None:
        if not record.is_directory:
            raise errors.NotADirectoryError(
                "not a directory", structure="RecordHeader", where={"record": record.number}
            )

    def _index(self, number: int) -> Tree:
        self.upcase_mapping()  # names are folded by it
        return self._table.index(number)

    def destination(self, path: str) -> str:
        """The path of what writing to ``path`` makes or changes: a symbolic link leads to another.

        Raises:
            SymlinkLoopError: more than 40 links.
        """
        with self.lock:
            for _ in range(40):
                parent, name = self._place(path)
                child = self.lookup(parent, name)
                if child is None or not self._is_link(child):
                    return path
                target = self.link_target(child.number)
                path = target if target.startswith("/") else f"{path.rstrip('/').rpartition('/')[0]}/{target}"
            raise errors.SymlinkLoopError(f"{path}: too many links")

    def _is_link(self, child: Child) -> bool:
        return child.kind & 0o170000 == 0o120000

    def _place(self, path: str) -> tuple[int, str]:
        parts = [part for part in path.split("/") if part not in ("", ".")]
        if not parts or parts[-1] == "..":
            raise errors.PathError(f"{path}: names nothing that can be made, moved or removed")
        parent = self.find("/" + "/".join(parts[:-1]))
        if parent == Number.EXTEND:
            self._require_users(parent, 0, path)
        if not self.mft.file(parent).is_directory:
            raise errors.NotADirectoryError(f"{path}: goes through what is not a directory")
        return parent, parts[-1]

    def _require_users(self, number: int, flags: int, path: str) -> None:
        """Refuse to change a file that the volume consists of, in $Extend or not.

        Raises:
            ReadOnlyError: it is one.
        """
        if number < FIRST_USER_RECORD or flags & RecordFlag.EXTEND:
            raise errors.ReadOnlyError(f"{path}: is a file of the volume itself")

    def _new_name(self, path: str) -> tuple[int, str]:
        if not path.strip("/"):
            raise errors.FileExistsError(f"{path}: the name is taken")
        parent, name = self._place(path)
        self._require_name(name, path)
        if self.lookup(parent, name) is not None:
            raise errors.FileExistsError(f"{path}: the name is taken")
        return parent, name

    def _require_name(self, name: str, path: str) -> None:
        require_name(name, path)
        if self._windows_names:
            require_windows_name(name, path)

    def _existing(self, path: str) -> tuple[int, str, int]:
        """The directory, the name and the record of what stands at ``path``; a link is not followed.

        A short name stands for the long one beside it.
        """
        parent, name = self._place(path)
        child = self.lookup(parent, name)
        if child is None:
            raise errors.FileNotFoundError(f"{path}: no such file or directory")
        self._require_users(child.number, self.mft.file(child.number, child.sequence).flags, path)
        return parent, self._long_name(parent, child), child.number

    def _long_name(self, parent: int, child: Child) -> str:
        if child.name.namespace != Namespace.DOS:
            return child.name.name
        names = load(self.mft, child.number).names()
        long = [own for own in names if own.parent_record == parent and own.namespace == Namespace.WIN32]
        return long[0].name if long else child.name.name

    def _refuse_inside(self, number: int, parent: int, path: str) -> None:
        seen: set[int] = set()
        while parent != Number.ROOT and parent not in seen:
            if parent == number:
                raise errors.PathError(f"{path}: a directory cannot move into itself")
            seen.add(parent)
            parent = load(self.mft, parent).names()[0].parent_record

    # Files

    def _new_file(self, parent: int, flags: int, attributes: int) -> Draft:
        """The draft of a new file with the security of its directory."""
        above = load(self.mft, parent)
        own = above.all(Type.SECURITY_DESCRIPTOR)
        security_id = above.information().security_id
        if own and not security_id:
            security_id = self._id_of(_compact(self._contents.read(own)))
        time = self._time
        information = StandardInformation(time, time, time, time, int(attributes), security_id=security_id)
        number, sequence = self._table.new_record()
        return Draft(
            number, sequence, int(flags), [resident(Type.STANDARD_INFORMATION, information.pack())], is_new=True
        )

    def _id_of(self, descriptor: bytes) -> int:
        """The id of a security descriptor, which $Secure gets if it does not have it."""
        self._secure = None  # what is known of $Secure to readers of it
        return self._descriptors.id_of(descriptor)

    def _name(self, draft: Draft, parent: int, name: str, namespace: int) -> Name:
        above = reference(parent, self.mft.record(parent).sequence)
        return Name(above, *self._repeated(draft), namespace, name)

    def _repeated(self, draft: Draft) -> _Repeated:
        """What the names of a file repeat of it."""
        information = draft.information()
        size = allocated = 0
        data = draft.all(Type.DATA, "")
        if data and not draft.is_directory:
            first = parsed(min(data, key=lambda part: part.lowest_vcn))
            size = first.data_size
            allocated = first.allocated_size if first.stored_size is None else first.stored_size
        attributes = information.attributes
        if draft.is_directory:
            attributes |= FileAttribute.DIRECTORY
        tag = self._reparse_tag(draft) or _extended_size(draft)
        return _Repeated(
            information.created, information.modified, information.changed, information.accessed, allocated, size,
            int(attributes), tag,
        )  # fmt: skip

    def _add_name(self, draft: Draft, parent: int, name: str) -> None:
        names = draft.all(Type.FILE_NAME)
        has_dos = any(value(own)[_NAMESPACE : _NAMESPACE + 1] in _FOR_DOS for own in names)
        namespace = Namespace.POSIX if has_dos else namespace_of(name)
        short = ""
        wants_short = self._short_names and not has_dos and len(names) + 2 <= _MAX_LINKS  # a short name is one more
        if wants_short and namespace == Namespace.POSIX and is_windows_name(name):
            short = short_name(name, lambda other: self.lookup(parent, other) is not None)
            namespace = Namespace.WIN32
        self._put_name(draft, self._name(draft, parent, name, namespace))
        if short:
            self._put_name(draft, self._name(draft, parent, short, Namespace.DOS))
        self._touched.add(parent)

    def _keep_for_names(self, draft: Draft, name: str) -> None:
        """Keep room in the record of a new file for its name, and for a short name where it may get one."""
        is_short = namespace_of(name) != Namespace.POSIX
        names = [name, *(["12345678.123"] if self._short_names and not is_short else [])]
        kept = [
            resident(Type.FILE_NAME, Name(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, each).pack(), indexed=True) for each in names
        ]
        draft.kept_for_names = sum(len(each.data) for each in kept)

    def _put_name(self, draft: Draft, made: Name) -> None:
        draft.kept_for_names = 0
        draft.attributes.append(resident(Type.FILE_NAME, made.pack(), indexed=True))
        self._index(made.parent_record).put_name(made, reference(draft.number, draft.sequence))

    def _take_name(self, draft: Draft, parent: int, name: str) -> None:
        """Take a name away, with the short name beside it."""
        kept = []
        names = draft.all(Type.FILE_NAME)
        # A file may have a thousand names: only those that it may be are taken apart.
        here = {
            index: _parse_name(each)
            for index, each in enumerate(names)
            if _parent_of(each) == parent and _may_be(each, name)
        }
        is_pair = any(own.name == name and own.namespace == Namespace.WIN32 for own in here.values())
        for index, each in enumerate(names):
            own = here.get(index)
            if own is not None and (own.name == name or (is_pair and own.namespace == Namespace.DOS)):
                self._index(parent).remove(own.pack())
            else:
                kept.append(each)
        draft.remove(Type.FILE_NAME)
        draft.attributes += kept
        self._touched.add(parent)

    def _drop_name(self, draft: Draft, parent: int, name: str) -> None:
        self._take_name(draft, parent, name)
        self._drop(draft)

    def _drop(self, draft: Draft) -> None:
        """Store a file that has lost a name, or give it back if that was its last."""
        if draft.all(Type.FILE_NAME):
            self._touch(draft)
            self._table.store(draft)
            return
        if draft.all(Type.REPARSE_POINT):
            self._table.reparse_index(remove=self._reparse_key(draft))
        for each in draft.all(Type.OBJECT_ID):
            self._table.forget_object_id(value(each)[:16])
        self._table.discard(draft)
        self._touched.discard(draft.number)

    def _reparse_key(self, draft: Draft) -> bytes:
        return struct.pack("<IQ", self._reparse_tag(draft), reference(draft.number, draft.sequence))

    def _reparse_tag(self, draft: Draft) -> int:
        """The tag of the reparse point of a file; 0 where there is none."""
        parts = draft.all(Type.REPARSE_POINT)
        if not parts:
            return 0
        return int.from_bytes(self._contents.read(parts)[:4], "little")

    def _touch(self, draft: Draft, *, modified: bool = False) -> None:
        """Note the time of a change, and tell every directory that has the file what it repeats."""
        information = draft.information()
        information.changed = self._time
        if modified:
            information.modified = self._time
        data = draft.all(Type.DATA, "")
        if data and not draft.is_directory:
            flags = parsed(min(data, key=lambda part: part.lowest_vcn)).flags
            for bit, mark in (
                (AttributeFlag.SPARSE, FileAttribute.SPARSE),
                (AttributeFlag.COMPRESSED, FileAttribute.COMPRESSED),
            ):
                information.attributes &= ~int(mark)
                information.attributes |= int(mark) if flags & bit else 0
        self._put_information(draft, information)
        self._renew_names(draft)

    def _renew_names(self, draft: Draft) -> None:
        """Let every name of a file, and the index that has it, repeat what the file says now.

        An index need not be asked about a name that repeats it already, if this volume object has put it there.
        """
        facts = self._repeated(draft)
        own_reference = reference(draft.number, draft.sequence)
        is_known = self._told.get(draft.number) == (draft.sequence, facts)
        packed = _REPEATED.pack(*facts)
        kept = [each for each in draft.attributes if each.type != Type.FILE_NAME]
        parents: dict[int, bytes] = {}
        for each in draft.all(Type.FILE_NAME):
            old = value(each)
            parent = int.from_bytes(old[:8], "little") & REFERENCE_MASK
            above = parents.get(parent)
            if above is None or len(old) <= FileName.SIZE:
                parse_name(old, record=draft.number)  # refuses what is too short
                above = parents[parent] = reference(parent, self.mft.record(parent).sequence).to_bytes(8, "little")
            end = FileName.SIZE + 2 * old[_NAME_LENGTH]
            renewed = above + packed + old[_NAME_LENGTH:end]
            same = renewed == old
            kept.append(each if same else resident(Type.FILE_NAME, renewed, indexed=True))
            if draft.number != Number.ROOT and not (same and is_known):
                self._index(parent).put(renewed, own_reference)
        draft.attributes = kept
        if len(self._told) >= _MOST_TOLD:
            self._told.clear()
        self._told[draft.number] = draft.sequence, facts

    def _put_information(self, draft: Draft, information: StandardInformation) -> None:
        draft.replace(Type.STANDARD_INFORMATION, "", [resident(Type.STANDARD_INFORMATION, information.pack())])

    def _check_stream(self, stream: str) -> None:
        if stream and not is_stream_name(stream):
            raise errors.PathError(f"{stream!r} is not the name of a stream")

    def _own_stream(self, draft: Draft, stream: str) -> str:
        return self._stream_name((each.name for each in draft.all(Type.DATA)), stream)

    def _require_link_room(self, draft: Draft, path: str) -> None:
        if len(draft.all(Type.FILE_NAME)) >= _MAX_LINKS:
            raise errors.TooManyLinksError(
                f"{path}: has as many names as it can have", field="FILE_NAME", expected=f"at most {_MAX_LINKS}",
                hint="remove one of its names, or copy the file",
            )  # fmt: skip


def _compact(descriptor: bytes) -> bytes:
    """A security descriptor without padding, if that is possible: that of a root that mkntfs made has 4 KiB of it."""
    try:
        packed = from_sddl(to_sddl(descriptor))
    except errors.DescriptorError:
        return descriptor
    return packed if len(packed) < len(descriptor) else descriptor


def _extended_size(draft: Draft) -> int:
    """Bytes of the extended attributes of a file when packed, which its names repeat where there is no reparse tag."""
    found = draft.all(Type.EA_INFORMATION)
    return int.from_bytes(value(found[0])[:2], "little") if found else 0


def _parent_of(each: Packed) -> int:
    """The record of the directory that a $FILE_NAME is in."""
    return int.from_bytes(value(each)[:8], "little") & REFERENCE_MASK


def _may_be(each: Packed, name: str) -> bool:
    """Whether a $FILE_NAME is of this name or one for DOS, as far as its bytes tell."""
    own = value(each)
    encoded = name.encode("utf-16-le", "surrogatepass")
    return own[_NAMESPACE : _NAMESPACE + 1] in _FOR_DOS or own[FileName.SIZE :].startswith(encoded)


def _parse_name(each: Packed) -> Name:
    return parse_name(value(each))
