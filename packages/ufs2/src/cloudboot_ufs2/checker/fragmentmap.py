"""What a check knows of every fragment and inode, in memory only for groups in which there is something to know.

An empty volume of 8 TiB has two thousand million fragments; all but a few groups hold nothing but their metadata.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from cloudboot_ufs2.layout.geometry import Geometry
    from cloudboot_ufs2.layout.group import Bools

    Ints = npt.NDArray[np.int64]


class FragmentMap:
    """Which fragments hold metadata or belong to an inode."""

    def __init__(self, geometry: Geometry) -> None:
        self._geometry = geometry
        self._maps: dict[int, Bools] = {}

    def group(self, index: int) -> Bools:
        """The fragments of a group; not to be changed."""
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

    def test(self, addresses: Ints) -> Bools:
        """Whether each of these fragments is claimed."""
        found = np.zeros(len(addresses), dtype=np.bool_)
        for group, chosen, within in self._by_group(addresses):
            found[chosen] = self.group(group)[within]
        return found

    def mark(self, addresses: Ints) -> None:
        """Claim these fragments."""
        for group, _, within in self._by_group(addresses):
            if group not in self._maps:
                self._maps[group] = self._metadata(group)
            self._maps[group][within] = True

    def _by_group(self, addresses: Ints) -> Iterator[tuple[int, Ints | slice, Ints]]:
        if not len(addresses):
            return
        size = self._geometry.group_fragments
        first, last = int(addresses.min()) // size, int(addresses.max()) // size
        if first == last:
            yield first, slice(None), addresses - first * size
            return
        groups = addresses // size
        for group in np.unique(groups).tolist():
            chosen = np.flatnonzero(groups == group)
            yield group, chosen, addresses[chosen] - group * size

    def _metadata(self, index: int) -> Bools:
        """A group of which only the metadata is claimed."""
        geometry = self._geometry
        start, length = geometry.group_start(index), geometry.group_length(index)
        found = np.zeros(length, dtype=np.bool_)
        shift = geometry.group_metadata(index) - start
        # The first group boots from the space below its superblock; the others leave it free.
        found[0 if index == 0 else shift + geometry.sblkno : max(0, shift + geometry.dblkno)] = True
        summary = geometry.summary_address - start
        found[max(0, summary) : max(0, summary + geometry.summary_fragments)] = True
        return found


class InodeNumbers:
    """A number for each inode; 0 for those whose group has none."""

    def __init__(self, geometry: Geometry, dtype: npt.DTypeLike) -> None:
        self._each, self._dtype = geometry.group_inodes, dtype
        self.count = geometry.inode_count
        self._groups: dict[int, npt.NDArray[np.integer[npt.NBitBase]]] = {}

    def __getitem__(self, number: int) -> int:
        group, place = divmod(number, self._each)
        found = self._groups.get(group)
        return int(found[place]) if found is not None and place < len(found) else 0

    def add(self, number: int) -> None:
        """Count one more for an inode."""
        group, place = divmod(number, self._each)
        found = self._groups.get(group)
        if found is None or place >= len(found):
            found = self.reserve(group, max(64, 2 * place + 1))
        found[place] += 1

    def reserve(self, group: int, count: int) -> npt.NDArray[np.integer[npt.NBitBase]]:
        """The numbers of the first ``count`` inodes of a group or more, to be changed."""
        found = self._groups.get(group)
        if found is None or len(found) < count:
            larger = np.zeros(min(count, self._each), dtype=self._dtype)
            if found is not None:
                larger[: len(found)] = found
            found = self._groups[group] = larger
        return found

    def group(self, group: int, count: int) -> npt.NDArray[np.integer[npt.NBitBase]]:
        """The numbers of the first ``count`` inodes of a group, as a copy where there are fewer."""
        found = self._groups.get(group)
        if found is not None and len(found) >= count:
            return found[:count]
        padded = np.zeros(count, dtype=self._dtype)
        if found is not None:
            padded[: len(found)] = found
        return padded

    def groups(self) -> Iterator[tuple[int, npt.NDArray[np.integer[npt.NBitBase]]]]:
        """Every group that has numbers: its first inode, and the numbers from there on."""
        for group in sorted(self._groups):
            yield group * self._each, self._groups[group]
