"""``newfs``: every option of newfs(8), its journal, and the numbers mkfs.c comes to."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from cloudboot_base import MemoryStorage
from cloudboot_base.testing import judge, run
from cloudboot_ufs2 import (
    UFS2,
    NoSpaceError,
    OptionError,
    Options,
    SourceError,
    WritableUFS2,
    build,
    check,
)
from cloudboot_ufs2 import (
    format as format_volume,
)
from cloudboot_ufs2.__main__ import main
from cloudboot_ufs2.builder.journal import journal_size
from cloudboot_ufs2.errors import ReadOnlyError
from cloudboot_ufs2.layout.constants import SF_IMMUTABLE, SF_NOUNLINK, SUJ_MIN, UF_NODUMP
from cloudboot_ufs2.layout.geometry import plan
from cloudboot_ufs2.testing import image_of

MIB, GIB = 1 << 20, 1 << 30


def test_the_counts_of_mkfs(tmp_path: Path) -> None:
    """64 MiB as mkfs.c makes them, counted by hand: the root and .snap each take a fragment of a block of its own."""
    built = format_volume(tmp_path / "image", size=64 * MIB)
    totals = built.superblock.fs_cstotal
    assert (totals.cs_ndir, totals.cs_nbfree, totals.cs_nffree, totals.cs_nifree) == (2, 1966, 21, 8700)
    with UFS2.open(tmp_path / "image") as volume:
        # The inodes end at fragment 176, the summary takes one; the next whole blocks start at 184 and 192.
        assert [volume.extents(path)[0][0] // 4096 for path in ("/", "/.snap")] == [184, 192]
        status = volume.stat("/.snap")
        assert (status.st_mode, status.st_uid, status.st_gid, status.st_nlink) == (0o40775, 0, 5, 2)
    assert [offset // 512 for offset in built.backups] == [192, 33024, 65856, 98688]
    assert check(tmp_path / "image") == []


LETTERS: list[tuple[list[str], dict[str, object]]] = [
    (["-a", "4", "-d", "65536"], {"fs_maxcontig": 4, "fs_maxbsize": 65536, "fs_contigsumsize": 4}),
    (["-a", "1"], {"fs_maxcontig": 1, "fs_contigsumsize": 0}),
    (["-b", "16384"], {"fs_bsize": 16384, "fs_fsize": 4096, "fs_frag": 4}),
    (["-b", "65536"], {"fs_bsize": 65536, "fs_fsize": 8192, "fs_frag": 8}),
    (["-f", "2048"], {"fs_bsize": 16384, "fs_fsize": 2048}),
    (["-f", "16384"], {"fs_bsize": 32768, "fs_fsize": 16384}),
    (["-c", "2000"], {"fs_fpg": 2000}),
    (["-e", "77"], {"fs_maxbpg": 77}),
    ([], {"fs_maxbpg": 4096, "fs_avgfilesize": 16384, "fs_avgfpdir": 64, "fs_minfree": 8, "fs_flags": 0x200}),
    (["-g", "1M", "-h", "10"], {"fs_avgfilesize": MIB, "fs_avgfpdir": 10}),
    (["-i", "65536"], {"fs_ipg": 384}),
    (["-k", "100"], {"fs_metaspace": 96}),
    (["-k", "0"], {"fs_metaspace": 0}),
    (["-m", "5"], {"fs_minfree": 5, "fs_optim": 1}),
    (["-o", "space"], {"fs_minfree": 8, "fs_optim": 1}),
    (["-L", "data-1"], {"fs_volname": b"data-1".ljust(32, b"\0")}),
    (["-U"], {"fs_flags": 0x202}),
    (["-U", "-J", "-l", "-t"], {"fs_flags": 0x662}),
    (["-j"], {"fs_flags": 0x20A}),
    (["-S", "4096"], {"fs_sbsize": 4096, "fs_fsize": 4096, "fs_fsbtodb": 3}),
    (["--no-check-hash"], {"fs_flags": 0, "fs_metackhash": 0, "fs_ckhash": 0}),
    (["-o", "bsize=16k,fsize=2k,minfree=3"], {"fs_bsize": 16384, "fs_fsize": 2048, "fs_minfree": 3, "fs_optim": 1}),
    (["-o", "avgfilesize=9,avgfpdir=8,maxbpg=7"], {"fs_avgfilesize": 9, "fs_avgfpdir": 8, "fs_maxbpg": 7}),
    (["-o", "density=32768,extent=64k,maxbpcg=2000"], {"fs_maxbsize": 65536, "fs_fpg": 2000}),
    (["-o", "label=x,softupdates=1", "-o", "optimization=space,version=2"], {"fs_flags": 0x202, "fs_optim": 1}),
    (["-o", "bsize=16k", "-b", "8192"], {"fs_bsize": 8192}),
]  # fmt: skip


@pytest.mark.parametrize(("letters", "fields"), LETTERS, ids=lambda value: " ".join(value) or "none")
def test_letters(letters: list[str], fields: dict[str, object], tmp_path: Path) -> None:
    image = tmp_path / "image"
    assert main(["format", str(image), "-s", str(64 * MIB // 512 // (8 if "-S" in letters else 1)), *letters]) == 0
    assert image.stat().st_size == 64 * MIB
    assert check(image) == []
    with UFS2.open(image) as volume:
        assert {name: getattr(volume.superblock, name) for name in fields} == fields


@pytest.mark.parametrize(
    "wrong",
    [
        ["-o", "speed"], ["-o", "bsize"], ["-o", "bsize=x"], ["-o", "version=1"], ["-o", "softupdates=yes"],
        ["-o", "minfree=3,,"], ["-s", "many"], ["-s", "4096", "--size", "64M"],
    ],
)  # fmt: skip
def test_wrong_usage(wrong: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["format", str(tmp_path / "image"), *wrong]) == 2
    assert "error" in capsys.readouterr().err
    assert not (tmp_path / "image").exists()


# tunefs: a 1024th, of at least 4 and at most 32 MiB and not more than a group; what it takes for the size of the file
# system is its fragments multiplied by the block size.
@pytest.mark.parametrize(
    ("size", "options", "expected"),
    [
        (64 * MIB, Options(), 4 * MIB),
        (GIB, Options(), 8 * MIB),
        (4 * GIB, Options(), 32 * MIB),
        (64 * GIB, Options(), 32 * MIB),
        (GIB, Options(fragment_size=32768), 4 * MIB),
        (3 * GIB, Options(block_size=4096, fragment_size=4096), 4 * MIB),
        (64 * GIB, Options(group_blocks=3000), 3000 * 4096),
    ],
)
def test_the_size_of_a_journal(size: int, options: Options, expected: int) -> None:
    bsize = options.block_size
    assert journal_size(plan(size, options)) == -(-expected // bsize) * bsize
    assert journal_size(plan(size, options), 5_000_000) == -(-5_000_000 // bsize) * bsize


@pytest.mark.parametrize("block_size", [4096, 32768, 65536])
def test_a_journal(block_size: int, tmp_path: Path) -> None:
    image = tmp_path / "image"
    built = format_volume(image, Options(block_size=block_size, soft_updates_journal=True, timestamp=7), size=64 * MIB)
    assert check(image) == []
    assert built.superblock.fs_flags & 0xF == 0xA
    with UFS2.open(image) as volume:
        status = volume.stat("/.sujournal")
        assert (status.st_mode, status.st_size, status.st_nlink, status.st_uid) == (0o100400, SUJ_MIN, 1, 0)
        assert status.st_flags == SF_IMMUTABLE | SF_NOUNLINK | UF_NODUMP
        # No block is a hole: FreeBSD writes to each without asking for it.
        assert sum(length for _, length in volume.extents("/.sujournal")) == SUJ_MIN
    zeros = tmp_path / "zeros"
    zeros.write_bytes(bytes(SUJ_MIN))
    run(judge("grub-fstest", "grub-common"), image, "cmp", "(loop0)/.sujournal", zeros)
    number = run(judge("fls", "sleuthkit"), image).split("r/r ")[1].split(":")[0]
    assert f"size: {SUJ_MIN}" in run(judge("istat", "sleuthkit"), image, number)


def test_a_journal_over_what_was_there(tmp_path: Path) -> None:
    """FreeBSD would replay what it takes for records."""
    disk = tmp_path / "disk"
    disk.write_bytes(b"\xff" * (65 * MIB))
    format_volume(disk, Options(soft_updates_journal=True), size=64 * MIB, offset=MIB, force=True)
    with UFS2.open(disk, offset=MIB) as volume:
        assert not any(volume.read_file("/.sujournal"))
    assert disk.read_bytes()[:MIB] == b"\xff" * MIB


def test_building_with_a_journal(tmp_path: Path) -> None:
    tree = {"a": b"a" * 100_000, "boot/kernel/kernel": b"\x7fELF" * 1000}
    options = Options(soft_updates_journal=True, minfree=0)
    built = build(tmp_path / "image", tree, options)
    assert check(tmp_path / "image") == []
    with UFS2.open(tmp_path / "image") as volume:
        assert volume.read_file("/a") == tree["a"]
        assert volume.stat("/.sujournal").st_size == SUJ_MIN
    with pytest.raises(NoSpaceError) as caught:
        build(tmp_path / "small", tree, options, size=4 * MIB)
    assert SUJ_MIN < (caught.value.needed or 0) <= built.size
    with pytest.raises(SourceError, match="journal"):
        build(tmp_path / "other", {".sujournal": b""}, options)
    with pytest.raises(OptionError, match="journal_size"):
        Options(soft_updates_journal=True, journal_size=1000)


def test_a_journaled_file_system_is_changed_in_place(tmp_path: Path) -> None:
    image = tmp_path / "image"
    format_volume(image, Options(soft_updates_journal=True), size=64 * MIB)
    with WritableUFS2.open(image) as volume:
        volume.write_file("/a", b"a" * 100_000)
        assert volume.superblock.fs_flags & 0xF == 0xA
        before = image.read_bytes()
        changes: list[Callable[[], object]] = [
            lambda: volume.unlink("/.sujournal"), lambda: volume.rename("/.sujournal", "/b"),
            lambda: volume.rename("/a", "/.sujournal"), lambda: volume.link("/.sujournal", "/b"),
            lambda: volume.truncate("/.sujournal", 0), lambda: volume.chmod("/.sujournal", 0o600),
        ]  # fmt: skip
        for change in changes:
            with pytest.raises(ReadOnlyError, match="journal"):
                change()
        assert image.read_bytes() == before
        assert volume.listdir("/") == [".snap", ".sujournal", "a"]
    assert check(image) == []


@pytest.mark.parametrize("command", ["format", "build"])
def test_a_dry_run_says_what_a_run_would(
    command: str, tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = str(tmp_path / "image")
    words = [command, image, *([str(tree)] if command == "build" else ["--size", "64M"]), "-j", "--json"]
    assert main([*words, "--dry-run"]) == 0
    planned = json.loads(capsys.readouterr().out)
    assert not Path(image).exists()
    assert main(words) == 0
    made = json.loads(capsys.readouterr().out)
    assert planned.pop("written") is False
    assert made.pop("written") is True
    assert planned == made
    assert main([*words, "--dry-run"]) == 5
    assert "--force" in capsys.readouterr().err
    before = Path(image).read_bytes()
    assert main([*words, "-N", "--force", "-L", "other"]) == 0
    assert Path(image).read_bytes() == before


def test_a_dry_run_into_a_disk(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.write_bytes(bytes(20 * MIB))
    assert format_volume(disk, offset=MIB, force=True, dry_run=True).size == 19 * MIB
    with pytest.raises(FileExistsError):
        format_volume(disk, offset=MIB, dry_run=True)
    with pytest.raises(NoSpaceError, match="does not fit"):
        format_volume(disk, offset=MIB, size=20 * MIB, force=True, dry_run=True)
    assert not any(disk.read_bytes())


def test_a_dry_run_counts_what_a_run_counts() -> None:
    storage = MemoryStorage(bytearray(16 * MIB))
    planned = build(storage, {"a": b"a" * 9999}, dry_run=True)
    assert not any(storage.read_at(0, storage.size))
    assert build(storage, {"a": b"a" * 9999}) == planned


def test_erasing(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.write_bytes(b"\xff" * (17 * MIB))
    options = ["--size", "16M", "--offset", "512K", "--force"]
    assert main(["format", str(disk), *options]) == 0
    kept = disk.read_bytes()
    assert main(["format", str(disk), *options, "-E"]) == 0
    erased = disk.read_bytes()
    assert erased[: 512 * 1024 + 8192] == b"\xff" * (512 * 1024 + 8192)
    assert erased[-(512 * 1024) :] == b"\xff" * (512 * 1024)
    assert erased[512 * 1024 + 65536 : -(512 * 1024)] == image_of_newfs()[65536:]
    assert kept != erased


def image_of_newfs() -> bytes:
    storage = MemoryStorage(bytearray(16 * MIB))
    format_volume(storage)
    return storage.read_at(0, storage.size)


def test_a_mapping_named_like_the_journal_without_one() -> None:
    """Without journaling the name is like any other."""
    with UFS2.open(image_of({".sujournal": b"somebody else's"})) as volume:
        assert volume.read_file("/.sujournal") == b"somebody else's"
        assert volume.stat("/.sujournal").st_flags == 0
        assert volume.superblock.fs_flags & 0xF == 0
