"""One HTTP/1.1 exchange: a connection, a request, a response whose bytes go where the caller says.

The standard library's ``http.client`` parses and reads into the caller's memory; what this module adds stands between
it and the socket, so that every byte of head and body alike is under the deadline and the rate limit.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import errno
import http.client
import io
import ssl
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING, Protocol, Self

from .dial import dial
from .errors import (
    CertificateError,
    CredentialError,
    InsecureError,
    OciError,
    ProtocolError,
    TransferTimeoutError,
    TransportError,
)
from .reference import is_loopback
from .timing import Deadline, RateWatch

if TYPE_CHECKING:
    import os
    import socket
    from collections.abc import Iterable, Iterator, Mapping

    from typing_extensions import Buffer

USER_AGENT = "cloudboot-oci-stream"

_HEAD = 1 << 20
"""Bytes an answer may have besides its body: http.client reads interim answers and trailers as long as they come."""

_PIECE = 1 << 16
_FOREIGN = (OSError, http.client.HTTPException, ValueError)
"""What comes up from below; ValueError is what http.client says of malformed headers and chunk sizes."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How a registry is reached.

    ``insecure`` is plain HTTP: ``None`` uses it for this machine's own registries only (unless TLS material is
    given), true for any, false for none. ``username`` and ``password`` go before what the docker and podman
    configuration holds; ``auth_file`` replaces where that is looked for. ``stall`` is in seconds without a byte,
    ``minimum_rate`` in bytes a second over as long.
    """

    insecure: bool | None = None
    username: str | None = None
    password: str | None = dataclasses.field(default=None, repr=False)
    auth_file: str | os.PathLike[str] | None = None
    ca_file: str | os.PathLike[str] | None = None
    client_certificate: str | os.PathLike[str] | None = None
    client_key: str | os.PathLike[str] | None = None
    stall: float = 30.0
    minimum_rate: float = 1024.0

    @property
    def has_tls_material(self) -> bool:
        """Whether a certificate authority or a client certificate is given."""
        return self.ca_file is not None or self.client_certificate is not None

    def tls_context(self) -> ssl.SSLContext:
        """A context that verifies peers against the given or the system's authorities.

        Raises:
            CredentialError: a certificate or key cannot be read.
        """
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
            if self.client_certificate is not None:
                context.load_cert_chain(self.client_certificate, self.client_key)
        except OSError as error:
            raise CredentialError(f"a certificate or key cannot be used: {error}") from error
        return context


@dataclasses.dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host and port: credentials never leave the one they were made for."""

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> Self:
        """The origin of ``url``.

        Raises:
            ProtocolError: it has none.
        """
        try:
            parts = urllib.parse.urlsplit(url)
            scheme = parts.scheme.lower()
            port = parts.port or {"http": 80, "https": 443}.get(scheme, 0)
        except ValueError as error:
            raise ProtocolError(f"not a URL: {error}") from None
        if not parts.hostname:
            raise ProtocolError("a URL without a host")
        return cls(scheme, parts.hostname.lower(), port)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


class Body(Protocol):
    """What a request sends; ``pieces`` can be asked for again when the request must be repeated."""

    @property
    def size(self) -> int:
        """Size in bytes."""

    def pieces(self) -> Iterator[memoryview]:
        """All of it, in order."""


class _WatchedReader(io.RawIOBase):
    """The receiving side of a socket under a deadline and a rate limit."""

    def __init__(self, raw: io.RawIOBase, owner: _WatchedSocket) -> None:
        self._raw, self._owner = raw, owner

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer, /) -> int | None:
        self._owner.arm()
        count = self._raw.readinto(buffer)
        if count:
            self._owner.received(count)
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Reader(io.BufferedReader):
    """Gives what is there instead of waiting for all that was asked for.

    A buffered reader that fails half-way through a large read does not tell how much of it had come.
    """

    def readinto(self, buffer: Buffer, /) -> int:
        return self.readinto1(buffer)


class _WatchedSocket:
    """What ``http.client`` needs of a socket."""

    def __init__(self, sock: socket.socket, access: Access, deadline: Deadline) -> None:
        self._sock, self._deadline = sock, deadline
        self._stall = self._timeout = access.stall
        self._watch = RateWatch(access.minimum_rate, access.stall)
        self._budget = _HEAD
        sock.settimeout(self._timeout)

    def arm(self) -> None:
        """Let the next operation wait for as long as the limits allow."""
        timeout = self._deadline.cap(self._stall)
        # Setting a timeout is a system call; most transfers never come near their deadline.
        if timeout != self._timeout:
            self._sock.settimeout(timeout)
            self._timeout = timeout

    def received(self, count: int) -> None:
        """Account for ``count`` more bytes."""
        self._watch.add(count)
        self._budget -= count
        if self._budget < 0:
            raise ProtocolError("the answer does not end")

    def allow(self, size: int) -> None:
        """Let a body of ``size`` bytes in, with what chunks of one byte each would add to it."""
        self._budget = _HEAD + 6 * size

    def limit(self, seconds: float) -> None:
        """Wait no longer than ``seconds`` for anything from now on."""
        self._stall = min(self._stall, seconds)

    def makefile(self, mode: str) -> io.BufferedReader:
        del mode  # http.client only ever asks for "rb"
        return _Reader(_WatchedReader(self._sock.makefile("rb", buffering=0), self))

    def sendall(self, data: Buffer) -> None:
        self.arm()
        self._sock.sendall(data)

    def close(self) -> None:
        self._sock.close()


