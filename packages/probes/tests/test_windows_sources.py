"""Windows' files from a WIM, from installation media and from disks.

wimlib, genisoimage and qemu-img make the sources, and wimlib reads what was built.
"""

from __future__ import annotations

import filecmp
import shutil
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

import cloudboot_ntfs as ntfs
from cloudboot_base import MemoryStorage
from cloudboot_base.command import amount
from cloudboot_base.testing import judge, run
from cloudboot_disk_image import open_disk
from cloudboot_gpt import partition_types
from cloudboot_probes import image, recipe
from cloudboot_probes.describe import opened
from cloudboot_probes.disk import Disk
from cloudboot_probes.disk_plan import Plan
from cloudboot_probes.errors import RecipeError
from cloudboot_probes.media.errors import IsoError
from cloudboot_probes.media.udf import UdfVolume
from cloudboot_probes.windows import demonstration
from cloudboot_probes.windows.volumes import of_volume
from cloudboot_uefi_host.testing import disk as disk_of
from cloudboot_uefi_host.testing import fat_volume

MIB = 1 << 20


def plan(source: Path, **more: object) -> Plan:
    """A plan for a disk of a source."""
    known = recipe.load("windows")
    known = replace(known, esp=replace(known.esp, size=36 * MIB))
    settings = {"source": source, "stand_in": True, **more}
    return image.plan(replace(known, windows=replace(known.windows, **settings)))  # type: ignore[arg-type]  # a test's keywords


