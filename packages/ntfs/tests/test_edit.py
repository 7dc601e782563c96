"""Volumes changed in place: against a model, and against programs of other projects."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cloudboot_ntfs as ntfs
from cloudboot_base import MemoryStorage
from cloudboot_ntfs import errors
from cloudboot_ntfs.testing import contents, mounted, ntfs3g_volume, ntfsfix, pattern, sample_tree

MOMENT = 1_700_000_000_000_000_000


def editor(source: Path | MemoryStorage) -> ntfs.WritableNTFS:
    return ntfs.WritableNTFS(source, timestamp_ns=MOMENT)


@pytest.fixture(params=[512, 4096, 65536])
def image(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    ntfs.build(tmp_path / "image", sample_tree(), ntfs.Options(cluster_size=request.param), size=160 << 20)
    return tmp_path / "image"


def test_every_operation_leaves_a_clean_volume(image: Path) -> None:
    with editor(image) as volume:

        def clean() -> None:
            assert ntfs.check(image) == []

        volume.mkdir("/new")
        volume.write_file("/new/a", b"hello")
        clean()
        volume.write_file("/new/large", pattern(3_000_000))
        volume.write_file("/new/a", pattern(50_000))
        assert volume.read_file("/new/a") == pattern(50_000)
        clean()
        assert volume.append("/new/a", b"xyz" * 1000) == 53_000
        assert volume.write_at("/new/a", 100_000, b"end") == 100_003
        assert volume.read_file("/new/a") == (pattern(50_000) + b"xyz" * 1000).ljust(100_000, b"\0") + b"end"
        clean()
        volume.truncate("/new/a", 1000)
        volume.truncate("/new/large", 2_000_001)
        volume.truncate("/new/large", 2_500_000)
        assert volume.read_file("/new/large") == pattern(3_000_000)[:2_000_001].ljust(2_500_000, b"\0")
        clean()
        volume.rename("/new/a", "/new/A")
        assert volume.listdir("/new") == ["A", "large"]
        volume.rename("/new", "/deep/newer")
        volume.rename("/a.txt", "/deep/newer/A")
        assert volume.read_file("/deep/newer/a") == b"hello"
        clean()
        volume.link("/deep/newer/a", "/hard")
        volume.symlink("hard", "/symbolic")
        volume.make_reparse_point("/mount", ntfs.junction_data("C:\\Windows"), is_directory=True)
        assert volume.read_file("/symbolic") == b"hello"
        assert volume.listdir("/mount") == ["System32"]
        clean()
        volume.unlink("/symbolic")
        volume.unlink("/mount")
        volume.unlink("/hard")
        volume.unlink("/names/original")
        volume.link("/names/003", "/names/zzz")
        clean()
        volume.write_file("/streams.txt", b"content" * 100, stream="new")
        volume.remove_stream("/streams.txt", "large")
        assert [each.name for each in volume.streams("/streams.txt")] == ["", "Zone.Identifier", "new"]
        volume.set_sddl("/streams.txt", "O:SYG:SYD:(A;;FA;;;SY)")
        volume.chmod("/streams.txt", 0o444)
        volume.utime("/streams.txt", mtime_ns=123_456_700)
        status = volume.stat("/streams.txt")
        assert (status.st_mode & 0o222, status.st_mtime_ns, status.st_ctime_ns) == (0, 123_456_700, MOMENT)
        assert volume.sddl("/streams.txt") == "O:SYG:SYD:(A;;FA;;;SY)"
        clean()
    assert "processed successfully" in ntfsfix(image)
    with mounted(image, "ro") as folder:
        assert (folder / "deep/newer/A").read_bytes() == b"hello"
        assert (folder / "deep/newer/large").read_bytes() == pattern(3_000_000)[:2_000_001].ljust(2_500_000, b"\0")
        assert (folder / "names/zzz").stat().st_nlink == 61
        assert (folder / "streams.txt:new").read_bytes() == b"content" * 100
        assert not (folder / "hard").exists()


def test_many_files_grow_the_mft_and_the_index(image: Path) -> None:
    with editor(image) as volume:
        with volume.transaction():
            volume.mkdir("/lots")
            for number in range(700):
                volume.write_file(f"/lots/a name of some length {number}", pattern(number % 1200, number))
        assert ntfs.check(image) == []
        for number in range(60):
            volume.unlink(f"/lots/a name of some length {number}")
        assert ntfs.check(image) == []
    with mounted(image, "ro") as folder:
        assert len(list((folder / "lots").iterdir())) == 640
        for number in range(60, 700, 7):
            assert (folder / f"lots/a name of some length {number}").read_bytes() == pattern(number % 1200, number)
    with editor(image) as volume, volume.transaction():
        for name in volume.listdir("/lots"):
            volume.unlink(f"/lots/{name}")
        volume.rmdir("/lots")
    assert ntfs.check(image) == []
    with mounted(image) as folder:
        for path, data in contents(sample_tree()).items():
            assert (folder / path[1:]).read_bytes() == data
        (folder / "written by another").write_bytes(pattern(10_000))
    assert ntfs.check(image) == []


def test_volumes_of_others(tmp_path: Path) -> None:
    image = ntfs3g_volume(tmp_path / "image", 32 << 20)
    with mounted(image) as folder:
        for number in range(400):
            (folder / f"file {number}").write_bytes(pattern(number * 10, number))
        for number in range(40):
            os.link(folder / "file 7", folder / f"link {number}")
    with editor(image) as volume:
        for number in range(0, 400, 5):
            volume.unlink(f"/file {number}")
        volume.mkdir("/sub")
        for number in range(1, 400, 5):
            volume.rename(f"/file {number}", f"/sub/moved {number}")
        volume.write_file("/file 2", pattern(500_000))
        for number in range(39):
            volume.unlink(f"/link {number}")
    assert ntfs.check(image) == []
    with mounted(image) as folder:
        assert (folder / "file 2").read_bytes() == pattern(500_000)
        assert (folder / "sub/moved 301").read_bytes() == pattern(3010, 301)
        assert (folder / "file 7").stat().st_nlink == 2
        (folder / "sub" / "more").write_bytes(b"more")
    assert ntfs.check(image) == []


NAMES = ["a", "B", "long name with more characters", "c.txt", "d"]
PATHS = st.lists(st.sampled_from(NAMES), min_size=1, max_size=3).map(lambda parts: "/" + "/".join(parts))
OPERATIONS = st.one_of(
    st.tuples(st.just("write"), PATHS, st.integers(0, 30_000)),
    st.tuples(st.just("mkdir"), PATHS, st.just(0)),
    st.tuples(st.just("remove"), PATHS, st.just(0)),
    st.tuples(st.just("append"), PATHS, st.integers(1, 9000)),
    st.tuples(st.just("truncate"), PATHS, st.integers(0, 20_000)),
    st.tuples(st.just("rename"), PATHS, PATHS),
    st.tuples(st.just("link"), PATHS, PATHS),
)


class Model:
    """What POSIX would do: paths by their names in lower case; a directory is ``None``, a file a list of its bytes."""

    def __init__(self) -> None:
        self.nodes: dict[str, list[bytes] | None] = {"/": None}

    def parent(self, path: str) -> bool:
        return self.nodes.get(path.rsplit("/", 1)[0] or "/", []) is None

    def below(self, path: str) -> list[str]:
        return [other for other in self.nodes if other.startswith(f"{path}/")]

    def apply(self, kind: str, path: str, other: str, amount: int) -> bool:
        """Whether the operation is possible; it is done then."""
        there, node = path in self.nodes, self.nodes.get(path)
        if kind == "write":
            if not self.parent(path) or (there and node is None):
                return False
            if node is None:
                self.nodes[path] = [pattern(amount, amount)]
            else:
                node[0] = pattern(amount, amount)
        elif kind == "mkdir":
            if there or not self.parent(path):
                return False
            self.nodes[path] = None
        elif kind == "remove":
            if not there or self.below(path):
                return False
            del self.nodes[path]
        elif kind == "append":
            if node is None:
                return False
            node[0] += pattern(amount, 1)
        elif kind == "truncate":
            if node is None:
                return False
            node[0] = node[0][:amount].ljust(amount, b"\0")
        elif kind == "link":
            if node is None or other in self.nodes or not self.parent(other):
                return False
            self.nodes[other] = node
        else:
            return self.rename(path, other)
        return True

    def rename(self, path: str, other: str) -> bool:
        if path not in self.nodes or not self.parent(other):
            return False
        node, target = self.nodes[path], self.nodes.get(other)
        if path == other:
            return True
        if node is None and other.startswith(f"{path}/"):
            return False
        if other in self.nodes:
            if (node is None) != (target is None) or self.below(other):
                return False
            if node is not None and node is target:
                return True
        moved = {path: other, **{each: other + each[len(path) :] for each in self.below(path)}}
        self.nodes = {
            moved.get(each, each): value for each, value in self.nodes.items() if each != other or each in moved
        }
        return True


def do(volume: ntfs.WritableNTFS, kind: str, path: str, other: str, amount: int) -> bool:
    try:
        if kind == "write":
            volume.write_file(path, pattern(amount, amount))
        elif kind == "mkdir":
            volume.mkdir(path)
        elif kind == "remove":
            if volume.exists(path) and path != "/" and volume.mft.file(volume.find(path)).is_directory:
                volume.rmdir(path)
            else:
                volume.unlink(path)
        elif kind == "append":
            volume.append(path, pattern(amount, 1))
        elif kind == "truncate":
            volume.truncate(path, amount)
        elif kind == "rename":
            volume.rename(path, other)
        else:
            volume.link(path, other)
    except ntfs.NtfsError:
        return False
    return True


@settings(max_examples=20, deadline=None)
@given(st.lists(OPERATIONS, max_size=25), st.sampled_from([512, 4096]))
def test_against_the_model(operations: list[tuple[str, str, object]], cluster: int) -> None:
    data = bytearray(4 << 20)
    ntfs.format(MemoryStorage(data), ntfs.Options(cluster_size=cluster, fresh=True))
    volume, model = editor(MemoryStorage(data)), Model()
    for kind, path, rest in operations:
        other = str(rest) if isinstance(rest, str) else ""
        amount = rest if isinstance(rest, int) else 0
        assert do(volume, kind, path, other, amount) == model.apply(kind, path.casefold(), other.casefold(), amount)
    found: dict[str, bytes | None] = {"/": None}
    for _, below, others in volume.walk():
        found |= {entry.path.casefold(): None for entry in below}
        found |= {entry.path.casefold(): volume.read_file(entry.path) for entry in others}
    assert found == {path: node if node is None else node[0] for path, node in model.nodes.items()}
    assert ntfs.check(bytes(data)) == []


def test_what_is_refused(tmp_path: Path) -> None:
    ntfs.build(tmp_path / "image", {"/d/e/f": b"f", "/g": b"g"})
    with editor(tmp_path / "image") as volume:
        for error, action in (
            (FileExistsError, lambda: volume.mkdir("/d")),
            (FileNotFoundError, lambda: volume.mkdir("/x/y")),
            (NotADirectoryError, lambda: volume.mkdir("/g/y")),
            (IsADirectoryError, lambda: volume.unlink("/d")),
            (NotADirectoryError, lambda: volume.rmdir("/g")),
            (errors.DirectoryNotEmptyError, lambda: volume.rmdir("/d")),
            (errors.PathError, lambda: volume.rename("/d", "/d/e/d")),
            (errors.PathError, lambda: volume.rmdir("/")),
            (IsADirectoryError, lambda: volume.write_file("/d", b"")),
            (errors.ReadOnlyError, lambda: volume.unlink("/$Bitmap")),
            (errors.NameTooLongError, lambda: volume.mkdir("/" + "x" * 256)),
            (errors.StreamNotFoundError, lambda: volume.remove_stream("/g", "s")),
            (errors.DescriptorError, lambda: volume.set_sddl("/g", "nonsense")),
        ):
            with pytest.raises(error):
                action()
        assert not volume.is_dirty
    assert ntfs.check(tmp_path / "image") == []


def test_a_full_volume_keeps_what_it_has() -> None:
    data = bytearray(3 << 20)
    ntfs.build(MemoryStorage(data), {"/a": pattern(100_000)}, ntfs.Options(fresh=True))
    with editor(MemoryStorage(data)) as volume:
        with pytest.raises(errors.NoSpaceError) as caught:
            volume.write_file("/a", bytes(3 << 20))
        assert caught.value.needed is not None
        assert volume.read_file("/a") == pattern(100_000)


def test_a_dirty_volume_is_not_changed(tmp_path: Path) -> None:
    from cloudboot_ntfs.testing import damages
    from cloudboot_ntfs.testing.damage import Patient

    ntfs.format(tmp_path / "image", size=4 << 20)
    patient = Patient((tmp_path / "image").read_bytes())
    next(action for kind, action in damages() if kind == "volume-dirty")(patient)
    (tmp_path / "image").write_bytes(patient.data)
    with pytest.raises(errors.ReadOnlyError, match="not unmounted"):
        editor(tmp_path / "image")
    with ntfs.WritableNTFS(tmp_path / "image", force=True) as volume:
        volume.write_file("/a", b"a")
    # Whoever looks at what is wrong takes the mark away.
    assert {finding.kind for finding in ntfs.check(tmp_path / "image")} == {"volume-dirty"}
    assert ntfs.repair(tmp_path / "image").actions == ("the volume is marked clean",)
    assert ntfs.check(tmp_path / "image") == []
