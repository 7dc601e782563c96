"""Reparse points: links, and files that Windows keeps compressed (WOF)."""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING

from cloudboot_ntfs.errors import CompressionError, ReparseError, UnsupportedError
from cloudboot_ntfs.layout import lzx, xpress
from cloudboot_ntfs.layout.constants import (
    TAG_DEDUP,
    TAG_LX_SYMLINK,
    TAG_MOUNT_POINT,
    TAG_SIS,
    TAG_SYMLINK,
    FileAttribute,
)
from cloudboot_ntfs.layout.records import ReparseHead

from .entry import Reparse

if TYPE_CHECKING:
    from collections.abc import Callable

    from .stream import Stream

#: Largest reparse point (MS-FSCC 2.1.2).
MAX_SIZE = 16384
#: Chunk sizes of the WOF algorithms: XPRESS4K, LZX, XPRESS8K, XPRESS16K.
_WOF_CHUNKS = {0: 4096, 1: 32768, 2: 8192, 3: 16384}
WOF_STREAM = "WofCompressedData"
#: Tags of files whose content Windows keeps in a store of its own; $DATA has holes in its place.
_STORED_ELSEWHERE = frozenset({TAG_DEDUP, TAG_SIS})
#: Attributes of a file whose content a service brings when it is read: OneDrive and other cloud files, tapes, ProjFS.
RECALLED = FileAttribute.OFFLINE | FileAttribute.RECALL_ON_OPEN | FileAttribute.RECALL_ON_DATA_ACCESS
_ABSOLUTE = re.compile(r"\\(?:\?\?|\\\?|\\\.)\\(?:[A-Za-z]:|Volume\{[0-9A-Fa-f-]+\})(\\.*)?", re.DOTALL)


def parse(data: bytes, *, record: int) -> Reparse:
    """The reparse point in ``data``.

    Raises:
        ReparseError: it does not fit itself.
    """
    where: dict[str, int | str] = {"record": record}
    if len(data) < ReparseHead.SIZE:
        raise ReparseError(
            "too short", structure="ReparseHead", expected=ReparseHead.SIZE, actual=len(data), where=where
        )
    head = ReparseHead.unpack_from(data)
    # Tags that are not Microsoft's have a GUID before their data.
    start = ReparseHead.SIZE if head.tag & 0x80000000 else ReparseHead.SIZE + 16
    body = data[start : start + head.data_length]
    if len(body) < head.data_length:
        raise ReparseError(
            "the data passes the end", structure="ReparseHead", field="data_length", expected=len(data) - start,
            actual=head.data_length, where=where,
        )  # fmt: skip
    if head.tag == TAG_LX_SYMLINK:
        return Reparse(head.tag, body, body[4:].decode("utf-8", "surrogateescape"), is_relative=True)
    if head.tag not in (TAG_SYMLINK, TAG_MOUNT_POINT):
        return Reparse(head.tag, body, None, is_relative=False)
    names = 12 if head.tag == TAG_SYMLINK else 8
    if len(body) < names:
        raise ReparseError(
            "too short for a link", structure="ReparseHead", expected=names, actual=len(body), where=where
        )
    offset, length = struct.unpack_from("<HH", body)
    raw = body[names + offset : names + offset + length]
    if len(raw) < length or length % 2:
        raise ReparseError(
            "the target passes the end", structure="ReparseHead", expected=len(body), actual=length, where=where
        )
    flags = struct.unpack_from("<I", body, 8)[0] if head.tag == TAG_SYMLINK else 0
    return Reparse(head.tag, body, raw.decode("utf-16-le", "surrogatepass"), is_relative=bool(flags & 1))


def is_elsewhere(found: Reparse, attributes: int) -> bool:
    """Whether the content of a file with this reparse point and these file attributes is not in its $DATA.

    Its $DATA reads as zeros where the content is missing: of deduplicated files, and of cloud files that were not
    fetched.
    """
    return found.tag in _STORED_ELSEWHERE or (found.target is None and bool(attributes & RECALLED))