class Response:
    """A status, headers, and a body not read yet."""

    def __init__(
        self, url: str, connection: http.client.HTTPConnection, inner: http.client.HTTPResponse, sock: _WatchedSocket
    ) -> None:
        self.url = url
        self.status = inner.status
        self.headers = inner.headers
        self.length = inner.length
        """What is left of the body by its ``Content-Length``; ``None`` if the peer did not say."""
        self._connection, self._inner, self._sock = connection, inner, sock

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Drop the connection, whatever of the body is unread."""
        self._inner.close()
        self._connection.close()

    def expect(self, size: int) -> None:
        """Allow a body of up to ``size`` bytes; nearly nothing is let in before."""
        self._sock.allow(size)

    def readinto(self, view: memoryview) -> int:
        """Read what has come into ``view``; 0 at the end of the body, be it the announced one or not.

        Raises:
            TransportError: the connection broke.
            TransferTimeoutError: a limit was passed.
        """
        # Called for every few packets, so without the cost of a context manager.
        try:
            if not self._inner.chunked:
                return self._inner.readinto(view)
            # Here http.client's readinto takes a short read for a broken connection.
            piece = self._inner.read1(min(len(view), _PIECE))
        except OciError:
            raise
        except _FOREIGN as error:
            raise _translated(error, self.url) from error
        view[: len(piece)] = piece
        return len(piece)

    def read_bounded(self, limit: int) -> bytes:
        """The whole body if it has at most ``limit`` bytes, else its first ``limit + 1``."""
        self.expect(limit)
        with _mapped(self.url):
            data = bytearray()
            while len(data) <= limit:
                piece = self._inner.read(min(_PIECE, limit + 1 - len(data)))
                if not piece:
                    break
                data += piece
        return bytes(data)

    def read_soon(self, limit: int, seconds: float) -> bytes:
        """What comes of the body within about ``seconds``: error bodies lie about their length."""
        self._sock.limit(seconds)
        data = b""
        with contextlib.suppress(OciError), _mapped(self.url):
            while len(data) < limit:
                piece = self._inner.read1(limit - len(data))
                if not piece:
                    break
                data += piece
                if data.endswith((b"}", b"}\n")):
                    break
        return data


class Transport:
    """Makes connections the way an :class:`Access` says."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._context: ssl.SSLContext | None = None

    def check_allowed(self, origin: Origin) -> None:
        """Refuse plain HTTP to other machines, unless it was asked for.

        Raises:
            InsecureError: it was not.
        """
        if origin.scheme == "http" and not self._access.insecure and not is_loopback(origin.host):
            raise InsecureError(
                f"plain HTTP to {origin.host}",
                hint="allow it with insecure=True (--insecure), or use a registry with TLS",
            )

    def exchange(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: Body | None = None,
        deadline: Deadline,
    ) -> Response:
        """Send one request and read the head of the response. No redirect is followed, no credential added.

        Raises:
            InsecureError: plain HTTP to another machine.
            TransportError: no connection, it broke, or what came is not HTTP.
            TransferTimeoutError: a limit was passed.
        """
        origin = Origin.of(url)
        self.check_allowed(origin)
        parts = urllib.parse.urlsplit(url)
        target = urllib.parse.quote(parts.path or "/", safe="/%:@!$&'()*+,;=~")
        if parts.query:
            target += "?" + urllib.parse.quote(parts.query, safe="/%:@!$&'()*+,;=~?")
        with _mapped(url):
            raw = self._connect(origin, deadline)
        connection: http.client.HTTPConnection
        if isinstance(raw, ssl.SSLSocket):
            connection = http.client.HTTPSConnection(origin.host, origin.port, context=raw.context)
        else:
            connection = http.client.HTTPConnection(origin.host, origin.port)
        sock = _WatchedSocket(raw, self._access, deadline)
        # http.client asks its socket for makefile, sendall and close, which is all a watched one has.
        connection.sock = sock
        try:
            answered = self._send(connection, url, _head(method, target, headers, body), body)
            with _mapped(url):
                return Response(url, connection, answered or connection.getresponse(), sock)
        except BaseException:
            connection.close()
            raise

    def _connect(self, origin: Origin, deadline: Deadline) -> socket.socket:
        """A connection to ``origin``: through its proxy, if it has one, and through TLS, if that is its scheme."""
        proxy = _proxy_for(origin)
        where = proxy.origin if proxy else origin
        sock = dial(where.host, where.port, deadline, self._access.stall)
        try:
            if proxy:
                self._tunnel(sock, proxy, origin, deadline)
            if origin.scheme != "https":
                return sock
            self._context = self._context or self._access.tls_context()
            sock = self._context.wrap_socket(sock, server_hostname=origin.host, do_handshake_on_connect=False)
            deadline.attach(sock)
            sock.settimeout(deadline.cap(self._access.stall))  # of the whole handshake
            sock.do_handshake()
        except BaseException:
            sock.close()
            raise
        return sock

    def _tunnel(self, sock: socket.socket, proxy: _Proxy, origin: Origin, deadline: Deadline) -> None:
        """Ask a proxy to pass everything on to ``origin`` (RFC 9110 section 9.3.6)."""
        host = f"[{origin.host}]" if ":" in origin.host else origin.host
        lines = [f"CONNECT {host}:{origin.port} HTTP/1.1", f"Host: {host}:{origin.port}"]
        lines += [f"{name}: {value}" for name, value in proxy.headers.items()]
        watched = _WatchedSocket(sock, self._access, deadline)
        watched.sendall("\r\n".join([*lines, "", ""]).encode("ascii"))
        with contextlib.closing(http.client.HTTPResponse(watched, method="CONNECT")) as answer:  # type: ignore[arg-type]  # of a socket it uses makefile alone
            answer.begin()
            if answer.status != 200:
                raise ConnectionRefusedError(errno.ECONNREFUSED, f"the proxy {proxy.origin} answers {answer.status}")

    def _send(
        self, connection: http.client.HTTPConnection, url: str, head: _Head, body: Body | None
    ) -> http.client.HTTPResponse | None:
        """Send a request; a response only if the peer answered before all of it was sent."""
        with _mapped(url):
            connection.putrequest(head.method, head.target, skip_accept_encoding=True)
            for name, value in head.headers.items():
                connection.putheader(name, value)
            connection.endheaders()
        for piece in body.pieces() if body else ():
            with _mapped(url):
                try:
                    connection.send(piece)
                except (BrokenPipeError, ConnectionResetError) as broken:
                    # A registry that refuses an upload answers and closes without reading the rest.
                    try:
                        return connection.getresponse()
                    except (OSError, http.client.HTTPException):
                        raise broken from None
        return None


