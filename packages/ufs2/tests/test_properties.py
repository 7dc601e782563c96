"""Any tree, at any block size: built, it reads back the same, checks clean, and GRUB and dissect.ffs agree."""

from __future__ import annotations

import contextlib
import io
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cloudboot_base import FormatError
from cloudboot_base.testing import judge, run
from cloudboot_ufs2 import UFS2, Directory, File, Options, Symlink, WritableUFS2, check
from cloudboot_ufs2.builder.members import Member
from cloudboot_ufs2.testing import Editor, image_of, pattern

NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=40).filter(
    lambda name: name not in (".", "..")
)
SIZES = st.one_of(
    st.integers(0, 20_000),
    st.sampled_from([4096 * 12, 4096 * 12 + 1, 4096 * 524, 4096 * 524 + 1, 32768 * 12, 32768 * 12 + 1, 65536]),
)
MODES = st.integers(0, 0o7777)
IDS = st.integers(0, 2**32 - 1)
TIMES = st.integers(-(2**40), 2**62)


@st.composite
def files(draw: st.DrawFn) -> File:
    data = pattern(draw(SIZES), draw(st.integers(0, 9)))
    return File(data, draw(MODES), uid=draw(IDS), gid=draw(IDS), mtime_ns=draw(TIMES))


@st.composite
def trees(draw: st.DrawFn) -> dict[str, Member]:
    """A tree, as a flat mapping: every path below a directory that stands before it."""
    tree: dict[str, Member] = {}
    folders = [""]
    targets = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=200)
    for _ in range(draw(st.integers(0, 25))):
        path = draw(st.sampled_from(folders)) + draw(NAMES)
        if len(path.encode()) > 255 * 3 or len(path.rsplit("/", 1)[-1].encode()) > 255 or path in tree:
            continue
        match draw(st.integers(0, 3)):
            case 0:
                tree[path] = Directory(draw(MODES), uid=draw(IDS), gid=draw(IDS), mtime_ns=draw(TIMES))
                folders.append(path + "/")
            case 1:
                tree[path] = Symlink(draw(targets))
            case _:
                tree[path] = draw(files())
    return tree


LAYOUTS = st.builds(
    lambda shift, frag, order, hashed: Options(
        block_size=4096 << shift,
        fragment_size=max(512, (4096 << shift) >> frag),
        byteorder="big" if order else "little",
        check_hash=hashed,
    ),
    st.integers(0, 4), st.integers(0, 3), st.booleans(), st.booleans(),
)  # fmt: skip


def assert_holds(volume: UFS2, tree: dict[str, Member]) -> None:
    seen = {entry.path for _, directories, files in volume.walk() for entry in [*directories, *files]}
    assert seen == {"/" + path for path in tree}
    for path, wanted in tree.items():
        status = volume.stat("/" + path, follow_symlinks=False)
        match wanted:
            case File():
                assert stat.S_IMODE(status.st_mode) == wanted.mode
                assert (status.st_uid, status.st_gid, status.st_mtime_ns) == (wanted.uid, wanted.gid, wanted.mtime_ns)
                assert volume.read_file("/" + path) == wanted.data
            case Symlink():
                assert volume.readlink("/" + path) == wanted.target
            case Directory():
                assert stat.S_ISDIR(status.st_mode)
                assert status.st_mtime_ns == wanted.mtime_ns


