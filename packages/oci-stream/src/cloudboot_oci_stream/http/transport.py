"""One HTTP/1.1 exchange: a connection, a request, a response whose bytes go where the caller says.

The standard library's ``http.client`` parses and reads into the caller's memory; what this module adds is between
it and the socket, so that every byte of head and body alike is under the deadline and the rate limit.
"""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import re
import select
import ssl
import urllib.parse
import weakref
import zlib
from typing import TYPE_CHECKING, Protocol, Self

from cloudboot_oci_stream.errors import (
    CertificateError,
    ContentEncodingError,
    InsecureError,
    NotHttpError,
    OciError,
    ProtocolError,
    ProxyError,
    TransferTimeoutError,
    TransportError,
)
from cloudboot_oci_stream.http.access import Access, Origin
from cloudboot_oci_stream.http.connect import dial
from cloudboot_oci_stream.http.proxy import Proxy, proxy_for
from cloudboot_oci_stream.http.timeout_socket import TimeoutSocket
from cloudboot_oci_stream.spec.reference import is_loopback

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterable, Iterator, Mapping

    from cloudboot_oci_stream.deadline import Deadline

USER_AGENT = "cloudboot-oci-stream"

FOREIGN = (OSError, http.client.HTTPException, ValueError)
"""What comes up from below; ValueError is what http.client says of malformed headers."""

_PIECE = 1 << 16
_TLS_RECORDS = ("\x15\x03", "\x16\x03")
"""How an alert of TLS, and its handshake, begin (RFC 8446 section 5.1)."""
_LONGEST_LINE = 1 << 12
_SHORTEST_SECRET = 4
"""Anything shorter is in every text by chance."""
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;[^\r\n]*)?\r?\n")
_LENGTH = re.compile(r"[0-9]{1,19}")
_NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "UNKNOWN_PROTOCOL", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG"})
"""What OpenSSL says where the peer's answer is no record of TLS; the name differs from version to version."""
_PLAIN_HINT = "if it speaks plain HTTP on that port, allow that with insecure=True (--insecure)"
TLS_HINT = (
    "if the registry has TLS on that port, leave insecure=True (--insecure) out; "
    "for one of this machine, name its authority (--ca-file)"
)
_CLOCK_HINT = (
    "the certificate is not valid at this time: the registry has to renew it, or this machine's clock is wrong"
)
_NAME_HINT = "name the registry as its certificate does: 'openssl s_client -connect HOST:PORT' shows the certificate"
_CERTIFICATE_HINTS = {9: _CLOCK_HINT, 10: _CLOCK_HINT, 62: _NAME_HINT, 64: _NAME_HINT}
"""By OpenSSL's codes X509_V_ERR_CERT_NOT_YET_VALID, _CERT_HAS_EXPIRED, _HOSTNAME_MISMATCH, _IP_ADDRESS_MISMATCH."""
_CLIENT_ALERTS = frozenset(
    {
        "SSLV3_ALERT_BAD_CERTIFICATE",
        "SSLV3_ALERT_CERTIFICATE_EXPIRED",
        "SSLV3_ALERT_CERTIFICATE_UNKNOWN",
        "SSL/TLS_ALERT_BAD_CERTIFICATE",
        "TLSV13_ALERT_CERTIFICATE_REQUIRED",
        "TLSV1_ALERT_UNKNOWN_CA",
    }
)
"""What a server says of the certificate that it was shown, or was not; the names differ between OpenSSL's versions."""
_REPEATABLE = frozenset({"GET", "HEAD", "POST", "DELETE"})
"""Methods whose request, if it has no body, is sent again where a kept connection turns out to be closed.

A second POST begins a second upload, or mounts a blob that is mounted already.
"""
_GONE = (ConnectionResetError, BrokenPipeError, http.client.RemoteDisconnected)
_COMMITTING = frozenset({"PUT", "PATCH"})
"""Methods after whose body a registry may have to store all of it before it answers."""


