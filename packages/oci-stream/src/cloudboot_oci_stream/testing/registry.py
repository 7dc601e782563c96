"""A registry in this process, on real sockets of the loopback interface, with a switch for every fault and dialect.

It speaks the distribution protocol well enough for any client. A second listener on another port plays the storage that
large registries redirect their blobs to.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import hashlib
import http.server
import json
import re
import secrets
import socket
import ssl
import struct
import threading
import time
import urllib.parse
from typing import Literal, Self, cast

_API = re.compile(r"/v2/(?P<repository>.+)/(?P<kind>blobs|manifests|referrers|tags)/(?P<rest>.+)")
_PIECE = 1 << 16

Ranges = Literal["honour", "ignore", "refuse", "shift", "resize", "multipart", "garble", "blocks", "whole"]


@dataclasses.dataclass(kw_only=True)
class Faults:
    """What goes wrong with blobs; everything is right by default.

    Offsets count from the start of the blob. Those in ``cuts`` and ``stalls`` work once each, so that a client that
    comes back gets past them.
    """

    flip: int | None = None
    """Invert a bit of the byte at this offset."""
    cuts: list[int] = dataclasses.field(default_factory=list)
    """Close the connection before these offsets."""
    reset: bool = False
    """Cut with a TCP reset instead of an orderly end."""
    stalls: list[int] = dataclasses.field(default_factory=list)
    """Send nothing more from these offsets on, and keep the connection."""
    trickle: float | None = None
    """Send one byte, then wait so many seconds, and again."""
    rate: float | None = None
    """Send so many bytes a second over each connection."""
    connections: int | None = None
    """Answer 429 to a request for a blob while so many others are being sent."""
    announce: int | None = None
    """The Content-Length to claim."""
    surplus: bytes = b""
    """Bytes after the end; seen where the length is not announced."""
    framing: Literal["length", "chunked", "close"] = "length"
    """How the end of the body is told."""
    encoding: str | None = None
    """The Content-Encoding to claim."""
    ranges: Literal["honour", "ignore", "refuse", "shift", "resize", "multipart", "garble", "blocks", "whole"] = (
        "honour"
    )
    """What becomes of a range request. ``refuse`` is distribution's 416, whose Content-Length is the whole blob's;
    ``blocks`` sends whole blocks of 64 KiB, as caches do, and ``whole`` everything, both as a range."""
    redirect: str | None = None
    """``storage`` sends to the other port; ``loop``, ``endless`` and ``nowhere`` as they say; else a Location."""
    answers: list[tuple[int, dict[str, str]]] = dataclasses.field(default_factory=list)
    """Statuses (with headers) to answer the next requests with."""
    token: tuple[int, dict[str, str], bytes] | None = None
    """What the token service answers: status, headers, body."""
    challenge: str | None = None
    """The WWW-Authenticate to send instead of the registry's own."""
    manifest_digest: str | None = None
    """The Docker-Content-Digest to claim for manifests."""
    upload_cuts: list[int] = dataclasses.field(default_factory=list)
    """Close the connection once an upload has so many bytes."""
    locations: Literal["absolute", "relative", "elsewhere"] = "absolute"
    """The form of Locations of uploads; ``elsewhere`` names the other port."""
    manifest_answers: dict[str, int] = dataclasses.field(default_factory=dict)
    """Statuses to answer requests for manifests with, by tag or digest; 307 leads nowhere."""
    manifest_encoding: str | None = None
    """The Content-Encoding to claim for manifests."""
    message: str = "as ordered"
    """What the errors in ``answers`` say."""
    moved: str | None = None
    """Redirect every POST and PUT whose path has this in it to the other port."""
    mounts: bool = True
    """Whether blobs are mounted from other repositories; else an upload begins instead."""
    interim: bytes = b""
    """Bytes before the status line of every answer: interim answers, say."""
    chunk_size: bytes | None = None
    """What stands for the size of each chunk."""
    replies: list[tuple[str, str, bytes]] = dataclasses.field(default_factory=list)
    """Method, a part of the path, and the bytes to answer such a request with, whatever they are: one request each."""
    keeps: bool = False
    """Leave a connection open after an answer; else each is closed."""
    says: bool = False
    """Put a few words into the body of an answer that is empty otherwise, in turn with a length and in chunks."""
    delay: float = 0.0
    """Seconds before the head of each answer."""
    referrers: Literal["none", "list", "pages", "endless", "elsewhere", "see-other", "html", "failing"] = "none"
    """How the referrers API answers. ``none`` is a 404; ``pages`` gives one entry at a time, ``endless`` always one
    more, ``elsewhere`` a next page on the other port; ``see-other`` (a 303 to nowhere) and ``html`` are what large
    registries without the API do."""


