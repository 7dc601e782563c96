"""Uploads of blobs to a registry: in one request, in chunks, or of a stream whose end nobody knows."""

from __future__ import annotations

import functools
import hashlib
import re
import urllib.parse
from typing import TYPE_CHECKING

from .errors import NotFoundError, OciError, ProtocolError, StatusError
from .retry import Resume, persist
from .session import Session, location
from .source import CHUNK, Stream, pieces

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .source import Source
    from .store import Progress
    from .timing import Deadline
    from .transport import Response

STREAM_CHUNK = 8 << 20
"""Bytes of a stream in one request, where the caller has no opinion."""

_UPLOADED = re.compile(r"(?:bytes=)?0-([0-9]{1,19})")


class Uploads:
    """The uploads to one repository (OCI Distribution Specification 1.1, "Pushing blobs")."""

    def __init__(self, session: Session, repository: str) -> None:
        self._session = session
        self._root = repository

    def whole(self, source: Source, digest: str, progress: Progress | None, deadline: Deadline) -> None:
        """Upload ``source`` in one request; from the beginning again where that breaks."""
        body = _Slice(source, 0, source.size, progress)
        persist(lambda: self._finish(self._begin(deadline)[0], digest, body, deadline), deadline)

    def chunked(self, source: Source, digest: str, chunk: int, progress: Progress | None, deadline: Deadline) -> None:
        """Upload ``source`` in chunks, from where the registry got to again where one breaks."""
        url = self._patch(source, chunk, progress, deadline, None)
        self._finish(url, digest, Bytes(b""), deadline)

    def stream(
        self, source: Stream, algorithm: str, chunk: int, progress: Progress | None, deadline: Deadline
    ) -> tuple[str, int]:
        """Upload all that comes; its digest and size."""
        hasher = hashlib.new(algorithm)
        url = self._patch(source, chunk, progress, deadline, hasher)
        digest = f"{algorithm}:{hasher.hexdigest()}"
        self._finish(url, digest, Bytes(b""), deadline)
        return digest, source.size

    def _begin(self, deadline: Deadline) -> tuple[str, int]:
        """Begin an upload: where it goes, and the smallest chunk the registry takes."""
        url = self._session.url(f"{self._root}/blobs/uploads/")
        with self._session.request("POST", url, deadline=deadline, accept=frozenset({202})) as response:
            return location(response), _smallest_chunk(response)

    def _finish(self, url: str, digest: str, body: _Slice | Bytes, deadline: Deadline) -> None:
        """Upload the rest, and say what all of it is."""
        query = urllib.parse.urlencode({"digest": digest})
        url += ("&" if urllib.parse.urlsplit(url).query else "?") + query
        headers = {"Content-Type": "application/octet-stream"}
        accept = frozenset({200, 201, 204})
        self._session.request("PUT", url, headers=headers, body=body, deadline=deadline, accept=accept).close()

    def _patch(
        self,
        source: Source | Stream,
        chunk: int,
        progress: Progress | None,
        deadline: Deadline,
        hasher: hashlib._Hash | None,
    ) -> str:
        """Upload everything in chunks, and hash it; the Location to finish at ("Pushing a blob in chunks")."""
        patience = Resume()
        url, smallest = persist(lambda: self._begin(deadline), deadline)
        offset = furthest = hashed = failures = 0
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

    def _send_chunk(self, url: str, body: _Slice, deadline: Deadline) -> tuple[str, int]:
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Range": f"{body.start}-{body.start + body.size - 1}",
        }
        accept = frozenset({202})
        with self._session.request(
            "PATCH", url, headers=headers, body=body, deadline=deadline, accept=accept
        ) as response:
            return location(response), _uploaded(response)

    def _rejoin(self, url: str, deadline: Deadline) -> tuple[str, int]:
        """Where a broken upload goes on, and from which byte: only the registry knows how much of a chunk it kept."""
        try:
            with self._session.request("GET", url, deadline=deadline, accept=frozenset({200, 202, 204})) as response:
                return location(response), _uploaded(response)
        except NotFoundError:
            # distribution gives an upload up when a chunk broke off half-way: begin again.
            return self._begin(deadline)[0], 0


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

    def pieces(self) -> Iterator[memoryview]:
        """In order, progress told after each is sent."""
        done = self.start
        for piece in pieces(self._source, done, done + self.size, scratch=bytearray(CHUNK)):
            yield piece
            done += len(piece)
            if self._progress:
                self._progress(done, self._source.size)


def _reach(source: Source | Stream, offset: int, chunk: int) -> int:
    """Where the chunk from ``offset`` on ends."""
    return source.reach(offset, chunk) if isinstance(source, Stream) else min(source.size, offset + chunk)


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