class Body(Protocol):
    """What a request sends; ``pieces`` can be asked for again when the request must be repeated."""

    @property
    def size(self) -> int:
        """Size in bytes."""

    def pieces(self) -> Iterator[memoryview]:
        """All of it, in order."""


class _StrictResponse(http.client.HTTPResponse):
    """The parser of ``http.client``, without what it takes for a number or an answer and no other client does."""

    def _read_status(self) -> tuple[str, int, str]:
        """The status line of the answer itself, after any number of interim ones (RFC 9110 section 15.2)."""
        while True:
            version, status, reason = super()._read_status()  # type: ignore[misc]  # not in typeshed
            if not 100 <= status < 200 or status == 101:
                return version, status, reason
            while self.fp.readline(_LONGEST_LINE) not in {b"\r\n", b"\n", b""}:
                pass

    def _read_next_chunk_size(self) -> int:
        """The size of the next chunk: up to 16 hexadecimal digits and nothing else (RFC 9112 section 7.1)."""
        line = self.fp.readline(_LONGEST_LINE)
        found = _CHUNK_SIZE.match(line)
        if found is None:
            if not line:
                raise ValueError("no chunk")
            raise ProtocolError("the size of a chunk is malformed", expected="1 to 16 hexadecimal digits")
        return int(found[1], 16)


