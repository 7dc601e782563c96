"""VHD images, fixed and dynamic, as read-only storage.

Microsoft, "Virtual Hard Disk Image Format Specification" 1.0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudboot_base import Window

from .errors import ContainerError, ContainerTruncatedError, UnsupportedContainerError
from .mapped import MappedDisk
from .records import VHDDynamicHeader, VHDFooter

if TYPE_CHECKING:
    from cloudboot_base import Storage

FOOTER_COOKIE, DYNAMIC_COOKIE = b"conectix", b"cxsparse"
_FIXED, _DYNAMIC, _DIFFERENCING = 2, 3, 4
_VERSION, _RESERVED_FEATURE = 0x00010000, 2  # what every footer has ("Hard Disk Footer Format")
_SECTOR = 512
_UNALLOCATED = 0xFFFFFFFF
_MAX_SIZE = 2040 << 30  # what the specification allows
_MAX_BLOCK = 256 << 20


def open_vhd(storage: Storage) -> Storage | None:
    """The disk in a VHD image, or ``None`` where ``storage`` is not one.

    Raises:
        ContainerError: the footer is damaged.
        UnsupportedContainerError: a differencing disk.
    """
    footer = _footer(storage)
    if footer is None:
        return None
    if footer.DiskType == _DIFFERENCING:
        raise UnsupportedContainerError(
            "a differencing VHD, whose parent is another file",
            structure="VHDFooter", field="DiskType", expected="2 or 3", actual=footer.DiskType,
            hint="qemu-img convert makes one image of the two",
        )  # fmt: skip
    if footer.DiskType not in (_FIXED, _DYNAMIC):
        raise _wrong("VHDFooter", "DiskType", "no such kind of VHD", "2, 3 or 4", footer.DiskType)
    if footer.CurrentSize > _MAX_SIZE:
        raise _wrong("VHDFooter", "CurrentSize", "no VHD is that large", f"at most {_MAX_SIZE}", footer.CurrentSize)
    if footer.DiskType == _FIXED:
        available = storage.size - VHDFooter.SIZE + 1
        if footer.CurrentSize > available:
            raise ContainerTruncatedError(
                "the fixed VHD is shorter than its disk",
                structure="VHDFooter", field="CurrentSize", expected=footer.CurrentSize, actual=available,
            )  # fmt: skip
        return Window(storage, 0, footer.CurrentSize)
    return DynamicVHD(storage, footer)


def _footer(storage: Storage) -> VHDFooter | None:
    """The footer with a right checksum: the last sector, or the copy at the start of a dynamic disk.

    A fixed disk has no copy. There a last sector with cookie, version and reserved bit of a footer is a damaged one;
    with less it is data.

    Programs before Virtual PC 2004 left the last byte of the footer out ("Hard Disk Footer Format").
    """
    damaged: VHDFooter | None = None
    for offset in (storage.size - VHDFooter.SIZE, storage.size - VHDFooter.SIZE + 1, 0):
        if offset < 0 or storage.size < VHDFooter.SIZE - 1:
            continue
        data = storage.read_at(offset, min(VHDFooter.SIZE, storage.size - offset)).ljust(VHDFooter.SIZE, b"\0")
        if not data.startswith(FOOTER_COOKIE):
            continue
        footer = VHDFooter.unpack_from(data)
        if footer.Checksum == _checksum(data, VHDFooter.LAYOUT.offsets["Checksum"]):
            return footer
        if offset == 0:
            raise _wrong("VHDFooter", "Checksum", "the footer and its copy are damaged", None, footer.Checksum)
        if footer.FileFormatVersion == _VERSION and footer.Features & _RESERVED_FEATURE:
            damaged = damaged or footer
    if damaged is not None:
        raise ContainerError(
            "the footer of the VHD is damaged, and there is no copy of it",
            structure="VHDFooter", field="Checksum", actual=damaged.Checksum,
            hint="if this is a fixed VHD, the file without its last 512 bytes is the raw disk",
        )  # fmt: skip
    return None


class DynamicVHD(MappedDisk):
    """The virtual disk of a dynamic VHD: blocks that were never written read as zeros."""

    def __init__(self, storage: Storage, footer: VHDFooter) -> None:
        super().__init__(footer.CurrentSize)
        self._storage = storage
        head = _dynamic_header(storage, footer.DataOffset)
        self._block = head.BlockSize
        self._bitmap = -(-self._block // _SECTOR // 8 // _SECTOR) * _SECTOR
        count = -(-self._size // self._block)
        if head.MaxTableEntries < count:
            raise _wrong("VHDDynamicHeader", "MaxTableEntries", "the table is too small", count, head.MaxTableEntries)
        table = _bytes(storage, head.TableOffset, 4 * count, "VHDDynamicHeader", "TableOffset")
        self._table = [int.from_bytes(table[at : at + 4], "big") for at in range(0, len(table), 4)]

    def _piece(self, offset: int, view: memoryview) -> int:
        index, start = divmod(offset, self._block)
        count = min(len(view), self._block - start)
        sector = self._table[index]
        if sector == _UNALLOCATED:
            view[:count] = bytes(count)
            return count
        place = sector * _SECTOR + self._bitmap + start
        if place + count > self._storage.size:
            raise ContainerTruncatedError(
                "the VHD ends before one of its blocks",
                structure="block allocation table", offset=place, expected=count,
                actual=max(0, self._storage.size - place), where={"block": index},
            )  # fmt: skip
        self._storage.readinto_at(place, view[:count])
        return count


def _dynamic_header(storage: Storage, offset: int) -> VHDDynamicHeader:
    data = _bytes(storage, offset, VHDDynamicHeader.SIZE, "VHDFooter", "DataOffset")
    head = VHDDynamicHeader.unpack_from(data)
    if head.Cookie != DYNAMIC_COOKIE:
        raise _wrong("VHDDynamicHeader", "Cookie", "not the header of a dynamic VHD", DYNAMIC_COOKIE, head.Cookie)
    expected = _checksum(data, VHDDynamicHeader.LAYOUT.offsets["Checksum"])
    if head.Checksum != expected:
        raise _wrong("VHDDynamicHeader", "Checksum", "the header is damaged", expected, head.Checksum)
    size = head.BlockSize
    if size < _SECTOR or size > _MAX_BLOCK or size & (size - 1):
        limits = f"a power of two from {_SECTOR} to {_MAX_BLOCK}"
        raise _wrong("VHDDynamicHeader", "BlockSize", "no such block size", limits, size)
    return head


def _bytes(storage: Storage, offset: int, size: int, structure: str, field: str) -> bytes:
    if offset + size > storage.size:
        raise ContainerTruncatedError(
            "the VHD ends early", structure=structure, field=field, offset=offset, expected=size,
            actual=max(0, storage.size - offset),
        )  # fmt: skip
    return storage.read_at(offset, size)


def _checksum(data: bytes, at: int) -> int:
    """One's complement of the sum of all bytes but those of the checksum itself."""
    return ~(sum(data) - sum(data[at : at + 4])) & 0xFFFFFFFF


def _wrong(structure: str, field: str, message: str, expected: object, actual: object) -> ContainerError:
    return ContainerError(message, structure=structure, field=field, expected=expected, actual=actual)
