"""Extended attributes in the headers of a pax archive, as star and GNU tar have them, and as libarchive does.

``SCHILY.xattr.user.comment`` has the value as it is, ``LIBARCHIVE.xattr.user.comment`` in base64 and its name with
percent signs; bsdtar writes both. Only the second can say every name: an equals sign ends the keyword of the first.
"""

from __future__ import annotations

import binascii
from typing import TYPE_CHECKING

from .errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Mapping

_SELINUX = b"RHT.security.selinux"  # as GNU tar writes the label beside its extended attribute
_SCHILY, _LIBARCHIVE = "SCHILY.xattr.", "LIBARCHIVE.xattr."
_PLAIN = frozenset(map(chr, range(0x21, 0x7F))) - frozenset("=%")


def headers_of(attributes: Mapping[str, bytes]) -> dict[str, str]:
    """The pax headers of attributes by their full names, values as :mod:`tarfile` wants them (surrogate escapes)."""
    found: dict[str, str] = {}
    for name, value in attributes.items():
        if _PLAIN.issuperset(name):
            found[_SCHILY + name] = value.decode("utf-8", "surrogateescape")
        else:
            from urllib.parse import quote_from_bytes  # with what it imports 4 ms, for names that are rare

            quoted = quote_from_bytes(name.encode("utf-8", "surrogateescape"), safe="".join(_PLAIN))
            found[_LIBARCHIVE + quoted] = binascii.b2a_base64(value, newline=False).decode().rstrip("=")
    return found


def attributes_of(records: Mapping[bytes, bytes], member: str) -> dict[str, bytes]:
    """The extended attributes that the pax records of ``member`` state, by their full names.

    Raises:
        SourceError: a value that is not base64.
    """
    found: dict[str, bytes] = {}
    for key, value in records.items():
        keyword = key.decode("utf-8", "surrogateescape")
        if keyword.startswith(_SCHILY):
            name = keyword.removeprefix(_SCHILY)
            # bsdtar writes the percent signs here too.
            if (_LIBARCHIVE + name).encode("utf-8", "surrogateescape") not in records:
                found[name] = value
        elif keyword.startswith(_LIBARCHIVE):
            from urllib.parse import unquote_to_bytes  # as above

            name = unquote_to_bytes(keyword.removeprefix(_LIBARCHIVE)).decode("utf-8", "surrogateescape")
            try:
                found[name] = binascii.a2b_base64(value + b"=" * (-len(value) % 4), strict_mode=True)
            except binascii.Error as error:
                raise SourceError("an extended attribute that is not base64", member=member, actual=name) from error
    if _SELINUX in records:
        found.setdefault("security.selinux", records[_SELINUX])
    return found
