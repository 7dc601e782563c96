"""A qcow2 image, read where it is (QEMU, ``docs/interop/qcow2.rst``).

Versions 2 and 3, compressed clusters and subclusters (extended L2 entries) are read. The tables of refcounts and of
snapshots are not needed for that and not looked at.
"""

from __future__ import annotations

import sys
import zlib
from array import array
from collections import OrderedDict
from typing import TYPE_CHECKING

from cloudboot_base.lightdata import NamedTuple

from .compression import zstandard, zstd_errors
from .errors import ContainerError, ContainerTruncatedError, UnsupportedContainerError
from .mapped import MappedDisk
from .records import Qcow2Header

if TYPE_CHECKING:
    from cloudboot_base import Storage

MAGIC = b"QFI\xfb"
_V2_SIZE, _V3_SIZE = 72, 104
_MIN_CLUSTER_BITS, _MAX_CLUSTER_BITS = 9, 21
_MIN_EXTENDED_BITS = 14  # a subcluster has 512 bytes or more
_SUBCLUSTERS = 32
_MAX_L1_BYTES = 32 << 20  # what QEMU takes
_MAX_SIZE = 1 << 62
# incompatible_features; a dirty image only has refcounts that cannot be trusted, which a reader does not need.
_DIRTY, _CORRUPT, _EXTERNAL_DATA, _COMPRESSION_TYPE, _EXTENDED_L2 = 1, 2, 4, 8, 16
_REFUSED = {
    _CORRUPT: "a qcow2 image marked corrupt",
    _EXTERNAL_DATA: "a qcow2 image whose data is in another file",
}
_CONVERT = "qemu-img convert -O raw IMAGE disk.img"
_OFFSET_MASK = (1 << 56) - (1 << 9)
_COMPRESSED, _ZERO = 1 << 62, 1
_CACHED_TABLES, _CACHED_CLUSTERS = 64, 32
_SECTOR = 512


class _Span(NamedTuple):
    """Part of a request: where its bytes are in the file, or that they are zeros or compressed."""

    length: int
    offset: int = 0  #: in the file; 0: zeros
    packed: int = 0  #: the L2 entry of a compressed cluster


