"""A repository of a registry (OCI Distribution Specification 1.1), with what real registries make of it."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import re
import urllib.parse
from typing import TYPE_CHECKING

from cloudboot_oci_stream.errors import (
    BodyOverflowError,
    ContentEncodingError,
    ContentRangeError,
    CredentialError,
    DigestMismatchError,
    ProtocolError,
    RedirectError,
    SizeMismatchError,
    StatusError,
    about,
)
from cloudboot_oci_stream.http.session import Session, location
from cloudboot_oci_stream.http.transport import content_encoding, media_type_of
from cloudboot_oci_stream.retry import retrying
from cloudboot_oci_stream.spec.descriptor import Descriptor, algorithm_of, digest_of
from cloudboot_oci_stream.spec.manifest import (
    INDEX_TYPES,
    LARGEST_MANIFEST,
    MANIFEST_TYPES,
    Document,
    check_size,
    settle,
)
from cloudboot_oci_stream.stores.pagination import read_pages, read_tags
from cloudboot_oci_stream.stores.source import CHUNK, Stream, pieces
from cloudboot_oci_stream.stores.upload import STREAM_CHUNK, Bytes, Uploads

if TYPE_CHECKING:
    from http.client import HTTPMessage

    from cloudboot_oci_stream.deadline import Deadline
    from cloudboot_oci_stream.http.access import Access
    from cloudboot_oci_stream.http.transport import Response
    from cloudboot_oci_stream.retry import RetryPolicy
    from cloudboot_oci_stream.spec.reference import RegistryReference
    from cloudboot_oci_stream.stores.source import Source
    from cloudboot_oci_stream.stores.store import Progress, Store

_ACCEPT = ", ".join(MANIFEST_TYPES + INDEX_TYPES)
_SHA256 = re.compile("sha256:[0-9a-f]{64}")
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,19})-([0-9]{1,19})/([0-9]{1,19}|\*)", re.IGNORECASE)


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
    real_folder = None

    def __init__(
        self,
        reference: RegistryReference,
        access: Access,
        *,
        session: Session | None = None,
        retry: RetryPolicy | None = None,
    ) -> None:
        self._reference = reference
        self._access = access
        self._session = session or Session(reference, access)
        self.origin = self._session.origin
        self._root = reference.repository
        self._retry = retry
        self._uploads = Uploads(self._session, reference.repository, retry)

    @property
    def reference(self) -> RegistryReference:
        """The image that was named."""
        return self._reference

    def read_manifest(self, entry: Descriptor | None, deadline: Deadline) -> Document:
        """The manifest or index that ``entry`` of an index, else the reference, names; verified against its digest.

        Raises:
            ManifestTooLargeError: more than 4 MiB.
            DigestMismatchError: other bytes than the digest's, or the registry contradicts itself.
        """
        target = entry.digest if entry else self._reference.target
        url = self._session.url(f"{self._root}/manifests/{target}")
        with self._session.request("GET", url, headers={"Accept": _ACCEPT}, deadline=deadline) as response:
            data = response.read_document(LARGEST_MANIFEST)
            media_type = media_type_of(response)
            announced = response.headers.get("Docker-Content-Digest")
        if entry:
            check_size(data, entry)
        wanted = entry.digest if entry else self._reference.digest
        if len(data) <= LARGEST_MANIFEST:
            # distribution 2.8 announces SHA-256 whatever was asked for; what can be compared is.
            claim = wanted or (announced if announced and _SHA256.fullmatch(announced) else None)
            actual = digest_of(data, algorithm_of(claim) if claim else "sha256")
            if claim and claim != actual:
                raise DigestMismatchError("not the manifest that was asked for", expected=claim, actual=actual)
        return settle(Document(data, media_type, wanted or digest_of(data)))

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
                start, stop = _range_of(response, start, stop, descriptor.size)
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
        return self._uploads.has_blob(digest, deadline)

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
        """Upload ``source`` in one request, or in chunks of ``chunk`` bytes that are resumed where one fails.

        The digest is needed first: it tells whether the blob is there already. With ``expected`` both are known, and
        the registry finds the blob to be that, or refuses it. A stream is always uploaded in chunks, each of which is
        held in memory for as long as it may have to be sent again.
        """
        if isinstance(source, Stream):
            return self._uploads.stream(source, algorithm, chunk or STREAM_CHUNK, progress, deadline)
        digest = expected.digest if expected else _digest_of(source, algorithm, deadline)
        with about(digest=digest):
            if not expected and retrying(lambda: self.has_blob(digest, deadline), deadline, self._retry):
                if progress:
                    progress(source.size, source.size)
            elif chunk is None:
                self._uploads.whole(source, digest, progress, deadline)
            else:
                self._uploads.chunked(source, digest, chunk, progress, deadline)
        return digest, source.size

    def check_push(self, deadline: Deadline) -> None:
        """Begin an upload to the repository, and cancel it.

        Raises:
            UnauthorizedError: this user may not push.
            StatusError: the registry accepts no pushes, for example because it is read-only or a cache.
        """
        self._uploads.check(deadline)

    def mount_blob(self, digest: str, origin: Store, deadline: Deadline) -> bool:
        """Have the registry take over a blob from another repository of its own; false if it does not.

        "Mounting a blob from another repository".
        """
        if not isinstance(origin, RegistryStore) or origin.origin != self.origin:
            return False
        query = urllib.parse.urlencode({"mount": digest, "from": origin.reference.repository})
        url = self._session.url(f"{self._root}/blobs/uploads/?{query}")
        try:
            with self._session.request("POST", url, deadline=deadline, accept=frozenset({201, 202})) as response:
                if response.status == 201:
                    return True
                begun = location(response)
            # An upload was begun instead.
            self._session.request("DELETE", begun, deadline=deadline, accept=frozenset({202, 204})).close()
        except (StatusError, ProtocolError, RedirectError, CredentialError):
            # Also where the token service gives no token for both repositories: an upload needs one of them only.
            return False
        return False

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
        """Store a manifest: under the reference's tag, or by its digest if it has no tag or is not to be set.

        Raises:
            DigestMismatchError: the registry stored something else, or the reference names another digest.
        """
        del artifact_type  # the registry reads it from the manifest
        digest = digest or digest_of(data)
        if is_named and self._reference.digest not in {None, digest}:
            raise DigestMismatchError(
                "the reference names another manifest", expected=self._reference.digest, actual=digest
            )
        target = digest
        if is_named:
            target = self._reference.tag or (digest if self._reference.digest else self._reference.target)
        self._put_manifest(target, data, media_type, digest, deadline)
        return digest

    def sibling(self, tag: str) -> RegistryStore:
        """Another manifest of the same repository, over the same session."""
        reference = dataclasses.replace(self._reference, tag=tag, digest=None)
        return RegistryStore(reference, self._access, session=self._session, retry=self._retry)

    def read_tags(self, deadline: Deadline) -> list[str]:
        """The tags of the repository, sorted.

        Raises:
            ProtocolError: the list has no end, or is not a list of referrers.
        """
        return read_tags(self._session, f"{self._root}/tags/list", deadline)

    def read_referrers(self, digest: str, deadline: Deadline) -> list[Descriptor] | None:
        """What refers to the manifest, from the referrers API; ``None`` where the registry has none.

        Raises:
            ProtocolError: pages without end, or one on another server.
        """
        return read_pages(self._session, f"{self._root}/referrers/{digest}", deadline)

    def write_referrer(self, data: bytes, entry: Descriptor, subject: Descriptor, deadline: Deadline) -> bool:
        """Store a manifest that refers to ``subject``; whether the registry lists it under that by itself."""
        answer = self._put_manifest(entry.digest, data, entry.media_type, entry.digest, deadline)
        return answer.get("OCI-Subject") == subject.digest

    def _put_manifest(self, target: str, data: bytes, media_type: str, digest: str, deadline: Deadline) -> HTTPMessage:
        """Upload a manifest; the head of the answer."""
        url = self._session.url(f"{self._root}/manifests/{target}")
        body = Bytes(data)
        accept = frozenset({200, 201, 202, 204})
        headers = {"Content-Type": media_type}
        request = functools.partial(self._session.request, "PUT", url, headers=headers, body=body, accept=accept)
        with retrying(lambda: request(deadline=deadline), deadline, self._retry) as answer:
            stored = answer.headers.get("Docker-Content-Digest")
        if stored and algorithm_of(stored) == algorithm_of(digest) and stored != digest:
            raise DigestMismatchError("the registry stored another manifest", expected=digest, actual=stored)
        return answer.headers


def _digest_of(source: Source, algorithm: str, deadline: Deadline) -> str:
    hasher = hashlib.new(algorithm)
    for piece in pieces(source, scratch=bytearray(CHUNK)):
        deadline.cap(1)
        hasher.update(piece)
    return f"{algorithm}:{hasher.hexdigest()}"


def _range_of(response: Response, start: int, stop: int, size: int) -> tuple[int, int]:
    """The part of the blob that was sent: what was asked for, or more, up to the whole of it.

    Caches send whole blocks, and some send everything as a range (RFC 9110 section 15.3.7: the client has to look).
    """
    value = response.headers.get("Content-Range") or ""
    found = _CONTENT_RANGE.fullmatch(value.strip())
    if found is not None and found[3] != "*" and int(found[3]) != size:
        raise SizeMismatchError("the registry's blob has another size", expected=size, actual=int(found[3]))
    first, last = (int(found[1]), int(found[2])) if found else (0, -1)
    if not first <= start < stop <= last + 1 <= size:
        raise ContentRangeError("not the range that was asked for", expected=f"bytes {start}-{stop - 1}", actual=value)
    return first, last + 1


def _check_body(response: Response, size: int) -> None:
    encoding = content_encoding(response)
    if encoding != "identity":
        raise ContentEncodingError("a body in an encoding that was not asked for", expected="identity", actual=encoding)
    if response.length is not None and response.length != size:
        kind = BodyOverflowError if response.length > size else SizeMismatchError
        raise kind("the registry announces another size", expected=size, actual=response.length)
