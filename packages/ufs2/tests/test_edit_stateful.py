"""Random operations on a file system and on a model of one: after each the same answers, after all the same trees.

The model knows POSIX, not UFS. After every sequence the image checks clean and reads back as the model says when it is
opened again; for a sample of the sequences the Sleuth Kit, dissect.ffs and GRUB are asked as well.
"""

from __future__ import annotations

import io
import random
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from cloudboot_base.testing import judge, run
from cloudboot_ufs2 import UFS2, Options, WritableUFS2, check
from cloudboot_ufs2 import format as format_volume
from cloudboot_ufs2.testing import AFTER_A_CUT_IN_A_MOVE, Journal, image_of, small_tree
from cloudboot_ufs2.testing.model import Model, Node, random_operations
from cloudboot_vfs.testing import walk

if TYPE_CHECKING:
    from cloudboot_records import ByteOrder

SIZE = 20 << 20
START = 1_600_000_000_000_000_000
NAMES = st.one_of(st.sampled_from("abcd"), st.sampled_from(["n" * 255, "m" * 200, "caf\u00e9"]))
PICK = st.integers(0, 2**16)
#: byte counts around every boundary of small block sizes, up to the double indirect blocks of the smallest
SIZES = st.one_of(
    st.integers(0, 5000),
    st.builds(
        lambda block, count, more: max(0, block * count + more),
        st.sampled_from([512, 4096, 8192, 65536]), st.sampled_from([1, 2, 7, 11, 12, 13, 20]), st.integers(-1, 1),
    ),
    st.sampled_from([4096 * 523, 4096 * 524, 4096 * 524 + 1, 4096 * 525 + 1]),
)  # fmt: skip
LAYOUTS = st.builds(
    lambda shift, frag, order, hashed: Options(
        block_size=4096 << shift,
        fragment_size=max(512, (4096 << shift) >> frag),
        byteorder="big" if order else "little",
        check_hash=hashed,
        timestamp=START // 10**9,
        snap_directory=False,
        density=8192,
    ),
    st.integers(0, 4), st.integers(0, 3), st.booleans(), st.sampled_from([True, True, False]),
)  # fmt: skip


class Editing(RuleBasedStateMachine):
    judged = False

    @initialize(options=LAYOUTS)
    def make(self, options: Options) -> None:
        self.image = bytearray(SIZE)
        self.storage = Journal(self.image)
        format_volume(self.storage, options)
        self.storage.writes.clear()
        self.before = bytearray(self.image)
        self.options = options
        self.model = Model(lambda clock: WritableUFS2.open(self.storage, clock=clock), START)
        self.model.full = self.check_unchanged

    @rule(where=PICK, name=NAMES, size=SIZES, seed=st.integers(0, 9))
    def write_file(self, where: int, name: str, size: int, seed: int) -> None:
        self.model.write_file(where, name, size, seed)

    @rule(index=PICK, offset=SIZES, size=SIZES, append=st.booleans())
    def write_at(self, index: int, offset: int, size: int, append: bool) -> None:
        self.model.write_at(index, offset, size, append=append)

    @rule(index=PICK, size=SIZES)
    def truncate(self, index: int, size: int) -> None:
        self.model.truncate(index, size)

    @rule(where=PICK, name=NAMES, mode=st.integers(0, 0o7777))
    def mkdir(self, where: int, name: str, mode: int) -> None:
        self.model.mkdir(where, name, mode)

    @rule(where=PICK, first=st.integers(0, 40), count=st.integers(1, 60))
    def fill_directory(self, where: int, first: int, count: int) -> None:
        self.model.fill_directory(where, first, count)

    @rule(where=PICK, keep=st.integers(0, 4))
    def empty_directory(self, where: int, keep: int) -> None:
        self.model.empty_directory(where, keep)

    @rule(index=PICK)
    def unlink_or_rmdir(self, index: int) -> None:
        self.model.unlink_or_rmdir(index)

    @rule(index=PICK, where=PICK, name=NAMES)
    def link(self, index: int, where: int, name: str) -> None:
        self.model.link(index, where, name)

    @rule(where=PICK, name=NAMES, length=st.sampled_from([1, 50, 119, 120, 121, 1000]))
    def symlink(self, where: int, name: str, length: int) -> None:
        self.model.symlink(where, name, length)

    @rule(index=PICK, where=PICK, name=NAMES)
    def rename(self, index: int, where: int, name: str) -> None:
        self.model.rename(index, where, name)

    @rule(index=PICK, mode=st.integers(0, 0o7777), uid=st.integers(0, 2**32 - 1), gid=st.integers(0, 2**32 - 1))
    def chmod_chown(self, index: int, mode: int, uid: int, gid: int) -> None:
        self.model.chmod_chown(index, mode, uid, gid)

    @rule(index=PICK, atime=st.integers(-(2**60), 2**60), mtime=st.integers(-(2**60), 2**60))
    def utime(self, index: int, atime: int, mtime: int) -> None:
        self.model.utime(index, atime, mtime)

    @rule(index=PICK, number=st.integers(0, 5), size=st.one_of(st.integers(-3, 900), st.sampled_from([4000, 8200])))
    def setxattr(self, index: int, number: int, size: int) -> None:
        self.model.setxattr(index, number, size)

    @rule()
    def reopen(self) -> None:
        self.model.reopen()

    @invariant()
    @precondition(lambda self: hasattr(self, "model"))
    def same_names(self) -> None:
        volume = self.model.volume
        assert set(volume.listdir("/")) == set(self.model.root.children)
        total = volume.superblock.fs_cstotal
        assert total.cs_ndir == 1 + sum(node.is_dir for node in walk(self.model.root).values())

    def check_unchanged(self) -> None:
        """An operation that failed for want of space left nothing behind."""
        assert check(self.image) == []

    def teardown(self) -> None:
        if not hasattr(self, "model"):
            return
        assert [str(finding) for finding in check(self.image)] == []
        with UFS2.open(self.image) as volume:
            self.model.assert_same(volume)
        self.model.assert_same(self.model.volume)
        if self.judged:
            with tempfile.TemporaryDirectory() as folder:
                ask_judges(self.image, self.options, walk(self.model.root), Path(folder))


