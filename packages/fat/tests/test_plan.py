"""Which type, which cluster size, how large."""

from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cloudboot_base import MemoryStorage
from cloudboot_fat import BootSectorError, FormatOptions, NoSpaceError, OptionError, build, required_size
from cloudboot_fat import geometry as geometries
from cloudboot_fat.boot import boot_sector
from cloudboot_fat.geometry import Geometry
from cloudboot_fat.plan import choose
from cloudboot_fat.testing import contents

MIB = 1 << 20


def sector_of(clusters: int, *, fat_sectors: int = 1000) -> Any:
    """A boot sector with a 16-bit FAT size and exactly so many clusters."""
    total = 1 + 2 * fat_sectors + 32 + clusters
    geometry = Geometry(16, 512, 1, 1, 2, fat_sectors, 512, total)
    return boot_sector(geometry, FormatOptions(), 0)


@pytest.mark.parametrize(("clusters", "fat_type"), [(1, 12), (4084, 12), (4085, 16), (65524, 16)])
def test_the_count_of_clusters_decides_the_type(clusters: int, fat_type: Any) -> None:
    parsed = geometries.parse(sector_of(clusters))
    assert (parsed.clusters, parsed.fat_type) == (clusters, fat_type)


def test_a_16_bit_fat_size_never_makes_fat32() -> None:
    with pytest.raises(BootSectorError, match="too many clusters"):
        geometries.parse(sector_of(65525))


@pytest.mark.parametrize(
    ("size", "sector", "fat_type", "cluster"),
    [
        (64 << 10, 512, 12, 512),
        (1440 << 10, 512, 12, 512),
        (16 * MIB, 512, 16, 2048),
        (100 * MIB, 512, 16, 2048),
        (511 * MIB, 512, 16, 8192),
        (512 * MIB, 512, 32, 4096),
        (9 << 30, 512, 32, 8192),
        (2 << 40, 4096, 32, 32768),
    ],
)
def test_defaults_are_those_of_the_specification(size: int, sector: int, fat_type: Any, cluster: int) -> None:
    geometry = choose(size, FormatOptions(sector_size=sector))
    assert (geometry.fat_type, geometry.cluster_size) == (fat_type, cluster)


@settings(max_examples=300)
@given(
    size=st.integers(20 << 10, 1 << 42),
    fat_type=st.sampled_from([None, 12, 16, 32]),
    sector=st.sampled_from([512, 1024, 2048, 4096]),
    shift=st.sampled_from([None, 0, 1, 3, 6]),
    fats=st.sampled_from([1, 2]),
    reserved=st.sampled_from([1, 8, 100]),
)
def test_every_geometry_is_consistent(
    size: int, fat_type: Any, sector: int, shift: int | None, fats: int, reserved: int
) -> None:
    cluster = None if shift is None else sector << shift
    assume(cluster is None or cluster <= 32768)
    options = FormatOptions(
        fat_type=fat_type, sector_size=sector, cluster_size=cluster, fats=fats, reserved_sectors=reserved
    )
    try:
        geometry = choose(size, options)
    except (OptionError, NoSpaceError):
        return
    assert fat_type in {None, geometry.fat_type}
    assert cluster in {None, geometry.cluster_size}
    # What we write is what any reader computes from it.
    assert geometries.parse(boot_sector(geometry, options, 0)) == geometry
    assert size - sector < geometry.size <= size
    assert geometry.data_offset % geometry.cluster_size == 0 or size == 1440 << 10
    # The FAT has no sector it does not need, unless aligning the data area has moved a cluster.
    needed = -(-geometry.end_cluster * geometry.fat_type // (8 * sector))
    assert needed <= geometry.fat_sectors <= needed + 1


@pytest.mark.parametrize(
    ("size", "options", "words"),
    [
        (16 * MIB, {"fat_type": 32}, "at least 3\\d{7} bytes"),
        (1 << 30, {"fat_type": 12}, "to about"),
        (1 << 30, {"fat_type": 16, "cluster_size": 512}, "FAT16 with clusters of 512 bytes is not possible"),
        (1024, {}, "at least"),
        (1 << 50, {}, "32 bits count"),
    ],
)
def test_the_impossible_is_explained(size: int, options: dict[str, Any], words: str) -> None:
    with pytest.raises((OptionError, NoSpaceError), match=words):
        choose(size, FormatOptions(**options))


@pytest.mark.parametrize(
    "options",
    [
        {"fat_type": 8},
        {"sector_size": 256},
        {"cluster_size": 3000},
        {"cluster_size": 65536},
        {"serial": 1 << 32},
        {"fats": 3},
        {"root_entries": 0},
        {"root_entries": 100},
        {"root_entries": 65535},
        {"root_entries": 16, "sector_size": 4096},
        {"hidden_sectors": -1},
        {"reserved_sectors": 0},
        {"oem_name": b"too long a name"},
    ],
)
def test_bad_options_are_refused_by_name(options: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match=f"FormatOptions.{next(iter(options))}"):
        FormatOptions(**options)


TREES = st.dictionaries(
    st.lists(st.sampled_from(["a", "B.TXT", "a long directory name", "ç"]), min_size=1, max_size=3).map("/".join),
    st.integers(0, 5000).map(lambda size: b"x" * size),
    max_size=12,
).filter(lambda tree: not any(other.startswith(path + "/") for path in tree for other in tree))


@settings(max_examples=60, deadline=None)
@given(tree=TREES, fat_type=st.sampled_from([None, 12]), sector=st.sampled_from([512, 4096]))
def test_required_size_is_the_smallest_that_builds(tree: dict[str, Any], fat_type: Any, sector: int) -> None:
    options = FormatOptions(fat_type=fat_type, sector_size=sector)
    size = required_size(tree, options)
    fs = build(MemoryStorage(bytearray(size)), tree, options)
    found = contents(fs)
    assert {f"/{path}": data for path, data in tree.items()}.items() <= found.items()
    with pytest.raises(NoSpaceError, match=f"at least {size} bytes"):
        build(MemoryStorage(bytearray(size - sector)), tree, options)


@pytest.mark.parametrize(("fat_type", "clusters"), [(16, 4085), (32, 65525)])
def test_required_size_respects_the_type(fat_type: Any, clusters: int) -> None:
    size = required_size({}, FormatOptions(fat_type=fat_type))
    geometry = build(MemoryStorage(bytearray(size)), {}, FormatOptions(fat_type=fat_type)).geometry
    assert clusters <= geometry.clusters <= clusters + 32


def test_a_tree_too_large_for_the_usual_cluster_size_gets_another() -> None:
    """3,000 files of one byte: clusters of 1 KiB would not do in 3 MiB, smaller ones do."""
    tree = {f"dir/{number}": b"x" for number in range(3500)}
    fs = build(MemoryStorage(bytearray(3 * MIB)), tree)
    assert fs.geometry.cluster_size == 512
    assert len(fs.listdir("dir")) == 3500


def test_a_root_with_many_names_gets_a_larger_root_directory() -> None:
    tree = {f"a long name to take several entries {number}": b"" for number in range(400)}
    fs = build(MemoryStorage(bytearray(MIB)), tree)
    assert fs.geometry.root_entries >= 400 * 4
    assert len(fs.listdir()) == 400
    with pytest.raises(NoSpaceError):
        build(MemoryStorage(bytearray(MIB)), tree, FormatOptions(root_entries=512, fat_type=12))