class Response:
    """A status, headers, and a body not read yet."""

    def __init__(
        self,
        transport: Transport,
        url: str,
        connection: http.client.HTTPConnection,
        inner: http.client.HTTPResponse,
        sock: TimeoutSocket,
        *,
        idle: list[socket.socket] | None,
    ) -> None:
        self._transport = transport
        self.url = url
        self.status = inner.status
        self.headers = inner.headers
        self.length = inner.length
        """What is left of the body by its ``Content-Length``; ``None`` if the peer did not say."""
        self._connection, self._inner, self._sock = connection, inner, sock
        self._idle = idle
        """Where the connection goes once the body was read; ``None`` if it is not to be used again."""
        self._read_ahead: bytes | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Keep the connection for the next request if the body was read to its end; else drop it."""
        is_whole = (self._inner.isclosed() or self._inner.length == 0) and not self._inner.will_close
        self._inner.close()
        if is_whole and self._idle is not None:
            self._idle.append(self._sock.detach())
            self._idle = None
        self._connection.close()

    def finish(self, limit: int, seconds: float) -> None:
        """Read a short body to its end, so that the connection can be kept; :meth:`read_soon` gives it later."""
        is_chunked = self._inner.chunked and self.length is None
        if is_chunked or (self.length is not None and 0 < self.length <= limit):
            self._sock.limit(seconds)
            with contextlib.suppress(OciError), self._transport.mapped(self.url):
                self._read_ahead = self._inner.read(limit)

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
        except FOREIGN as error:
            raise self._transport.translated(error, self.url) from error
        view[: len(piece)] = piece
        return len(piece)

    def read_bounded(self, limit: int) -> bytes:
        """The whole body if it has at most ``limit`` bytes, else its first ``limit + 1``."""
        self.expect(limit)
        with self._transport.mapped(self.url):
            data = bytearray()
            while len(data) <= limit:
                piece = self._inner.read(min(_PIECE, limit + 1 - len(data)))
                if not piece:
                    break
                data += piece
        return bytes(data)

    def read_document(self, limit: int) -> bytes:
        """As :meth:`read_bounded`, decompressed where the peer compressed it although it was asked not to.

        Raises:
            ContentEncodingError: another encoding than gzip, or not what it says.
        """
        data = self.read_bounded(limit)
        encoding = content_encoding(self)
        if encoding == "identity":
            return data
        if encoding not in {"gzip", "x-gzip"}:
            raise ContentEncodingError(
                "a body in an encoding that was not asked for", expected="identity", actual=encoding
            )
        try:
            return zlib.decompressobj(wbits=31).decompress(data, limit + 1)
        except zlib.error:
            raise ContentEncodingError("a body that is not in the encoding it names", actual=encoding) from None

    def read_soon(self, limit: int, seconds: float) -> bytes:
        """What comes of the body within about ``seconds``: error bodies lie about their length."""
        if self._read_ahead is not None:
            return self._read_ahead[:limit]
        self._sock.limit(seconds)
        data = b""
        with contextlib.suppress(OciError), self._transport.mapped(self.url):
            while len(data) < limit:
                piece = self._inner.read1(limit - len(data))
                if not piece:
                    break
                data += piece
                if data.endswith((b"}", b"}\n")):
                    break
        return data


class Transport:
    """Makes connections the way an :class:`Access` says, and keeps those that can be used again until it goes."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._contexts: dict[bool, ssl.SSLContext] = {}
        self._secrets: set[str] = set()
        self._idle: dict[tuple[Origin, Origin | None, bool], list[socket.socket]] = {}
        weakref.finalize(self, _close_all, self._idle)
        self._closing: set[Origin] = set()
        """The servers that closed a connection after they had promised to keep it."""
        self._answered: set[Origin] = set()
        """The servers that have given an answer before."""

    def conceal(self, *secrets: str) -> None:
        """Leave ``secrets`` out of all messages from now on: a peer may repeat what it was sent."""
        self._secrets.update(secret for secret in secrets if len(secret) >= _SHORTEST_SECRET)

    def revealed(self, text: str) -> str:
        """``text`` without the secrets in it."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text

    def clean(self, error: OciError) -> None:
        """Take the secrets out of an error, in which a peer's words may be."""
        error.message = self.revealed(error.message)
        for name in ("expected", "actual"):
            value = getattr(error, name)
            if value is not None and not isinstance(value, int):
                setattr(error, name, self.revealed(str(value)))

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
        is_trusted: bool,
    ) -> Response:
        """Send one request and read the head of the response. No redirect is followed, no credential added.

        ``is_trusted`` tells whether the peer may see the client certificate.

        Raises:
            InsecureError: plain HTTP to another machine.
            ProxyError: the proxy does not pass the request on.
            TransportError: no connection, it broke, or what came is not HTTP.
            TransferTimeoutError: a limit was passed.
        """
        origin = Origin.of(url)
        self.check_allowed(origin)
        proxy = proxy_for(origin)
        head = _head(method, _target(url, origin, proxy), headers, body)
        if proxy and origin.scheme == "http":
            head.headers.update(proxy.headers)
        idle = self._idle.setdefault((origin, proxy.origin if proxy else None, is_trusted), [])
        is_repeatable = method in _REPEATABLE and body is None
        # A body is not sent twice here: how much of it arrived, only the registry can tell the caller.
        may_reuse = is_repeatable or (method in _COMMITTING and origin not in self._closing)
        if may_reuse and (kept := _still_open(idle)) is not None:
            try:
                deadline.attach(kept)
                return self._converse(kept, url, head, body, proxy=proxy, deadline=deadline, idle=idle)
            except TransportError as error:
                if not isinstance(error.__cause__, _GONE):
                    raise
                # The server had closed it meanwhile.
                self._closing.add(origin)
                if not is_repeatable:
                    raise
        with self.mapped(url):
            raw = self._connect(origin, proxy, deadline, is_trusted=is_trusted)
        return self._converse(raw, url, head, body, proxy=proxy, deadline=deadline, idle=idle)

    def _converse(
        self,
        raw: socket.socket,
        url: str,
        head: _Head,
        body: Body | None,
        *,
        proxy: Proxy | None,
        deadline: Deadline,
        idle: list[socket.socket],
    ) -> Response:
        """Send one request over a connection and read the head of the response."""
        origin = Origin.of(url)
        connection: http.client.HTTPConnection
        if isinstance(raw, ssl.SSLSocket):
            connection = http.client.HTTPSConnection(origin.host, origin.port, context=raw.context)
        else:
            connection = http.client.HTTPConnection(origin.host, origin.port)
        connection.response_class = _StrictResponse
        sock = TimeoutSocket(raw, self._access, deadline)
        # http.client asks its socket for makefile, sendall and close, which is all this one has.
        connection.sock = sock
        inner: http.client.HTTPResponse | None = None
        try:
            inner = self._send(connection, url, head, body)
            is_unread = inner is not None
            if inner is None:
                if head.method in _COMMITTING:
                    sock.expect_answer(self._access.answer)
                with self.mapped(url):
                    inner = connection.getresponse()
            _check_framing(inner, proxy)
            self._answered.add(origin)
            # A server that refuses a body may not have read it, and would take the rest for the next request.
            is_unread = is_unread or (body is not None and inner.status >= 300)
            return Response(self, url, connection, inner, sock, idle=None if is_unread else idle)
        except BaseException:
            if inner is not None:
                inner.close()
            connection.close()
            raise

    def _connect(self, origin: Origin, proxy: Proxy | None, deadline: Deadline, *, is_trusted: bool) -> socket.socket:
        """A connection to ``origin`` or its proxy; through TLS, if that is the scheme of ``origin``."""
        where = proxy.origin if proxy else origin
        try:
            sock = dial(where.host, where.port, deadline, self._access.stall)
        except OSError as error:
            if proxy is None or isinstance(error, OciError):
                raise
            raise ProxyError(f"no connection to the proxy {proxy.origin}: {_reason(error)}") from error
        try:
            if origin.scheme != "https":
                return sock
            if proxy:
                self._tunnel(sock, proxy, origin, deadline)
            if is_trusted not in self._contexts:
                self._contexts[is_trusted] = self._access.tls_context(is_trusted=is_trusted, deadline=deadline)
            sock = self._contexts[is_trusted].wrap_socket(
                sock, server_hostname=origin.host, do_handshake_on_connect=False
            )
            deadline.attach(sock)
            self._shake_hands(sock, origin, deadline)
        except BaseException:
            sock.close()
            raise
        return sock

    def _shake_hands(self, sock: ssl.SSLSocket, origin: Origin, deadline: Deadline) -> None:
        """Begin TLS, within one limit of time.

        Raises:
            NotHttpError: the server answers with something else.
            TransferTimeoutError: it does not answer.
        """
        sock.settimeout(deadline.cap(self._access.stall))
        try:
            sock.do_handshake()
        except ssl.SSLError as error:
            if error.reason not in _NO_TLS:
                raise
            raise NotHttpError(f"the server does not answer with TLS: {origin}", hint=_PLAIN_HINT) from error
        except TimeoutError as error:
            deadline.cap(1)
            raise TransferTimeoutError(
                f"the server does not begin with TLS: {origin}",
                is_first_contact=origin not in self._answered,
                hint=_PLAIN_HINT,
            ) from error

    def _tunnel(self, sock: socket.socket, proxy: Proxy, origin: Origin, deadline: Deadline) -> None:
        """Ask a proxy to pass everything on to ``origin`` (RFC 9110 section 9.3.6)."""
        host = f"[{origin.host}]" if ":" in origin.host else origin.host
        lines = [f"CONNECT {host}:{origin.port} HTTP/1.1", f"Host: {host}:{origin.port}"]
        lines += [f"{name}: {value}" for name, value in proxy.headers.items()]
        timed = TimeoutSocket(sock, self._access, deadline)
        try:
            timed.sendall("\r\n".join([*lines, "", ""]).encode("ascii"))
            with contextlib.closing(_StrictResponse(timed, method="CONNECT")) as answer:  # type: ignore[arg-type]  # of a socket it uses makefile alone
                answer.begin()
                if not 200 <= answer.status < 300:
                    raise proxy_refusal(proxy.origin, answer.status)
        except OciError:
            raise
        except FOREIGN as error:
            said = "it says nothing" if isinstance(error, TimeoutError) else _reason(error)
            raise ProxyError(f"no connection through the proxy {proxy.origin}: {said}") from error

    def _send(
        self, connection: http.client.HTTPConnection, url: str, head: _Head, body: Body | None
    ) -> http.client.HTTPResponse | None:
        """Send a request; a response only if the peer answered before all of it was sent."""
        with self.mapped(url):
            connection.putrequest(head.method, head.target, skip_accept_encoding=True)
            for name, value in head.headers.items():
                connection.putheader(name, value)
            connection.endheaders()
        for piece in body.pieces() if body else ():
            with self.mapped(url):
                try:
                    connection.send(piece)
                except (BrokenPipeError, ConnectionResetError) as broken:
                    # A registry that refuses an upload answers and closes without reading the rest.
                    try:
                        return connection.getresponse()
                    except (OSError, http.client.HTTPException):
                        raise broken from None
        return None

    @contextlib.contextmanager
    def mapped(self, url: str) -> Iterator[None]:
        """Every error of the network, the TLS layer and the HTTP parser as one of ours."""
        try:
            yield
        except OciError:
            raise
        except FOREIGN as error:
            raise self.translated(error, url) from error

    def translated(self, error: Exception, url: str) -> OciError:
        """An error of the network, the TLS layer or the HTTP parser as one of ours."""
        where = self.revealed(shown(url))
        is_first_contact = Origin.of(url) not in self._answered
        if isinstance(error, TimeoutError):
            return TransferTimeoutError(f"no byte moved in time: {where}", is_first_contact=is_first_contact)
        if isinstance(error, ssl.SSLCertVerificationError):
            return CertificateError(
                f"the certificate of {where} does not verify: {error.verify_message}",
                hint=_CERTIFICATE_HINTS.get(error.verify_code, "add its authority with ca_file (--ca-file)"),
            )
        if isinstance(error, ssl.SSLError) and error.reason in _CLIENT_ALERTS:
            return TransportError(
                f"{where}: {_reason(error)}",
                is_first_contact=is_first_contact,
                hint="the registry wants a certificate of its clients, or another one: "
                "client_certificate= (--client-certificate)",
            )
        if _is_not_http(error):
            is_tls = isinstance(error, http.client.BadStatusLine) and str(error.args[0]).startswith(_TLS_RECORDS)
            what = "the server answers with TLS" if is_tls else _reason(error)
            return NotHttpError(f"{where}: {what}", hint=TLS_HINT if is_tls else None)
        is_refused = isinstance(error, http.client.RemoteDisconnected) and is_first_contact
        return TransportError(
            f"{where}: {_reason(error)}",
            is_first_contact=is_first_contact,
            hint=TLS_HINT if is_refused and url.lower().startswith("http:") else None,
        )


