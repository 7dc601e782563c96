"""A repository of a registry (OCI Distribution Specification 1.1), with what real registries make of it."""

from __future__ import annotations

import functools
import hashlib
import re
import urllib.parse
from typing import TYPE_CHECKING

from .descriptor import Descriptor, algorithm_of, digest_of
from .errors import (
    BodyOverflowError,
    ContentEncodingError,
    ContentRangeError,
    DigestMismatchError,
    NotFoundError,
    OciError,
    ProtocolError,
    SizeMismatchError,
    StatusError,
    about,
)
from .manifest import INDEX_TYPES, LARGEST_MANIFEST, MANIFEST_TYPES, Document
from .retry import Resume, persist
from .session import Session, location
from .source import CHUNK, pieces

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .reference import RegistryReference
    from .source import Source
    from .store import Progress
    from .timing import Deadline
    from .transport import Access, Response

_ACCEPT = ", ".join(MANIFEST_TYPES + INDEX_TYPES)
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,19})-([0-9]{1,19})/([0-9]{1,19}|\*)", re.IGNORECASE)
_UPLOADED = re.compile(r"(?:bytes=)?0-([0-9]{1,19})")


class RegistryPart:
    """The body of a blob response."""

    def __init__(self, response: Response, start: int, stop: int) -> None:
        self.start, self.stop = start, stop
        self._response, self._position = response, start

    def readinto(self, view: memoryview) -> int:
        """Read into ``view``; at most what was asked for.

        Raises:
            BodyOverflowError: the body has more.
        """
        if self._position == self.stop:
            if self._response.length is None and self._response.readinto(memoryview(bytearray(1))):
                raise BodyOverflowError("the body goes on after the last byte", expected=self.stop)
            return 0
        with view[: self.stop - self._position] as target:
            count = self._response.readinto(target)
        self._position += count
        return count

    def close(self) -> None:
        """Drop the connection."""
        self._response.close()


