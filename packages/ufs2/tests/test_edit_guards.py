"""What must not happen while, or after, somebody else is at work: two writers, destructors, closed files, loops."""

from __future__ import annotations

import gc
import io
import os
import sys
import warnings
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import pytest

from cloudboot_base import MemoryStorage
from cloudboot_ufs2 import (
    UFS2,
    NestedOperationError,
    Options,
    ReadOnlyError,
    StaleFileError,
    Ufs2Error,
    WritableUFS2,
    build,
    check,
)
from cloudboot_ufs2 import (
    format as format_volume,
)
from cloudboot_ufs2.__main__ import main
from cloudboot_ufs2.editor.shared import open_shared
from cloudboot_ufs2.fsspecfs import UFS2FileSystem
from cloudboot_ufs2.testing import Editor, editable_image, image_of, pattern
from cloudboot_vfs.errors import TreeError

with warnings.catch_warnings():
    # fs declares its namespaces through pkg_resources, which setuptools deprecates, and no newer fs does otherwise.
    warnings.filterwarnings("ignore", "pkg_resources is deprecated as an API", UserWarning)
    warnings.filterwarnings("ignore", "Deprecated call to `pkg_resources.declare_namespace", DeprecationWarning)
    import fs.errors

    from cloudboot_ufs2.pyfs import UFS2FS

OPTIONS = Options(block_size=4096, fragment_size=512, timestamp=1)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "image"
    build(path, {"a": pattern(10_000), "d/b": b"b"}, OPTIONS, size=8 << 20)
    return path


# One writer


def test_a_second_writer_is_refused_until_the_first_is_done(image: Path) -> None:
    with WritableUFS2.open(image) as first:
        for open_again in (lambda: WritableUFS2.open(image), lambda: open_shared(image, writable=True)):
            with pytest.raises(ReadOnlyError, match="another process"):
                open_again()
        first.write_file("/c", b"c")
        with UFS2.open(image) as reader:
            assert reader.read_file("/c") == b"c"
    with WritableUFS2.open(image) as second:
        second.unlink("/c")
    assert check(image) == []


def test_what_could_not_be_opened_claims_nothing(image: Path) -> None:
    data = bytearray(image.read_bytes())
    data[65536 + 1372] ^= 0xFF
    image.write_bytes(data)
    for _ in range(2):
        with pytest.raises(Ufs2Error):
            WritableUFS2.open(image)


# One operation after another


class Interrupting(MemoryStorage):
    """Storage in the middle of whose writes something else happens once."""

    def __init__(self, buffer: bytearray) -> None:
        super().__init__(buffer)
        self.interrupt: Any = None

    def write_at(self, offset: int, data: Any) -> None:
        super().write_at(offset, data)
        interrupt, self.interrupt = self.interrupt, None
        if interrupt is not None:
            interrupt()


def interrupted() -> tuple[bytearray, Interrupting, WritableUFS2]:
    data = editable_image({"a": pattern(10_000), "other": b"x" * 5000})
    storage = Interrupting(data)
    return data, storage, WritableUFS2.open(storage)


@pytest.mark.parametrize("buffered", [io.BufferedWriter, io.BufferedRandom])
def test_a_lost_buffer_is_written_after_the_operation_it_interrupts(buffered: Any) -> None:
    data, storage, volume = interrupted()

    class Knot:
        """What only the garbage collector unties."""

    knot: Any = Knot()
    knot.self, knot.file = knot, buffered(volume.open_file("/a", "r+b"))
    knot.file.write(b"from a destructor")
    lost = weakref.ref(knot)
    del knot
    collected = []
    storage.interrupt = lambda: collected.append(gc.collect())
    volume.write_file("/other", pattern(9000))
    assert collected
    assert lost() is None
    assert volume.read_file("/other") == pattern(9000)
    assert volume.read_file("/a") == b"from a destructor" + pattern(10_000)[17:]
    assert check(data) == []


def test_a_lost_file_of_an_adapter_is_written(image: Path) -> None:
    mounted = open_shared(image, writable=True)
    knot: list[Any] = [mounted.open("/a", "r+b")]
    knot.append(knot)
    knot[0].write(b"kept")
    del knot
    gc.collect()
    assert mounted.volume.read_file("/a") == b"kept" + pattern(10_000)[4:]
    mounted.close()
    assert check(image) == []