@dataclasses.dataclass(frozen=True, slots=True)
class _Head:
    method: str
    target: str
    headers: dict[str, str]


def _head(method: str, target: str, headers: Mapping[str, str], body: Body | None) -> _Head:
    fixed = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity"}
    if body is not None or method in {"POST", "PUT", "PATCH"}:
        fixed["Content-Length"] = str(body.size if body else 0)
    return _Head(method, target, fixed | dict(headers))


def _still_open(idle: list[socket.socket]) -> socket.socket | None:
    """A connection that was kept and that the server has neither closed nor said anything over since."""
    while idle:
        sock = idle.pop()
        if not select.select([sock], [], [], 0)[0]:
            return sock
        sock.close()
    return None


def _close_all(idle: dict[tuple[Origin, Origin | None, bool], list[socket.socket]]) -> None:
    for kept in idle.values():
        while kept:
            kept.pop().close()


def _target(url: str, origin: Origin, proxy: Proxy | None) -> str:
    """The request's target: a path, or the whole URL where a proxy is to fetch it (RFC 9112 section 3.2)."""
    parts = urllib.parse.urlsplit(url)
    target = urllib.parse.quote(parts.path or "/", safe="/%:@!$&'()*+,;=~")
    if parts.query:
        target += "?" + urllib.parse.quote(parts.query, safe="/%:@!$&'()*+,;=~?")
    return f"{origin}{target}" if proxy and origin.scheme == "http" else target


