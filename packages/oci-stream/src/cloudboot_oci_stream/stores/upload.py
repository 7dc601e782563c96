"""Uploads of blobs to a registry: in one request, in chunks, or of a stream of unknown size."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import re
from typing import TYPE_CHECKING

from cloudboot_oci_stream.errors import (
    NotFoundError,
    OciError,
    ProtocolError,
    RedirectError,
    StatusError,
    TransferTimeoutError,
    TransportError,
)
from cloudboot_oci_stream.http.access import with_query
from cloudboot_oci_stream.http.session import Session, location
from cloudboot_oci_stream.retry import RetryPolicy, retrying
from cloudboot_oci_stream.stores.source import CHUNK, Stream, pieces

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloudboot_oci_stream.deadline import Deadline
    from cloudboot_oci_stream.http.transport import Response
    from cloudboot_oci_stream.stores.source import Source
    from cloudboot_oci_stream.stores.store import Progress

STREAM_CHUNK = 8 << 20
"""Bytes of a stream in one request, where the caller has no opinion."""

_LARGEST_HELD = 256 << 20
"""Bytes of a stream that are held at most because the registry takes no smaller chunks."""

_NO_HEAD = frozenset({401, 403, 404, 405, 501})
_PASSING = frozenset({202, 500, 502, 503, 504})
_PAUSES = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0)
"""Seconds between two looks at whether a blob has arrived, half a minute in all."""
_LOOKS = 3
"""After so many of them the registry is asked about the upload, too."""

_RANGE = re.compile(r"\s*(?:bytes[= ])?\s*[0-9]{1,19}\s*-\s*([0-9]{1,19})(?:/.*)?\s*")
"""What registries say of a chunk they took: the range of all they have, or that of the chunk alone."""
_UPLOADED = re.compile(r"(?:bytes=)?0-([0-9]{1,19})")


class Uploads:
    """The uploads to one repository (OCI Distribution Specification 1.1, "Pushing blobs")."""

    def __init__(self, session: Session, repository: str, retry: RetryPolicy | None = None) -> None:
        self._session = session
        self._root = repository
        self._retry = retry or RetryPolicy()

    def whole(self, source: Source, digest: str, progress: Progress | None, deadline: Deadline) -> None:
        """Upload ``source`` in one request; from the beginning again where that breaks."""
        body = _Slice(source, 0, source.size, progress)

        def send() -> None:
            url = self._begin(deadline)[0]
            body.is_sent = False
            try:
                self._finish(url, digest, body, deadline)
            except OciError as error:
                # All of it was sent once: it may be there, or on its way to be.
                if not body.is_sent or not self._has_arrived(url, digest, body.size, error, deadline):
                    raise

        retrying(send, deadline, self._retry)

    def chunked(self, source: Source, digest: str, chunk: int, progress: Progress | None, deadline: Deadline) -> None:
        """Upload ``source`` in chunks, from where the registry got to again where one breaks."""
        url = self._patch(source, chunk, progress, deadline, None)
        self._commit(url, digest, source.size, deadline)

    def stream(
        self, source: Stream, algorithm: str, chunk: int, progress: Progress | None, deadline: Deadline
    ) -> tuple[str, int]:
        """Upload all that comes; its digest and size."""
        hasher = hashlib.new(algorithm)
        url = self._patch(source, chunk, progress, deadline, hasher)
        digest = f"{algorithm}:{hasher.hexdigest()}"
        self._commit(url, digest, source.size, deadline)
        return digest, source.size

    def check(self, deadline: Deadline) -> None:
        """Begin an upload, and cancel it.

        Raises:
            StatusError: the registry takes no uploads, or none of this user's.
        """
        url = retrying(lambda: self._begin(deadline)[0], deadline, self._retry)
        with contextlib.suppress(StatusError, ProtocolError, RedirectError):  # it will be purged
            self._session.request("DELETE", url, deadline=deadline, accept=frozenset({202, 204})).close()

    def has_blob(self, digest: str, deadline: Deadline) -> bool:
        """Whether the repository holds the blob; a registry that does not answer such requests is taken to lack it."""
        url = self._session.url(f"{self._root}/blobs/{digest}")
        try:
            self._session.request("HEAD", url, deadline=deadline).close()
        except StatusError as error:
            if error.status in _NO_HEAD:
                return False
            raise
        return True

    def _commit(self, url: str, digest: str, size: int, deadline: Deadline) -> None:
        """Say what all chunks together are."""

        def finish() -> None:
            try:
                self._finish(url, digest, Bytes(b""), deadline)
            except OciError as error:
                if not self._has_arrived(url, digest, size, error, deadline):
                    raise

        retrying(finish, deadline, self._retry)

    def _has_arrived(self, url: str, digest: str, size: int, error: OciError, deadline: Deadline) -> bool:
        """Whether a blob that was sent whole turns up, although ``error`` came instead of the registry's answer.

        A registry, or a proxy before it, may break the connection while the blob is still being stored.
        """
        if isinstance(error, TransferTimeoutError):
            pauses: tuple[float, ...] = _PAUSES[:1]  # it was waited for long enough
        elif isinstance(error, NotFoundError):
            pauses = _PAUSES[:1]  # the upload is over: an earlier attempt may have ended it
        elif isinstance(error, TransportError) or (isinstance(error, StatusError) and error.status in _PASSING):
            pauses = _PAUSES
        else:
            return False
        for looks, pause in enumerate(pauses, 1):
            deadline.sleep(pause)
            try:
                if self.has_blob(digest, deadline):
                    return True
                if looks >= _LOOKS and self._lacks_bytes(url, size, deadline):
                    return False
            except (StatusError, TransportError):
                continue
        return False

    def _lacks_bytes(self, url: str, size: int, deadline: Deadline) -> bool:
        """Whether the registry says that an upload is over, or has fewer than ``size`` bytes: it will not be a blob."""
        try:
            return self._status(url, deadline)[1] < size
        except NotFoundError:
            return True
        except (ProtocolError, RedirectError):
            return False

    def _begin(self, deadline: Deadline) -> tuple[str, int]:
        """Begin an upload: where it goes, and the smallest chunk the registry takes."""
        url = self._session.url(f"{self._root}/blobs/uploads/")
        with self._session.request("POST", url, deadline=deadline, accept=frozenset({202})) as response:
            return location(response), _smallest_chunk(response)

    def _finish(self, url: str, digest: str, body: _Slice | Bytes, deadline: Deadline) -> None:
        """Upload the rest, and say what all of it is."""
        url = with_query(url, [("digest", digest)])
        headers = {"Content-Type": "application/octet-stream"}
        accept = frozenset({200, 201, 202, 204})
        with self._session.request(
            "PUT", url, headers=headers, body=body, deadline=deadline, accept=accept, is_upload=True
        ) as response:
            if response.status == 202:
                # Accepted, and not done yet (RFC 9110 section 15.3.3): whether it is there, the registry says later.
                raise StatusError("the registry has not stored the blob yet", status=202, expected="201")

    def _patch(
        self,
        source: Source | Stream,
        chunk: int,
        progress: Progress | None,
        deadline: Deadline,
        hasher: hashlib._Hash | None,
    ) -> str:
        """Upload everything in chunks, and hash it; the Location to finish at ("Pushing a blob in chunks")."""
        policy = self._retry
        url, smallest = retrying(lambda: self._begin(deadline), deadline, policy)
        offset = furthest = hashed = failures = 0
        if isinstance(source, Stream) and smallest > _LARGEST_HELD:
            raise ProtocolError(
                "the registry wants chunks that are too large to be held",
                expected=f"at most {_LARGEST_HELD}",
                actual=smallest,
                hint="push from a file instead of a pipe",
            )
        while (stop := _reach(source, offset, max(chunk, smallest))) > offset:
            body = _Slice(source, offset, stop, progress)
            if hasher is not None and stop > hashed:
                for piece in pieces(source, hashed, stop, scratch=bytearray(CHUNK)):
                    hasher.update(piece)
                hashed = stop
            try:
                url, offset = self._send_chunk(url, body, deadline)
            except OciError as error:
                failures += 1
                out_of_step = isinstance(error, StatusError) and error.status == 416
                if failures > policy.attempts or not (out_of_step or policy.allows(failures, error)):
                    raise
                deadline.sleep(policy.seconds(failures - 1, error), error)
                url, offset = retrying(functools.partial(self._rejoin, url, deadline), deadline, policy)
            else:
                if offset > furthest:  # only then, or a registry that forgets everything would be asked for ever
                    furthest, failures = offset, 0
                if offset != stop:
                    raise ProtocolError("the registry kept another part than was sent", expected=stop, actual=offset)
        return url

    def _send_chunk(self, url: str, body: _Slice, deadline: Deadline) -> tuple[str, int]:
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Range": f"{body.start}-{body.start + body.size - 1}",
        }
        accept = frozenset({200, 201, 202, 204})
        with self._session.request(
            "PATCH", url, headers=headers, body=body, deadline=deadline, accept=accept, is_upload=True
        ) as response:
            following = location(response) if response.headers.get("Location") else url
            return following, _kept(response, body.start + body.size)

    def _rejoin(self, url: str, deadline: Deadline) -> tuple[str, int]:
        """Where a broken upload goes on, and from which byte: only the registry knows how much of a chunk it kept."""
        try:
            return self._status(url, deadline)
        except NotFoundError:
            # distribution gives an upload up when a chunk broke off half-way: begin again.
            return self._begin(deadline)[0], 0

    def _status(self, url: str, deadline: Deadline) -> tuple[str, int]:
        """Where an upload goes on, and how many bytes the registry has ("Pushing a blob in chunks")."""
        with self._session.request("GET", url, deadline=deadline, accept=frozenset({200, 202, 204})) as response:
            following = location(response) if response.headers.get("Location") else url
            return following, _uploaded(response)


class Bytes:
    """A few bytes as a request body."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)

    def pieces(self) -> Iterator[memoryview]:
        """All of it at once."""
        yield memoryview(self._data)