@dataclasses.dataclass(frozen=True, slots=True)
class Seen:
    """A request as it came in; ``storage`` tells the port, ``has_certificate`` whether the client showed one."""

    method: str
    path: str
    headers: dict[str, str]
    storage: bool
    has_certificate: bool = False

    @property
    def authorization(self) -> str | None:
        """The credentials it carried."""
        return self.headers.get("authorization")


class FaultyRegistry:
    """The registry. ``blobs`` and ``manifests`` can be changed at will; ``seen`` tells what was asked.

    ``accepted`` is the number of connections.

    ``tags`` is what it lists as the tags of a repository, ``page`` of them in one answer.

    ``users`` (name to password) asks for authentication: Basic, or with ``tokens`` Bearer tokens from the registry's
    own token service, each good for ``token_uses`` requests, which it gives without credentials if ``anonymous``.
    """

    def __init__(
        self,
        *,
        users: dict[str, str] | None = None,
        tokens: bool = False,
        token_uses: int | None = None,
        anonymous: bool = False,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.faults = Faults()
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[tuple[str, str], tuple[str, bytes]] = {}
        self.uploads: dict[str, bytearray] = {}
        self.tags: dict[str, object] = {}
        self.page: int | None = None
        self.seen: list[Seen] = []
        self.sending = self.accepted = 0
        self.lock = threading.Lock()
        self.users, self.tokens, self.token_uses, self.anonymous = users, tokens, token_uses, anonymous
        self.good_tokens: dict[str, int | None] = {}
        self.scheme = "https" if tls else "http"
        self._servers = [_Server(self, storage=storage, tls=tls) for storage in (False, True)]
        self._threads = [
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True) for server in self._servers
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for server, thread in zip(self._servers, self._threads, strict=True):
            server.shutdown()
            thread.join()
            server.server_close()

    @property
    def host(self) -> str:
        """``127.0.0.1:PORT``."""
        return f"127.0.0.1:{self._servers[0].server_address[1]}"

    @property
    def storage_host(self) -> str:
        """The other port."""
        return f"127.0.0.1:{self._servers[1].server_address[1]}"

    def add_blob(self, data: bytes, algorithm: str = "sha256") -> str:
        """Store a blob; its digest."""
        digest = f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"
        self.blobs[digest] = data
        return digest

    def add_manifest(self, repository: str, tag: str, media_type: str, data: bytes) -> str:
        """Store a manifest under its digest and ``tag``; the digest."""
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        for name in (tag, digest):
            self.manifests[repository, name] = (media_type, data)
        return digest

    def requests(self, method: str, part: str = "") -> list[Seen]:
        """The requests of a method whose path has ``part`` in it."""
        return [seen for seen in self.seen if seen.method == method and part in seen.path]

    def new_token(self) -> str:
        """A token that is good for ``token_uses`` requests."""
        token = secrets.token_urlsafe(24)
        self.good_tokens[token] = self.token_uses
        return token

    def is_authorised(self, header: str | None) -> bool:
        """Whether ``header`` opens the registry; a token is used up a little."""
        if self.users is None:
            return True
        scheme, _, value = (header or "").partition(" ")
        if self.tokens:
            if scheme != "Bearer" or value not in self.good_tokens:
                return False
            uses = self.good_tokens[value]
            if uses is None:
                return True
            self.good_tokens[value] = uses - 1
            return uses > 0
        return scheme == "Basic" and self.is_user(value)

    def is_user(self, encoded: str) -> bool:
        """Whether the base64 of ``name:password`` is one of the users'."""
        name, _, password = base64.b64decode(encoded).decode().partition(":")
        return (self.users or {}).get(name) == password


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, registry: FaultyRegistry, *, storage: bool, tls: ssl.SSLContext | None) -> None:
        self.registry, self.storage = registry, storage
        super().__init__(("127.0.0.1", 0), _Handler)
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def verify_request(self, request: object, client_address: object) -> bool:
        """Count the connections."""
        del request, client_address
        self.registry.accepted += 1
        return True

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that leave are part of the tests."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 0

    @property
    def registry(self) -> FaultyRegistry:
        return self._owner.registry

    @property
    def faults(self) -> Faults:
        return self._owner.registry.faults

    @property
    def _owner(self) -> _Server:
        return cast("_Server", self.server)

    def log_message(self, *_: object) -> None:
        """Not on the terminal."""

    def do_GET(self) -> None:
        self._handle()

    do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815 - likewise

    def _handle(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        storage = self._owner.storage
        certificate = isinstance(self.connection, ssl.SSLSocket) and bool(self.connection.getpeercert(binary_form=True))
        self.registry.seen.append(Seen(self.command, self.path, headers, storage, certificate))
        time.sleep(self.faults.delay)
        url = urllib.parse.urlsplit(self.path)
        if (reply := self._reply()) is not None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.close_connection = True
            self.connection.sendall(reply)
        elif url.path == "/token":
            self._token()
        elif self.faults.answers and "/blobs/" in url.path:
            status, extra = self.faults.answers.pop(0)
            self._error(status, "FAULT", self.faults.message, extra)
        elif not storage and not self.registry.is_authorised(self.headers.get("Authorization")):
            self._challenge()
        elif url.path == "/v2/":
            self._answer(200)
        elif self.faults.moved and self.faults.moved in url.path and self.command in {"POST", "PUT"} and not storage:
            target = f"{self.registry.scheme}://{self.registry.storage_host}{self.path}"
            self._answer(307, headers={"Location": target})
        elif (found := _API.fullmatch(urllib.parse.unquote(url.path))) is None:
            self._error(404, "UNSUPPORTED", "no such path")
        elif found["kind"] == "referrers":
            self._referrers(found["repository"], found["rest"], urllib.parse.parse_qs(url.query))
        elif found["kind"] == "tags":
            self._tags(found["repository"], urllib.parse.parse_qs(url.query))
        elif found["kind"] == "manifests":
            self._manifest(found["repository"], found["rest"])
        elif found["rest"].startswith("uploads/"):
            self._upload(found["repository"], found["rest"].removeprefix("uploads/"), urllib.parse.parse_qs(url.query))
        else:
            self._blob(found["repository"], found["rest"])

    def _reply(self) -> bytes | None:
        """What is ordered as the answer to this request, if anything is."""
        for reply in self.faults.replies:
            if reply[0] == self.command and reply[1] in self.path:
                self.faults.replies.remove(reply)
                return reply[2]
        return None

    # Authentication

    def _challenge(self) -> None:
        if self.registry.tokens:
            realm = f"{self.registry.scheme}://{self.registry.host}/token"
            value = f'Bearer realm="{realm}",service="test",scope="repository:any:pull,push"'
        else:
            value = 'Basic realm="test"'
        headers = {"WWW-Authenticate": self.faults.challenge or value}
        self._error(401, "UNAUTHORIZED", "authentication required", headers)

    def _token(self) -> None:
        if self.faults.token is not None:
            status, headers, data = self.faults.token
            self._answer(status, data, headers)
            return
        scheme, _, value = (self.headers.get("Authorization") or "").partition(" ")
        allowed = self.registry.is_user(value) if scheme == "Basic" else self.registry.anonymous
        if not allowed:
            self._error(401, "UNAUTHORIZED", "wrong user or password")
            return
        self._answer(200, json.dumps({"token": self.registry.new_token(), "expires_in": 60}).encode())

    # Manifests

    def _manifest(self, repository: str, name: str) -> None:
        manifests = self.registry.manifests
        if self.command != "PUT" and (status := self.faults.manifest_answers.get(name)):
            self._error(status, "FAULT", "as ordered", {"Location": self.path} if status == 307 else {})
        elif self.command == "PUT":
            data = self.rfile.read(int(self.headers["Content-Length"]))
            digest = self.registry.add_manifest(repository, name, self.headers["Content-Type"], data)
            headers = {"Docker-Content-Digest": self.faults.manifest_digest or digest}
            if self.faults.referrers in {"list", "pages"} and (subject := _subject_of(data)):
                headers["OCI-Subject"] = subject
            self._answer(201, headers=headers)
        elif (repository, name) not in manifests:
            self._error(404, "MANIFEST_UNKNOWN", "manifest unknown")
        else:
            media_type, data = manifests[repository, name]
            digest = self.faults.manifest_digest or f"sha256:{hashlib.sha256(data).hexdigest()}"
            headers = {"Content-Type": media_type, "Docker-Content-Digest": digest}
            if self.faults.manifest_encoding:
                headers["Content-Encoding"] = self.faults.manifest_encoding
            self._answer(200, data, headers)

    def _tags(self, repository: str, query: dict[str, list[str]]) -> None:
        names = self.registry.tags.get(repository, self)
        if names is self:
            self._error(404, "NAME_UNKNOWN", "repository name not known to registry")
            return
        headers = {}
        if self.registry.page is not None and isinstance(names, list):
            start = int(query.get("from", ["0"])[0])
            if start + self.registry.page < len(names):
                headers["Link"] = f'</v2/{repository}/tags/list?from={start + self.registry.page}>; rel="next"'
            names = names[start : start + self.registry.page]
        self._answer(200, json.dumps({"name": repository, "tags": names}).encode(), headers)

    def _referrers(self, repository: str, digest: str, query: dict[str, list[str]]) -> None:
        kind = self.faults.referrers
        if kind == "none":
            self._error(404, "UNSUPPORTED", "no such path")
        elif kind == "failing":
            self._error(500, "UNKNOWN", "internal server error")
        elif kind == "see-other":
            self._answer(303, headers={"Location": "http://127.0.0.1:1/nowhere"})
        elif kind == "html":
            self._answer(200, b"<!doctype html>", {"Content-Type": "text/html"})
        else:
            self._page_of_referrers(repository, digest, int(query.get("page", ["0"])[0]))

    def _page_of_referrers(self, repository: str, digest: str, page: int) -> None:
        kind = self.faults.referrers
        stored = {
            name: (media_type, data)
            for (where, name), (media_type, data) in self.registry.manifests.items()
            if where == repository and name.startswith("sha256:") and _subject_of(data) == digest
        }
        entries = []
        for name, (media_type, data) in stored.items():
            own = json.loads(data)
            stated = {key: own[key] for key in ("artifactType", "annotations") if key in own}
            entries.append({"mediaType": media_type, "digest": name, "size": len(data), **stated})
        headers = {"Content-Type": "application/vnd.oci.image.index.v1+json"}
        if kind != "list":
            more = page + 1 < len(entries) or kind != "pages"
            entries = entries[page : page + 1]
            host = f"http://{self.registry.storage_host}" if kind == "elsewhere" else ""
            if more:
                headers["Link"] = f'<{host}/v2/{repository}/referrers/{digest}?page={page + 1}>; rel="next"'
        index = {"schemaVersion": 2, "mediaType": headers["Content-Type"], "manifests": entries}
        self._answer(200, json.dumps(index).encode(), headers)

    # Uploads

    def _upload(self, repository: str, session: str, query: dict[str, list[str]]) -> None:
        uploads = self.registry.uploads
        if self.command == "POST" and not session:
            mounted = query.get("mount", [""])[0]
            if self.faults.mounts and mounted in self.registry.blobs:
                self._answer(201, headers={"Location": f"/v2/{repository}/blobs/{mounted}"})
                return
            session = secrets.token_hex(8)
            uploads[session] = bytearray()
        if session not in uploads:
            self._error(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry")
            return
        data = uploads[session]
        if self.command == "PATCH":
            offset = int((self.headers.get("Content-Range") or "0-").partition("-")[0])
            if offset != len(data):
                self._error(416, "RANGE_INVALID", "out of order")
                return
        if self.command in {"PATCH", "PUT"} and not self._take(data):
            return
        location = f"/v2/{repository}/blobs/uploads/{session}?state={len(data)}"
        if self.faults.locations != "relative":
            elsewhere = self.faults.locations == "elsewhere"
            host = self.registry.storage_host if elsewhere else self.registry.host
            location = f"{self.registry.scheme}://{host}{location}"
        headers = {"Location": location, "Range": f"0-{max(0, len(data) - 1)}"}
        if self.command == "DELETE":
            del uploads[session]
            self._answer(204)
            return
        if self.command != "PUT":
            self._answer(204 if self.command == "GET" else 202, headers=headers)
            return
        digest = query["digest"][0]
        algorithm = digest.partition(":")[0]
        if hashlib.new(algorithm, data).hexdigest() != digest.partition(":")[2]:
            self._error(400, "DIGEST_INVALID", "provided digest did not match uploaded content")
            return
        self.registry.blobs[digest] = bytes(uploads.pop(session))
        self._answer(201, headers={"Location": f"/v2/{repository}/blobs/{digest}"})

    def _take(self, data: bytearray) -> bool:
        """Take an upload's body in; false if a cut came first, or the client left."""
        left = int(self.headers["Content-Length"])
        while left:
            cut = next((cut for cut in self.faults.upload_cuts if len(data) <= cut < len(data) + left), None)
            piece = self.rfile.read(min(_PIECE, left) if cut is None else min(_PIECE, cut - len(data)))
            if not piece and cut != len(data):
                return False
            data += piece
            left -= len(piece)
            if cut == len(data):
                self.faults.upload_cuts.remove(cut)
                self._cut()
                return False
        return True

    # Blobs

    def _blob(self, repository: str, digest: str) -> None:
        data = self.registry.blobs.get(digest)
        if data is None:
            self._error(404, "BLOB_UNKNOWN", "blob unknown to registry")
        elif self.faults.redirect is not None and not self._owner.storage:
            self._redirect(repository, digest)
        elif self.command == "HEAD":
            self._head(200, {"Content-Length": str(len(data)), "Docker-Content-Digest": digest})
        else:
            with self.registry.lock:
                refused = self.faults.connections is not None and self.registry.sending >= self.faults.connections
                self.registry.sending += not refused
            if refused:
                self._error(429, "TOOMANYREQUESTS", "one at a time", {"Retry-After": "0"})
                return
            try:
                self._send_blob(data)
            finally:
                with self.registry.lock:
                    self.registry.sending -= 1

    def _redirect(self, repository: str, digest: str) -> None:
        target = {
            "storage": f"{self.registry.scheme}://{self.registry.storage_host}/v2/{repository}/blobs/{digest}",
            "loop": self.path,
            "endless": f"/v2/{repository}/blobs/{digest}?hop={len(self.registry.seen)}",
            "nowhere": None,
        }.get(self.faults.redirect or "", self.faults.redirect)
        self._answer(307, headers={"Location": target} if target else {})

    def _send_blob(self, data: bytes) -> None:
        faults = self.faults
        size = len(data)
        start, stop, status = 0, size, 200
        headers = {"Content-Type": "application/octet-stream"}
        wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range") or "")
        if wanted and faults.ranges == "refuse":
            body = b'{"errors":[{"code":"RANGE","message":"no"}]}\n'
            self._head(416, {"Content-Length": str(size), "Content-Type": "application/json"})
            self.connection.sendall(body)
            # The rest of what the length promises never comes, and neither does the end.
            time.sleep(5)
            return
        if wanted and faults.ranges != "ignore":
            start, stop, status = int(wanted[1]), int(wanted[2]) + 1, 206
            if faults.ranges in {"blocks", "whole"}:
                block = _PIECE if faults.ranges == "blocks" else size
                start, stop = start // block * block, min(size, -(-stop // block) * block)
            shown = (start + 1, stop) if faults.ranges == "shift" else (start, stop)
            headers["Content-Range"] = f"bytes {shown[0]}-{shown[1] - 1}/{size + (faults.ranges == 'resize')}"
            if faults.ranges == "multipart":
                del headers["Content-Range"]
                headers["Content-Type"] = "multipart/byteranges; boundary=X"
            elif faults.ranges == "garble":
                headers["Content-Range"] = "bytes 1e3-*/∞".encode().decode("latin-1")
        if faults.encoding:
            headers["Content-Encoding"] = faults.encoding
        if faults.framing == "length":
            headers["Content-Length"] = str(stop - start if faults.announce is None else faults.announce)
        elif faults.framing == "chunked":
            headers["Transfer-Encoding"] = "chunked"
        self._head(status, headers)
        if self._send_range(data, start, stop):
            if faults.surplus and faults.framing != "length":
                self._send(faults.surplus)
            if faults.framing == "chunked":
                self.connection.sendall(b"0\r\n\r\n")

    def _send_range(self, data: bytes, start: int, stop: int) -> bool:
        """Send part of a blob with all its faults; false if it did not get to the end."""
        faults = self.faults
        position, begun = start, time.monotonic()
        while position < stop:
            if faults.rate:
                time.sleep(max(0.0, begun + (position - start) / faults.rate - time.monotonic()))
            if position in faults.cuts:
                faults.cuts.remove(position)
                self._cut()
                return False
            if position in faults.stalls:
                faults.stalls.remove(position)
                # The client leaves; until then there is nothing to do.
                with contextlib.suppress(OSError):
                    self.connection.recv(1)
                return False
            marks = [mark for mark in (*faults.cuts, *faults.stalls) if position < mark < stop]
            end = min([position + (1 if faults.trickle else _PIECE), stop, *marks])
            piece = data[position:end]
            if faults.flip is not None and position <= faults.flip < end:
                changed = bytearray(piece)
                changed[faults.flip - position] ^= 0x10
                piece = bytes(changed)
            self._send(piece)
            if faults.trickle:
                time.sleep(faults.trickle)
            position = end
        return True

    def _send(self, data: bytes) -> None:
        if self.faults.framing == "chunked":
            data = b"%b\r\n%b\r\n" % (self.faults.chunk_size or b"%x" % len(data), data)
        self.connection.sendall(data)

    def _cut(self) -> None:
        if self.faults.reset:
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.connection.close()
        else:
            self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True

    # Answers

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.close_connection = not self.faults.keeps
        if self.faults.interim:
            self.connection.sendall(self.faults.interim)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()

    def _answer(self, status: int, data: bytes = b"", headers: dict[str, str] | None = None) -> None:
        if self.faults.says and not data and self.command != "HEAD" and status != 204:
            data = b"{}\n"
            if len(self.registry.seen) % 2:
                self._head(status, (headers or {}) | {"Transfer-Encoding": "chunked"})
                self.connection.sendall(b"3\r\n%b\r\n0\r\n\r\n" % data)
                return
        self._head(status, (headers or {}) | {"Content-Length": str(len(data))})
        if self.command != "HEAD":
            self.connection.sendall(data)

    def _error(self, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> None:
        data = json.dumps({"errors": [{"code": code, "message": message}]}).encode()
        self._answer(status, data, {"Content-Type": "application/json"} | (headers or {}))


def _subject_of(manifest: bytes) -> str | None:
    """The digest that a manifest refers to, as far as it is one."""
    try:
        digest = json.loads(manifest)["subject"]["digest"]
    except (ValueError, KeyError, TypeError):
        return None
    return str(digest)
