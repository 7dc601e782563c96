"""The headers of tar archives: V7, POSIX ustar and pax, GNU and star.

A member is what its header says, corrected by the extended headers before it: of one that is repeated the last wins, a
pax record is stronger than a GNU long name, and both than the header. Where GNU tar and libarchive read an archive in
two ways, the text at the place says which is followed.
"""

from __future__ import annotations

import itertools
import os
import re
from typing import TYPE_CHECKING

from cloudboot_base.lightdata import dataclass

from .errors import SourceError
from .notices import shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .notices import Notices

BLOCK = 512
_MOST_EXTENDED = 64 << 20  # bytes of one extended header: attributes of megabytes are rare already
_MOST_SPARSE = 1 << 22  # parts of one sparse file
REGULAR, LINK, SYMLINK, CHARACTER, BLOCK_DEVICE, DIRECTORY, FIFO = b"0", b"1", b"2", b"3", b"4", b"5", b"6"
_LOOKED_AT_BEHIND = 1 << 20  # bytes behind the end of an archive
_UNPACK = "unpack it first: bsdtar -xf"
#: What is taken for an archive: where its magic number is, the number, its name, and what to do.
_FOREIGN = (
    (0, b"07070", "a cpio archive", _UNPACK),
    (0, b"\xc7\x71", "a cpio archive", _UNPACK),
    (0, b"!<arch>\n", "an ar archive", _UNPACK),
    (0, b"\xed\xab\xee\xdb", "an RPM package", "unpack it first: rpm2archive"),
    (0, b"xar!", "a xar archive", _UNPACK),
    (0, b"hsqs", "a SquashFS image", "unpack it first: unsquashfs"),
    (32769, b"CD001", "an ISO 9660 image", _UNPACK),
)
_WITHOUT_DATA = (LINK, SYMLINK, CHARACTER, BLOCK_DEVICE, DIRECTORY, FIFO)
_NUMBER = re.compile(rb"[0-7]*\Z")
_DECIMAL = re.compile(rb"(-?)([0-9]+)(?:\.([0-9]*))?\Z")
_PAX = re.compile(rb"([0-9]{1,20}) ")  # GNU tar and libarchive take leading zeros

Records = dict[bytes, bytes]


@dataclass(slots=True)
class TarMember:
    """A member of an archive."""

    name: bytes
    kind: bytes  #: the type flag, ``REGULAR`` for everything that is a file
    mode: int
    uid: int
    gid: int
    mtime_ns: int
    size: int  #: bytes of the file
    target: bytes  #: of a link
    device: tuple[int, int]  #: major and minor number
    parts: list[tuple[int, int, int]]  #: (start in the file, length, offset in the archive) of its data
    records: Mapping[bytes, bytes]  #: pax records