@given(tree=trees(), options=LAYOUTS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_any_tree_comes_back(tree: dict[str, Member], options: Options) -> None:
    data = image_of(tree, options, size=48 << 20)
    assert check(data) == []
    with UFS2.open(data) as volume:
        assert_holds(volume, tree)


@given(tree=trees(), options=LAYOUTS.filter(lambda options: options.byteorder == "little"))
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
def test_judges_agree_on_any_tree(tree: dict[str, Member], options: Options, tmp_path_factory: Any) -> None:
    grub = judge("grub-fstest", "grub-common")
    ffs = pytest.importorskip("dissect.ffs.ffs")
    folder: Path = tmp_path_factory.mktemp("judges")
    data = image_of(tree, options, size=48 << 20)
    (folder / "image").write_bytes(data)
    volume = ffs.FFS(io.BytesIO(data))
    for path, wanted in tree.items():
        if isinstance(wanted, File):
            assert isinstance(wanted.data, bytes)
            assert volume.get(path).open().read() == wanted.data
            if all(character.isalnum() or character == "/" for character in path):
                # grub-fstest gives backslashes, brackets, commas and quotes a meaning of their own.
                (folder / "host").write_bytes(wanted.data)
                run(grub, folder / "image", "cmp", f"(loop0)/{path}", folder / "host")


@given(
    flips=st.lists(st.tuples(st.integers(0, (4 << 20) - 1), st.integers(1, 255)), min_size=1, max_size=30),
    focus=st.booleans(),
)
@settings(max_examples=80, deadline=None)
def test_any_damage_is_a_typed_error_or_a_finding(flips: list[tuple[int, int]], focus: bool) -> None:
    clean = image_of(
        {"a/b": b"x" * 9000, "link": Symlink("a"), "c": pattern(200_000)},
        Options(block_size=4096, fragment_size=512),
        size=4 << 20,
    )
    data = bytearray(clean)
    for offset, mask in flips:
        # The first groups' metadata stand in the first quarter of a mebibyte.
        data[65536 + offset % 200_000 if focus else offset] ^= mask
    check(bytes(data))
    try:
        with UFS2.open(bytes(data), verify=False) as volume:
            for _, _, others in volume.walk():
                for entry in others:
                    if entry.is_file():
                        volume.read_file(entry.path)
    except FormatError:
        return


@given(
    spots=st.lists(
        st.tuples(st.integers(0, 2**20), st.integers(0, 2**20), st.integers(0, 2**64 - 1)), min_size=1, max_size=4
    ),
    order=st.permutations(range(14)),
)
@settings(max_examples=60, deadline=None)
def test_writing_into_a_damaged_file_system_is_done_or_a_typed_error(
    spots: list[tuple[int, int, int]], order: list[int]
) -> None:
    image = image_of(
        {"a/b": b"x" * 9000, "link": Symlink("l" * 200), "c": pattern(2_500_000), "d/e/f": b"", "d/g": b"g"},
        Options(block_size=4096, fragment_size=512, check_hash=False, minfree=0), size=6 << 20,
    )  # fmt: skip
    data = bytearray(image)
    places = metadata_of(image)
    for place, within, value in spots:
        offset, length = places[place % len(places)]
        at = offset + within % (length - 7) // 8 * 8
        data[at : at + 8] = value.to_bytes(8, "little")
    try:
        volume = WritableUFS2.open(data, verify=False)
    except FormatError:
        return
    operations: list[Callable[[], object]] = [
        lambda: volume.unlink("/c"),
        lambda: volume.unlink("/link"),
        lambda: volume.unlink("/a/b"),
        lambda: volume.write_file("/c", pattern(100_000)),
        lambda: volume.truncate("/c", 2_300_000),
        lambda: volume.truncate("/c", 5_000_000),
        lambda: volume.open_file("/a/b", "ab").write(pattern(5000)),
        lambda: volume.mkdir("/d/new"),
        lambda: volume.rmdir("/d/e"),
        lambda: volume.rename("/d", "/a/d"),
        lambda: volume.rename("/a", "/d/e/a"),
        lambda: volume.symlink("x" * 150, "/d/link"),
        lambda: volume.link("/c", "/a/c"),
        lambda: volume.setxattr("/c", "user.a", pattern(600)),
    ]
    for number in order:
        with contextlib.suppress(FormatError):
            operations[number]()


def metadata_of(image: bytes) -> list[tuple[int, int]]:
    """Where the superblock, the groups, some inodes, directories and indirect blocks of an image stand."""
    editor = Editor(image)
    found = [(65536, 1376)]
    found += [(editor.group_offset(group), editor.geometry.cgsize) for group in range(editor.geometry.group_count)]
    with editor.volume() as volume:
        for path in ("/", "/a", "/c", "/d", "/d/e", "/link"):
            number = volume.find(path, follow_symlinks=False)
            found.append((editor.geometry.inode_offset(number), 256))
            if path != "/c":
                found += volume.extents(path, follow_symlinks=False)
            found += volume.pointer_blocks(path, follow_symlinks=False)
    return found