@dataclasses.dataclass(frozen=True, slots=True)
class _Head:
    method: str
    target: str
    headers: Mapping[str, str]


def _head(method: str, target: str, headers: Mapping[str, str], body: Body | None) -> _Head:
    fixed = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity", "Connection": "close"}
    if body is not None or method in {"POST", "PUT", "PATCH"}:
        fixed["Content-Length"] = str(body.size if body else 0)
    return _Head(method, target, fixed | dict(headers))


@dataclasses.dataclass(frozen=True, slots=True)
class _Proxy:
    origin: Origin
    headers: Mapping[str, str]


def _proxy_for(origin: Origin) -> _Proxy | None:
    """The proxy that the environment names for ``origin``; this machine's own registries never go through one."""
    if is_loopback(origin.host) or urllib.request.proxy_bypass(f"{origin.host}:{origin.port}"):
        return None
    proxies = urllib.request.getproxies()
    proxy = proxies.get(origin.scheme) or proxies.get("all")
    if not proxy:
        return None
    url = proxy if "://" in proxy else f"http://{proxy}"
    where = Origin.of(url)
    if where.scheme != "http":
        raise ProtocolError("a proxy of an unknown kind", expected="http://", actual=f"{where.scheme}://")
    parts = urllib.parse.urlsplit(url)
    if parts.username is None:
        return _Proxy(where, {})
    pair = f"{urllib.parse.unquote(parts.username)}:{urllib.parse.unquote(parts.password or '')}"
    return _Proxy(where, {"Proxy-Authorization": "Basic " + base64.b64encode(pair.encode()).decode()})


@contextlib.contextmanager
def _mapped(url: str) -> Iterator[None]:
    """Every error of the network, the TLS layer and the HTTP parser as one of ours."""
    try:
        yield
    except OciError:
        raise
    except _FOREIGN as error:
        raise _translated(error, url) from error


def _translated(error: Exception, url: str) -> OciError:
    where = shown(url)
    if isinstance(error, TimeoutError):
        return TransferTimeoutError(f"no byte moved in time: {where}")
    if isinstance(error, ssl.SSLCertVerificationError):
        return CertificateError(
            f"the certificate of {where} does not verify: {error.verify_message}",
            hint="name its authority with ca_file",
        )
    return TransportError(f"{where}: {_reason(error)}")


def shown(url: str) -> str:
    """``url`` for a message: user, password and query are nobody's business, and a signature is in one of them."""
    scheme, mark, rest = url.partition("?")[0].partition("://")
    authority, slash, path = rest.partition("/")
    return scheme + mark + authority.rpartition("@")[2] + slash + path


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def header_values(headers: http.client.HTTPMessage, name: str) -> Iterable[str]:
    """All values of a header that may occur several times."""
    return headers.get_all(name) or ()
