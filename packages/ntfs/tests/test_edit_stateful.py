"""Random operations on a volume and on a model of one: after each the same answers, after all the same trees.

The model is that of every file system of this project. After every sequence the volume checks clean and reads back as
the model says when it is opened again; for a sample ntfs-3g, the Sleuth Kit, dissect.ntfs, libfsntfs and phantom-trace
are asked as well.
"""

from __future__ import annotations

import io
import random
import stat
import sys
import tempfile
from pathlib import Path

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

import cloudboot_ntfs as ntfs
from cloudboot_base.testing import Journal, judge, run
from cloudboot_ntfs.layout.constants import Type
from cloudboot_ntfs.testing import mounted, ntfsfix
from cloudboot_vfs.testing import Model as TreeModel
from cloudboot_vfs.testing import Node, require_equal, walk

START = 1_600_000_000_000_000_000
NAMES = st.one_of(
    st.sampled_from("abcd"), st.sampled_from(["n" * 255, "m" * 200, "caf\u00e9", "Long name.text", "CON", "\U0001f600"])
)
PICK = st.integers(0, 2**16)
SIZES = st.one_of(
    st.integers(0, 1500),
    st.builds(
        lambda cluster, count, more: max(0, cluster * count + more),
        st.sampled_from([512, 4096]), st.sampled_from([1, 2, 7, 15, 16, 17, 40]), st.integers(-1, 1),
    ),
    st.sampled_from([600, 700, 1 << 20]),
)  # fmt: skip