def ask_judges(data: bytearray, options: Options, nodes: dict[str, Node], folder: Path) -> None:
    image = folder / "image"
    image.write_bytes(data)
    ask_the_sleuth_kit(image, nodes)
    if options.byteorder == "little":
        ask_dissect(data, nodes)
        ask_grub(image, nodes, folder / "host")


def ask_the_sleuth_kit(image: Path, nodes: dict[str, Node]) -> None:
    pytsk3 = pytest.importorskip("pytsk3")
    volume = pytsk3.FS_Info(pytsk3.Img_Info(str(image)))
    for path, node in nodes.items():
        if stat.S_ISLNK(node.mode):
            continue
        file = volume.open(path)
        meta = file.info.meta
        assert int(meta.mode) == stat.S_IMODE(node.mode), path
        assert (meta.uid, meta.gid, meta.nlink) == (node.uid, node.gid, node.links), path
        assert (meta.mtime_nano, meta.ctime_nano) == (node.mtime % 10**9, node.ctime % 10**9), path
        if not node.is_dir:
            assert (file.read_random(0, meta.size) if meta.size else b"") == node.data, path


def ask_dissect(image: bytearray, nodes: dict[str, Node]) -> None:
    ffs = pytest.importorskip("dissect.ffs.ffs")
    volume: Any = ffs.FFS(io.BytesIO(image))
    for path, node in nodes.items():
        found = volume.get(path)
        assert (found.mode, found.inode.di_uid, found.inode.di_gid, found.inode.di_nlink) == (
            node.mode, node.uid, node.gid, node.links,
        ), path  # fmt: skip
        assert (found.mtime_ns, found.atime_ns, found.ctime_ns) == (node.mtime, node.atime, node.ctime), path
        if stat.S_ISLNK(node.mode):
            assert found.link.encode() == node.data
        elif not node.is_dir:
            assert found.open().read() == node.data, path
        else:
            # A chunk that was emptied is one record of inode 0, which dissect takes for a name.
            assert set(found.listdir()) - {".", "..", ""} == set(node.children)


def ask_grub(image: Path, nodes: dict[str, Node], host: Path) -> None:
    grub = judge("grub-fstest", "grub-common")
    regular = [(path, node) for path, node in nodes.items() if stat.S_ISREG(node.mode) and path.isascii()]
    for path, node in sorted(regular, key=lambda item: -len(item[1].data))[:6]:
        host.write_bytes(node.data)
        run(grub, image, "cmp", f"(loop0){path}", host)


class Judged(Editing):
    judged = True


class Cut(Editing):
    """After each step the storage as a cut within it would have left it; within several, if a rule does several."""

    @rule(share=st.floats(0, 1))
    def cut(self, share: float) -> None:
        """Replay a part of what was written since the last cut."""
        writes = self.storage.writes
        kept = int(share * len(writes))
        for offset, data in writes[:kept]:
            self.before[offset : offset + len(data)] = data
        found = check(self.before)
        kinds = {finding.kind for finding in found}
        assert kinds <= AFTER_A_CUT_IN_A_MOVE, [str(finding) for finding in found]
        with UFS2.open(self.before) as volume:
            assert not found or not volume.superblock.fs_clean
            # A directory under two names is a loop to walk.
            for _, _, entries in [] if "directory-linked-twice" in kinds else volume.walk():
                for entry in entries:
                    if entry.is_file():
                        volume.read_file(entry.path)
        for offset, data in writes[kept:]:
            self.before[offset : offset + len(data)] = data
        assert self.before == self.image
        writes.clear()


def test_any_sequence_of_operations() -> None:
    run_state_machine_as_test(
        Editing,
        settings=settings(
            max_examples=120, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )


def test_judges_agree_after_any_sequence_of_operations() -> None:
    run_state_machine_as_test(
        Judged,
        settings=settings(
            max_examples=30, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )


def test_a_cut_anywhere_in_any_sequence_leaves_nothing_worse_than_leaks() -> None:
    run_state_machine_as_test(
        Cut,
        settings=settings(
            max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )


@pytest.mark.parametrize("byteorder", ["little", "big"])
@pytest.mark.parametrize("block_size", [4096, 65536])
def test_judges_agree_after_a_long_sequence(block_size: int, byteorder: ByteOrder, tmp_path: Path) -> None:
    """Linux judges such sequences at block sizes up to 32768 (``packages/probes/tests/test_live.py``)."""
    options = Options(block_size=block_size, byteorder=byteorder, density=4096, timestamp=START // 10**9)
    image = bytearray(image_of(small_tree(), options, size=40 << 20))
    model = Model(lambda clock: WritableUFS2.open(image, clock=clock), START, small_tree())
    random_operations(model, random.Random(block_size), 500)
    assert check(image) == []
    with UFS2.open(image) as volume:
        model.assert_same(volume)
    ask_judges(image, options, walk(model.root), tmp_path)
