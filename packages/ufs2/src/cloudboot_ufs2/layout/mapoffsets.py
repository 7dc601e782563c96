"""Where the maps of a cylinder group are in its block."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudboot_base.lightdata import NamedTuple

from .geometry import PER_CYLINDER, howmany, roundup
from .records import Cg

if TYPE_CHECKING:
    from .geometry import Geometry


class MapOffsets(NamedTuple):
    """Where the maps of a group are in its block, in bytes; those of clusters are 0 where there are none."""

    iusedoff: int
    freeoff: int
    clustersumoff: int
    clusteroff: int
    nextfreeoff: int


def map_offsets(geometry: Geometry) -> MapOffsets:
    """The offsets mkfs.c (initcg) gives the maps; the same in every group."""
    iusedoff = Cg.SIZE + PER_CYLINDER * geometry.cylinders
    freeoff = iusedoff + howmany(geometry.group_inodes, 8)
    nextfreeoff = freeoff + howmany(geometry.group_fragments, 8)
    if geometry.cluster_summary <= 0:
        return MapOffsets(iusedoff, freeoff, 0, 0, nextfreeoff)
    # The summary is indexed from 1, so its unused element 0 overlaps the end of the fragment map.
    clustersumoff = roundup(nextfreeoff, 4) - 4
    clusteroff = clustersumoff + 4 * (geometry.cluster_summary + 1)
    blocks = geometry.group_fragments // geometry.fragments_per_block
    return MapOffsets(iusedoff, freeoff, clustersumoff, clusteroff, clusteroff + howmany(blocks, 8))
