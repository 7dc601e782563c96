"""What a server says of a request that it refuses."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from cloudboot_base.command import printable

if TYPE_CHECKING:
    from cloudboot_oci_stream.http.transport import Response

_LONGEST = 8192
_SECONDS = 2.0
_WANTS_TLS = (b"HTTP request to an HTTPS server", b"sent to HTTPS port", b"plain HTTP to an SSL-enabled server port")
"""What Go's server, nginx and Apache say, with status 400, to a client without TLS on a port that has it."""


class Refusal(NamedTuple):
    """The parts of an answer's body that a person can use, as far as they are there."""

    code: str | None
    message: str | None
    wants_tls: bool


def read_refusal(response: Response) -> Refusal:
    """Read the body of a refusal: the distribution specification's error format, or what token services send."""
    data = response.read_soon(_LONGEST, _SECONDS)
    wants_tls = response.status == 400 and any(words in data for words in _WANTS_TLS)
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return Refusal(None, None, wants_tls)
    if not isinstance(value, dict):
        return Refusal(None, None, wants_tls)
    errors = value.get("errors")
    first = errors[0] if isinstance(errors, list) and errors else None
    if isinstance(first, dict):
        return Refusal(_line(first.get("code")), _line(first.get("message")), wants_tls)
    # OAuth 2.0 (RFC 6749 section 5.2) has error and error_description; Docker Hub has details, Quay has message.
    found = (_line(value.get(name)) for name in ("error_description", "details", "message", "error"))
    return Refusal(None, next((text for text in found if text), None), wants_tls)


def _line(value: object) -> str | None:
    """A server's words, safe to print on a terminal."""
    return printable(value[:200]) if isinstance(value, str) and value else None
