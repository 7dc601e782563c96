"""Volumes that mkntfs and ntfs-3g wrote, read back byte for byte; and volumes that lie."""

from __future__ import annotations

import contextlib
import os
import random
import stat
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cloudboot_ntfs as ntfs
from cloudboot_base import MemoryStorage
from cloudboot_ntfs import errors
from cloudboot_ntfs.builder.source import Symlink
from cloudboot_ntfs.testing import mounted, ntfs3g_volume, pattern, restart_pages
from cloudboot_vfs import FileSystem

COMPRESSED = 0x800


@pytest.fixture(scope="module", params=["4096", "512", "65536"])
def foreign(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, bytes]]:
    """A volume that ntfs-3g filled, and what is in it."""
    image = ntfs3g_volume(tmp_path_factory.mktemp("foreign") / "image", 64 << 20, "-c", request.param, "-L", "Foreign")
    files: dict[str, bytes] = {}
    with mounted(image, "compression") as folder:
        for number in range(300):
            files[f"many/a file of many {number}"] = pattern(number * 37, number)
        files["fragmented"] = pattern(600_000, 1)
        files["text"] = b"The quick brown fox jumps over the lazy dog. " * 5000
        files["mixed"] = b"a" * 70_000 + pattern(70_000, 2) + bytes(200_000) + b"b" * 10_000
        (folder / "many").mkdir()
        (folder / "packed").mkdir()
        if request.param != "65536":
            os.setxattr(folder / "packed", "system.ntfs_attrib_be", struct.pack(">I", COMPRESSED))
        for path, data in list(files.items()):
            (folder / path).write_bytes(data)
            if "/" not in path:
                files[f"packed/{path}"] = data
                (folder / "packed" / path).write_bytes(data)
        # Two files that grow in turns are fragmented.
        with (folder / "one").open("wb") as one, (folder / "two").open("wb") as two:
            for number in range(200):
                one.write(pattern(65536 if request.param == "65536" else 4096, number))
                two.write(pattern(65536 if request.param == "65536" else 4096, number + 1000))
                one.flush()
                two.flush()
                os.fsync(one.fileno())
                os.fsync(two.fileno())
        files["one"], files["two"] = (folder / "one").read_bytes(), (folder / "two").read_bytes()
        with (folder / "holes").open("wb") as file:
            for number in range(20):
                file.seek(number * 300_000)
                file.write(pattern(1000, number))
        files["holes"] = (folder / "holes").read_bytes()
        os.symlink("many/a file of many 7", folder / "link")
        for number in range(40):
            os.link(folder / "text", folder / f"another name {number}")
        (folder / "text:stream").write_bytes(b"a stream")
    return image, files


def test_every_byte(foreign: tuple[Path, dict[str, bytes]]) -> None:
    image, files = foreign
    with ntfs.NTFS(image) as volume:
        as_any: FileSystem = volume
        assert isinstance(as_any, FileSystem)
        assert volume.label == "Foreign"
        for path, data in files.items():
            assert volume.read_file(f"/{path}") == data, path
            file = volume.open_file(f"/{path.upper()}")
            file.seek(len(data) // 2)
            assert file.read(1000) == data[len(data) // 2 :][:1000]
        assert volume.stat("/text").st_nlink == 41
        assert volume.read_file("/text", stream="stream") == b"a stream"
        assert [each.name for each in volume.streams("/text")] == ["", "stream"]
        assert sorted(volume.listdir("/many")) == sorted(
            os.path.basename(path) for path in files if path.startswith("many/")
        )
        if image.stat().st_size and volume.geometry.cluster_size <= 4096:
            assert volume.stat("/packed/text").st_flags & COMPRESSED
            assert volume.stat("/packed/text").st_blocks * 512 <= len(files["text"])


def test_extents_are_where_the_bytes_are(foreign: tuple[Path, dict[str, bytes]]) -> None:
    image, files = foreign
    raw = image.read_bytes()
    with ntfs.NTFS(image) as volume:
        for path in ("fragmented", "one"):
            assert (
                b"".join(raw[each.offset : each.offset + each.length] for each in volume.extents(f"/{path}"))
                == files[path]
            )
        kinds = {region.kind for region in volume.regions()}
        assert {"boot", "mft", "mft-mirr", "log-file", "bitmap", "backup-boot"} <= kinds


def test_walk_finds_everything(foreign: tuple[Path, dict[str, bytes]]) -> None:
    image, files = foreign
    with ntfs.NTFS(image) as volume:
        found = {entry.path[1:] for _, _, others in volume.walk() for entry in others}
        assert set(files) <= found
        kinds = {entry.name: entry.kind for entry in volume.iterdir("/")}
        assert kinds["many"] == stat.S_IFDIR
        assert kinds["text"] == stat.S_IFREG


def test_paths_that_lead_nowhere(foreign: tuple[Path, dict[str, bytes]]) -> None:
    with ntfs.NTFS(foreign[0]) as volume:
        for path, error in (
            ("/nothing", FileNotFoundError), ("/text/more", NotADirectoryError), ("/many/x/y", FileNotFoundError),
        ):  # fmt: skip
            with pytest.raises(error):
                volume.stat(path)
            assert not volume.exists(path)
        with pytest.raises(IsADirectoryError):
            volume.read_file("/many")
        with pytest.raises(errors.StreamNotFoundError):
            volume.read_file("/text", stream="none")
        with pytest.raises(errors.ReparseError):
            volume.readlink("/text")


def test_links_in_circles(tmp_path: Path) -> None:
    ntfs.build(
        tmp_path / "image",
        {"/a": ntfs.Symlink("b"), "/b": ntfs.Symlink("a"), "/up": ntfs.Symlink("../../c"), "/c": b"c"},
    )
    with ntfs.NTFS(tmp_path / "image") as volume:
        with pytest.raises(errors.SymlinkLoopError):
            volume.read_file("/a")
        assert volume.read_file("/up") == b"c"


@pytest.mark.parametrize(
    ("offset", "data", "error"),
    [
        (3, b"MSDOS", errors.BootSectorError), (11, b"\x01\x03", errors.BootSectorError),
        (13, b"\x03", errors.BootSectorError),
        (0x40, b"\0", errors.BootSectorError), (0x30, b"\xff" * 8, errors.BootSectorError),
        (0x28, b"\xff" * 8, errors.VolumeTruncatedError),
    ],
)  # fmt: skip
def test_boot_sectors_that_cannot_be(offset: int, data: bytes, error: type[Exception]) -> None:
    volume = bytearray(4 << 20)
    ntfs.format(MemoryStorage(volume))
    volume[offset : offset + len(data)] = data
    with pytest.raises(error):
        ntfs.NTFS(bytes(volume))


@pytest.fixture(scope="module")
def small() -> bytes:
    volume = bytearray(3 << 20)
    tree: dict[str, bytes | ntfs.File | ntfs.Symlink | ntfs.HardLink] = {
        f"/d/file {number}": b"x" for number in range(80)
    }
    tree |= {"/f": pattern(50_000), "/s": ntfs.File(b"", streams={"t": b"1"}), "/l": ntfs.Symlink("f")}
    tree |= {f"/names/{number}": ntfs.HardLink("/f") for number in range(30)}
    ntfs.build(MemoryStorage(volume), tree)
    return bytes(volume)


def read_everything(data: bytes) -> None:
    """Whatever a reader can be asked for."""
    with ntfs.NTFS(data) as volume:
        for path, below, others in volume.walk():
            for entry in [*below, *others]:
                volume.stat_inode(entry.inode)
                volume.streams(entry.path, follow_symlinks=False)
                volume.sddl(entry.path, follow_symlinks=False)
                if entry.is_file():
                    volume.read_file(entry.path, limit=1 << 20)
            assert volume.exists(path)
        list(volume.regions())


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1 << 64))
def test_damage_is_an_error(small: bytes, seed: int) -> None:
    chance = random.Random(seed)
    damaged = bytearray(small)
    with ntfs.NTFS(small) as volume:
        geometry = volume.geometry
        mft = geometry.mft_lcn * geometry.cluster_size
    for _ in range(chance.randint(1, 5)):
        number = chance.choice([0, 5, 9, 10, *range(64, 150)])
        place = (
            mft + number * geometry.record_size + chance.randrange(1024)
            if chance.random() < 0.7
            else chance.randrange(600_000)
        )
        damaged[place] = chance.choice([0, 0xFF, chance.randrange(256)])
    with contextlib.suppress(ntfs.NtfsError, errors.DescriptorError):
        read_everything(bytes(damaged))