class TarReader:
    """The members of the archive in the file ``fd``, in order."""

    def __init__(self, fd: int, label: str, notices: Notices) -> None:
        self._fd, self.label, self._notices = fd, label, notices
        self._size = os.fstat(fd).st_size
        self._globals: Records = {}
        self.ended = False  #: whether a block of zeros marked the end

    def __iter__(self) -> Iterator[TarMember]:
        """Every member.

        Raises:
            SourceError: a header is invalid, a value is not a number, or data exceed the archive.
        """
        at, first = 0, True
        records: Records = {}
        sparse_map: list[tuple[int, int]] = []
        long: dict[bytes, bytes] = {}
        while self._size - at >= BLOCK:
            header = os.pread(self._fd, BLOCK, at)
            if not any(header):
                self.ended = True  # one such block is enough for GNU tar and libarchive, too
                self._look_behind(at, empty=first)
                break
            if not _is_header(header):
                if first:
                    raise self._not_an_archive(header)
                text = "a damaged archive: no header where one should be"
                raise SourceError(text, member=self.label, actual=f"byte {at}")
            first = False
            kind, stored = header[156:157], self._number(header, 124, 12, "size")
            data = at + BLOCK
            if kind in b"xXgLK":
                payload = self._payload(data, stored)
                if kind == b"g":
                    self._global(payload)
                elif kind in b"xX":
                    found, parts = _pax_records(payload, self.label)
                    records, sparse_map = found, parts  # of two headers in a row the last counts
                else:
                    long[kind] = payload.split(b"\0", 1)[0]
                at = data + _padded(stored)
                continue
            merged = _in_force({**self._globals, **records})
            member, at = self._member(header, data, merged, long, sparse_map=sparse_map)
            records, sparse_map, long = {}, [], {}
            if member is not None:
                yield member
        else:
            rest = os.pread(self._fd, BLOCK, at)
            if any(rest):
                if first:
                    raise self._not_an_archive(rest)
                raise SourceError("a damaged archive, or one that was cut short", member=self.label)
        if records or long:
            raise SourceError("the archive ends after an extended header", member=self.label)
        if first and not self.ended:
            raise SourceError("not a tar archive", member=self.label)

    def _look_behind(self, end: int, *, empty: bool) -> None:
        """Look at what follows the mark at ``end``: GNU tar and libarchive pass over it, unless they are told not to.

        Raises:
            SourceError: nothing is before the mark, and no archive behind it: a disk image, say.
        """
        behind = os.pread(self._fd, _LOOKED_AT_BEHIND, end)
        at = (len(behind) - len(behind.lstrip(b"\0"))) // BLOCK * BLOCK
        if at == len(behind) // BLOCK * BLOCK:
            return
        if _is_header(behind[at : at + BLOCK]):
            self._notices.add("members behind the end of the archive are left out", self.label)
        elif empty:
            raise self._not_an_archive(behind)

    def _not_an_archive(self, head: bytes) -> SourceError:
        """The error for a file that begins with ``head``."""
        for at, magic, name, hint in _FOREIGN:
            if head.startswith(magic, at):
                return SourceError(f"not a tar archive but {name}", member=self.label, hint=hint)
        return SourceError("not a tar archive", member=self.label)

    def _member(
        self,
        header: bytes,
        data: int,
        records: Records,
        long: dict[bytes, bytes],
        *,
        sparse_map: list[tuple[int, int]],
    ) -> tuple[TarMember | None, int]:
        """The member of a header, or ``None`` for what is none, and where the next header stands."""
        name = records.get(b"GNU.sparse.name") or records.get(b"path") or long.get(b"L") or _name(header)
        kind, member = header[156:157], shown(name)
        in_records = b"size" in records
        stored = _decimal(records, b"size", member) if in_records else self._number(header, 124, 12, "size", member)
        if kind == b"V":
            self._notices.add("a volume label is left out", member)
            return None, data + _padded(stored)
        if kind == b"A":
            self._notices.add("a Solaris access control list is left out", member)
            return None, data + _padded(stored)
        if kind == b"M":
            raise SourceError("a part of an archive of several volumes; join them first", member=member)
        if kind == b"D":
            # A directory of an incremental archive, whose data list what it held.
            return self._plain(header, name, DIRECTORY, records, long), data + _padded(stored)
        if kind in _WITHOUT_DATA:
            follows = self._has_data(data, stored, pax=bool(records))
            found = self._plain(header, name, kind, records, long)
            if kind == LINK and follows:
                found.size, found.parts = stored, self._whole(data, stored, member)
            return found, data + (_padded(stored) if follows else 0)
        if kind not in b"0\x007S":
            self._notices.add("a member of an unknown type is stored as a file, as POSIX says", member)
        after = data + _padded(stored)
        if kind != b"S" and name.endswith(b"/"):  # V7 has no other sign of a directory
            return self._plain(header, name, DIRECTORY, records, long), after
        found = self._plain(header, name, REGULAR, records, long)
        if kind == b"S":
            found.size, found.parts, after = self._old_sparse(header, data, stored, member)
        elif b"GNU.sparse.major" in records or b"GNU.sparse.size" in records or sparse_map:
            found.size, found.parts = self._pax_sparse(data, stored, records, sparse_map, member=member)
        else:
            found.size, found.parts = stored, self._whole(data, stored, member)
        return found, after

    def _plain(self, header: bytes, name: bytes, kind: bytes, records: Records, long: dict[bytes, bytes]) -> TarMember:
        """A member without data."""
        member = shown(name)
        target = records.get(b"linkpath") or long.get(b"K") or _text(header, 157, 100)
        mtime_ns = self._number(header, 136, 12, "mtime", member) * 1_000_000_000
        if b"mtime" in records:
            mtime_ns = pax_time(records, b"mtime", member)
        owners = [
            _decimal(records, key, member) if key in records else self._number(header, at, 8, key.decode(), member)
            for key, at in ((b"uid", 108), (b"gid", 116))
        ]
        device = (0, 0)
        if kind in (CHARACTER, BLOCK_DEVICE):
            major, minor = (self._number(header, at, 8, "device", member) for at in (329, 337))
            if b"SCHILY.devmajor" in records and b"SCHILY.devminor" in records:  # star, bsdtar: those above 2**21
                major, minor = (_decimal(records, b"SCHILY.dev" + key, member) for key in (b"major", b"minor"))
            device = major, minor
        return TarMember(
            name=name,
            kind=kind,
            mode=self._number(header, 100, 8, "mode", member) & 0o7777,
            uid=owners[0],
            gid=owners[1],
            mtime_ns=mtime_ns,
            size=0,
            target=target,
            device=device,
            parts=[],
            records=records,
        )

    # Data

    def _whole(self, data: int, size: int, member: str) -> list[tuple[int, int, int]]:
        if data + size > self._size:
            raise SourceError("its data leave the archive", member=member, expected=size, actual=self._size - data)
        return [(0, size, data)] if size else []

    def _has_data(self, data: int, size: int, *, pax: bool) -> bool:
        """Whether the data of a link, a directory or a device follow its header, which may name a size without any.

        pax and cpio repeat the data of a file at its links; GNU tar and old tars do not.
        """
        if not size:
            return False
        without, after = self._is_next(data), self._is_next(data + _padded(size))
        return after and (pax or not without)

    def _is_next(self, at: int) -> bool:
        """Whether a header, a block of zeros or the end is at ``at``."""
        if at >= self._size:
            return at == self._size
        block = os.pread(self._fd, BLOCK, at)
        return not any(block) or _is_header(block)

    def _old_sparse(
        self, header: bytes, data: int, stored: int, member: str
    ) -> tuple[int, list[tuple[int, int, int]], int]:
        """Size, parts and end of a sparse file of GNU's old format, whose map is in its header and in blocks behind."""
        size = self._number(header, 483, 12, "realsize", member)
        entries, block, start, count, more = [], header, 386, 4, 482
        while True:
            for index in range(count):
                at = start + index * 24
                length = self._number(block, at + 12, 12, "numbytes", member)
                if length:
                    entries.append((self._number(block, at, 12, "offset", member), length))
            if not block[more]:
                break
            block = os.pread(self._fd, BLOCK, data)
            if len(block) != BLOCK or len(entries) > _MOST_SPARSE:
                raise SourceError("its data leave the archive", member=member)
            data, start, count, more = data + BLOCK, 0, 21, 504
        return size, self._placed(entries, size, data, stored, member=member), data + _padded(stored)

    def _pax_sparse(
        self, data: int, stored: int, records: Records, sparse_map: list[tuple[int, int]], *, member: str
    ) -> tuple[int, list[tuple[int, int, int]]]:
        """Size and parts of a sparse file of GNU's pax formats 0.0, 0.1 and 1.0."""
        key = b"GNU.sparse.realsize" if b"GNU.sparse.realsize" in records else b"GNU.sparse.size"
        if key not in records:
            raise SourceError("a sparse file without its size", member=member)
        size = _decimal(records, key, member)
        if records.get(b"GNU.sparse.major") == b"1":
            entries, length = self._sparse_map(data, stored, member)
            return size, self._placed(entries, size, data + length, stored - length, member=member)
        text = records.get(b"GNU.sparse.map")
        if text is not None:
            numbers = [_digits(each, "GNU.sparse.map", member) for each in text.split(b",") if text]
            if len(numbers) % 2:
                raise SourceError("a map of a sparse file that ends early", member=member)
            sparse_map = list(zip(numbers[::2], numbers[1::2], strict=True))
        return size, self._placed(sparse_map, size, data, stored, member=member)

    def _sparse_map(self, data: int, stored: int, member: str) -> tuple[list[tuple[int, int]], int]:
        """The map before the data of a file of format 1.0, and the bytes it takes: decimal numbers, one a line."""
        text, wanted, position = b"", 1, 0
        numbers: list[int] = []
        while len(numbers) < wanted:
            line, newline, rest = text.partition(b"\n")
            if not newline:
                if position >= stored or len(text) > BLOCK:
                    raise SourceError("a map of a sparse file that ends early", member=member)
                text += os.pread(self._fd, BLOCK, data + position)
                position += BLOCK
                continue
            numbers.append(_digits(line, "GNU.sparse map", member))
            text = rest
            if len(numbers) == 1:
                wanted = 1 + 2 * numbers[0]
                if numbers[0] > _MOST_SPARSE:
                    raise SourceError("a map of a sparse file that is too long", member=member, actual=numbers[0])
        return list(zip(numbers[1::2], numbers[2::2], strict=True)), position

    def _placed(
        self, entries: list[tuple[int, int]], size: int, data: int, stored: int, *, member: str
    ) -> list[tuple[int, int, int]]:
        """Where the parts of a sparse file are in the archive, one behind the other from ``data`` on."""
        parts, position = [], data
        for start, length in entries:
            if not length:
                continue  # GNU tar marks the end of the file so
            if start + length > size:
                raise SourceError(
                    "a part of a sparse file ends behind the file", member=member, expected=f"at most {size}",
                    actual=start + length,
                )  # fmt: skip
            if position + length > min(self._size, data + stored):
                raise SourceError("its data leave the archive", member=member)
            parts.append((start, length, position))
            position += length
        parts.sort()
        if any(first[0] + first[1] > second[0] for first, second in itertools.pairwise(parts)):
            raise SourceError("the parts of a sparse file overlap", member=member)
        return parts

    # Values

    def _payload(self, data: int, size: int) -> bytes:
        if size > _MOST_EXTENDED or data + size > self._size:
            raise SourceError("an extended header that leaves the archive", member=self.label, actual=size)
        return os.pread(self._fd, size, data)

    def _global(self, payload: bytes) -> None:
        """Records for all members that follow; a path for all of them would let only the last one stay."""
        found, _ = _pax_records(payload, self.label)
        for key in (b"path", b"linkpath", b"size"):
            if found.pop(key, None):
                self._notices.add(f"a global header with a {key.decode()} is not followed", self.label)
        self._globals = {key: value for key, value in {**self._globals, **found}.items() if value}

    def _number(self, block: bytes, at: int, length: int, field: str, member: str | None = None) -> int:
        """An octal number, or one of base 256 (GNU, star); blanks are 0."""
        raw = block[at : at + length]
        if raw[0] & 0x80:
            value = int.from_bytes(raw, "big", signed=True) if raw[0] == 0xFF else int.from_bytes(raw, "big") & (
                (1 << 8 * length - 1) - 1
            )  # fmt: skip
            if value < 0 and field != "mtime":
                raise SourceError("a negative number", member=member or self.label, actual=f"{field} {value}")
            return value
        text = raw.split(b"\0", 1)[0].strip(b" ")
        if not _NUMBER.match(text):
            raise SourceError("not an octal number", member=member or self.label, actual=f"{field} {shown(text)}")
        return int(text or b"0", 8)


