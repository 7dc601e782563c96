"""Random operations on a file system and on a model of one: after each the same answers, after all the same trees.

The model knows POSIX, not UFS. After every sequence the image checks clean and reads back as the model says when it is
opened again; for a sample of the sequences the Sleuth Kit, dissect.ffs and GRUB are asked as well.
"""

from __future__ import annotations

import io
import stat
import tempfile
from pathlib import Path
from typing import Any

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

from cloudboot_layout.testing import judge, run
from cloudboot_ufs2 import UFS2, NoSpaceError, Options, WritableUFS2, check, newfs
from cloudboot_ufs2.testing import AFTER_A_CUT_IN_A_MOVE, Journal, pattern

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


class Node:
    """What the model knows of an inode."""

    def __init__(self, kind: int, now: int, mode: int, data: bytes = b"") -> None:
        self.mode, self.uid, self.gid, self.links = kind | mode, 0, 0, 2 if kind == stat.S_IFDIR else 1
        self.atime = self.mtime = self.ctime = self.birth = now
        self.data = bytearray(data)
        self.children: dict[str, Node] = {}

    @property
    def is_dir(self) -> bool:
        return stat.S_ISDIR(self.mode)

    def modified(self, now: int) -> None:
        self.mtime = self.ctime = now

    def status(self) -> tuple[int, ...]:
        size = -1 if self.is_dir else len(self.data)
        links = self.links
        return (self.mode, self.uid, self.gid, links, size, self.atime, self.mtime, self.ctime, self.birth)


def status_of(volume: UFS2, path: str) -> tuple[int, ...]:
    found = volume.stat(path, follow_symlinks=False)
    size = -1 if stat.S_ISDIR(found.st_mode) else found.st_size
    return (
        found.st_mode, found.st_uid, found.st_gid, found.st_nlink, size,
        found.st_atime_ns, found.st_mtime_ns, found.st_ctime_ns, found.st_birthtime_ns,
    )  # fmt: skip


def walk(node: Node, path: str = "") -> dict[str, Node]:
    found = {}
    for name, child in node.children.items():
        found[f"{path}/{name}"] = child
        found.update(walk(child, f"{path}/{name}"))
    return found