def test_undamaged_is_read(small: bytes) -> None:
    read_everything(small)


@pytest.mark.parametrize(("is_clean", "state"), [(True, ntfs.LogState.CLEAN), (False, ntfs.LogState.REPLAY)])
def test_the_state_of_the_log(is_clean: bool, state: ntfs.LogState, tmp_path: Path) -> None:
    image = ntfs3g_volume(tmp_path / "image", 16 << 20)
    with ntfs.NTFS(image) as volume:
        assert volume.log_state == ntfs.LogState.EMPTY
        stream = volume.mft.stream(volume.mft.file(2), 0x80)
        place = next(stream.places())[1]
    with image.open("r+b") as file:
        file.seek(place)
        file.write(restart_pages(stream.size, is_clean=is_clean))
    with ntfs.NTFS(image) as volume:
        assert volume.log_state == state
        assert volume.listdir("/") == []
    assert [finding.kind for finding in ntfs.check(image)] == ([] if is_clean else ["log-file-dirty"])
    if is_clean:
        with ntfs.WritableNTFS(image) as changed:
            changed.mkdir("/d")
        with mounted(image, "norecover") as folder:
            assert [path.name for path in folder.iterdir()] == ["d"]
            (folder / "d/new").write_bytes(b"new")
        return
    # ntfs-3g sees it the same way, and mounts the volume to be read.
    with mounted(image, "norecover") as folder, pytest.raises(OSError, match="Read-only"):
        (folder / "new").write_bytes(b"new")
    with pytest.raises(errors.ReadOnlyError, match="not unmounted"):
        ntfs.WritableNTFS(image)
    with pytest.raises(errors.RepairRefusedError):
        ntfs.repair(image)


#: Links by path: to a file, into a directory, to nothing, to themselves, and to each other.
LINKS = {
    "good": "f",
    "inside": "d/g",
    "dangling": "none",
    "self": "self",
    "one": "other",
    "other": "one",
    "on": "self/x",
}


def test_what_exists_is_what_a_folder_of_the_host_says(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "f").write_bytes(b"x")
    (tmp_path / "d" / "g").write_bytes(b"y")
    for name, target in LINKS.items():
        (tmp_path / name).symlink_to(target)
    image = bytearray(8 << 20)
    ntfs.build(
        MemoryStorage(image), {"f": b"x", "d/g": b"y", **{name: Symlink(target) for name, target in LINKS.items()}}
    )
    with ntfs.NTFS(bytes(image)) as volume:
        for path in ("f", "d", "d/g", "f/x", "none", *LINKS, *(f"{name}/x" for name in LINKS)):
            assert volume.exists(f"/{path}") == os.path.exists(tmp_path / path), path
