"""Where an operation's records and index blocks wait until it is complete, so that one that fails changes nothing."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from cloudboot_base import WritableStorage

_SECTOR = 512
#: Bytes of a read up to which its sectors are looked up one by one.
_SMALL = 1 << 16


class Layer(IntEnum):
    """What is written after what.

    Index blocks refer to records, and never the other way round; records refer to descriptors.
    """

    SECURE = 0  #: all of $Secure: its descriptors, its indexes and its records
    RECORD = 1
    BLOCK = 2


class Stage:
    """A storage whose pieces of metadata are kept in memory: those of this operation, and those of the ones before.

    Reads see them. Content is written through at once, into clusters that nothing refers to yet.
    """

    def __init__(self, storage: WritableStorage) -> None:
        self._storage = storage
        self._current: dict[int, tuple[Layer, bytes]] = {}
        self._accepted: dict[int, tuple[Layer, bytes]] = {}
        self._sectors: dict[int, bytes] = {}

    def __len__(self) -> int:
        """Pieces that wait."""
        return len(self._accepted) + len(self._current)

    @property
    def size(self) -> int:
        """Size in bytes."""
        return self._storage.size

    @property
    def below(self) -> WritableStorage:
        """The storage itself."""
        return self._storage

    def read_at(self, offset: int, size: int) -> bytes:
        """Exactly ``size`` bytes from ``offset``."""
        if not self._sectors:
            return self._storage.read_at(offset, size)
        data = bytearray(size)
        self.readinto_at(offset, data)
        return bytes(data)

    def readinto_at(self, offset: int, buffer: Buffer) -> None:
        """Fill ``buffer`` from ``offset``."""
        self._storage.readinto_at(offset, buffer)
        if not self._sectors:
            return
        view = memoryview(buffer).cast("B")
        end = offset + len(view)
        found = (
            range(offset // _SECTOR, -(-end // _SECTOR))
            if len(view) <= _SMALL
            else [number for number in self._sectors if offset < (number + 1) * _SECTOR and number * _SECTOR < end]
        )
        for number in found:
            data = self._sectors.get(number)
            if data is not None:
                start = number * _SECTOR
                first, last = max(start, offset), min(start + _SECTOR, end)
                view[first - offset : last - offset] = data[first - start : last - start]

    def write_at(self, offset: int, data: Buffer) -> None:
        """Write through."""
        self._storage.write_at(offset, data)

    def put(self, layer: Layer, offset: int, data: bytes, *, accepted: bool = False) -> None:
        """Keep a piece: whole sectors, always with the same bounds.

        With ``accepted`` it stays whatever becomes of the operation under way.
        """
        level = self._accepted if accepted else self._current
        level.pop(offset, None)  # the order is that of the last change
        level[offset] = layer, data
        self._show(offset, data)

    def _show(self, offset: int, data: bytes) -> None:
        first = offset // _SECTOR
        for index in range(len(data) // _SECTOR):
            self._sectors[first + index] = data[index * _SECTOR : (index + 1) * _SECTOR]

    def accept(self) -> None:
        """The operation is complete."""
        for offset, piece in self._current.items():
            self._accepted.pop(offset, None)
            self._accepted[offset] = piece
        self._current.clear()

    def drop(self, offset: int, size: int) -> None:
        """Forget the pieces of complete operations in a place that is free by now."""
        end = offset + size
        if size // _SECTOR <= len(self._accepted):
            found = [place for place in range(offset, end, _SECTOR) if place in self._accepted]
        else:
            found = [place for place in self._accepted if offset <= place < end]
        for place in found:
            _, data = self._accepted.pop(place)
            for number in range(place // _SECTOR, (place + len(data)) // _SECTOR):
                self._sectors.pop(number, None)

    def roll_back(self) -> None:
        """Forget what the operation under way has put here."""
        if self._current:
            self._current.clear()
            self._sectors.clear()
            for offset, (_, data) in self._accepted.items():
                self._show(offset, data)

    def write(self) -> None:
        """Write the pieces of complete operations, layer by layer."""
        for layer in Layer:
            for offset, (own, data) in self._accepted.items():
                if own == layer:
                    self._storage.write_at(offset, data)
        self._accepted.clear()
        self._sectors.clear()
