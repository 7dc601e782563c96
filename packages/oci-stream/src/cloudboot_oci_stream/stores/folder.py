"""An OCI image layout folder: images without a server.

OCI Image Format Specification 1.1, "OCI Image Layout". Every file appears under its name only when it is whole, and
writers in several processes take turns.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import fcntl
import hashlib
import os
import re
import stat
import threading
import time
import weakref
from typing import TYPE_CHECKING

from cloudboot_base import new_file, unnamed_file
from cloudboot_base.output import PARTIAL
from cloudboot_base.storage import write_all
from cloudboot_oci_stream.errors import (
    BodyOverflowError,
    ContentError,
    DescriptorError,
    DigestMismatchError,
    ImageLayoutError,
    InvalidReferenceError,
    ManifestTooLargeError,
    NoRoomError,
    NotAnImageError,
    NotFoundError,
    SizeMismatchError,
)
from cloudboot_oci_stream.spec.descriptor import Descriptor, algorithm_of, digest_of
from cloudboot_oci_stream.spec.manifest import (
    INDEX_TYPE,
    INDEX_TYPES,
    LARGEST_MANIFEST,
    MANIFEST_TYPES,
    Document,
    canonical,
    check_size,
    choose,
    parse_json,
    raw_entries,
    settle,
)
from cloudboot_oci_stream.spec.reference import RegistryReference, parse_reference, split_layout
from cloudboot_oci_stream.stores.source import CHUNK, pieces

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloudboot_oci_stream.deadline import Deadline
    from cloudboot_oci_stream.spec.reference import LayoutReference
    from cloudboot_oci_stream.stores.source import Source, Stream
    from cloudboot_oci_stream.stores.store import Progress, Store

REF_NAME = "org.opencontainers.image.ref.name"
VERSION = "1.0.0"

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_MARKER = "oci-layout"
# A later minor version adds, and does not change (Semantic Versioning, section 7).
_COMPATIBLE = re.compile(r"1\.[0-9]+\.[0-9]+")
_INDEX = "index.json"
_LOOK = 0.02
"""Seconds between two attempts to take the lock."""


class FolderPart:
    """A blob's file."""

    def __init__(self, fd: int, start: int, stop: int) -> None:
        self.start, self.stop = start, stop
        self._fd, self._position = fd, start

    def readinto(self, view: memoryview) -> int:
        """Read into ``view``; 0 at the end."""
        with view[: self.stop - self._position] as target:
            count = os.preadv(self._fd, [target], self._position)
        self._position += count
        return count

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)