_NUMERIC = frozenset(
    {b"size", b"uid", b"gid", b"mtime", b"atime", b"ctime", b"GNU.sparse.size", b"GNU.sparse.realsize"}
)


def _in_force(records: Records) -> Records:
    """``records`` without the numbers that an empty value took away: what the header says counts again."""
    return {key: value for key, value in records.items() if value or key not in _NUMERIC}


def _padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK


def _is_header(block: bytes) -> bool:
    """Whether the checksum is right, of bytes with a sign or without; some old tars took them with."""
    text = block[148:156].split(b"\0", 1)[0].strip(b" ")
    if len(block) != BLOCK or not text or not _NUMBER.match(text):
        return False
    rest = block[:148] + b" " * 8 + block[156:]
    unsigned = sum(rest)
    return int(text, 8) in (unsigned, unsigned - 256 * sum(each > 127 for each in rest))


def _text(header: bytes, at: int, length: int) -> bytes:
    return header[at : at + length].split(b"\0", 1)[0]


def _name(header: bytes) -> bytes:
    """The name, behind its prefix: only POSIX has one, GNU has times there and star a shorter one before its own."""
    name = _text(header, 0, 100)
    if header[257:263] != b"ustar\0":
        return name
    prefix = _text(header, 345, 131 if header[508:512] == b"tar\0" else 155)
    return prefix + b"/" + name if prefix else name


