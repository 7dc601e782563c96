"""What a check knows of every fragment and inode, in memory only for groups in which there is something to know.

An empty volume of 8 TiB has two thousand million fragments; all but a few groups hold nothing but their metadata.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloudboot_ufs2.layout.geometry import Geometry


class FragmentMap:
    """Which fragments hold metadata or belong to an inode: an octet for each, which C searches."""

    def __init__(self, geometry: Geometry) -> None:
        self._geometry = geometry
        self._size = geometry.group_fragments
        self._maps: dict[int, bytearray] = {}

    def group(self, index: int) -> bytearray:
        """The fragments of a group, 1 where one is claimed; not to be changed."""
        found = self._maps.get(index)
        return self._metadata(index) if found is None else found

    def key(self, index: int) -> object:
        """The same for groups in which the same fragments are claimed, or ``None`` if only a look at them tells."""
        if index in self._maps:
            return None
        geometry = self._geometry
        start, length = geometry.group_start(index), geometry.group_length(index)
        summary = geometry.summary_address
        own = summary < start + length and summary + geometry.summary_fragments > start
        return length, index == 0, geometry.group_metadata(index) - start, own

    def test(self, start: int, end: int) -> bool:
        """Whether one of the fragments ``[start, end)`` is claimed; they must be in the volume."""
        return any(found.find(1, first, last) >= 0 for found, first, last in self._pieces(start, end))

    def mark(self, start: int, end: int) -> None:
        """Claim the fragments ``[start, end)``."""
        for found, first, last in self._pieces(start, end):
            found[first:last] = b"\1" * (last - first)

    def _pieces(self, start: int, end: int) -> Iterator[tuple[bytearray, int, int]]:
        """The maps that hold a range, each with the part of the range in it."""
        while start < end:
            group, first = divmod(start, self._size)
            last = min(self._size, first + end - start)
            found = self._maps.get(group)
            if found is None:
                found = self._maps[group] = self._metadata(group)
            yield found, first, last
            start += last - first

    def _metadata(self, index: int) -> bytearray:
        """A group of which only the metadata is claimed."""
        geometry = self._geometry
        start, length = geometry.group_start(index), geometry.group_length(index)
        found = bytearray(length)
        shift = geometry.group_metadata(index) - start
        # The first group boots from the space below its superblock; the others leave it free.
        _fill(found, 0 if index == 0 else shift + geometry.sblkno, shift + geometry.dblkno)
        summary = geometry.summary_address - start
        _fill(found, summary, summary + geometry.summary_fragments)
        return found


def _fill(octets: bytearray, start: int, end: int) -> None:
    start, end = max(0, start), min(end, len(octets))
    if start < end:
        octets[start:end] = b"\1" * (end - start)


class InodeNumbers:
    """A number for each inode; 0 for those whose group has none. ``code`` is the type of an array."""

    def __init__(self, geometry: Geometry, code: str) -> None:
        self._each, self._code = geometry.group_inodes, code
        self.count = geometry.inode_count
        self._groups: dict[int, array[int]] = {}

    def __getitem__(self, number: int) -> int:
        group, place = divmod(number, self._each)
        found = self._groups.get(group)
        return found[place] if found is not None and place < len(found) else 0

    def add(self, number: int) -> None:
        """Count one more for an inode."""
        group, place = divmod(number, self._each)
        found = self._groups.get(group)
        if found is None or place >= len(found):
            found = self.reserve(group, max(64, 2 * place + 1))
        found[place] += 1

    def reserve(self, group: int, count: int) -> array[int]:
        """The numbers of the first ``count`` inodes of a group or more, to be changed."""
        count = min(count, self._each)
        found = self._groups.setdefault(group, array(self._code))
        if len(found) < count:
            found.frombytes(bytes((count - len(found)) * found.itemsize))
        return found

    def group(self, group: int, count: int) -> array[int]:
        """A copy of the numbers of the first ``count`` inodes of a group."""
        found = self._groups.get(group, array(self._code))[:count]
        found.frombytes(bytes((count - len(found)) * found.itemsize))
        return found

    def groups(self) -> Iterator[tuple[int, array[int]]]:
        """Every group that has numbers: its first inode, and the numbers from there on."""
        for group in sorted(self._groups):
            yield group * self._each, self._groups[group]
