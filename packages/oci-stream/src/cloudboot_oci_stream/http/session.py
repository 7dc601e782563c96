"""Requests to one registry: authorised where they may be, redirected by our rules, refused answers made errors."""

from __future__ import annotations

import email.utils
import time
import urllib.parse
from typing import TYPE_CHECKING

from cloudboot_oci_stream.errors import (
    NotFoundError,
    NotHttpError,
    OciError,
    ProtocolError,
    RateLimitedError,
    RedirectError,
    RedirectLoopError,
    RedirectSchemeError,
    RedirectWithoutLocationError,
    StatusError,
    UnauthorizedError,
)
from cloudboot_oci_stream.http.access import Access, Origin
from cloudboot_oci_stream.http.authenticator import Authenticator
from cloudboot_oci_stream.http.refusal import read_refusal
from cloudboot_oci_stream.http.transport import TLS_HINT, Body, Response, Transport, header_values, shown
from cloudboot_oci_stream.spec.reference import (
    HUB,
    RegistryReference,
    address_of,
    canonical_host,
    is_loopback,
    split_host,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloudboot_oci_stream.deadline import Deadline

MOST_REDIRECTS = 5
_REDIRECTS = {301, 302, 303, 307, 308}
_HUB_SERVER = "registry-1.docker.io"
_ASCII = "".join(map(chr, range(128)))
_READING = frozenset({"GET", "HEAD"})
_UPLOADING = frozenset({"PUT", "PATCH"})
_LONGEST_UNREAD = 8192
_UNREAD_SECONDS = 0.5
_MEANINGS = {
    401: "not authorised",
    403: "forbidden",
    404: "not found",
    413: "too large for the registry, or for a proxy before it",
    429: "too many requests",
    451: "withheld for legal reasons",
    507: "the registry has no room",
}


class Session:
    """One registry, as one user. Keeps connections for the requests that follow; safe to share between threads."""

    def __init__(self, reference: RegistryReference, access: Access) -> None:
        name, port = split_host(_HUB_SERVER if canonical_host(reference.host) == HUB else reference.host)
        plain = (
            access.insecure if access.insecure is not None else reference.is_loopback and not access.has_tls_material
        )
        scheme = "http" if plain else "https"
        self.origin = Origin(scheme, name.lower().rstrip("."), port or (80 if plain else 443))
        self._reference, self._access = reference, access
        self._transport = Transport(access)
        self._authenticator: Authenticator | None = None

    def url(self, path: str) -> str:
        """The URL of ``path`` below the API's root."""
        return f"{self.origin}/v2/{path}"

    def request(
        self,
        method: str,
        url: str,
        *,
        deadline: Deadline,
        headers: Mapping[str, str] | None = None,
        body: Body | None = None,
        accept: frozenset[int] = frozenset({200}),
        is_upload: bool = False,
    ) -> Response:
        """The response to a request, once redirects and challenges are dealt with and its status is in ``accept``.

        Credentials and the client certificate go to the registry's own origin only, and not any more once a redirect
        has left it. Where the registry sends the client elsewhere, it goes for two things: to read what a request to
        the registry itself was redirected to, and with ``is_upload`` to put bytes whose digest the registry is told.

        Raises:
            StatusError: another status.
            RedirectError: a redirect that cannot or must not be followed.
            OciError: everything :meth:`Transport.exchange` and :class:`Authenticator` raise.
        """
        try:
            return self._request(
                method, url, deadline=deadline, headers=headers or {}, body=body, accept=accept, is_upload=is_upload
            )
        except OciError as error:
            self._transport.clean(error)
            raise

    def _request(
        self,
        method: str,
        url: str,
        *,
        deadline: Deadline,
        headers: Mapping[str, str],
        body: Body | None,
        accept: frozenset[int],
        is_upload: bool,
    ) -> Response:
        seen = {url}
        home = Origin.of(url) == self.origin
        reads = home and method in _READING
        challenged = False
        while True:
            self._check_target(url, reads=reads and method in _READING, uploads=is_upload and method in _UPLOADING)
            authorization = self._authenticator.header if self._authenticator and home else None
            extra = {"Authorization": authorization} if authorization else {}
            response = self._transport.exchange(
                method, url, headers={**headers, **extra}, body=body, deadline=deadline, is_trusted=home
            )
            if response.status in accept:
                if method not in _READING:  # nobody wants the body, and the connection can be kept behind it
                    response.finish(_LONGEST_UNREAD, _UNREAD_SECONDS)
                return response
            with response:
                if response.status in _REDIRECTS:
                    url = _next_url(response, seen)
                    home = home and Origin.of(url) == self.origin
                    if response.status == 303 and method != "HEAD":
                        method, body = "GET", None
                elif (
                    response.status == 401
                    and home
                    and not challenged
                    and self._answer(response, method, authorization, deadline)
                ):
                    challenged = True
                else:
                    raise self._refusal(response, accept)

    def _check_target(self, url: str, *, reads: bool, uploads: bool) -> None:
        """Refuse to be steered to another server for anything but reading and uploading.

        Raises:
            RedirectError: another server, for something else; or this machine or its surroundings, for anything.
        """
        target = Origin.of(url)
        if target == self.origin:
            return
        if not reads and not uploads:
            raise RedirectError(
                "the registry sends the client to another server, and not to read or upload a blob",
                expected=str(self.origin),
                actual=str(target),
            )
        address = address_of(target.host)
        is_near = is_loopback(target.host) or (address is not None and address.is_link_local)
        if is_near and not is_loopback(self.origin.host):
            raise RedirectError("the registry sends the client to an address of its own machine", actual=str(target))

    def _answer(self, response: Response, method: str, rejected: str | None, deadline: Deadline) -> bool:
        # The token service may be on the same server, and take the request over the same connection.
        response.finish(_LONGEST_UNREAD, _UNREAD_SECONDS)
        response.close()
        if self._authenticator is None:
            self._authenticator = Authenticator(self._reference, self.origin, self._transport, self._access)
        challenges = list(header_values(response.headers, "WWW-Authenticate"))
        return self._authenticator.answer(challenges, rejected, deadline, is_reading=method in _READING)

    def _refusal(self, response: Response, accept: frozenset[int]) -> OciError:
        """The error that a status outside the wanted ones stands for."""
        refusal = read_refusal(response)
        status, code = response.status, refusal.code
        if status < 400:
            wanted = " or ".join(map(str, sorted(accept)))
            return StatusError("the specification has another answer for this request", status=status, expected=wanted)
        if refusal.wants_tls:
            return NotHttpError("the server wants TLS on that port", actual=status, hint=TLS_HINT)
        text = refusal.message or _MEANINGS.get(status, "the registry refuses")
        text = f"{text} [{code}]" if code else text
        retry_after = _retry_after(response.headers.get("Retry-After"))
        if status in {401, 403}:
            return UnauthorizedError(text, status=status, code=code, hint=self._advice())
        if status == 404:
            return NotFoundError(text, status=status, code=code)
        if status == 429:
            hint = f"it asks to be left alone for {retry_after:.0f} s" if retry_after else None
            return RateLimitedError(text, status=status, code=code, retry_after=retry_after, hint=hint)
        hint = "upload in smaller requests: chunk= (--chunk)" if status == 413 and "/blobs/" in response.url else None
        if status == 400 and response.url.startswith("http:") and not (refusal.code or refusal.message):
            hint = TLS_HINT  # the answer to HEAD has no text that would say so
        return StatusError(text, status=status, code=code, retry_after=retry_after, hint=hint)

    def _advice(self) -> str:
        """What to do about a request that was not authorised."""
        found = self._authenticator.found if self._authenticator else None
        if found:
            return f"check who may use the repository; the credentials sent are from {found}"
        problems = self._authenticator.problems if self._authenticator else ""
        advice = f"{self._access.login_hint(self._reference.host)}, or check who may use the repository"
        return f"{advice} ({problems})" if problems else advice


def location(response: Response) -> str:
    """Where the ``Location`` of ``response`` points, relative ones resolved.

    Raises:
        ProtocolError: nowhere, or to what is no URL.
        RedirectSchemeError: out of TLS, out of HTTP altogether, or to TLS on a port that has none.
    """
    target = response.headers.get("Location")
    if not target:
        raise ProtocolError("an answer without the Location it must have", actual=response.status)
    try:
        # Bytes outside ASCII have no place in a URL; a server that sends them anyway means itself by them.
        target = urllib.parse.quote(target.encode("latin-1", "replace"), safe=_ASCII)
        url = urllib.parse.urljoin(response.url, target)
        scheme = urllib.parse.urlsplit(url).scheme.lower()
    except ValueError:
        raise ProtocolError("a Location that is not a URL", actual=response.status) from None
    if scheme not in {"http", "https"}:
        raise RedirectSchemeError("a redirect to something other than HTTP", expected="https", actual=scheme)
    here, there = Origin.of(response.url), Origin.of(url)
    if scheme == "http" and here.scheme == "https":
        raise RedirectSchemeError("a redirect out of TLS", expected="https", actual=scheme)
    if scheme == "https" and here.scheme == "http" and (here.host, here.port) == (there.host, there.port):
        raise RedirectSchemeError(
            "the registry names a URL with TLS on the port where it answers in plain HTTP",
            expected=str(here),
            actual=str(there),
            hint="the registry, or a proxy before it, is configured with the wrong scheme for its clients; "
            "if it has TLS on that port after all, leave --insecure out",
        )
    return url.partition("#")[0]


def _next_url(response: Response, seen: set[str]) -> str:
    if not response.headers.get("Location"):
        raise RedirectWithoutLocationError("a redirect that does not say where to", actual=response.status)
    url = location(response)
    if url in seen:
        raise RedirectLoopError("the redirects go round in a circle", actual=shown(url))
    seen.add(url)
    if len(seen) > MOST_REDIRECTS + 1:
        raise RedirectLoopError("the redirects do not end", expected=f"at most {MOST_REDIRECTS}")
    return url


def _retry_after(value: str | None) -> float | None:
    """Seconds, from either form of the header (RFC 9110 section 10.2.3)."""
    if value is None:
        return None
    if value.strip().isascii() and value.strip().isdigit():
        return float(value.strip()[:9])
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
