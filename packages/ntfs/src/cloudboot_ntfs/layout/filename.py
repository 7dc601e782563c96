"""$FILE_NAME: names, and what directories repeat of a file."""

from __future__ import annotations

import re
from typing import Final

from cloudboot_base.lightdata import dataclass
from cloudboot_ntfs.errors import AttributeFormatError

from .constants import REFERENCE_MASK, Namespace
from .records import FileName

_UNPACK: Final = FileName.LAYOUT.struct()
_DEVICES: Final = frozenset(
    {"CON", "PRN", "AUX", "NUL", *(f"{name}{digit}" for name in ("COM", "LPT") for digit in range(1, 10))}
)
_SHORT: Final = re.compile(
    r"[A-Z0-9!#$%&'()\-@^_`{}~]{1,8}(?:\.[A-Z0-9!#$%&'()\-@^_`{}~]{1,3})?", re.ASCII | re.IGNORECASE
)
_LONGEST_SHORT: Final = 12
#: Kinds of names of which a file has one at most, and a directory one of each spelling.
DOS_KINDS: Final = (Namespace.DOS, Namespace.WIN32_AND_DOS)


@dataclass(frozen=True, slots=True)
class Name:
    """A $FILE_NAME. Times are FILETIMEs, sizes bytes."""

    parent: int
    created: int
    modified: int
    changed: int
    accessed: int
    allocated_size: int
    data_size: int
    attributes: int
    reparse_tag: int
    namespace: int
    name: str

    @property
    def parent_record(self) -> int:
        """The number of the directory's record."""
        return self.parent & REFERENCE_MASK

    def pack(self) -> bytes:
        """The bytes."""
        times = self.created, self.modified, self.changed, self.accessed
        sizes = self.allocated_size, self.data_size
        return pack(self.parent, times, sizes, self.attributes, self.reparse_tag, self.namespace, self.name)


def pack(  # noqa: PLR0917 -- the fields of FileName, in their order; a builder has no use for a Name for each file
    parent: int,
    times: tuple[int, int, int, int],
    sizes: tuple[int, int],
    attributes: int,
    reparse_tag: int,
    namespace: int,
    name: str,
) -> bytes:
    """The bytes of a $FILE_NAME: ``times`` as in :class:`Name`, ``sizes`` allocated and of the data."""
    raw = name.encode("utf-16-le", "surrogatepass")
    return _UNPACK.pack(parent, *times, *sizes, attributes, reparse_tag, len(raw) // 2, namespace) + raw


def parse(data: bytes, *, record: int | None = None) -> Name:
    """The $FILE_NAME in ``data``.

    Raises:
        AttributeFormatError: it is too short for itself or its name.
    """
    where = {} if record is None else {"record": record}
    if len(data) < FileName.SIZE:
        raise AttributeFormatError(
            "too short for a file name", structure="FileName", expected=FileName.SIZE, actual=len(data), where=where
        )
    parent, created, modified, changed, accessed, allocated, size, attributes, tag, length, namespace = (
        _UNPACK.unpack_from(data)
    )
    raw = data[FileName.SIZE : FileName.SIZE + 2 * length]
    if len(raw) < 2 * length or not length:
        raise AttributeFormatError(
            "the name passes the end", structure="FileName", field="name_length",
            expected=len(data) - FileName.SIZE, actual=2 * length, where=where,
        )  # fmt: skip
    name = raw.decode("utf-16-le", "surrogatepass")
    return Name(parent, created, modified, changed, accessed, allocated, size, attributes, tag, namespace, name)


def namespace_of(name: str) -> Namespace:
    """The kind of a name that has no short name beside it.

    A name that DOS could hold, in any case, is of both kinds, if it is the only such name of its file: a file has one
    name for DOS. All others are POSIX names, as those of hard links of Windows: a Win32 name is one of a pair, and
    drivers look for the DOS name that belongs to it.
    """
    is_short = len(name) <= _LONGEST_SHORT and _SHORT.fullmatch(name)
    if is_short and name.split(".", maxsplit=1)[0].upper() not in _DEVICES:
        return Namespace.WIN32_AND_DOS
    return Namespace.POSIX
