"""$AttrDef: the types of attributes that a volume knows."""

from __future__ import annotations

from typing import Final

from .constants import Type
from .records import AttrDefEntry

_INDEXABLE, _RESIDENT, _ANYWHERE = 0x02, 0x40, 0x80

#: (name, type, flags, smallest and largest size in bytes; -1: no limit), as Windows 2000 and later write them.
_ENTRIES: Final = (
    ("$STANDARD_INFORMATION", Type.STANDARD_INFORMATION, _RESIDENT, 48, 72),
    ("$ATTRIBUTE_LIST", Type.ATTRIBUTE_LIST, _ANYWHERE, 0, -1),
    ("$FILE_NAME", Type.FILE_NAME, _RESIDENT | _INDEXABLE, 68, 578),
    ("$OBJECT_ID", Type.OBJECT_ID, _RESIDENT, 0, 256),
    ("$SECURITY_DESCRIPTOR", Type.SECURITY_DESCRIPTOR, _ANYWHERE, 0, -1),
    ("$VOLUME_NAME", Type.VOLUME_NAME, _RESIDENT, 2, 256),
    ("$VOLUME_INFORMATION", Type.VOLUME_INFORMATION, _RESIDENT, 12, 12),
    ("$DATA", Type.DATA, 0, 0, -1),
    ("$INDEX_ROOT", Type.INDEX_ROOT, _RESIDENT, 0, -1),
    ("$INDEX_ALLOCATION", Type.INDEX_ALLOCATION, _ANYWHERE, 0, -1),
    ("$BITMAP", Type.BITMAP, _ANYWHERE, 0, -1),
    ("$REPARSE_POINT", Type.REPARSE_POINT, _ANYWHERE, 0, 16384),
    ("$EA_INFORMATION", Type.EA_INFORMATION, _RESIDENT, 8, 8),
    ("$EA", Type.EA, 0, 0, 65536),
    ("$LOGGED_UTILITY_STREAM", Type.LOGGED_UTILITY_STREAM, _ANYWHERE, 0, 65536),
)


def table() -> bytes:
    """The 2,560 bytes of the file: fifteen types, and an entry of zeros."""
    packed = [
        AttrDefEntry(name.encode("utf-16-le").ljust(128, b"\0"), kind, 0, 0, flags, least, most).pack()
        for name, kind, flags, least, most in _ENTRIES
    ]
    return b"".join(packed) + bytes(AttrDefEntry.SIZE)