class Qcow2(MappedDisk):
    """The virtual disk in a qcow2 image, as read-only storage.

    Raises:
        ContainerError: it is not a qcow2 image, or its header or tables are damaged.
        UnsupportedContainerError: encryption, a backing file, external data, or a feature not known.
    """

    def __init__(self, storage: Storage) -> None:
        head = self._header = _read_header(storage)
        super().__init__(head.size)
        self._storage = storage
        self._bits = head.cluster_bits
        self._cluster = 1 << self._bits
        extended = bool(head.incompatible_features & _EXTENDED_L2)
        self._unit = self._cluster // _SUBCLUSTERS if extended else self._cluster  # what is stored alike at the least
        self._words = 2 if extended else 1  # of an L2 entry
        self._l2_bits = self._bits - 2 - self._words
        needed = -(-head.size >> (self._bits + self._l2_bits))
        if head.l1_size < needed or needed * 8 > _MAX_L1_BYTES:
            raise _wrong("l1_size", "the L1 table does not fit the disk", needed, head.l1_size)
        if head.l1_table_offset % self._cluster:
            limit = f"a multiple of {self._cluster}"
            raise _wrong("l1_table_offset", "a table that is not on a cluster", limit, head.l1_table_offset)
        self._l1 = self._table(head.l1_table_offset, needed, "Qcow2Header", 0)
        self._tables: OrderedDict[int, array[int]] = OrderedDict()
        self._clusters: OrderedDict[int, bytes] = OrderedDict()

    def _piece(self, offset: int, view: memoryview) -> int:
        span = self._span(offset, len(view))
        piece = view[: span.length]
        if span.packed:
            start = offset % self._cluster
            piece[:] = self._unpacked(span.packed)[start : start + span.length]
        elif span.offset:
            self._fill_data(span.offset, piece)
        else:
            piece[:] = bytes(span.length)
        return span.length

    def _span(self, offset: int, limit: int) -> _Span:
        """How the bytes from ``offset`` on are stored, as far as they are stored alike."""
        packed, start = self._stored(offset)
        if packed:
            return _Span(min(self._cluster - offset % self._cluster, limit), packed=packed)
        room = self._unit - offset % self._unit
        while room < limit:
            if self._stored(offset + room) != (0, start and start + room):
                break
            room += self._unit
        return _Span(min(room, limit), start)

    def _stored(self, offset: int) -> tuple[int, int]:
        """The L2 entry of byte ``offset`` if its cluster is compressed; and where the byte is, 0 for one that is 0."""
        index, slot = divmod(offset >> self._bits, 1 << self._l2_bits)
        at = self._l1[index] & _OFFSET_MASK
        if not at:
            return 0, 0
        table = self._tables.get(at)
        if table is None:
            table = self._tables[at] = self._table(at, self._words << self._l2_bits, "L1 table", index)
            if len(self._tables) > _CACHED_TABLES:
                self._tables.popitem(last=False)
        entry = table[slot * self._words]
        if entry & _COMPRESSED:
            return entry, 0
        if self._words > 1:
            # Bits 0 to 31 say which subclusters are allocated, 32 to 63 which read as zeros.
            number = offset % self._cluster // self._unit
            hidden = table[2 * slot + 1] >> number & (1 | 1 << _SUBCLUSTERS) != 1
        else:
            hidden = bool(entry & _ZERO) and self._header.version > 2
        host = entry & _OFFSET_MASK
        if hidden or not host:
            return 0, 0
        if host % self._cluster:
            raise _unaligned("L2 table", host, self._cluster, slot)
        return 0, host + offset % self._cluster

    def _table(self, offset: int, entries: int, named_in: str, entry: int) -> array[int]:
        """The table at ``offset``, which an ``entry`` of the structure ``named_in`` names."""
        if offset % self._cluster:
            raise _unaligned(named_in, offset, self._cluster, entry)
        data = bytearray(entries * 8)
        self._fill(offset, memoryview(data))
        table = array("Q", data)
        if sys.byteorder == "little":
            table.byteswap()
        return table

    def _fill(self, offset: int, buffer: memoryview) -> None:
        if offset + len(buffer) > self._storage.size:
            raise ContainerTruncatedError(
                "the qcow2 image ends early", offset=offset, expected=len(buffer),
                actual=max(0, self._storage.size - offset),
            )  # fmt: skip
        self._storage.readinto_at(offset, buffer)

    def _fill_data(self, offset: int, buffer: memoryview) -> None:
        """Fill ``buffer`` with guest data; where the file ends inside its last cluster the rest of that reads as zeros.

        So does QEMU, which allocates clusters before it writes all of them.
        """
        size = self._storage.size
        if offset + len(buffer) > -(-size // self._cluster) * self._cluster:
            raise ContainerTruncatedError(
                "the qcow2 image ends before one of its clusters",
                offset=offset, expected=len(buffer), actual=max(0, size - offset),
            )  # fmt: skip
        there = min(len(buffer), size - offset)
        self._storage.readinto_at(offset, buffer[:there])
        buffer[there:] = bytes(len(buffer) - there)

    def _unpacked(self, entry: int) -> bytes:
        """The bytes of a compressed cluster."""
        found = self._clusters.get(entry)
        if found is not None:
            return found
        shift = 62 - (self._bits - 8)
        offset = entry & (1 << shift) - 1
        sectors = (entry & _COMPRESSED - 1) >> shift
        length = (sectors + 1) * _SECTOR - offset % _SECTOR
        # The last sector may reach past the end of the file.
        length = min(length, self._storage.size - offset)
        if length <= 0:
            raise ContainerTruncatedError("the qcow2 image ends early", offset=offset, expected=_SECTOR, actual=0)
        data = self._storage.read_at(offset, length)
        found = self._clusters[entry] = self._decompress(data, offset)
        if len(self._clusters) > _CACHED_CLUSTERS:
            self._clusters.popitem(last=False)
        return found

    def _decompress(self, data: bytes, offset: int) -> bytes:
        damage: tuple[type[Exception], ...] = (zlib.error, *zstd_errors(), EOFError)
        try:
            if self._header.compression_type:
                plain = self._zstd(data)
            else:
                plain = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, self._cluster)
        except damage as error:
            raise ContainerError(f"a damaged compressed cluster: {error}", structure="Qcow2", offset=offset) from error
        if len(plain) != self._cluster:
            raise ContainerError(
                "a damaged compressed cluster", structure="Qcow2", offset=offset, expected=self._cluster,
                actual=len(plain),
            )  # fmt: skip
        return plain

    def _zstd(self, data: bytes) -> bytes:
        """What the frames at the start of ``data`` hold, one byte more than a cluster at the most."""
        plain = b""
        while len(plain) < self._cluster and data:
            decoder = zstandard().ZstdDecompressor()
            plain += decoder.decompress(data, self._cluster + 1 - len(plain))
            if not decoder.eof:
                break
            data = decoder.unused_data
        return plain


