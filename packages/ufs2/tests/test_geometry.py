"""Geometry against sizes measured on FreeBSD's newfs, and against the rules its kernel and loader apply."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudboot_base.exit_codes import NO_SPACE
from cloudboot_ufs2 import NoSpaceError, OptionError, Options, plan
from cloudboot_ufs2.layout.constants import FS_UFS2_MAGIC
from cloudboot_ufs2.layout.geometry import Geometry, group_header_size, roundup
from cloudboot_ufs2.layout.superblock import make_superblock
from cloudboot_ufs2.layout.superblock_rules import remaining, structural

MIB, GIB = 1 << 20, 1 << 30


@pytest.mark.parametrize(("size", "ncg", "fpg", "ipg"), [(64 * MIB, 4, 4104, 2176), (4 * GIB, 7, 160280, 80256)])
def test_newfs_measured(size: int, ncg: int, fpg: int, ipg: int) -> None:
    geometry = plan(size, Options())
    assert (geometry.group_count, geometry.group_fragments, geometry.group_inodes) == (ncg, fpg, ipg)


def test_group_header_of_four_gibibytes() -> None:
    geometry = plan(4 * GIB, Options())
    header = group_header_size(geometry.group_inodes, geometry.group_fragments, 8, geometry.cluster_summary)
    assert header == 32760


def sizes() -> st.SearchStrategy[int]:
    return st.one_of(st.integers(2 * MIB, 64 * MIB), st.integers(64 * MIB, 64 * GIB), st.integers(GIB, 1 << 45))


def options() -> st.SearchStrategy[Options]:
    def of(shift: int, frag_shift: int, density: int | None, minfree: int, limit: int | None) -> Options:
        bsize = 4096 << shift
        fsize = max(512, bsize >> frag_shift)
        return Options(block_size=bsize, fragment_size=fsize, density=density, minfree=minfree, group_blocks=limit)

    densities = st.none() | st.integers(512, 1 << 20)
    limits = st.none() | st.integers(1000, 100_000)
    return st.builds(of, st.integers(0, 4), st.integers(0, 3), densities, st.integers(0, 99), limits)


@given(size=sizes(), options=options())
def test_every_superblock_keeps_every_rule(size: int, options: Options) -> None:
    try:
        geometry = plan(size, options)
    except (NoSpaceError, OptionError):
        return
    fs = make_superblock(geometry, options, size)
    assert [*structural(fs), *remaining(fs)] == []
    assert fs.fs_magic == FS_UFS2_MAGIC
    assert geometry.group_count >= 4 or geometry.group_fragments * 4 > geometry.size
    last = geometry.group_length(geometry.group_count - 1)
    assert last >= geometry.dblkno, "the last group holds its own metadata"
    assert not any(fs.fs_ocsp)


def one_by_one(size: int, options: Options) -> tuple[int, int]:
    """fpg and ipg as mkfs.c finds them, one block at a time: the search of :func:`plan` must stop where this does."""
    bsize, fsize = options.block_size, options.fragment
    frag, inopb = bsize // fsize, bsize // 256
    total = size // fsize
    css = min(128 * 1024 // bsize, 16)
    css = css if css > 1 else 0
    iblkno = roundup(-(-(65536 + 8192) // fsize), frag) + roundup(-(-8192 // fsize), frag) + frag
    density = options.density or 2 * fsize
    while True:
        per_inode = max(density // fsize, 1)
        minfpg = min(per_inode * inopb, total)
        ipg, fpg = inopb, 0
        for _ in range(2):
            fpg = max(roundup(iblkno + ipg * 256 // fsize, frag), minfpg)
            ipg = roundup(-(-fpg // per_inode), inopb)
        if group_header_size(ipg, fpg, frag, css) < bsize - 8:
            break
        density -= fsize
    while fpg < (options.group_blocks or 0x7FFFFFFF):
        ipg = roundup(-(-fpg // per_inode), inopb)
        if total // fpg < 4:
            break
        header = group_header_size(ipg, fpg, frag, css)
        if header == bsize - 8:
            break
        if header > bsize - 8:
            fpg -= frag
            ipg = roundup(-(-fpg // per_inode), inopb)
            break
        fpg += frag
    while True:
        least = roundup(iblkno + ipg * 256 // fsize, frag)
        if total % fpg >= least or total % fpg == 0:
            return fpg, ipg
        fpg -= frag
        ipg = roundup(-(-fpg // per_inode), inopb)


@given(size=st.integers(8 * MIB, 8 * GIB), options=options())
def test_the_search_stops_where_mkfs_does(size: int, options: Options) -> None:
    size = size // options.block_size * options.block_size
    try:
        geometry = plan(size, options)
    except (NoSpaceError, OptionError):
        return
    assert (geometry.group_fragments, geometry.group_inodes) == one_by_one(size, options)


def test_too_large_for_its_block_size() -> None:
    """So many small groups that their summary leaves the first of them, where no loader would look for it."""
    with pytest.raises(OptionError, match="too large"):
        plan(6_022_047_990_272, Options(block_size=4096, fragment_size=512, minfree=0))
    assert plan(6_022_047_990_272, Options()).group_count > 1000


@given(fragments=st.integers(0, 4000), options=options())
def test_a_small_volume_is_divided_or_refused_with_a_size_that_is_not(fragments: int, options: Options) -> None:
    """newfs itself divides by zero at some of these sizes: its search ends with groups that hold nothing."""
    size = fragments * options.fragment
    try:
        geometry, refused = plan(size, options), None
    except NoSpaceError as error:
        geometry, refused = plan(error.needed or 0, options), error
    assert refused is None or (refused.needed or 0) > size
    last = geometry.size - (geometry.group_count - 1) * geometry.group_fragments
    assert geometry.dblkno <= last <= geometry.group_fragments
    assert geometry.summary_address + geometry.summary_fragments < geometry.group_fragments


@pytest.mark.parametrize("size", [MIB, 9 * MIB])
def test_groups_that_could_hold_nothing_are_refused(size: int) -> None:
    """However large the volume: a search for a size that will do would not end."""
    with pytest.raises(OptionError) as caught:
        plan(size, Options(block_size=4096, fragment_size=512, group_blocks=1))
    assert caught.value.field == "group_blocks"
    assert plan(9 * MIB, Options(block_size=4096, fragment_size=512, group_blocks=400)).group_fragments <= 400


def test_metadata_space_is_half_of_minfree() -> None:
    geometry: Geometry = plan(64 * MIB, Options())
    assert geometry.metadata_space == 4104 * 8 // 200 // 8 * 8
    assert plan(64 * MIB, Options(metadata_space=0)).metadata_space == 0
    assert plan(64 * MIB, Options(metadata_space=100)).metadata_space == 96


@pytest.mark.parametrize("size", [0, 1, 65536, 200_000])
def test_too_small_says_how_much_is_needed(size: int) -> None:
    with pytest.raises(NoSpaceError) as caught:
        plan(size, Options())
    assert caught.value.exit_code == NO_SPACE
    assert caught.value.needed is not None
    assert caught.value.needed > size


@pytest.mark.parametrize(
    "wrong",
    [
        {"block_size": 2048}, {"block_size": 131072}, {"block_size": 33000}, {"fragment_size": 2048},
        {"fragment_size": 65536}, {"fragment_size": 5000}, {"minfree": 100}, {"minfree": -1}, {"density": 0},
        {"label": "a label"}, {"label": "x" * 32}, {"max_extent": 0}, {"freebsd": 4}, {"max_contiguous": 257},
        {"average_file_size": 0}, {"timestamp": 1 << 63}, {"optimize": "speed"}, {"byteorder": "middle"},
    ],
)  # fmt: skip
def test_options_newfs_refuses(wrong: dict[str, object]) -> None:
    with pytest.raises(OptionError) as caught:
        Options(**wrong)  # type: ignore[arg-type] # wrong on purpose
    assert caught.value.field == next(iter(wrong))


@pytest.mark.parametrize(
    ("block", "fragment"), [(4096, 4096), (8192, 4096), (16384, 4096), (32768, 4096), (65536, 8192)]
)
def test_newfs_fragments(block: int, fragment: int) -> None:
    """newfs.c starts from 4096 bytes whatever the block size, and mkfs.c corrects what that makes impossible."""
    assert Options(block_size=block).fragment == fragment


def test_a_limit_of_the_group_leaves_the_inodes_of_the_step_before() -> None:
    """When -c ends its loop, mkfs.c has grown the group once more and not counted its inodes again."""
    groups = [plan(16 * limit * 4096, Options(group_blocks=limit)) for limit in (4352, 4360, 4368)]
    assert [(group.group_fragments, group.group_inodes) for group in groups] == [
        (4352, 2176), (4360, 2176), (4368, 2304),
    ]  # fmt: skip


def test_large_sectors() -> None:
    options = Options(sector_size=4096, fragment_size=4096)
    assert make_superblock(plan(64 * MIB, options), options, 64 * MIB).fs_sbsize == 4096
    assert Options(block_size=65536, sector_size=8192).fragment == 8192
    with pytest.raises(OptionError):
        Options(sector_size=4096, fragment_size=2048, block_size=16384)


def test_little_minfree_switches_to_space() -> None:
    assert [Options(minfree=8).optimization, Options(minfree=7).optimization] == [0, 1]


@pytest.mark.parametrize(
    ("wanted", "extent"),
    [(None, 32768), (65536, 65536), (16 * 32768, 16 * 32768), (32 * 32768, 16 * 32768), (40000, 32768)],
)
def test_extents_are_reduced_as_mkfs_does(wanted: int | None, extent: int) -> None:
    options = Options(max_extent=wanted)
    assert options.extent == extent
    assert bool(options.notices) == (wanted not in (None, extent))