def posix_target(found: Reparse) -> str:
    """The target of a link as a path of this volume: a drive letter or volume name stands for its root.

    Raises:
        ReparseError: not a link.
    """
    if found.target is None:
        raise ReparseError("not a link", structure="ReparseHead", field="tag", actual=found.tag)
    if found.tag == TAG_LX_SYMLINK:
        return found.target
    inside = _ABSOLUTE.fullmatch(found.target)
    text = found.target if inside is None else inside[1] or "\\"
    drive = re.fullmatch(r"[A-Za-z]:(\\.*)", text, re.DOTALL)
    return (drive[1] if drive else text).replace("\\", "/")


def symlink_data(target: str) -> bytes:
    """The reparse point of a symbolic link to ``target``, a path with ``/``; an absolute one starts at the root."""
    raw = target.replace("/", "\\").encode("utf-16-le", "surrogatepass")
    body = struct.pack("<HHHHI", 0, len(raw), len(raw), len(raw), 1) + raw + raw
    return ReparseHead(TAG_SYMLINK, len(body), 0).pack() + body


def junction_data(target: str) -> bytes:
    r"""The reparse point of a junction to ``target``, such as ``C:\\Users``."""
    raw, shown = f"\\??\\{target}".encode("utf-16-le"), target.encode("utf-16-le")
    body = struct.pack("<HHHH", 0, len(raw), len(raw) + 2, len(shown)) + raw + b"\0\0" + shown + b"\0\0"
    return ReparseHead(TAG_MOUNT_POINT, len(body), 0).pack() + body


class WofStream:
    """The content of a file that Windows compressed: chunks of the stream ``WofCompressedData``."""

    def __init__(self, stored: Stream, size: int, found: Reparse, *, record: int) -> None:
        if len(found.data) < 16:
            raise ReparseError("too short for a compressed file", structure="WOF", expected=16, actual=len(found.data))
        _, provider, _, algorithm = struct.unpack_from("<IIII", found.data)
        if provider != 2 or algorithm not in _WOF_CHUNKS:
            raise UnsupportedError(
                "content in another file, or compressed in another way", structure="WOF", field="provider",
                expected="provider 2, algorithm 0 to 3", actual=f"{provider}, {algorithm}", where={"record": record},
            )  # fmt: skip
        self.size, self.allocated = size, stored.allocated
        self._stored, self._record = stored, record
        self._chunk = _WOF_CHUNKS[algorithm]
        self._decompress: Callable[[bytes, int], bytes] = lzx.decompress if algorithm == 1 else xpress.decompress
        self._count = -(-size // self._chunk)
        self._width = 8 if size >= 1 << 32 else 4
        self._kept: tuple[int, bytes] = (-1, b"")

    def read_at(self, offset: int, size: int) -> bytes:
        """Up to ``size`` bytes from ``offset``, fewer at the end.

        Raises:
            CompressionError: the chunks are damaged.
        """
        size = max(0, min(size, self.size - offset))
        if not size or offset < 0:
            return b""
        first, last = offset // self._chunk, (offset + size - 1) // self._chunk
        whole = b"".join(self._at(index) for index in range(first, last + 1))
        return whole[offset - first * self._chunk :][:size]

    def readinto_at(self, offset: int, view: memoryview) -> int:
        """Fill ``view`` from ``offset``, as far as the content goes; how many bytes. Errors as :meth:`read_at`."""
        data = self.read_at(offset, len(view))
        view[: len(data)] = data
        return len(data)

    def _at(self, index: int) -> bytes:
        if self._kept[0] == index:
            return self._kept[1]
        table = (self._count - 1) * self._width
        start = self._end(index - 1) if index else 0
        end = self._end(index) if index < self._count - 1 else self._stored.size - table
        size = min(self._chunk, self.size - index * self._chunk)
        if not 0 <= end - start <= size:
            raise CompressionError(
                "a chunk has a size that cannot be", structure="WOF", expected=f"at most {size}", actual=end - start,
                where={"record": self._record, "chunk": index},
            )  # fmt: skip
        data = self._stored.read_at(table + start, end - start)
        if len(data) < end - start:
            raise CompressionError(
                "a chunk passes the end", structure="WOF", where={"record": self._record, "chunk": index}
            )
        # A chunk that would not become smaller is stored as it is.
        if len(data) < size:
            try:
                data = self._decompress(data, size)
            except CompressionError as error:
                error.where.update({"record": self._record, "chunk": index})
                raise
        self._kept = index, data
        return data

    def _end(self, index: int) -> int:
        return int.from_bytes(self._stored.read_at(index * self._width, self._width), "little")
