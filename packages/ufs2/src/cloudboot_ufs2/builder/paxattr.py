"""Extended attributes in the headers of a pax archive: see :mod:`cloudboot_vfs.paxattr`."""

from __future__ import annotations

import base64
import string
from typing import TYPE_CHECKING
from urllib.parse import quote_from_bytes

from cloudboot_ufs2.errors import PathError, SourceError
from cloudboot_ufs2.layout.constants import UFS_NXADDR
from cloudboot_ufs2.reader.extattr import NAMESPACES, area_size, attribute_of
from cloudboot_vfs.paxattr import attributes_of as stated_attributes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from cloudboot_ufs2.reader.extattr import Attribute
    from cloudboot_vfs.notices import Notices

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
    found = stated_attributes(records, member)
    kept = {name: value for name, value in found.items() if name.partition(".")[0] in NAMESPACES.values()}
    foreign = {name.partition(".")[0] for name in found if name not in kept}
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