def test_a_lost_buffer_of_a_file_that_is_removed_meanwhile_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    data, storage, volume = interrupted()
    held = [io.BufferedWriter(volume.open_file("/a", "r+b"))]
    held[0].write(b"too late")
    reported: list[Any] = []
    monkeypatch.setattr(sys, "excepthook", lambda kind, *_: reported.append(kind))
    storage.interrupt = held.clear
    # The call that was interrupted by the destructor succeeds; the error is reported.
    volume.unlink("/a")
    assert reported == [StaleFileError]
    assert not volume.exists("/a")
    assert check(data) == []


def test_other_operations_are_refused_within_one() -> None:
    data, storage, volume = interrupted()
    seen: list[BaseException] = []

    def nested() -> None:
        calls: list[Callable[[], object]] = [
            lambda: volume.unlink("/a"), lambda: volume.truncate("/a", 0), lambda: volume.mkdir("/d"),
        ]  # fmt: skip
        for call in calls:
            with pytest.raises(NestedOperationError) as caught:
                call()
            seen.append(caught.value)

    storage.interrupt = nested
    volume.write_file("/other", pattern(9000))
    assert len(seen) == 3
    assert volume.read_file("/a") == pattern(10_000)
    volume.unlink("/a")
    assert check(data) == []


def test_closing_waits_for_the_operation_under_way(image: Path) -> None:
    mounted = open_shared(image, writable=True, clock=lambda: 10**18)
    editor = mounted.editor
    assert isinstance(editor, WritableUFS2)
    with editor.operation() as operation:  # the inside of any method, at which a destructor may close
        mounted.close()
        operation.touch(operation.inode(2), content=True)
        with pytest.raises(ReadOnlyError, match="another process"):
            WritableUFS2.open(image)
    WritableUFS2.open(image).close()
    with pytest.raises(ValueError, match="closed"):
        editor.chmod("/a", 0o600)
    with UFS2.open(image) as reader:
        assert reader.stat("/").st_mtime_ns == 10**18
    assert check(image) == []


@pytest.mark.parametrize(
    "make",
    [
        UFS2.open,
        WritableUFS2.open,
        lambda data: open_shared(data, writable=True),
        lambda data: UFS2FS(data, writable=True),
    ],
)
def test_nothing_waits_for_the_collector(make: Callable[[bytearray], object]) -> None:
    """Circles around the memory of an image crash Python 3.12 before 3.12.7, and keep the image for longer."""
    volume = make(editable_image({"a": b"x"}))
    left = weakref.ref(volume)
    gc.disable()
    try:
        del volume
        assert left() is None
    finally:
        gc.enable()


# Closed files