@pytest.fixture(scope="module")
def volume(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A volume with what NTFS keeps of files and other file systems do not."""
    files = demonstration.files("amd64")
    tree: dict[str, object] = {path: files.read(path) for path in files.entries if files.entries[path].size is not None}
    tree |= {
        "/Windows/streams.txt": ntfs.File(b"content", streams={"Zone.Identifier": b"[ZoneTransfer]\r\nZoneId=3\r\n"}),
        "/Windows/secret.txt": ntfs.File(b"secret", security="O:SYG:SYD:(A;;FA;;;SY)", attributes=0x6),
        "/Windows/second.exe": ntfs.HardLink("/Windows/System32/ntoskrnl.exe"),
        "/": ntfs.Directory(mtime_ns=1_650_000_000 * 10**9, created_ns=1_350_000_000 * 10**9, attributes=0x6),
        "/Users/Public": ntfs.Directory(),
        "/Program Files": ntfs.Directory(short_name="PROGRA~1", created_ns=1_500_000_000_123_456_700, mtime_ns=10**18),
        "/Program Files/a long name.txt": ntfs.File(
            b"1", created_ns=1_400_000_000 * 10**9, accessed_ns=1_700_000_000 * 10**9, mtime_ns=1_600_000_000 * 10**9
        ),
        "/Windows/System32/zz a link.exe": ntfs.HardLink("/Windows/System32/winload.efi", short_name="ZZALIN~1.EXE"),
        "/Windows/large stream": ntfs.File(b"", streams={"stream": bytes(range(256)) * 300}),
        "/All Users": ntfs.Reparse(ntfs.junction_data("C:\\Users"), is_directory=True),
        "/link": ntfs.Symlink("Windows/streams.txt"),
        "/pagefile.sys": bytes(1 << 20),
    }
    path = tmp_path_factory.mktemp("volume") / "volume.img"
    ntfs.build(path, tree, ntfs.Options(label="source"), size=16 * MIB)  # type: ignore[arg-type]  # a mapping of members
    return path


def taken(disk: Path, target: Path) -> Path:
    """The NTFS partition of a disk as a file."""
    with opened(str(disk)) as found:
        assert found.ntfs_partition is not None
        target.write_bytes(found.storage.read_at(found.ntfs_partition.offset, found.ntfs_partition.size))
    return target


def wim_account(partition: Path, folder: Path) -> dict[str, str]:
    """What wimlib tells of every file of a volume: attributes, security, reparse data, streams and their SHA-1."""
    wim = folder / f"{partition.stem}.wim"
    run(judge("wimcapture", "wimtools"), partition, wim, "--compress=none")
    text = run(judge("wimdir", "wimtools"), wim, "1", "--detailed")
    account = {}
    for block in text.split("-" * 76):
        lines = [line for line in block.splitlines() if "=" in line or "data stream" in line]
        # Numbers that a volume gives as it likes.
        left_out = ("Link Group ID", "Offset in WIM")
        kept = [line.strip() for line in lines if not line.strip().startswith(left_out)]
        path = next((line.partition("=")[2].strip() for line in lines if line.startswith("Full Path")), None)
        if path is not None:
            account[path] = "\n".join(kept)
    return account


def test_wimlib_sees_the_same_files_before_and_behind(volume: Path, tmp_path: Path) -> None:
    image.build(plan(volume), tmp_path / "disk.img")
    partition = taken(tmp_path / "disk.img", tmp_path / "built.img")
    before, behind = wim_account(volume, tmp_path), wim_account(partition, tmp_path)
    assert len(before) > 20
    assert any("Zone.Identifier" in text for text in before.values())
    assert 'Short Name          = "PROGRA~1"' in before['"/Program Files"']
    assert '"/pagefile.sys"' not in before  # wimlib leaves it out of every image, as this project does
    assert behind == before


def test_a_wim_is_applied_with_all_that_it_has(volume: Path, tmp_path: Path) -> None:
    wim = tmp_path / "install.wim"
    run(judge("wimcapture", "wimtools"), volume, wim)
    judge("wimapply", "wimtools")
    first = image.build(plan(wim), tmp_path / "first.img")
    again = image.build(plan(wim), tmp_path / "again.img")
    assert first.sha256 == again.sha256
    partition = taken(tmp_path / "first.img", tmp_path / "built.img")
    assert wim_account(partition, tmp_path) == wim_account(volume, tmp_path)
    with pytest.raises(RecipeError, match="has no image 7"):
        plan(wim, index=7)


def test_one_of_several_images_of_a_wim(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of folders of the host, with today's times; names in another case than Windows has them."""
    wim = tmp_path / "install.wim"
    files = demonstration.files("amd64")
    for name in ("one", "two"):
        for path, entry in files.entries.items():
            place = tmp_path / name / path.upper()[1:]
            if entry.size is not None:
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(files.read(path) or b"")
        (tmp_path / name / name).touch()
        command = "wimappend" if wim.exists() else "wimcapture"
        run(judge(command, "wimtools"), tmp_path / name, wim, f"Edition {name}")
    for index, own in ((1, "one"), (2, "two")):
        image.build(plan(wim, index=index), tmp_path / f"{index}.img")
        with ntfs.NTFS(taken(tmp_path / f"{index}.img", tmp_path / f"{index}.part")) as built:
            assert built.exists(f"/{own}")
            assert built.exists("/Windows/System32/winload.efi")
            assert built.stat("/").st_mtime_ns // 10**9 == int((tmp_path / own).stat().st_mtime)
    with pytest.raises(RecipeError) as caught:
        plan(wim, index=3)
    assert "1 (Edition one), 2 (Edition two)" in (caught.value.hint or "")


def medium_of(folder: Path, *options: str) -> Path:
    """An ISO 9660 image; with ``-udf`` there is a UDF volume on the same medium."""
    path = folder.with_suffix(".iso")
    run(judge("genisoimage", "genisoimage"), "-quiet", "-V", "WINDOWS", *options, "-o", path, folder)
    return path


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("install.wim", ("-udf", "-hide", "Sources")),  # as on media of Windows, where ISO 9660 has nothing of it
        ("install.esd", ("-udf", "-hide", "Sources")),
        ("install.wim", ("-udf",)),
        ("INSTALL.WIM", ()),
    ],
)
def test_an_installation_medium_is_its_wim(name: str, options: tuple[str, ...], volume: Path, tmp_path: Path) -> None:
    (tmp_path / "medium" / "Sources").mkdir(parents=True)
    wim = tmp_path / "medium" / "Sources" / name
    solid = ("--solid",) if name.endswith("esd") else ()
    run(judge("wimcapture", "wimtools"), volume, wim, *solid)
    medium = medium_of(tmp_path / "medium", *options)
    said: list[str] = []
    known = recipe.load("windows")
    known = replace(known, esp=replace(known.esp, size=36 * MIB))
    known = replace(known, windows=replace(known.windows, source=medium, stand_in=True))
    built = image.build(image.plan(known, said.append), tmp_path / "medium.img")
    assert built.sha256 == image.build(plan(wim), tmp_path / "wim.img").sha256
    found = "/sources/install.wim" if not options else f"/Sources/{name}"
    copying = f"cloudboot: copying {found} of {medium}, {amount(wim.stat().st_size)}"
    assert [line for line in said if line.startswith("cloudboot: copying ")] == [copying]