class RegistryStore:
    """One repository, and the image in it that a reference names."""

    is_remote = True

    def __init__(self, reference: RegistryReference, access: Access) -> None:
        self._reference = reference
        self._session = Session(reference, access)
        self._root = reference.repository

    @property
    def reference(self) -> RegistryReference:
        """The image that was named."""
        return self._reference

    def read_manifest(self, entry: Descriptor | None, deadline: Deadline) -> Document:
        """The manifest or index that ``entry`` of an index, else the reference, names; verified against its digest.

        Raises:
            ManifestTooLargeError: more than 4 MiB (the document is cut there, and parsing it says so).
            DigestMismatchError: other bytes than the digest's, or the registry contradicts itself.
        """
        target = entry.digest if entry else self._reference.target
        url = self._session.url(f"{self._root}/manifests/{target}")
        with self._session.request("GET", url, headers={"Accept": _ACCEPT}, deadline=deadline) as response:
            data = response.read_bounded(LARGEST_MANIFEST)
            media_type = (response.headers.get("Content-Type") or "").partition(";")[0].strip()
            announced = response.headers.get("Docker-Content-Digest")
        wanted = entry.digest if entry else self._reference.digest
        if len(data) <= LARGEST_MANIFEST:
            # distribution 2.8 announces SHA-256 whatever was asked for; what can be compared is.
            claim = wanted or (announced if announced and announced.startswith("sha256:") else None)
            actual = digest_of(data, algorithm_of(claim) if claim else "sha256")
            if claim and claim != actual:
                raise DigestMismatchError("not the manifest that was asked for", expected=claim, actual=actual)
        return Document(data, media_type, wanted or digest_of(data))

    def open_blob(self, descriptor: Descriptor, start: int, stop: int, deadline: Deadline) -> RegistryPart:
        """Bytes ``start`` to ``stop`` of a blob, always by a closed range inside it.

        A registry that does not know ranges sends all of it: then the part starts at 0.

        Raises:
            ContentEncodingError, ContentRangeError, SizeMismatchError, BodyOverflowError: the head of the answer
                already says that the body is not what was asked for.
        """
        url = self._session.url(f"{self._root}/blobs/{descriptor.digest}")
        whole = start == 0 and stop == descriptor.size
        headers = {} if whole else {"Range": f"bytes={start}-{stop - 1}"}
        accept = frozenset({200} if whole else {200, 206})
        try:
            response = self._session.request("GET", url, headers=headers, deadline=deadline, accept=accept)
        except StatusError as error:
            if error.status != 416 or whole:
                raise
            # The range lies inside the blob, so the registry does not know it: ask for everything.
            return self.open_blob(descriptor, 0, descriptor.size, deadline)
        try:
            if response.status == 206:
                _check_range(response, start, stop, descriptor.size)
            else:
                start, stop = 0, descriptor.size
            _check_body(response, stop - start)
            response.expect(stop - start)
        except BaseException:
            response.close()
            raise
        return RegistryPart(response, start, stop)

    def has_blob(self, digest: str, deadline: Deadline) -> bool:
        """Whether the repository holds the blob."""
        url = self._session.url(f"{self._root}/blobs/{digest}")
        try:
            self._session.request("HEAD", url, deadline=deadline).close()
        except NotFoundError:
            return False
        return True

    def write_blob(
        self, source: Source, *, algorithm: str, progress: Progress | None, chunk: int | None, deadline: Deadline
    ) -> tuple[str, int]:
        """Upload ``source`` in one request, or in chunks of ``chunk`` bytes that are resumed where one fails.

        The digest is needed first: it tells whether the blob is there already.
        """
        digest = _digest_of(source, algorithm, deadline)
        with about(digest=digest):
            if persist(lambda: self.has_blob(digest, deadline), deadline):
                if progress:
                    progress(source.size, source.size)
            elif chunk is None:
                body = _Slice(source, 0, source.size, progress)
                persist(lambda: self._put(self._begin(deadline)[0], digest, body, deadline), deadline)
            else:
                url = self._patch(source, chunk, progress, deadline)
                self._put(url, digest, _Slice(source, source.size, source.size, None), deadline)
        return digest, source.size

    def write_manifest(self, data: bytes, *, media_type: str, artifact_type: str | None, deadline: Deadline) -> str:
        """Store a manifest under the reference's tag, or by its digest where the reference has none.

        Raises:
            DigestMismatchError: the registry stored something else, or the reference names another digest.
        """
        del artifact_type  # the registry reads it from the manifest
        digest = digest_of(data)
        if self._reference.digest not in {None, digest}:
            raise DigestMismatchError(
                "the reference names another manifest", expected=self._reference.digest, actual=digest
            )
        target = self._reference.tag or (digest if self._reference.digest else self._reference.target)
        url = self._session.url(f"{self._root}/manifests/{target}")
        body = _Bytes(data)
        accept = frozenset({200, 201, 202})
        headers = {"Content-Type": media_type}
        request = functools.partial(self._session.request, "PUT", url, headers=headers, body=body, accept=accept)
        with persist(lambda: request(deadline=deadline), deadline) as answer:
            stored = answer.headers.get("Docker-Content-Digest")
        if stored and stored.startswith("sha256:") and stored != digest:
            raise DigestMismatchError("the registry stored another manifest", expected=digest, actual=stored)
        return digest

    def _begin(self, deadline: Deadline) -> tuple[str, int]:
        """Begin an upload: where it goes, and the smallest chunk the registry takes."""
        url = self._session.url(f"{self._root}/blobs/uploads/")
        with self._session.request("POST", url, deadline=deadline, accept=frozenset({202})) as response:
            return location(response), _smallest_chunk(response)

    def _put(self, url: str, digest: str, body: _Slice, deadline: Deadline) -> None:
        """Upload the rest, and finish."""
        query = urllib.parse.urlencode({"digest": digest})
        url += ("&" if urllib.parse.urlsplit(url).query else "?") + query
        headers = {"Content-Type": "application/octet-stream"}
        accept = frozenset({200, 201, 204})
        self._session.request("PUT", url, headers=headers, body=body, deadline=deadline, accept=accept).close()

    def _patch(self, source: Source, chunk: int, progress: Progress | None, deadline: Deadline) -> str:
        """Upload everything in chunks; the Location to finish at ("Pushing a blob in chunks")."""
        patience = Resume()
        url, smallest = persist(lambda: self._begin(deadline), deadline)
        offset = furthest = failures = 0
        while offset < source.size:
            stop = min(source.size, offset + max(chunk, smallest))
            headers = {"Content-Type": "application/octet-stream", "Content-Range": f"{offset}-{stop - 1}"}
            body = _Slice(source, offset, stop, progress)
            try:
                with self._session.request(
                    "PATCH", url, headers=headers, body=body, deadline=deadline, accept=frozenset({202})
                ) as response:
                    url, offset = location(response), _uploaded(response)
            except OciError as error:
                failures += 1
                out_of_step = isinstance(error, StatusError) and error.status == 416
                if failures > patience.attempts or not (error.retryable or out_of_step):
                    raise
                deadline.sleep(patience.seconds(failures - 1, error))
                url, offset = persist(functools.partial(self._rejoin, url, deadline), deadline)
            else:
                if offset > furthest:  # only then, or a registry that forgets everything would be asked for ever
                    furthest, failures = offset, 0
                if offset != stop:
                    raise ProtocolError("the registry kept another part than was sent", expected=stop, actual=offset)
        return url

    def _rejoin(self, url: str, deadline: Deadline) -> tuple[str, int]:
        """Where a broken upload goes on, and from which byte: only the registry knows how much of a chunk it kept."""
        try:
            with self._session.request("GET", url, deadline=deadline, accept=frozenset({200, 202, 204})) as response:
                return location(response), _uploaded(response)
        except NotFoundError:
            # distribution gives an upload up when a chunk broke off half-way: begin again.
            return self._begin(deadline)[0], 0