class _Folder:
    """A folder that is opened once: whatever becomes of its name, everything after that is read from the same one."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._root: str | None = None
        self._lock = threading.Lock()

    @property
    def root(self) -> str:
        """A path that leads to the open folder (``/proc/self/fd/N``, proc(5)).

        Raises:
            ImageLayoutError: there is no such folder.
        """
        with self._lock:
            if self._root is None:
                try:
                    fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                except NotADirectoryError:
                    hint = "an OCI archive has to be unpacked: mkdir FOLDER && tar -xf FILE -C FOLDER"
                    raise ImageLayoutError("not a folder", actual=self.path, hint=hint) from None
                except FileNotFoundError:
                    raise ImageLayoutError("no such folder", actual=self.path) from None
                weakref.finalize(self, os.close, fd)
                self._root = f"/proc/self/fd/{fd}"
            return self._root

    @property
    def exists(self) -> bool:
        """Whether there is such a folder."""
        try:
            return bool(self.root)
        except ImageLayoutError:
            return False

    def make(self) -> None:
        """Make the folder if it does not exist."""
        if self._root is None:
            os.makedirs(self.path, exist_ok=True)

    @contextlib.contextmanager
    def named(self) -> Iterator[None]:
        """Give errors of the system the folder's name instead of its descriptor's.

        Raises:
            NoRoomError: the file system is full.
        """
        try:
            yield
        except OSError as error:
            if error.errno in FULL:
                raise NoRoomError("the file system is full", actual=self.path) from error
            if self._root is not None and isinstance(error.filename, str) and error.filename.startswith(self._root):
                error.filename = self.path + error.filename[len(self._root) :]
            raise


class FolderStore:
    """A folder of images, and the one in it that a reference names."""

    is_remote = False

    def __init__(self, reference: LayoutReference, folder: _Folder | None = None) -> None:
        self._reference = reference if folder else _located(reference)
        self._folder = folder or _Folder(os.path.abspath(self._reference.folder))

    @property
    def reference(self) -> LayoutReference:
        """The image that was named."""
        return self._reference

    @property
    def real_folder(self) -> str:
        """The path of the folder, its links followed: of the one that is open, wherever its name points meanwhile.

        Raises:
            ImageLayoutError: the folder does not exist.
        """
        return os.readlink(self._folder.root)

    def read_manifest(self, entry: Descriptor | None, deadline: Deadline) -> Document:
        """The manifest or index that ``entry`` of an index, else the reference, names; verified against its digest.

        Raises:
            ImageLayoutError: not an image layout.
            NotFoundError: nothing of that name.
            DigestMismatchError: the file holds something else.
        """
        self._check_marker()
        deadline.cap(1)
        digest = self._reference.digest
        if entry is None and digest is not None:
            entry = next((known for known in self._entries() if known.digest == digest), None)
            if entry is None:
                # Something that only an index below the folder's own refers to says itself what it is.
                return self._document(digest, None)
        found = entry or _select(self._entries(), self._reference.tag)
        return self._document(found.digest, found)

    def open_blob(self, descriptor: Descriptor, start: int, stop: int, deadline: Deadline) -> FolderPart:
        """Bytes ``start`` to ``stop`` of a blob.

        Raises:
            NotFoundError: the folder lacks it.
            SizeMismatchError, BodyOverflowError: its file has another size.
        """
        deadline.cap(1)
        fd = self._open(self._path(descriptor.digest))
        size = os.fstat(fd).st_size
        if size != descriptor.size:
            os.close(fd)
            kind = BodyOverflowError if size > descriptor.size else SizeMismatchError
            raise kind("the blob's file has another size", expected=descriptor.size, actual=size)
        os.posix_fadvise(fd, start, stop - start, os.POSIX_FADV_SEQUENTIAL)
        return FolderPart(fd, start, stop)

    def has_blob(self, digest: str, deadline: Deadline) -> bool:
        """Whether the folder holds the blob, undamaged."""
        if not self._folder.exists or not os.path.exists(self._path(digest)):
            return False
        hasher = hashlib.new(algorithm_of(digest))
        with open(self._open(self._path(digest)), "rb") as file:
            while piece := file.read(CHUNK):
                deadline.cap(1)
                hasher.update(piece)
        return hasher.hexdigest() == digest.partition(":")[2]

    def mount_blob(self, digest: str, origin: Store, deadline: Deadline) -> bool:
        """A folder takes nothing over: what is in it has been seen and hashed."""
        del digest, origin, deadline
        return False

    def write_blob(
        self,
        source: Source | Stream,
        *,
        algorithm: str,
        progress: Progress | None,
        chunk: int | None,
        deadline: Deadline,
        expected: Descriptor | None = None,
    ) -> tuple[str, int]:
        """Copy ``source`` in, hashed on the way; holes stay holes. ``chunk`` has no meaning here.

        Raises:
            DigestMismatchError: it is not ``expected``.
        """
        del chunk
        algorithm = algorithm_of(expected.digest) if expected else algorithm
        self._prepare(algorithm, deadline)
        hasher = hashlib.new(algorithm)
        nothing = bytes(CHUNK)
        with self._folder.named(), unnamed_file(self._file(f"blobs/{algorithm}"), force=True) as new:
            done = 0
            for piece in pieces(source, scratch=bytearray(CHUNK)):
                deadline.cap(1)
                hasher.update(piece)
                if piece != nothing[: len(piece)]:
                    write_all(new.fd, piece, done)
                done += len(piece)
                if progress:
                    progress(done, source.size)
            os.ftruncate(new.fd, done)
            digest = f"{algorithm}:{hasher.hexdigest()}"
            if expected and digest != expected.digest:
                raise DigestMismatchError(
                    "the bytes are not the ones described", expected=expected.digest, actual=digest
                )
            new.name = self._path(digest)
        return digest, done

    def check_push(self, deadline: Deadline) -> None:
        """Make the layout if it is not there, and a file in it that is gone again.

        Raises:
            OSError: this user may not write there.
        """
        self._prepare("sha256", deadline)
        with self._folder.named(), unnamed_file(self._file("blobs/sha256"), force=True):
            pass

    def write_manifest(
        self,
        data: bytes,
        *,
        media_type: str,
        artifact_type: str | None,
        deadline: Deadline,
        digest: str | None = None,
        is_named: bool = True,
    ) -> str:
        """Store a manifest and, if it is to be named, point the reference's tag at it, which another may have had.

        Raises:
            DigestMismatchError: the reference names another digest.
        """
        deadline.cap(1)
        digest = digest or digest_of(data)
        if is_named and self._reference.digest not in {None, digest}:
            raise DigestMismatchError(
                "the reference names another manifest", expected=self._reference.digest, actual=digest
            )
        entry = Descriptor(media_type=media_type, digest=digest, size=len(data), artifact_type=artifact_type)
        self._store_manifest(data, digest, deadline)
        if is_named:
            self._list(entry, self._reference.tag, deadline)
        return digest

    def sibling(self, tag: str) -> FolderStore:
        """Another manifest in the same folder."""
        return FolderStore(dataclasses.replace(self._reference, tag=tag, digest=None), self._folder)

    def read_tags(self, deadline: Deadline) -> list[str]:
        """The names in the folder's index, sorted.

        Raises:
            ImageLayoutError: not an image layout.
        """
        self._check_marker()
        deadline.cap(1)
        return _names(self._entries())

    def read_referrers(self, digest: str, deadline: Deadline) -> list[Descriptor]:
        """The manifests in the folder's index whose ``subject`` is ``digest``; unreadable ones are left out."""
        found = []
        for entry in self._entries():
            deadline.cap(1)
            if entry.media_type not in MANIFEST_TYPES + INDEX_TYPES:
                continue
            with contextlib.suppress(ContentError, NotFoundError, ImageLayoutError):
                subject = parse_json(self._document(entry.digest, entry).data).get("subject")
                if isinstance(subject, dict) and subject.get("digest") == digest:
                    found.append(entry)
        return found

    def write_referrer(self, data: bytes, entry: Descriptor, subject: Descriptor, deadline: Deadline) -> bool:
        """Store a manifest without a tag; the folder's index is the list of referrers."""
        del subject  # the manifest says so itself
        self._store_manifest(data, entry.digest, deadline)
        self._list(entry, None, deadline)
        return True

    def _store_manifest(self, data: bytes, digest: str, deadline: Deadline) -> None:
        self._prepare(algorithm_of(digest), deadline)
        self._write(self._path(digest), data)

    def _list(self, entry: Descriptor, tag: str | None, deadline: Deadline) -> None:
        """List a manifest in the folder's index under ``tag``."""
        named = dataclasses.replace(entry, annotations={REF_NAME: tag} if tag else {})
        with self._locked(deadline):
            index, entries = self._index()
            kept = [old for old in entries if not _replaced(old, tag, entry.digest)]
            self._write(self._file(_INDEX), canonical({**index, "manifests": [*kept, named.as_json()]}))

    def _document(self, digest: str, entry: Descriptor | None) -> Document:
        data = self._read(self._path(digest), LARGEST_MANIFEST)
        if entry is not None:
            check_size(data, entry)
        actual = digest_of(data, algorithm_of(digest))
        if actual != digest:
            raise DigestMismatchError("the file is not the manifest its name says", expected=digest, actual=actual)
        return settle(Document(data, entry.media_type if entry is not None else "", digest))

    def _entries(self) -> list[Descriptor]:
        """What the folder's index lists; a malformed entry does not keep the others from being found."""
        data = self._read(self._file(_INDEX), LARGEST_MANIFEST)
        found = []
        problem: DescriptorError | None = None
        with _in_file(_INDEX):
            entries = raw_entries(Document(data, INDEX_TYPE, digest_of(data)))
        for entry in entries:
            try:
                found.append(Descriptor.from_json(entry))
            except DescriptorError as error:
                problem = problem or error
                if _name_of(entry) == self._reference.tag is not None:
                    raise
        if problem is not None and not found:
            raise problem
        return found

    def _index(self) -> tuple[dict[str, object], list[object]]:
        """The index and its entries as they are, members this package has no use for included."""
        try:
            data = self._read(self._file(_INDEX), LARGEST_MANIFEST)
        except NotFoundError:
            return {"schemaVersion": 2, "mediaType": INDEX_TYPE}, []
        with _in_file(_INDEX):
            return parse_json(data), raw_entries(Document(data, INDEX_TYPE, digest_of(data)))

    def _prepare(self, algorithm: str, deadline: Deadline) -> None:
        """Make the folder an image layout if it is not one yet; a layout of another version is left alone.

        Raises:
            ImageLayoutError: another version, or a folder with other things in it.
        """
        self._folder.make()
        with self._locked(deadline):
            if os.path.lexists(self._file(_MARKER)):
                self._check_marker()
            else:
                # A push that was killed at its very start leaves nothing but these.
                strangers = set(os.listdir(self._folder.root)) - {"blobs"}
                if any(not name.endswith(PARTIAL) for name in strangers):
                    raise ImageLayoutError(
                        "the folder has other things in it and is no image layout",
                        actual=self._folder.path,
                        hint="name a new or an empty folder",
                    )
                self._write(self._file(_MARKER), canonical({"imageLayoutVersion": VERSION}))
        with self._folder.named():
            os.makedirs(self._file(f"blobs/{algorithm}"), exist_ok=True)

    def _check_marker(self) -> None:
        try:
            with _in_file(_MARKER):
                marker = parse_json(self._read(self._file(_MARKER), LARGEST_MANIFEST))
        except NotFoundError:
            raise ImageLayoutError("no image layout: it lacks the file oci-layout", actual=self._folder.path) from None
        version = marker.get("imageLayoutVersion")
        if not isinstance(version, str) or _COMPATIBLE.fullmatch(version) is None:
            raise ImageLayoutError("an image layout of another version", expected=VERSION, actual=version)

    def _file(self, name: str) -> str:
        return os.path.join(self._folder.root, name)

    def _path(self, digest: str) -> str:
        algorithm, _, encoded = digest.partition(":")
        return self._file(f"blobs/{algorithm}/{encoded}")

    def _open(self, path: str) -> int:
        try:
            # A pipe under a blob's name must not hang whoever reads it.
            with self._folder.named():
                fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            name = os.path.relpath(path, self._folder.root)
            raise NotFoundError(f"the folder lacks {name}", status=None) from None
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise ImageLayoutError("not a regular file", actual=os.path.relpath(path, self._folder.root))
        return fd

    def _read(self, path: str, limit: int) -> bytes:
        with open(self._open(path), "rb") as file:
            data = file.read(limit + 1)
        if len(data) > limit:
            raise ManifestTooLargeError(
                "the file is too large", expected=f"at most {limit}", actual=os.path.getsize(path)
            )
        return data

    def _write(self, path: str, data: bytes) -> None:
        with self._folder.named(), new_file(path, force=True) as fd:
            write_all(fd, memoryview(data), 0)

    @contextlib.contextmanager
    def _locked(self, deadline: Deadline) -> Iterator[None]:
        """One writer of marker and index at a time; the lock is on the folder itself, so nothing is left behind."""
        with self._folder.named():
            fd = os.open(self._folder.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            _lock(fd, deadline)
            yield
        finally:
            os.close(fd)


def _located(reference: LayoutReference) -> LayoutReference:
    """``reference``; if it has no such folder, with the folder that exists and the rest of the text as the name."""
    if os.path.lexists(reference.folder):
        return reference
    others = (other for other in split_layout(reference) if os.path.isfile(os.path.join(other.folder, _MARKER)))
    return next(others, reference)


def _lock(fd: int, deadline: Deadline) -> None:
    """Wait for the lock. flock(2) knows no timeout, so it is asked again and again."""
    while True:
        deadline.cap(1)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_LOOK)
        else:
            return