def test_a_large_file_of_a_udf_volume_is_read_whole(tmp_path: Path) -> None:
    """A piece of a file has less than 1 GiB (ECMA-167, 14.14.1.1); this one has two pieces."""
    (tmp_path / "medium" / "sources").mkdir(parents=True)
    with open(tmp_path / "medium" / "sources" / "install.wim", "wb") as file:
        file.truncate((1 << 30) + 5000)
        for offset in (0, (1 << 30) - 2048, 1 << 30, (1 << 30) + 4990):
            file.seek(offset)
            file.write(b"at %d" % offset)
    medium = medium_of(tmp_path / "medium", "-udf", "-allow-limited-size", "-hide", "sources")
    with open_disk(medium) as disk:
        volume = UdfVolume(disk.storage)
        found = volume.locate("/SOURCES/Install.wim")
        assert found == "/sources/install.wim"
        with open(tmp_path / "copied", "wb") as target, volume.open(found) as file:
            shutil.copyfileobj(file, target)
        volume.close()
    assert filecmp.cmp(tmp_path / "copied", tmp_path / "medium" / "sources" / "install.wim", shallow=False)


@pytest.mark.parametrize("cut", [30, 60, 90])
def test_a_medium_that_was_not_fetched_whole(cut: int, volume: Path, tmp_path: Path) -> None:
    (tmp_path / "medium" / "sources").mkdir(parents=True)
    run(judge("wimcapture", "wimtools"), volume, tmp_path / "medium" / "sources" / "install.wim", "--compress=none")
    medium = medium_of(tmp_path / "medium", "-udf", "-hide", "sources")
    with open(medium, "r+b") as file:
        file.truncate(medium.stat().st_size * cut // 100)
    with pytest.raises(IsoError) as caught:
        plan(medium)
    assert "is cut short" in str(caught.value) or "cannot be read" in str(caught.value)


def test_a_medium_of_another_system_says_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "medium").mkdir()
    (tmp_path / "medium" / "README.TXT").write_text("nothing\n")
    with pytest.raises(RecipeError, match=r"has no /sources/install\.wim and no /sources/install\.esd"):
        plan(medium_of(tmp_path / "medium", "-udf"))


def test_a_medium_is_not_copied_where_there_is_no_room(
    volume: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "medium" / "sources").mkdir(parents=True)
    run(judge("wimcapture", "wimtools"), volume, tmp_path / "medium" / "sources" / "install.wim")
    medium = medium_of(tmp_path / "medium", "-udf", "-hide", "sources")
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(RecipeError, match="has room for 1000 bytes") as caught:
        plan(medium)
    assert "TMPDIR" in (caught.value.hint or "")
    assert not list((tmp_path / "scratch").iterdir())


@pytest.mark.parametrize("form", ["vpc", "qcow2"])
def test_a_disk_in_a_container_is_a_source(form: str, volume: Path, tmp_path: Path) -> None:
    first = image.build(plan(volume), tmp_path / "disk.img")
    container = tmp_path / f"disk.{form}"
    subprocess.run(
        [judge("qemu-img", "qemu-utils"), "convert", "-O", form, tmp_path / "disk.img", container], check=True
    )
    again = image.build(plan(container), tmp_path / "again.img")
    assert again.manifest.root == first.manifest.root
    with ntfs.NTFS(taken(tmp_path / "again.img", tmp_path / "part.img")) as built:
        found = of_volume(built)
    assert found.entries == again.manifest.root
    assert found.entries["/Windows/second.exe"].links == 2
    assert "/pagefile.sys" not in found.entries


def test_every_ntfs_volume_of_a_disk_is_checked_and_mapped(volume: Path) -> None:
    partitions = [
        (partition_types.ESP, MIB, fat_volume({"/x": b""}, 4 * MIB)),
        (partition_types.MICROSOFT_BASIC_DATA, 8 * MIB, volume.read_bytes()),
        (partition_types.MICROSOFT_BASIC_DATA, 32 * MIB, volume.read_bytes()),
    ]
    data = bytearray(disk_of(partitions))
    data[32 * MIB + 8192] ^= 0xFF  # in the second volume's $MFTMirr
    disk = Disk.open(MemoryStorage(data))
    assert [where for where, _ in disk.findings()] == ["NTFS"]
    owners = {(extent.partition, extent.owner) for extent in disk.block_map().extents if extent.file}
    assert {(2, "/Windows/System32/winload.efi"), (3, "/Windows/System32/winload.efi")} <= owners


def test_a_disk_without_windows_is_refused(tmp_path: Path) -> None:
    ntfs.format(tmp_path / "empty.img", size=8 * MIB)
    with pytest.raises(RecipeError, match="no NTFS volume with a folder Windows/System32"):
        plan(tmp_path / "empty.img")