def _read_header(storage: Storage) -> Qcow2Header:
    if storage.size < _V2_SIZE:
        raise ContainerTruncatedError("too small for a qcow2 header", expected=_V2_SIZE, actual=storage.size)
    data = storage.read_at(0, min(Qcow2Header.SIZE, storage.size)).ljust(Qcow2Header.SIZE, b"\0")
    head = Qcow2Header.unpack_from(data)
    if data[:4] != MAGIC:
        raise _wrong("magic", "not a qcow2 image", MAGIC, data[:4])
    if head.version not in (2, 3):
        hint = _CONVERT if head.version == 1 else None
        raise _unsupported("version", "a qcow2 image of an unknown version", "2 or 3", head.version, hint=hint)
    if head.version == 2:
        head = Qcow2Header.unpack_from(data[:_V2_SIZE].ljust(Qcow2Header.SIZE, b"\0"))
    elif head.header_length < _V3_SIZE:
        raise _wrong("header_length", "too short a header", f"at least {_V3_SIZE}", head.header_length)
    elif head.header_length == _V3_SIZE:
        head = Qcow2Header.unpack_from(data[:_V3_SIZE].ljust(Qcow2Header.SIZE, b"\0"))
    if not _MIN_CLUSTER_BITS <= head.cluster_bits <= _MAX_CLUSTER_BITS:
        limits = f"{_MIN_CLUSTER_BITS} to {_MAX_CLUSTER_BITS}"
        raise _wrong("cluster_bits", "no such cluster size", limits, head.cluster_bits)
    if head.version > 2 and head.header_length > 1 << head.cluster_bits:
        limit = f"at most {1 << head.cluster_bits}"
        raise _wrong("header_length", "the header is longer than a cluster", limit, head.header_length)
    if head.size > _MAX_SIZE:
        raise _wrong("size", "no disk is that large", f"at most {_MAX_SIZE}", head.size)
    _check_features(head)
    return head


def _check_features(head: Qcow2Header) -> None:
    if head.crypt_method:
        raise _unsupported("crypt_method", "an encrypted qcow2 image", 0, head.crypt_method)
    if head.backing_file_offset:
        raise _unsupported(
            "backing_file_offset", "a qcow2 image with a backing file", 0, head.backing_file_offset,
            hint="qemu-img convert makes one image of the two",
        )  # fmt: skip
    for bit, message in _REFUSED.items():
        if head.incompatible_features & bit:
            raise _unsupported("incompatible_features", message, 0, head.incompatible_features, hint=_CONVERT)
    if head.incompatible_features & ~(_DIRTY | _COMPRESSION_TYPE | _EXTENDED_L2):
        raise _unsupported(
            "incompatible_features", "a qcow2 image with unknown features", 0, head.incompatible_features
        )
    if head.incompatible_features & _EXTENDED_L2 and head.cluster_bits < _MIN_EXTENDED_BITS:
        limit = f"at least {_MIN_EXTENDED_BITS} with subclusters"
        raise _wrong("cluster_bits", "no such cluster size", limit, head.cluster_bits)
    if head.compression_type > 1:
        raise _unsupported("compression_type", "an unknown compression", "0 or 1", head.compression_type)
    if bool(head.compression_type) != bool(head.incompatible_features & _COMPRESSION_TYPE):
        text = "the compression is not the one that the features say"
        raise _wrong("compression_type", text, None, head.compression_type)


def _unaligned(structure: str, offset: int, cluster: int, entry: int) -> ContainerError:
    return ContainerError(
        "an entry that does not name the start of a cluster", structure=structure,
        expected=f"a multiple of {cluster}", actual=offset, where={"entry": entry},
    )  # fmt: skip


def _wrong(field: str, message: str, expected: object, actual: object) -> ContainerError:
    offset = Qcow2Header.LAYOUT.offsets[field]
    return ContainerError(
        message, structure="Qcow2Header", field=field, offset=offset, expected=expected, actual=actual
    )


def _unsupported(
    field: str, message: str, expected: object, actual: object, *, hint: str | None = None
) -> UnsupportedContainerError:
    offset = Qcow2Header.LAYOUT.offsets[field]
    return UnsupportedContainerError(
        message, structure="Qcow2Header", field=field, offset=offset, expected=expected, actual=actual, hint=hint
    )
