"""Requests to one registry: authorised where they may be, redirected by our rules, refused answers made errors."""

from __future__ import annotations

import email.utils
import json
import time
import urllib.parse
from typing import TYPE_CHECKING

from .errors import (
    NotFoundError,
    OciError,
    ProtocolError,
    RateLimitedError,
    RedirectLoopError,
    RedirectSchemeError,
    RedirectWithoutLocationError,
    StatusError,
    UnauthorizedError,
    printable,
)
from .reference import RegistryReference, split_host
from .transport import Access, Body, Origin, Response, Transport, header_values, shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .credentials import Authenticator
    from .timing import Deadline

MOST_REDIRECTS = 5
_REDIRECTS = {301, 302, 303, 307, 308}
_HUB = {"docker.io": "registry-1.docker.io", "index.docker.io": "registry-1.docker.io"}
_ERROR_BODY = 8192
_ERROR_BODY_SECONDS = 2.0


class Session:
    """One registry, as one user. Holds no connection; safe to share between threads."""

    def __init__(self, reference: RegistryReference, access: Access) -> None:
        name, port = split_host(_HUB.get(reference.host, reference.host))
        plain = (
            access.insecure if access.insecure is not None else reference.is_loopback and not access.has_tls_material
        )
        scheme = "http" if plain else "https"
        self.origin = Origin(scheme, name.lower(), port or (80 if plain else 443))
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
    ) -> Response:
        """The response to a request, once redirects and challenges are dealt with and its status is in ``accept``.

        Credentials go to the registry's own origin only, and not any more once a redirect has left it.

        Raises:
            StatusError: another status.
            RedirectError: a redirect that cannot or must not be followed.
            OciError: everything :meth:`Transport.exchange` and :class:`Authenticator` raise.
        """
        seen = {url}
        home = Origin.of(url) == self.origin
        challenged = False
        while True:
            authorization = self._authenticator.header if self._authenticator and home else None
            extra = {"Authorization": authorization} if authorization else {}
            response = self._transport.exchange(
                method, url, headers=dict(headers or {}) | extra, body=body, deadline=deadline
            )
            if response.status in accept:
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
                    and self._answer(response, authorization, deadline)
                ):
                    challenged = True
                else:
                    raise _refusal(response)

    def _answer(self, response: Response, rejected: str | None, deadline: Deadline) -> bool:
        if self._authenticator is None:
            # oras takes longer to import than a fetch from a folder takes in all.
            from .credentials import Authenticator

            self._authenticator = Authenticator(self._reference, self.origin, self._transport, self._access)
        challenges = list(header_values(response.headers, "WWW-Authenticate"))
        return self._authenticator.answer(challenges, rejected, deadline)


def location(response: Response) -> str:
    """Where the ``Location`` of ``response`` points, relative ones resolved.

    Raises:
        ProtocolError: nowhere, or to what is no URL.
        RedirectSchemeError: out of TLS, or out of HTTP altogether.
    """
    target = response.headers.get("Location")
    if not target:
        raise ProtocolError("an answer without the Location it must have", actual=response.status)
    try:
        url = urllib.parse.urljoin(response.url, target)
        scheme = urllib.parse.urlsplit(url).scheme.lower()
    except ValueError as error:
        raise ProtocolError(f"a Location that is no URL: {error}", actual=response.status) from None
    if scheme not in {"http", "https"}:
        raise RedirectSchemeError("a redirect to something other than HTTP", expected="https", actual=scheme)
    if scheme == "http" and Origin.of(response.url).scheme == "https":
        raise RedirectSchemeError("a redirect out of TLS", expected="https", actual=scheme)
    return url


def _next_url(response: Response, seen: set[str]) -> str:
    if not response.headers.get("Location"):
        raise RedirectWithoutLocationError("a redirect that does not say where to", actual=response.status)
    url = location(response).partition("#")[0]
    if url in seen:
        raise RedirectLoopError("the redirects go round in a circle", actual=shown(url))
    seen.add(url)
    if len(seen) > MOST_REDIRECTS + 1:
        raise RedirectLoopError("the redirects do not end", expected=f"at most {MOST_REDIRECTS}")
    return url


def _refusal(response: Response) -> OciError:
    """The error that a status outside the wanted ones stands for."""
    code, message = _error_body(response)
    status = response.status
    text = message or {401: "not authorised", 403: "forbidden", 404: "not found", 429: "too many requests"}.get(
        status, "the registry refuses"
    )
    if code:
        text = f"{text} [{code}]"
    retry_after = _retry_after(response.headers.get("Retry-After"))
    if status in {401, 403}:
        return UnauthorizedError(text, status=status, code=code, hint="log in, or check who may read the repository")
    if status == 404:
        return NotFoundError(text, status=status, code=code)
    if status == 429:
        return RateLimitedError(text, status=status, code=code, retry_after=retry_after)
    return StatusError(text, status=status, code=code, retry_after=retry_after)


def _error_body(response: Response) -> tuple[str | None, str | None]:
    """The code and message of the distribution specification's error format, as far as they are there."""
    data = response.read_soon(_ERROR_BODY, _ERROR_BODY_SECONDS)
    try:
        first = json.loads(data)["errors"][0]
        code, message = first.get("code"), first.get("message")
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError):
        return None, None
    return _line(code), _line(message)


def _line(value: object) -> str | None:
    """A registry's words, safe to print on a terminal."""
    if not isinstance(value, str) or not value:
        return None
    return printable(value[:200])


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