class _Slice:
    """Part of a source as a request body."""

    def __init__(self, source: Source | Stream, start: int, stop: int, progress: Progress | None) -> None:
        self._source, self._progress = source, progress
        self.start, self.size = start, stop - start
        self.is_sent = False
        """Whether all of it was given to the connection."""

    def pieces(self) -> Iterator[memoryview]:
        """In order, progress told after each is sent."""
        done = self.start
        for piece in pieces(self._source, done, done + self.size, scratch=bytearray(CHUNK)):
            yield piece
            done += len(piece)
            if self._progress:
                self._progress(done, self._source.size)
        self.is_sent = True


def _reach(source: Source | Stream, offset: int, chunk: int) -> int:
    """Where the chunk from ``offset`` on ends."""
    return source.reach(offset, chunk) if isinstance(source, Stream) else min(source.size, offset + chunk)


def _smallest_chunk(response: Response) -> int:
    value = response.headers.get("OCI-Chunk-Min-Length") or "0"
    return int(value) if re.fullmatch("[0-9]{1,10}", value) else 0


def _kept(response: Response, sent: int) -> int:
    """The bytes the registry has after it took a chunk up to ``sent``.

    One that says nothing, or more than it can have, took the chunk; the digest at the end tells whether that is so.
    """
    found = _RANGE.fullmatch(response.headers.get("Range") or "")
    return min(sent, int(found[1]) + 1) if found else sent


def _uploaded(response: Response) -> int:
    """The bytes the registry has, from the ``Range`` of an upload's status."""
    value = response.headers.get("Range") or ""
    found = _UPLOADED.fullmatch(value)
    if found is None:
        raise ProtocolError("an upload's status without a range", expected="0-<last byte>", actual=value)
    # Nothing yet and one byte both read "0-0"; distribution reports nothing that way, and so do the others.
    return int(found[1]) + 1 if found[1] != "0" else 0