@pytest.mark.parametrize("kind", [UFS2, WritableUFS2])
def test_a_file_of_a_closed_file_system_reads_nobody_elses_bytes(kind: Any, image: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret" * 2_000_000)
    volume = kind.open(image)
    file = volume.open_file("/a")
    assert file.read(4) == pattern(4)
    volume.close()
    # The system gives a new file the number of the one that was closed.
    with (tmp_path / "secret").open("rb"):
        reads: list[Callable[[], object]] = [
            lambda: file.read(10), lambda: file.read_at(5000, 10), lambda: volume.read_file("/d/b"),
        ]  # fmt: skip
        for read in reads:
            with pytest.raises(ValueError, match="closed"):
                read()


def test_a_writer_of_a_closed_file_system_writes_nowhere(image: Path, tmp_path: Path) -> None:
    volume = WritableUFS2.open(image)
    file = volume.open_file("/a", "r+b")
    volume.close()
    other = tmp_path / "other"
    other.write_bytes(bytes(8 << 20))
    with other.open("r+b"), pytest.raises(ValueError, match="closed"):
        file.write(b"x")
    assert other.read_bytes() == bytes(8 << 20)
    assert check(image) == []


# Loops


def looping(*, within_one: bool = False) -> bytes:
    """Directories under several names: one inside itself, or ten times in each of six, a million paths in all."""
    if not within_one:
        editor = Editor(image_of({"a/b/c/loop": b"x", "f": b"y"}, OPTIONS))
        editor.change_record("/a/b/c", "loop", inode=editor.find("/a"), kind=4)
        return bytes(editor.data)
    tree = {"/".join(f"d{level}" for level in range(depth)) + "/f": b"" for depth in range(1, 7)}
    names = {f"{path.rpartition('/')[0]}/x{number}": b"" for path in list(tree)[:-1] for number in range(9)}
    editor = Editor(image_of({**tree, **names}, OPTIONS))
    for path in names:
        folder, _, name = path.rpartition("/")
        depth = folder.count("/") + 1
        editor.change_record(f"/{folder}", name, inode=editor.find(f"/{folder}/d{depth}"), kind=4)
    return bytes(editor.data)


@pytest.mark.parametrize("within_one", [False, True], ids=["inside itself", "many names"])
def test_walks_by_name_end(within_one: bool) -> None:
    data = looping(within_one=within_one)
    kinds = {finding.kind for finding in check(data)}
    assert "directory-linked-twice" in kinds
    image = UFS2FileSystem(data)
    for walk in (
        lambda: image.find("/"), lambda: list(image.walk("/")), lambda: image.glob("/**"), lambda: image.du("/"),
        lambda: image.expand_path("/", recursive=True),
    ):  # fmt: skip
        with pytest.raises(TreeError, match="is in two directories"):
            walk()
    with UFS2FS(data) as files:
        for step in (lambda: list(files.walk()), lambda: list(files.walk.files()), lambda: files.glob("**/f").count()):
            with pytest.raises(fs.errors.OperationFailed):
                step()


def test_a_directory_may_be_moved_and_listed_again() -> None:
    data = editable_image({"a/b/c": b"x", "link": b""})
    image = UFS2FileSystem(data, mode="r+")
    assert image.find("/a") == ["/a/b/c"]
    image.mv("/a/b", "/moved")
    image.rm("/link")
    image.symlink("/moved", "/link")
    assert image.find("/moved") == ["/moved/c"]
    assert image.ls("/link", detail=False) == ["/link/c"]
    assert image.find("/") == ["/link", "/moved/c"]
    assert image.ls("/a/../moved", detail=False) == ["/a/../moved/c"]


# Names that are taken


def test_making_directories_over_a_file() -> None:
    data = editable_image({"f": b"x", "d/e": b""})
    with WritableUFS2.open(data) as volume:
        volume.makedirs("/d", exist_ok=True)
        with pytest.raises(FileExistsError):
            volume.makedirs("/f", exist_ok=True)
        with pytest.raises(NotADirectoryError):
            volume.makedirs("/f/g", exist_ok=True)
    image = fsspec.filesystem("ufs2", fo=data, mode="r+")
    image.makedirs("/d", exist_ok=True)
    for path, error in (("/f", FileExistsError), ("/f/g", NotADirectoryError)):
        with pytest.raises(error):
            image.makedirs(path, exist_ok=True)
    with UFS2FS(data, writable=True) as files:
        files.makedirs("/d", recreate=True)
        for path in ("/f", "/f/g"):
            with pytest.raises(fs.errors.DirectoryExpected):
                files.makedirs(path, recreate=True)


# Holes


def test_put_keeps_the_holes_of_a_file(tmp_path: Path) -> None:
    source = tmp_path / "sparse"
    with source.open("wb") as file:
        file.truncate(64 << 20)
        file.seek(40 << 20)
        file.write(b"data")
    assert os.stat(source).st_blocks * 512 < 1 << 20
    format_volume(tmp_path / "image", OPTIONS, size=4 << 20)
    assert main(["put", str(tmp_path / "image"), str(source), "/sparse", "--timestamp", "1"]) == 0
    build(tmp_path / "built", {"sparse": source}, OPTIONS)
    for image in (tmp_path / "image", tmp_path / "built"):
        with UFS2.open(image) as volume:
            assert volume.stat("/sparse").st_size == 64 << 20
            assert volume.stat("/sparse").st_blocks * 512 < 128 << 10
            assert volume.open_file("/sparse").read_at(40 << 20, 4) == b"data"
        assert check(image) == []
