"""Directories: records packed into 512-byte chunks, and read from them (dir.h)."""

from __future__ import annotations

import struct
from functools import cache
from typing import TYPE_CHECKING

from cloudboot_base.lightdata import NamedTuple
from cloudboot_ufs2.errors import DirectoryError

from .constants import DIRBLKSIZ, DIRECT_HEADER, DT_WHT

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from cloudboot_records import ByteOrder


PIECE = 1 << 16  #: bytes of a directory that are read at once


class Record(NamedTuple):
    """One directory record; ``offset`` is where it is in the directory."""

    inode: int
    kind: int  #: d_type
    name: bytes
    offset: int
    length: int  #: d_reclen


class Problem(NamedTuple):
    """What is wrong with a record; ``kind`` is a checker's."""

    kind: str
    field: str
    offset: int
    message: str
    expected: object
    actual: object


@cache
def header(byteorder: ByteOrder) -> struct.Struct:
    """d_ino, d_reclen, d_type, d_namlen."""
    return struct.Struct(("<" if byteorder == "little" else ">") + "IHBB")


def record_size(name_length: int) -> int:
    """The least a record takes: its head, the name, a NUL, rounded up to four bytes (dir.h, DIRECTSIZ)."""
    return DIRECT_HEADER + (name_length + 4 & ~3)


def directory_size(name_lengths: Iterable[int]) -> int:
    """Bytes of a directory that holds names of these lengths, in this order, besides ``.`` and ``..``."""
    full, used = 0, 24
    for length in name_lengths:
        size = DIRECT_HEADER + (length + 4 & ~3)
        used += size
        if used > DIRBLKSIZ:
            full += DIRBLKSIZ
            used = size
    return full + DIRBLKSIZ


def pack_directory(entries: Collection[tuple[bytes, int, int]], byteorder: ByteOrder = "little") -> bytes:
    """The bytes of a directory of ``(name, inode, d_type)`` entries; ``.`` and ``..`` are the first two of them."""
    pack = header(byteorder).pack_into
    # What is in two chunks that follow each other never fits one, so this is enough; the rest is cut off.
    data = bytearray(sum([DIRECT_HEADER + (len(name) + 4 & ~3) for name, _, _ in entries]) * 2 + DIRBLKSIZ)
    at, end = 0, DIRBLKSIZ
    last = (0, 0, 0, 0)  # where it stands, d_ino, d_type, d_namlen
    for name, inode, kind in entries:
        length = len(name)
        size = DIRECT_HEADER + (length + 4 & ~3)
        if at + size > end:
            # The last record of a chunk takes in the space that is left.
            pack(data, last[0], last[1], end - last[0], last[2], last[3])
            at, end = end, end + DIRBLKSIZ
        last = at, inode, kind, length
        pack(data, at, inode, size, kind, length)
        data[at + DIRECT_HEADER : at + DIRECT_HEADER + length] = name
        at += size
    pack(data, last[0], last[1], end - last[0], last[2], last[3])
    return bytes(memoryview(data)[:end])


def scan(data: bytes | memoryview, byteorder: ByteOrder = "little", base: int = 0) -> Iterator[Record | Problem]:
    """The records of a directory in use, ``.`` and ``..`` included, and what is wrong with those that are.

    Unused records (inode 0) and whiteouts are passed over. After a record whose length cannot be, the scan goes on
    with the next 512-byte chunk. ``data`` may be a piece of whole chunks, which is at ``base`` in its directory.
    """
    unpack = header(byteorder).unpack_from
    size = len(data)
    if size % DIRBLKSIZ:
        yield Problem("directory-size", "d_reclen", base + size, "not whole 512-byte chunks", DIRBLKSIZ, size)
        size -= size % DIRBLKSIZ
    offset = 0
    while offset < size:
        room = DIRBLKSIZ - offset % DIRBLKSIZ
        # The record before may leave 4 bytes, which are none.
        number, length, kind, name_length = unpack(data, offset) if room >= DIRECT_HEADER else (0, 0, 0, 0)
        if length < DIRECT_HEADER or length % 4 or length > room:
            limit, at = f"8 to {room}", base + offset
            yield Problem("directory-record-length", "d_reclen", at, "a bad record length", limit, length)
            offset += room
            continue
        if number and kind != DT_WHT:
            start, at = offset + DIRECT_HEADER, base + offset
            name = bytes(data[start : start + name_length])
            if not name_length or record_size(name_length) > length:
                limit = f"1 to {length - DIRECT_HEADER - 1}"
                yield Problem("directory-name-length", "d_namlen", at, "a bad name length", limit, name_length)
            elif b"\0" in name or b"/" in name:
                yield Problem("directory-name", "d_name", at, "a NUL or a slash in a name", None, name)
            elif data[start + name_length]:
                yield Problem("directory-name-end", "d_name", at, "a name without its NUL", None, name)
            else:
                yield Record(number, kind, name, at, length)
        offset += length


def names_in(
    data: bytes, byteorder: ByteOrder = "little", *, inode: int = 0, base: int = 0
) -> dict[bytes, tuple[int, int]]:
    """The names in a piece of a directory with their inodes and types, without ``.`` and ``..``.

    The arguments and errors are those of :func:`records`, which takes over at anything odd.
    """
    unpack, size = header(byteorder).unpack_from, len(data)
    found: dict[bytes, tuple[int, int]] = {}
    offset = -(size % DIRBLKSIZ)  # not whole chunks: odd from the start
    while 0 <= offset < size:
        if offset % DIRBLKSIZ > DIRBLKSIZ - DIRECT_HEADER:
            break
        number, length, kind, name_length = unpack(data, offset)
        start = offset + DIRECT_HEADER
        if length < DIRECT_HEADER or length & 3 or offset % DIRBLKSIZ + length > DIRBLKSIZ:
            break
        if number and kind != DT_WHT:
            if not name_length or (name_length + 4 & ~3) > length - DIRECT_HEADER or data[start + name_length]:
                break
            found[data[start : start + name_length]] = number, kind
        offset += length
    together = b"".join(found)
    if offset != size or b"/" in together or b"\0" in together:
        found = {
            record.name: (record.inode, record.kind) for record in records(data, byteorder, inode=inode, base=base)
        }
    found.pop(b".", None)
    found.pop(b"..", None)
    return found


def records(
    data: bytes | memoryview, byteorder: ByteOrder = "little", *, inode: int = 0, base: int = 0
) -> Iterator[Record]:
    """:func:`scan`, but the first problem is an error; ``inode`` is the directory's own number, for its text.

    Raises:
        DirectoryError: a record that crosses its chunk, is too short for its name or not aligned, or a bad name.
    """
    for found in scan(data, byteorder, base):
        if isinstance(found, Problem):
            raise DirectoryError(
                f"directory inode {inode}: {found.message}",
                structure="Direct",
                field=found.field,
                offset=found.offset,
                expected=found.expected,
                actual=found.actual,
            )
        yield found
