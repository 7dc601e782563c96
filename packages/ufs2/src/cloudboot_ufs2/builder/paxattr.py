"""Extended attributes in the headers of a pax archive, as star and GNU tar have them, and as libarchive does.

``SCHILY.xattr.user.comment`` has the value as it is, ``LIBARCHIVE.xattr.user.comment`` in base64 and its name with
percent signs; bsdtar writes both. Only the second can say every name: an equals sign ends the keyword of the first.
"""

from __future__ import annotations

import base64
import binascii
import string
from typing import TYPE_CHECKING
from urllib.parse import quote_from_bytes, unquote_to_bytes

from cloudboot_ufs2.errors import PathError, SourceError
from cloudboot_ufs2.layout.constants import UFS_NXADDR
from cloudboot_ufs2.reader.extattr import NAMESPACES, area_size, attribute_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from cloudboot_ufs2.reader.extattr import Attribute
    from cloudboot_vfs.notices import Notices

_SELINUX = b"RHT.security.selinux"  # as GNU tar writes the label beside its extended attribute
_SCHILY, _LIBARCHIVE = "SCHILY.xattr.", "LIBARCHIVE.xattr."
_SAFE = string.punctuation.replace("=", "").replace("%", "")
_PLAIN = frozenset(string.ascii_letters + string.digits + _SAFE)


def headers_of(attributes: Iterable[Attribute]) -> dict[str, str]:
    """The pax headers that hold ``attributes``, values as :mod:`tarfile` wants them (surrogate escapes)."""
    found: dict[str, str] = {}
    for attribute in attributes:
        name = attribute.full_name
        if _PLAIN.issuperset(name):
            found[_SCHILY + name] = attribute.value.decode("utf-8", "surrogateescape")
        else:
            quoted = quote_from_bytes(name.encode("utf-8", "surrogateescape"), safe=_SAFE)
            found[_LIBARCHIVE + quoted] = base64.b64encode(attribute.value).decode().rstrip("=")
    return found


def attributes_of(records: Mapping[bytes, bytes], member: str, notices: Notices) -> tuple[Attribute, ...]:
    """What the pax records of ``member`` say.

    Namespaces that are not FreeBSD's (``security``, ``trusted``) are left out, which ``notices`` is told.

    Raises:
        SourceError: a name or a value that cannot be.
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
    kept = {name: value for name, value in found.items() if name.partition(".")[0] in NAMESPACES.values()}
    foreign = {name.partition(".")[0] for name in found if name not in kept}
    if _SELINUX in records:
        foreign.add("security")
    if foreign:
        spaces = ", ".join(sorted(foreign))
        notices.add(f"extended attributes that FreeBSD has no namespace for are left out ({spaces})", member)
    return attributes_from(kept, member)


def attributes_from(values: Mapping[str, bytes], member: str) -> tuple[Attribute, ...]:
    """The attributes of ``member``, given by their full names; sorted by these.

    Raises:
        SourceError: a name that cannot be.
    """
    try:
        return tuple(attribute_of(name, value) for name, value in sorted(values.items()))
    except PathError as error:
        raise SourceError(f"an extended attribute: {error.message}", member=member) from error


def check_area(attributes: tuple[Attribute, ...], block_size: int, member: str) -> None:
    """Refuse more attributes than the two blocks of an inode hold.

    Raises:
        SourceError: they are.
    """
    size = area_size(attributes)
    if size > UFS_NXADDR * block_size:
        limit = f"at most {UFS_NXADDR * block_size} bytes"
        raise SourceError("its extended attributes do not fit two blocks", member=member, expected=limit, actual=size)