class Editing(RuleBasedStateMachine):
    judged = False

    @initialize(options=LAYOUTS)
    def make(self, options: Options) -> None:
        self.image = bytearray(SIZE)
        self.storage = Journal(self.image)
        newfs(self.storage, options)
        self.storage.writes.clear()
        self.before = bytearray(self.image)
        self.options = options
        self.now = START
        self.root = Node(stat.S_IFDIR, START, 0o755)
        self.volume = self.opened()

    def opened(self) -> WritableUFS2:
        return WritableUFS2.open(self.storage, clock=self.tick)

    def tick(self) -> int:
        return self.now

    def step(self) -> None:
        self.now += 1_000_000_007

    def pick(self, index: int, *, kind: int | None = None, root: bool = False) -> tuple[str, Node] | None:
        """One of the paths of the model; a directory, if ``kind`` says so, may be the root."""
        found = [("", self.root)] if root else []
        found += sorted(walk(self.root).items())
        suitable = [(path, node) for path, node in found if kind is None or stat.S_IFMT(node.mode) == kind]
        return suitable[index % len(suitable)] if suitable else None

    def folder(self, index: int) -> tuple[str, Node]:
        found = self.pick(index, kind=stat.S_IFDIR, root=True)
        assert found is not None
        return found

    def file(self, index: int) -> tuple[str, Node] | None:
        return self.pick(index, kind=stat.S_IFREG)

    @rule(where=PICK, name=NAMES, size=SIZES, seed=st.integers(0, 9))
    def write_file(self, where: int, name: str, size: int, seed: int) -> None:
        path, folder = self.folder(where)
        node, target = folder.children.get(name), f"{path}/{name}"
        self.step()
        if node is not None and node.is_dir:
            with pytest.raises(IsADirectoryError):
                self.volume.open_file(target, "wb")
            return
        if node is not None and stat.S_ISLNK(node.mode):
            return
        try:
            with self.volume.open_file(target, "wb") as file:
                if node is None:
                    node = folder.children[name] = Node(stat.S_IFREG, self.now, 0o644)
                    folder.modified(self.now)
                elif node.data:
                    node.data.clear()
                    node.modified(self.now)
                data = pattern(size, seed)
                file.write(data)
                node.data[:] = data
                if data:
                    node.modified(self.now)
        except NoSpaceError:
            self.check_unchanged()

    @rule(index=PICK, offset=SIZES, size=SIZES, append=st.booleans())
    def write_at(self, index: int, offset: int, size: int, append: bool) -> None:
        found = self.file(index)
        if found is None:
            return
        path, node = found
        self.step()
        data = pattern(size, 5)
        offset = len(node.data) if append else offset
        try:
            with self.volume.open_file(path, "ab" if append else "r+b") as file:
                if not append:
                    file.seek(offset)
                assert file.write(data) == size
                assert file.tell() == offset + size
        except NoSpaceError:
            self.check_unchanged()
            return
        if size:
            node.data.extend(bytes(max(0, offset - len(node.data))))
            node.data[offset : offset + size] = data
            node.modified(self.now)

    @rule(index=PICK, size=SIZES)
    def truncate(self, index: int, size: int) -> None:
        found = self.file(index)
        if found is None:
            return
        path, node = found
        self.step()
        try:
            self.volume.truncate(path, size)
        except NoSpaceError:
            self.check_unchanged()
            return
        del node.data[size:]
        node.data.extend(bytes(size - len(node.data)))
        node.modified(self.now)

    @rule(where=PICK, name=NAMES, mode=st.integers(0, 0o7777))
    def mkdir(self, where: int, name: str, mode: int) -> None:
        path, folder = self.folder(where)
        self.step()
        if name in folder.children:
            with pytest.raises(FileExistsError):
                self.volume.mkdir(f"{path}/{name}")
            return
        try:
            self.volume.mkdir(f"{path}/{name}", mode)
        except NoSpaceError:
            self.check_unchanged()
            return
        folder.children[name] = Node(stat.S_IFDIR, self.now, mode)
        folder.links += 1
        folder.modified(self.now)

    @rule(where=PICK, first=st.integers(0, 40), count=st.integers(1, 60))
    def fill_directory(self, where: int, first: int, count: int) -> None:
        path, folder = self.folder(where)
        self.step()
        for number in range(first, first + count):
            name = f"{number:03}" + "x" * (number * 7 % 90)
            if name in folder.children:
                continue
            try:
                with self.volume.open_file(f"{path}/{name}", "xb"):
                    pass
            except NoSpaceError:
                self.check_unchanged()
                return
            folder.children[name] = Node(stat.S_IFREG, self.now, 0o644)
            folder.modified(self.now)

    @rule(where=PICK, keep=st.integers(0, 4))
    def empty_directory(self, where: int, keep: int) -> None:
        path, folder = self.folder(where)
        self.step()
        for number, (name, child) in enumerate(list(folder.children.items())):
            if not child.is_dir and (not keep or number % keep):
                self.remove(path, folder, name)

    def remove(self, path: str, folder: Node, name: str) -> None:
        self.volume.unlink(f"{path}/{name}")
        node = folder.children.pop(name)
        node.links -= 1
        node.ctime = self.now
        folder.modified(self.now)

    @rule(index=PICK)
    def unlink_or_rmdir(self, index: int) -> None:
        found = self.pick(index)
        if found is None:
            return
        path, node = found
        self.step()
        parent, _, name = path.rpartition("/")
        folder = walk(self.root).get(parent, self.root)
        if not node.is_dir:
            with pytest.raises(NotADirectoryError):
                self.volume.rmdir(path)
            self.remove(parent, folder, name)
            return
        with pytest.raises(IsADirectoryError):
            self.volume.unlink(path)
        if node.children:
            with pytest.raises(OSError, match="not empty"):
                self.volume.rmdir(path)
            return
        self.volume.rmdir(path)
        del folder.children[name]
        folder.links -= 1
        folder.modified(self.now)

    @rule(index=PICK, where=PICK, name=NAMES)
    def link(self, index: int, where: int, name: str) -> None:
        found = self.pick(index)
        if found is None:
            return
        path, node = found
        parent, folder = self.folder(where)
        self.step()
        if node.is_dir or name in folder.children:
            with pytest.raises(OSError, match=r"directory has one name|exists"):
                self.volume.link(path, f"{parent}/{name}")
            return
        try:
            self.volume.link(path, f"{parent}/{name}")
        except NoSpaceError:
            self.check_unchanged()
            return
        folder.children[name] = node
        folder.modified(self.now)
        node.links += 1
        node.ctime = self.now

    @rule(where=PICK, name=NAMES, length=st.sampled_from([1, 50, 119, 120, 121, 1000]))
    def symlink(self, where: int, name: str, length: int) -> None:
        path, folder = self.folder(where)
        self.step()
        if name in folder.children:
            return
        target = "t" * length
        try:
            self.volume.symlink(target, f"{path}/{name}")
        except NoSpaceError:
            self.check_unchanged()
            return
        folder.children[name] = Node(stat.S_IFLNK, self.now, 0o777, target.encode())
        folder.modified(self.now)

    @rule(index=PICK, where=PICK, name=NAMES)
    def rename(self, index: int, where: int, name: str) -> None:
        found = self.pick(index)
        if found is None:
            return
        path, node = found
        parent, folder = self.folder(where)
        target = f"{parent}/{name}"
        old_parent, _, old_name = path.rpartition("/")
        old_folder = walk(self.root).get(old_parent, self.root)
        replaced = folder.children.get(name)
        self.step()
        if replaced is node:
            self.volume.rename(path, target)
            return
        error: type[Exception] | None = None
        if node.is_dir and f"{parent}/".startswith(path + "/"):
            error = ValueError
        elif replaced is not None and node.is_dir and not replaced.is_dir:
            error = NotADirectoryError
        elif replaced is not None and replaced.is_dir and not node.is_dir:
            error = IsADirectoryError
        elif replaced is not None and replaced.is_dir and replaced.children:
            error = OSError
        if error is not None:
            with pytest.raises(error):
                self.volume.rename(path, target)
            return
        try:
            self.volume.rename(path, target)
        except NoSpaceError:
            self.check_unchanged()
            return
        self.model_rename(node, old_folder, old_name, folder, name)

    def model_rename(self, node: Node, old_folder: Node, old_name: str, folder: Node, name: str) -> None:
        replaced = folder.children.get(name)
        del old_folder.children[old_name]
        folder.children[name] = node
        node.ctime = self.now
        for changed in (old_folder, folder):
            changed.modified(self.now)
        if replaced is not None:
            replaced.links -= 1
            replaced.ctime = self.now
        if node.is_dir:
            folder.links += 1 - (replaced is not None)
            old_folder.links -= 1

    @rule(index=PICK, mode=st.integers(0, 0o7777), uid=st.integers(0, 2**32 - 1), gid=st.integers(0, 2**32 - 1))
    def chmod_chown(self, index: int, mode: int, uid: int, gid: int) -> None:
        found = self.pick(index)
        if found is None:
            return
        path, node = found
        self.step()
        self.volume.chmod(path, mode, follow_symlinks=False)
        self.volume.chown(path, uid, gid, follow_symlinks=False)
        node.mode, node.uid, node.gid = stat.S_IFMT(node.mode) | mode, uid, gid
        node.ctime = self.now

    @rule(index=PICK, atime=st.integers(-(2**60), 2**60), mtime=st.integers(-(2**60), 2**60))
    def utime(self, index: int, atime: int, mtime: int) -> None:
        found = self.pick(index)
        if found is None:
            return
        path, node = found
        self.step()
        self.volume.utime(path, atime_ns=atime, mtime_ns=mtime, follow_symlinks=False)
        node.atime, node.mtime, node.ctime = atime, mtime, self.now
        node.birth = min(node.birth, mtime)

    @rule()
    def reopen(self) -> None:
        self.volume.close()
        self.volume = self.opened()

    @invariant()
    @precondition(lambda self: hasattr(self, "volume"))
    def same_names(self) -> None:
        assert set(self.volume.listdir("/")) == set(self.root.children)
        total = self.volume.superblock.fs_cstotal
        assert total.cs_ndir == 1 + sum(node.is_dir for node in walk(self.root).values())

    def check_unchanged(self) -> None:
        """An operation that failed for want of space left nothing behind."""
        assert check(self.image) == []

    def teardown(self) -> None:
        if not hasattr(self, "volume"):
            return
        assert [str(finding) for finding in check(self.image)] == []
        with UFS2.open(self.image) as volume:
            self.compare(volume)
        self.compare(self.volume)
        if self.judged:
            self.ask_judges()

    def compare(self, volume: UFS2) -> None:
        nodes = walk(self.root)
        seen = {entry.path for _, directories, files in volume.walk() for entry in [*directories, *files]}
        assert seen == set(nodes)
        assert status_of(volume, "/") == self.root.status()
        for path, node in nodes.items():
            assert status_of(volume, path) == node.status(), path
            if stat.S_ISREG(node.mode):
                assert volume.read_file(path) == node.data, path
            elif stat.S_ISLNK(node.mode):
                assert volume.readlink(path).encode() == node.data
        inodes = {path: volume.find(path, follow_symlinks=False) for path in nodes}
        for path, node in nodes.items():
            for other, twin in nodes.items():
                assert (inodes[path] == inodes[other]) == (node is twin)
            if len(nodes) > 100:
                break

    def ask_judges(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            image = Path(folder) / "image"
            image.write_bytes(self.image)
            ask_the_sleuth_kit(image, walk(self.root))
            if self.options.byteorder == "little":
                ask_dissect(self.image, walk(self.root))
                ask_grub(image, walk(self.root), Path(folder) / "host")


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
            assert set(found.listdir()) - {".", ".."} == set(node.children)


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
