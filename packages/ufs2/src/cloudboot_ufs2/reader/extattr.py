"""Extended attributes: the records in the area that ``di_extb`` points to (extattr.h)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudboot_base.lightdata import NamedTuple
from cloudboot_ufs2.errors import AttributeAreaError, BlockError, PathError
from cloudboot_ufs2.layout.constants import UFS_NXADDR
from cloudboot_ufs2.layout.geometry import howmany, roundup
from cloudboot_ufs2.layout.records import Extattr

from .blocks import read

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cloudboot_base import Storage
    from cloudboot_records import ByteOrder
    from cloudboot_ufs2.layout.geometry import Geometry
    from cloudboot_ufs2.layout.records import Ufs2Dinode

EXTATTR_NAMESPACE_USER, EXTATTR_NAMESPACE_SYSTEM = 1, 2
NAMESPACES = {EXTATTR_NAMESPACE_USER: "user", EXTATTR_NAMESPACE_SYSTEM: "system"}
_ALIGNMENT = 8
_LONGEST_NAME = 255  # EXTATTR_MAXNAMELEN; ea_namelength is a byte


class Attribute(NamedTuple):
    """One extended attribute."""

    namespace: int  #: a key of :data:`NAMESPACES`
    name: bytes
    value: bytes

    @property
    def full_name(self) -> str:
        """The name with its namespace, ``"user.comment"``, as Linux and FreeBSD's tools write it."""
        space = NAMESPACES.get(self.namespace, str(self.namespace))
        return f"{space}.{self.name.decode('utf-8', 'surrogateescape')}"


def attribute_of(full_name: str, value: bytes) -> Attribute:
    """The attribute with a name such as ``"user.comment"``.

    Raises:
        PathError: an unknown namespace, or a name that cannot be.
    """
    space, _, rest = full_name.partition(".")
    name = rest.encode("utf-8", "surrogateescape")
    for number, known in NAMESPACES.items():
        if known == space and 0 < len(name) <= _LONGEST_NAME and b"\0" not in name:
            return Attribute(number, name, value)
    raise PathError(f"{full_name!r}: not user or system, a dot, and 1 to {_LONGEST_NAME} bytes")


def parse_attributes(area: bytes, byteorder: ByteOrder, *, inode: int = 0) -> Iterator[Attribute]:
    """The attributes in an area; ``inode`` is the number of the one it belongs to, for errors.

    Raises:
        AttributeAreaError: a record that is longer than what is left, not aligned, or shorter than its parts.
    """
    at = 0
    while at < len(area):
        if at + Extattr.SIZE > len(area):
            raise _damaged(inode, "ea_length", at, f"at least {Extattr.SIZE}", len(area) - at)
        head = Extattr.unpack_from(area, at, byteorder)
        length, start = head.ea_length, roundup(Extattr.SIZE + head.ea_namelength, _ALIGNMENT)
        least = start + head.ea_contentpadlen
        if length % _ALIGNMENT or not least <= length <= len(area) - at:
            raise _damaged(inode, "ea_length", at, f"{least} to {len(area) - at}, a multiple of 8", length)
        name = area[at + Extattr.SIZE : at + Extattr.SIZE + head.ea_namelength]
        if not name or b"\0" in name:
            raise _damaged(inode, "ea_name", at, "a name", name)
        yield Attribute(head.ea_namespace, name, area[at + start : at + length - head.ea_contentpadlen])
        at += length


def _damaged(inode: int, field: str, at: int, expected: object, actual: object) -> AttributeAreaError:
    return AttributeAreaError(
        f"inode {inode}: a damaged attribute at byte {at} of its area",
        structure="Extattr",
        field=field,
        expected=expected,
        actual=actual,
    )


def pack_attributes(attributes: Iterable[Attribute], byteorder: ByteOrder) -> bytes:
    """The area that holds ``attributes`` in their order."""
    parts: list[bytes] = []
    for attribute in attributes:
        start = roundup(Extattr.SIZE + len(attribute.name), _ALIGNMENT)
        content = roundup(len(attribute.value), _ALIGNMENT)
        head = Extattr(
            ea_length=start + content,
            ea_namespace=attribute.namespace,
            ea_contentpadlen=content - len(attribute.value),
            ea_namelength=len(attribute.name),
        )
        parts.append(
            (head.pack(byteorder) + attribute.name).ljust(start, b"\0") + attribute.value.ljust(content, b"\0")
        )
    return b"".join(parts)


def area_size(attributes: Iterable[Attribute]) -> int:
    """Bytes of :func:`pack_attributes`."""
    return len(pack_attributes(attributes, "little"))


def read_area(storage: Storage, geometry: Geometry, inode: Ufs2Dinode, number: int) -> bytes:
    """The ``di_extsize`` bytes of an inode's attributes; ``number`` is the inode's, for errors.

    Raises:
        AttributeAreaError: it is larger than its two blocks, or a block is missing.
        BlockError: a pointer leaves the volume.
    """
    bsize, fsize = geometry.block_size, geometry.fragment_size
    if inode.di_extsize > UFS_NXADDR * bsize:
        raise AttributeAreaError(
            f"inode {number}: more attributes than two blocks hold", structure="Ufs2Dinode", field="di_extsize",
            expected=f"at most {UFS_NXADDR * bsize}", actual=inode.di_extsize,
        )  # fmt: skip
    parts: list[bytes] = []
    left = inode.di_extsize
    for address in inode.di_extb[: howmany(left, bsize)]:
        size = min(bsize, left)
        if not 0 < address <= geometry.size - howmany(size, fsize):
            raise BlockError(
                f"inode {number}: a pointer to its attributes leaves the file system", structure="Ufs2Dinode",
                field="di_extb", expected=f"1 to {geometry.size - 1}", actual=address,
            )  # fmt: skip
        parts.append(read(storage, address * fsize, size))
        left -= size
    return b"".join(parts)