class Model(TreeModel[Node]):
    """A volume and its model, with what NTFS records: times in 100 ns, and one name for each directory."""

    def assert_same(self, volume: ntfs.NTFS) -> None:
        """Compare every byte and every field."""
        nodes = walk(self.root)
        seen = {entry.path for _, below, others in volume.walk() for entry in [*below, *others]}
        require_equal("/", seen, set(nodes))
        numbers: dict[int, int] = {}
        for path, node in nodes.items():
            found = volume.stat(path, follow_symlinks=False)
            require_equal(path, stat.S_IFMT(found.st_mode), stat.S_IFMT(node.mode))
            require_equal(path, found.st_nlink, 1 if node.is_dir else node.links)
            times = found.st_atime_ns, found.st_mtime_ns, found.st_ctime_ns, found.st_birthtime_ns
            expected = node.atime, node.mtime, node.ctime, node.birth
            require_equal(path, [each // 100 for each in times], [each // 100 for each in expected])
            require_equal(path, found.st_ino, numbers.setdefault(id(node), found.st_ino))
            if stat.S_ISREG(node.mode):
                require_equal(path, volume.read_file(path), bytes(node.data))
            elif stat.S_ISLNK(node.mode):
                require_equal(path, volume.readlink(path).encode(), bytes(node.data))
        require_equal("/", len(set(numbers.values())), len(numbers))


class Editing(RuleBasedStateMachine):
    judged = False
    size = 12 << 20

    @initialize(cluster=st.sampled_from([512, 4096]), short=st.booleans(), sensitive=st.booleans())
    def make(self, cluster: int, short: bool, sensitive: bool) -> None:
        self.image = bytearray(self.size)
        self.journal = Journal(self.image)
        ntfs.format(self.journal, ntfs.Options(cluster_size=cluster, fresh=True))
        self.model = Model(
            lambda clock: ntfs.WritableNTFS(self.journal, clock=clock, short_names=short, case_sensitive=sensitive),
            START,
        )
        self.model.full = self.check_unchanged
        self.begin()

    def begin(self) -> None:
        self.journal.writes.clear()
        self.before = bytearray(self.image)

    def check_unchanged(self) -> None:
        """An operation that failed for want of space left nothing behind."""
        assert ntfs.check(bytes(self.image)) == []

    @rule(where=PICK, name=NAMES, size=SIZES, seed=st.integers(0, 9))
    def write_file(self, where: int, name: str, size: int, seed: int) -> None:
        self.model.write_file(where, name, size, seed)

    @rule(index=PICK, offset=SIZES, size=SIZES, append=st.booleans())
    def write_at(self, index: int, offset: int, size: int, append: bool) -> None:
        self.model.write_at(index, offset, size, append=append)

    @rule(index=PICK, size=SIZES)
    def truncate(self, index: int, size: int) -> None:
        self.model.truncate(index, size)

    @rule(where=PICK, name=NAMES)
    def mkdir(self, where: int, name: str) -> None:
        self.model.mkdir(where, name, 0o755)

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

    @rule(where=PICK, name=NAMES, length=st.sampled_from([1, 20, 60]))
    def symlink(self, where: int, name: str, length: int) -> None:
        self.model.symlink(where, name, length)

    @rule(index=PICK, where=PICK, name=NAMES)
    def rename(self, index: int, where: int, name: str) -> None:
        self.model.rename(index, where, name)

    @rule()
    def reopen(self) -> None:
        self.model.reopen()

    @invariant()
    @precondition(lambda self: hasattr(self, "model"))
    def same_names(self) -> None:
        assert set(self.model.volume.listdir("/")) == set(self.model.root.children)

    def teardown(self) -> None:
        if not hasattr(self, "model"):
            return
        assert [str(finding) for finding in ntfs.check(bytes(self.image))] == []
        with ntfs.NTFS(bytes(self.image), case_sensitive=True) as volume:
            self.model.assert_same(volume)
        if self.judged:
            with tempfile.TemporaryDirectory() as folder:
                ask_judges(self.image, walk(self.model.root), Path(folder))


class Judged(Editing):
    judged = True


class Cut(Editing):
    """After some steps the storage as a cut within them would have left it."""

    size = 6 << 20

    @rule(share=st.floats(0, 1))
    def cut(self, share: float) -> None:
        """Replay a part of what was written since the last cut, and repair it."""
        kept = int(share * len(self.journal.writes))
        for offset, data in self.journal.writes[:kept]:
            self.before[offset : offset + len(data)] = data
        mended = bytearray(self.before)
        ntfs.repair(mended)
        assert ntfs.check(bytes(mended)) == []
        self.begin()


def ask_judges(data: bytearray, nodes: dict[str, Node], folder: Path) -> None:
    image = folder / "image"
    image.write_bytes(data)
    assert "processed successfully" in ntfsfix(image)
    said = run(sys.executable, "-m", "phantom_trace", image)
    assert "No cross-layer inconsistencies found" in said
    files = {path: bytes(node.data) for path, node in nodes.items() if stat.S_ISREG(node.mode)}
    with mounted(image, "ro") as inside:
        found = {f"/{path.relative_to(inside)}" for path in inside.rglob("*")}
        assert found == set(nodes)
        for path, content in files.items():
            assert (inside / path[1:]).read_bytes() == content
        for path, node in nodes.items():
            if stat.S_ISLNK(node.mode):
                assert (inside / path[1:]).is_symlink()  # ntfs-3g gives no target that is not there
    listed = run(judge("fls", "sleuthkit"), "-u", "-r", "-p", image).splitlines()
    theirs = {line.split("\t")[1] for line in listed}
    assert {f"/{name}" for name in theirs if not name.startswith("$")} == set(nodes)
    dissect = pytest.importorskip("dissect.ntfs")
    volume, own = dissect.NTFS(io.BytesIO(data)), ntfs.NTFS(bytes(data))
    libfsntfs = pytest.importorskip("pyfsntfs")
    other = libfsntfs.volume()
    with image.open("rb") as file:
        other.open_file_object(file)
        for path, content in list(files.items())[:20]:
            if dissect_sees(own, path):
                assert volume.mft.get(path[1:]).open().read() == content
            entry = other.get_file_entry_by_path(path.replace("/", "\\"))
            assert entry.read(len(content) + 1) == content
        other.close()


def dissect_sees(volume: ntfs.NTFS, path: str) -> bool:
    """Whether dissect.ntfs finds the content of a file.

    It reads 72 bytes for the head of every attribute, the longest that there is, and takes an attribute that ends with
    its record before them, as an empty one may, for the end of all attributes.
    """
    attributes = volume.mft.file(volume.find(path)).attributes
    last = max(each.offset for each in attributes if each.type == Type.DATA and not each.name)
    return last + 72 <= volume.geometry.record_size


def test_any_sequence_of_operations() -> None:
    run_state_machine_as_test(
        Editing,
        settings=settings(
            max_examples=40, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )


def test_judges_agree_after_any_sequence_of_operations() -> None:
    run_state_machine_as_test(
        Judged,
        settings=settings(
            max_examples=10, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )


def test_a_cut_anywhere_in_any_sequence_is_repaired() -> None:
    run_state_machine_as_test(
        Cut,
        settings=settings(
            max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )


def test_a_volume_that_runs_full() -> None:
    image = bytearray(3 << 20)
    journal = Journal(image)
    ntfs.format(journal, ntfs.Options(cluster_size=512, fresh=True))
    model = Model(lambda clock: ntfs.WritableNTFS(journal, clock=clock), START)
    refused = []
    model.full = lambda: refused.append(ntfs.check(bytes(image)))
    chance = random.Random(5)
    for _ in range(40):
        model.write_file(chance.randrange(1 << 16), chance.choice("abcd"), chance.randrange(400_000), 1)
        model.fill_directory(chance.randrange(1 << 16), chance.randrange(1000), 10)
        model.mkdir(chance.randrange(1 << 16), chance.choice("efgh"), 0o755)
        model.write_at(chance.randrange(1 << 16), chance.randrange(50_000), 5000, append=False)
    assert len(refused) > 5
    assert not any(refused)
    model.assert_same(model.volume)  # type: ignore[arg-type]  # what the opener gave