def _check_framing(response: http.client.HTTPResponse, proxy: Proxy | None) -> None:
    """Refuse a body whose end two readers would find in different places (RFC 9112 section 6).

    Raises:
        ProxyError: the answer is the proxy's own, which wants a password.
        ProtocolError: a length that is no number, several lengths, or a coding other than chunks.
    """
    if proxy and response.status == 407:
        raise proxy_refusal(proxy.origin, response.status)
    lengths = set(response.headers.get_all("Content-Length") or ())
    if len(lengths) > 1 or any(_LENGTH.fullmatch(length) is None for length in lengths):
        raise ProtocolError("the Content-Length is not one number", actual=", ".join(sorted(lengths)))
    codings = {coding.strip().lower() for coding in response.headers.get_all("Transfer-Encoding") or ()}
    if not codings <= {"chunked", "identity"}:
        raise ProtocolError("an unknown Transfer-Encoding", expected="chunked", actual=", ".join(sorted(codings)))


def proxy_refusal(proxy: Origin, status: int) -> ProxyError:
    """The error for a proxy that answers a request to pass something on with ``status``."""
    hint = None
    if status == 407:
        hint = "put user name and password into the variable that names the proxy: http://USER:PASSWORD@HOST:PORT"
    return ProxyError(f"the proxy {proxy} answers {status}", status=status, hint=hint)


