"""Extended attributes in the headers of a pax archive, as star and GNU tar have them, and as libarchive does.

``SCHILY.xattr.user.comment`` has the value as it is, ``LIBARCHIVE.xattr.user.comment`` in base64 and its name with
percent signs; bsdtar writes both. Only the second can say every name: an equals sign ends the keyword of the first.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from .errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Mapping

_SELINUX = b"RHT.security.selinux"  # as GNU tar writes the label beside its extended attribute
_SCHILY, _LIBARCHIVE = "SCHILY.xattr.", "LIBARCHIVE.xattr."


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
            name = unquote_to_bytes(keyword.removeprefix(_LIBARCHIVE)).decode("utf-8", "surrogateescape")
            try:
                found[name] = base64.b64decode(value + b"=" * (-len(value) % 4), validate=True)
            except (binascii.Error, ValueError) as error:
                raise SourceError("an extended attribute that is not base64", member=member, actual=name) from error
    if _SELINUX in records:
        found.setdefault("security.selinux", records[_SELINUX])
    return found
