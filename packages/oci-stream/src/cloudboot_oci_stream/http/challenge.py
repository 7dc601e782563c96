"""``WWW-Authenticate`` header fields (RFC 9110 section 11.6.1), read in one pass."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cloudboot_oci_stream.errors import CredentialError

if TYPE_CHECKING:
    from collections.abc import Iterable

LONGEST = 1 << 13

_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
# A parameter, or a scheme with what may follow it; a value without quotes goes as far as the next comma or space.
_PARAMETER = re.compile(rf'\s*({_WORD})\s*=\s*(?:"((?:[^"\\]|\\.)*+)"|([^\s,;"]*))\s*(?:[,;]|\Z|(?=\s))')
_SCHEME = re.compile(rf"\s*({_WORD})(?:\s+|\s*,|\s*\Z)")


def read_challenges(headers: Iterable[str]) -> dict[str, dict[str, str]]:
    """The parameters of the first challenge of each scheme; schemes and names in lower case.

    Raises:
        CredentialError: a field longer than any challenge needs to be.
    """
    found: dict[str, dict[str, str]] = {}
    for header in headers:
        if len(header) > LONGEST:
            raise CredentialError("a challenge too long", expected=f"at most {LONGEST}", actual=len(header))
        at = 0
        parameters: dict[str, str] | None = None
        while at < len(header):
            if parameters is not None and (part := _PARAMETER.match(header, at)) is not None:
                value = part[3] if part[2] is None else re.sub(r"\\(.)", r"\1", part[2])
                parameters.setdefault(part[1].lower(), value)
            elif (part := _SCHEME.match(header, at)) is not None:
                parameters = {}
                found.setdefault(part[1].lower(), parameters)
            else:
                # What is neither: the token of another scheme, or rubbish. Go on behind the next comma.
                comma = header.find(",", at)
                at = len(header) if comma < 0 else comma + 1
                continue
            at = part.end()
    return found