@contextlib.contextmanager
def _in_file(name: str) -> Iterator[None]:
    """Say of an error in which of the folder's files it is: the words are those for manifests."""
    try:
        yield
    except ContentError as error:
        error.message = f"the file {name}: {error.message}"
        raise


def _name_of(entry: object) -> object:
    annotations = entry.get("annotations") if isinstance(entry, dict) else None
    return annotations.get(REF_NAME) if isinstance(annotations, dict) else None


def _replaced(entry: object, tag: str | None, digest: str) -> bool:
    """Whether a new entry takes the place of ``entry``: it has the same tag, or is the same without one."""
    name = _name_of(entry)
    return name == tag if tag is not None else name is None and isinstance(entry, dict) and entry["digest"] == digest


def _select(entries: list[Descriptor], tag: str | None) -> Descriptor:
    """The entry of the layout's index that is meant.

    Raises:
        NotFoundError: no entry has the tag.
        NotAnImageError: no tag, and not one entry.
    """
    if tag is None:
        try:
            return choose(entries, None)
        except NotAnImageError as error:
            names = _names(entries) or [entry.digest for entry in entries]
            error.hint = f"name one of them: {', '.join(names)}" if names else None
            raise
    found = [entry for entry in entries if entry.annotations.get(REF_NAME) == tag]
    if not found:
        # Some writers put the whole name of the image there: HOST/REPOSITORY:TAG.
        whole = [entry for entry in entries if _tag_of(entry.annotations.get(REF_NAME, "")) == tag]
        if len({entry.digest for entry in whole}) == 1:
            found = whole
    if not found:
        names = _names(entries)
        raise NotFoundError(
            f"no image is called {tag!r}", status=None, hint=f"there are: {', '.join(names)}" if names else None
        )
    # Tags ought to be unique; where a careless writer left two, the later one is what it meant.
    return found[-1]


def _names(entries: list[Descriptor]) -> list[str]:
    return sorted({name for entry in entries if (name := entry.annotations.get(REF_NAME))})


def _tag_of(name: str) -> str | None:
    """The tag in the whole name of an image in a registry; ``None`` for any other name."""
    try:
        found = parse_reference(name)
    except InvalidReferenceError:
        return None
    return found.tag if isinstance(found, RegistryReference) else None