class _Bytes:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)

    def pieces(self) -> Iterator[memoryview]:
        yield memoryview(self._data)


class _Slice:
    """Part of a source as a request body."""

    def __init__(self, source: Source, start: int, stop: int, progress: Progress | None) -> None:
        self._source, self._start, self._progress = source, start, progress
        self.size = stop - start

    def pieces(self) -> Iterator[memoryview]:
        done = self._start
        for piece in pieces(self._source, done, done + self.size, scratch=bytearray(CHUNK)):
            yield piece
            done += len(piece)
            if self._progress:
                self._progress(done, self._source.size)


def _digest_of(source: Source, algorithm: str, deadline: Deadline) -> str:
    hasher = hashlib.new(algorithm)
    for piece in pieces(source, scratch=bytearray(CHUNK)):
        deadline.cap(1)
        hasher.update(piece)
    return f"{algorithm}:{hasher.hexdigest()}"


def _smallest_chunk(response: Response) -> int:
    value = response.headers.get("OCI-Chunk-Min-Length") or "0"
    return int(value) if re.fullmatch("[0-9]{1,10}", value) else 0


def _uploaded(response: Response) -> int:
    """The bytes the registry has, from the ``Range`` of an upload's status."""
    value = response.headers.get("Range") or ""
    found = _UPLOADED.fullmatch(value)
    if found is None:
        raise ProtocolError("an upload's status without a range", expected="0-<last byte>", actual=value)
    # Nothing yet and one byte both read "0-0"; distribution reports nothing that way, and so do the others.
    return int(found[1]) + 1 if found[1] != "0" else 0


def _check_range(response: Response, start: int, stop: int, size: int) -> None:
    value = response.headers.get("Content-Range") or ""
    found = _CONTENT_RANGE.fullmatch(value.strip())
    if found is None or (int(found[1]), int(found[2])) != (start, stop - 1):
        raise ContentRangeError("not the range that was asked for", expected=f"bytes {start}-{stop - 1}", actual=value)
    if found[3] != "*" and int(found[3]) != size:
        raise SizeMismatchError("the registry's blob has another size", expected=size, actual=int(found[3]))


def _check_body(response: Response, size: int) -> None:
    encoding = (response.headers.get("Content-Encoding") or "identity").strip().lower()
    if encoding != "identity":
        raise ContentEncodingError("a body in an encoding nobody asked for", expected="identity", actual=encoding)
    if response.length is not None and response.length != size:
        kind = BodyOverflowError if response.length > size else SizeMismatchError
        raise kind("the registry announces another size", expected=size, actual=response.length)
