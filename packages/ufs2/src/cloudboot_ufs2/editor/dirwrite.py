"""A directory that changes: its names in memory, and its 512-byte chunks packed anew when a name comes or goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudboot_ufs2.errors import DirectoryError
from cloudboot_ufs2.layout.constants import DIRBLKSIZ, DIRECT_HEADER, DT_DIR
from cloudboot_ufs2.layout.directory import header, pack_directory, record_size, records

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cloudboot_records import ByteOrder

Entry = tuple[bytes, int, int]  # name, inode, d_type


class LiveDirectory:
    """The names of one directory. What changes is given as chunks, for the caller to write."""

    def __init__(self, data: bytes, byteorder: ByteOrder, number: int) -> None:
        """Read a directory.

        Raises:
            DirectoryError: its records do not hold together, or a name is there twice.
        """
        self.number = number
        self._byteorder = byteorder
        self._header = header(byteorder)
        self._data = bytearray(data)
        #: inode and d_type by name, without ``.`` and ``..``
        self.entries: dict[bytes, tuple[int, int]] = {}
        self._chunk_of: dict[bytes, int] = {}
        self.parent = 0
        found = list(records(data, byteorder, inode=number))
        for position, record in enumerate(found):
            if position < 2:
                if record.name != (b".", b"..")[position]:
                    raise DirectoryError(f"directory inode {number} does not begin with '.' and '..'")
                self.parent = record.inode
            elif record.name in self.entries or record.name in (b".", b".."):
                raise DirectoryError(f"directory inode {number} holds a name twice", actual=record.name)
            else:
                self.entries[record.name] = record.inode, record.kind
                self._chunk_of[record.name] = record.offset // DIRBLKSIZ
        if len(found) < 2:
            raise DirectoryError(f"directory inode {number} has no '.' and '..'")
        self._room = [self._room_in(chunk) for chunk in range(len(data) // DIRBLKSIZ)]
        # By size of a record, the first chunk that may have room for it.
        self._hints: dict[int, int] = {}

    @property
    def size(self) -> int:
        """Bytes of the directory; less than before, if a removal emptied its last chunks."""
        return len(self._data)

    def size_with(self, lengths: Iterable[int]) -> int:
        """Bytes of the directory once names of these lengths have been added to it."""
        room = list(self._room)
        hints: dict[int, int] = {}
        for need in map(record_size, lengths):
            chunk = next((at for at in range(hints.get(need, 0), len(room)) if room[at] >= need), len(room))
            if chunk == len(room):
                room.append(DIRBLKSIZ)
            room[chunk] -= need
            hints[need] = chunk
        return len(room) * DIRBLKSIZ

    def chunk(self, index: int) -> bytes:
        """The bytes of a chunk."""
        return bytes(self._data[index * DIRBLKSIZ : (index + 1) * DIRBLKSIZ])

    def add(self, name: bytes, inode: int, kind: int) -> int:
        """Add a name, which must be new; the chunk it is in, which may be one behind the old end."""
        need = record_size(len(name))
        chunk = self._chunk_with_room(need)
        if chunk == len(self._room):
            self._data += bytes(DIRBLKSIZ)
            self._room.append(DIRBLKSIZ)
            kept: list[Entry] = []
        else:
            kept = list(self._records(chunk))
        self._pack(chunk, [*kept, (name, inode, kind)])
        self.entries[name] = inode, kind
        self._chunk_of[name] = chunk
        return chunk

    def remove(self, name: bytes) -> int:
        """Remove a name; the chunk it stood in, which may now lie behind the end."""
        chunk = self._chunk_of.pop(name)
        del self.entries[name]
        self._pack(chunk, [entry for entry in self._records(chunk) if entry[0] != name])
        self._has_room(chunk)
        while self._room[-1] == DIRBLKSIZ:
            self._room.pop()
            del self._data[-DIRBLKSIZ:]
        return chunk

    def replace(self, name: bytes, inode: int, kind: int) -> int:
        """Let a name lead to another inode; its chunk."""
        if name == b"..":
            self.parent, chunk = inode, 0
        else:
            self.entries[name], chunk = (inode, kind), self._chunk_of[name]
        self._pack(
            chunk, [(name, inode, kind) if entry[0] == name else entry for entry in self._records(chunk)]
        )  # fmt: skip
        return chunk

    def rename(self, name: bytes, new: bytes) -> int | None:
        """Give a name another form within its chunk; the chunk, or ``None`` if it has no room for that."""
        chunk = self._chunk_of[name]
        if self._room[chunk] + record_size(len(name)) < record_size(len(new)):
            return None
        self._pack(chunk, [(new, *entry[1:]) if entry[0] == name else entry for entry in self._records(chunk)])
        self.entries[new] = self.entries.pop(name)
        self._chunk_of[new] = self._chunk_of.pop(name)
        self._has_room(chunk)
        return chunk

    def _chunk_with_room(self, need: int) -> int:
        for chunk in range(self._hints.get(need, 0), len(self._room)):
            if self._room[chunk] >= need:
                break
        else:
            chunk = len(self._room)
        self._hints[need] = chunk
        return chunk

    def _has_room(self, chunk: int) -> None:
        """A chunk has more room than before."""
        for need, first in self._hints.items():
            self._hints[need] = min(first, chunk)

    def _records(self, chunk: int) -> Iterator[Entry]:
        """The records of a chunk that are in use, whiteouts included; they have been found sound."""
        offset, end = chunk * DIRBLKSIZ, (chunk + 1) * DIRBLKSIZ
        while offset < end:
            inode, length, kind, name_length = self._header.unpack_from(self._data, offset)
            if inode:
                start = offset + DIRECT_HEADER
                yield bytes(self._data[start : start + name_length]), inode, kind
            offset += length

    def _room_in(self, chunk: int) -> int:
        return DIRBLKSIZ - sum(record_size(len(name)) for name, _, _ in self._records(chunk))

    def _pack(self, chunk: int, entries: list[Entry]) -> None:
        data = pack_directory(entries, self._byteorder) if entries else self._header.pack(0, DIRBLKSIZ, 0, 0)
        self._data[chunk * DIRBLKSIZ : (chunk + 1) * DIRBLKSIZ] = data.ljust(DIRBLKSIZ, b"\0")
        self._room[chunk] = self._room_in(chunk)


def empty_directory(number: int, parent: int, byteorder: ByteOrder) -> bytes:
    """The bytes of a new directory."""
    return pack_directory([(b".", number, DT_DIR), (b"..", parent, DT_DIR)], byteorder)