def shown(url: str) -> str:
    """``url`` for a message, without user, password, query and fragment, which may hold secrets."""
    scheme, mark, rest = url.partition("#")[0].partition("?")[0].partition("://")
    authority, slash, path = rest.partition("/")
    return scheme + mark + authority.rpartition("@")[2] + slash + path


def _is_not_http(error: Exception) -> bool:
    """Whether the parser did not understand the answer, in contrast to a connection that broke."""
    broken = (http.client.IncompleteRead, http.client.RemoteDisconnected)
    return isinstance(error, http.client.HTTPException | ValueError) and not isinstance(error, (*broken, OSError))


def _reason(error: Exception) -> str:
    """What went wrong, in words that are not the peer's and do not repeat what it was asked."""
    if isinstance(error, ssl.SSLError) and error.reason:
        return f"TLS: {error.reason.replace('_', ' ').lower()}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, http.client.IncompleteRead):
        return "the connection ended in the middle of the answer"
    if isinstance(error, http.client.RemoteDisconnected):
        return "the connection ended before an answer"
    if isinstance(error, http.client.HTTPException | ValueError):
        if isinstance(error, http.client.LineTooLong):
            return "the answer has a line that is too long"
        return "the answer has too many header fields" if "headers" in str(error) else "the answer is not HTTP"
    return type(error).__name__


def media_type_of(response: Response) -> str:
    """The media type that the head of ``response`` names, without parameters, in lower case (RFC 9110 section 8.3.1).

    A proxy may have joined two such fields with a comma: then the first of them.
    """
    return re.split("[;,]", response.headers.get("Content-Type") or "", maxsplit=1)[0].strip().lower()


def content_encoding(response: Response) -> str:
    """The encoding that the head of ``response`` names, in lower case; ``identity`` is none."""
    return (response.headers.get("Content-Encoding") or "identity").strip().lower()


def header_values(headers: http.client.HTTPMessage, name: str) -> Iterable[str]:
    """All values of a header that may occur several times."""
    return headers.get_all(name) or ()