def _pax_records(payload: bytes, label: str) -> tuple[Records, list[tuple[int, int]]]:
    """The records of an extended header; and the parts of a sparse file of format 0.0, whose keywords repeat.

    An empty value takes away what a header before said (POSIX, pax, "Extended Header File Format").
    """
    found: Records = {}
    parts: list[tuple[int, int]] = []
    start, at = 0, 0
    while at < len(payload):
        match = _PAX.match(payload, at)
        end = at + int(match[1]) if match else 0
        if match is None or end <= match.end() or end > len(payload) or payload[end - 1 : end] != b"\n":
            if not any(payload[at:]):
                break
            raise SourceError("a damaged extended header", member=label, actual=f"byte {at} of it")
        key, equals, value = payload[match.end() : end - 1].partition(b"=")
        if not equals:
            raise SourceError("a damaged extended header", member=label, actual=shown(key))
        if key == b"GNU.sparse.offset":
            start = _digits(value, "GNU.sparse.offset", label)
        elif key == b"GNU.sparse.numbytes":
            parts.append((start, _digits(value, "GNU.sparse.numbytes", label)))
        found[key] = value
        at = end
    return found, parts


def _digits(text: bytes, field: str, member: str) -> int:
    if not re.fullmatch(rb"[0-9]{1,20}", text):
        raise SourceError("not a number", member=member, actual=f"{field} {shown(text) or 'empty'}")
    return int(text)


def _decimal(records: Records, key: bytes, member: str) -> int:
    return _digits(records[key], key.decode(), member)


def pax_time(records: Mapping[bytes, bytes], key: bytes, member: str) -> int:
    """The time that a pax record states, in nanoseconds since 1970; a float would round it.

    Raises:
        SourceError: the value is not a time.
    """
    match = _DECIMAL.match(records[key])
    if match is None or len(match[2]) > 40:
        raise SourceError("not a time", member=member, actual=f"{key.decode()} {shown(records[key]) or 'empty'}")
    nanoseconds = int(match[2]) * 1_000_000_000 + int(((match[3] or b"") + b"000000000")[:9])
    return -nanoseconds if match[1] else nanoseconds
