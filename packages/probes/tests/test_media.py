"""Images from media that other programs made: ISO images, virtual machines' disks, folders, archives."""

from __future__ import annotations

import gzip
import json
import shutil
import sys
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from cloudboot_base import open_storage
from cloudboot_base.testing import judge, run
from cloudboot_gpt.testing import disklabel
from cloudboot_probes import image, recipe
from cloudboot_probes.cli.dispatch import run as cloudboot
from cloudboot_probes.disk import Disk
from cloudboot_probes.media.choice import find_loader
from cloudboot_probes.media.errors import IsoError, MediumError, NoLoaderError
from cloudboot_probes.media.medium import open_medium
from cloudboot_probes.systems import load
from cloudboot_uefi_host.drivers.el_torito import CatalogueError
from cloudboot_uefi_host.programs import standin

ARCHITECTURES = ("amd64", "arm64", "riscv64")
#: Where each system's installation medium has its loader, beside the ESP.
OWN = {"freebsd": "boot/loader.efi", "netbsd": "usr/mdec/bootx64.efi", "openbsd": "usr/mdec/BOOTX64.EFI"}
TYPES = {"freebsd": "freebsd-ufs", "netbsd": "netbsd-ffs", "openbsd": "openbsd"}
SECTOR = 512


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A system's files, with the stand-in where FreeBSD has its loader."""
    top = tmp_path / "tree"
    for folder in ("boot/kernel", "etc", "rescue"):
        (top / folder).mkdir(parents=True)
    (top / "boot/loader.efi").write_bytes(standin("amd64"))
    (top / "boot/kernel/kernel").write_bytes(bytes(range(256)) * 9000)
    (top / "boot/loader.conf").write_text('autoboot_delay="2"\n')
    (top / "etc/empty").touch()
    (top / "rescue/cat").write_bytes(b"rescue" * 50_000)
    (top / "rescue/ls").hardlink_to(top / "rescue/cat")
    (top / "etc/A long name, with Capitals and a comma").write_text("text")
    (top / "link").symlink_to("boot/kernel/kernel")
    (top / "rescue/cat").chmod(0o755)
    return top


def fat_image(path: Path, files: dict[str, bytes], size: int = 4096) -> Path:
    """A FAT volume made by mkfs.fat and filled by mtools."""
    run(judge("mkfs.fat", "dosfstools"), "-C", path, str(size))
    made: set[str] = set()
    for name, data in files.items():
        source = path.with_name("file-for-mtools")
        source.write_bytes(data)
        parts = name.strip("/").split("/")
        for depth in range(1, len(parts)):
            folder = "/".join(parts[:depth])
            if folder not in made:
                run(judge("mmd", "mtools"), "-i", path, f"::/{folder}")
                made.add(folder)
        run(judge("mcopy", "mtools"), "-i", path, source, f"::/{name.strip('/')}")
    return path


def iso_image(path: Path, tree: Path, *options: str) -> Path:
    """An ISO image made by xorriso."""
    run(judge("xorriso", "xorriso"), "-as", "mkisofs", "-o", path, *options, tree)
    return path


def ufs_image(path: Path, tree: Path, version: int = 2) -> Path:
    """A UFS volume made by NetBSD's makefs."""
    run(judge("makefs", "makefs"), "-t", "ffs", "-s", "24m", "-o", f"version={version}", path, tree)
    return path


def gpt_disk(path: Path, *parts: tuple[str, Path]) -> Path:
    """A disk partitioned by sgdisk, whose partitions hold the files given: ``(type code, file)``."""
    mib = 1 << 20
    start = 1
    places = []
    for kind, file in parts:
        length = -(-file.stat().st_size // mib)
        places.append((kind, file, start, length))
        start += length
    with path.open("wb") as disk:
        disk.truncate((start + 1) * mib)
    words = [
        word
        for number, (kind, _, first, length) in enumerate(places, 1)
        for word in ("-n", f"{number}:{first * 2048}:{(first + length) * 2048 - 1}", "-t", f"{number}:{kind}")
    ]
    run(judge("sgdisk", "gdisk"), *words, path)
    with path.open("r+b") as disk:
        for _, file, first, _ in places:
            disk.seek(first * mib)
            disk.write(file.read_bytes())
    return path


def built(name: str, medium: Path, output: Path, *options: str) -> Disk:
    """The disk that the command makes of a medium."""
    assert cloudboot(["image", "build", name, "--from", str(medium), "-o", str(output), *options]) == 0
    return Disk.open(open_storage(output).storage)


def check_tree(disk: Disk, tree: Path) -> None:
    """The root of a disk holds what the folder holds, as GRUB reads it for one file, and our reader for all."""
    assert disk.root is not None
    for path in sorted(tree.rglob("*")):
        name = f"/{path.relative_to(tree)}"
        if path.is_symlink():
            assert disk.root.readlink(name) == str(path.readlink())
        elif path.is_file():
            assert disk.root.read_file(name) == path.read_bytes()
            assert disk.root.stat(name).st_mode == path.stat().st_mode
    assert disk.root.find("/rescue/cat") == disk.root.find("/rescue/ls")


def test_an_iso_image_of_xorriso_becomes_the_disk_of_two_partitions(tree: Path, tmp_path: Path) -> None:
    esp = fat_image(tree / "boot/efiboot.img", {"/EFI/BOOT/BOOTX64.EFI": b"not this one"}, 1440)
    medium = iso_image(tmp_path / "install.iso", tree, "-R", "-e", f"boot/{esp.name}", "-no-emul-boot")
    disk = built("freebsd", medium, tmp_path / "disk.img")
    assert [(part.type_name, part.first_lba) for part in disk.table.partitions] == [("esp", 64), ("freebsd-ufs", 34816)]
    assert disk.esp.read_file("/EFI/BOOT/BOOTX64.EFI") == standin("amd64")
    check_tree(disk, tree)
    assert disk.manifest is not None
    assert disk.manifest.sources[0]["version"] == "iso9660"


def test_the_same_medium_gives_the_same_bytes(tree: Path, tmp_path: Path) -> None:
    medium = iso_image(tmp_path / "install.iso", tree, "-R")
    for name in ("one", "two"):
        built("freebsd", medium, tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_joliet_names_are_read_where_there_is_no_rock_ridge(tree: Path, tmp_path: Path) -> None:
    medium = tmp_path / "install.iso"
    run(judge("genisoimage", "genisoimage"), "-quiet", "-J", "-o", medium, tree)
    disk = built("freebsd", medium, tmp_path / "disk.img")
    assert disk.root is not None
    assert disk.root.read_file("/etc/A long name, with Capitals and a comma") == b"text"


@pytest.mark.parametrize("damage", [False, True])
def test_a_udf_volume_on_the_same_medium_is_in_nobodys_way(*, damage: bool, tree: Path, tmp_path: Path) -> None:
    medium = tmp_path / "install.iso"
    run(judge("genisoimage", "genisoimage"), "-quiet", "-R", "-udf", "-o", medium, tree)
    if damage:
        with open(medium, "r+b") as file:
            file.seek(256 * 2048)  # the anchor volume descriptor pointer (ECMA-167, 3/8.4.2.1)
            assert file.read(2) == b"\x02\x00"
            file.seek(256 * 2048)
            file.write(bytes(2048))
    disk = built("freebsd", medium, tmp_path / "disk.img")
    check_tree(disk, tree)


def test_plain_names_are_read_in_lower_case(tree: Path, tmp_path: Path) -> None:
    medium = tmp_path / "install.iso"
    run(judge("genisoimage", "genisoimage"), "-quiet", "-o", medium, tree)
    disk = built("freebsd", medium, tmp_path / "disk.img")
    assert disk.root is not None
    assert disk.root.read_file("/boot/loader.con") == b'autoboot_delay="2"\n'
    assert disk.root.read_file("/etc/empty") == b""


def test_an_iso_image_of_makefs_with_deep_folders_and_hard_links(tree: Path, tmp_path: Path) -> None:
    """makefs makes the BSDs' own ISO images. It moves folders below the eighth level, and shares the bytes of links."""
    deep = tree / "usr/share/a/b/c/d/e/f/g/h"
    deep.mkdir(parents=True)
    (deep / "file").write_text("deep")
    esp = fat_image(tmp_path / "efiboot.img", {"/EFI/BOOT/BOOTX64.EFI": standin("amd64")}, 1440)
    medium = tmp_path / "install.iso"
    options = f"rockridge,allow-deep-trees,label=BSD,bootimage=i386;{esp},no-emul-boot"
    run(judge("makefs", "makefs"), "-t", "cd9660", "-o", options, medium, tree)
    disk = built("freebsd", medium, tmp_path / "disk.img")
    check_tree(disk, tree)
    assert disk.root is not None
    assert disk.root.read_file("/usr/share/a/b/c/d/e/f/g/h/file") == b"deep"


@pytest.mark.parametrize("system", OWN)
def test_each_system_has_its_own_loader_path_and_partition_type(system: str, tree: Path, tmp_path: Path) -> None:
    own = tree / OWN[system]
    own.parent.mkdir(parents=True, exist_ok=True)
    if system != "freebsd":
        (tree / "boot/loader.efi").rename(own)
    disk = built(system, iso_image(tmp_path / "install.iso", tree, "-R"), tmp_path / "disk.img")
    assert [part.type_name for part in disk.table.partitions] == ["esp", TYPES[system]]
    assert disk.esp.read_file("/EFI/BOOT/BOOTX64.EFI") == standin("amd64")
    assert disk.root_partition is not None


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_loader_is_that_of_the_architecture(architecture: str, tree: Path, tmp_path: Path) -> None:
    (tree / "boot/loader.efi").unlink()
    name = load("freebsd").loader(architecture)
    files = {load("freebsd").loader(each): standin(each) for each in ARCHITECTURES}
    fat_image(tree / "boot/efiboot.img", files)
    medium = iso_image(tmp_path / "install.iso", tree, "-R", "-e", "boot/efiboot.img", "-no-emul-boot")
    disk = built("freebsd", medium, tmp_path / "disk.img", "--architecture", architecture, "--esp-only")
    assert disk.root is None
    assert disk.esp.read_file(name) == standin(architecture)


def test_a_loader_for_another_machine_is_passed_over_and_named(tree: Path, tmp_path: Path) -> None:
    (tree / "boot/loader.efi").write_bytes(standin("arm64"))
    with open_medium(tree) as medium, pytest.raises(NoLoaderError, match="is a program for arm64, not for amd64"):
        find_loader(medium, load("freebsd"), "amd64")


@pytest.mark.parametrize("container", ["raw", "qcow2", "vpc", "gz"])
def test_a_virtual_machines_disk_in_any_container(container: str, tree: Path, tmp_path: Path) -> None:
    esp = fat_image(tmp_path / "esp.img", {"/EFI/FREEBSD/LOADER.EFI": standin("amd64")})
    (tree / "boot/loader.efi").unlink()
    raw = gpt_disk(tmp_path / "vm.raw", ("ef00", esp), ("a503", ufs_image(tmp_path / "root.ufs", tree)))
    medium = raw
    if container == "gz":
        medium = tmp_path / "vm.raw.gz"
        medium.write_bytes(gzip.compress(raw.read_bytes(), 1))
    elif container != "raw":
        medium = tmp_path / f"vm.{container}"
        run(judge("qemu-img", "qemu-utils"), "convert", "-O", container, raw, medium)
    disk = built("freebsd", medium, tmp_path / "disk.img")
    check_tree(disk, tree)
    assert disk.esp.read_file("/EFI/BOOT/BOOTX64.EFI") == standin("amd64")


def test_an_mbr_with_an_esp_and_a_bsd_slice_of_ufs1(tree: Path, tmp_path: Path) -> None:
    """What OpenBSD's miniroot is: type EF, then type A6."""
    esp = fat_image(tmp_path / "esp.img", {"/EFI/BOOT/BOOTX64.EFI": standin("amd64")})
    root = ufs_image(tmp_path / "root.ufs", tree, 1)
    medium = tmp_path / "miniroot.img"
    with medium.open("wb") as file:
        file.truncate(40 << 20)
        for at, part in ((1, esp), (8, root)):
            file.seek(at << 20)
            file.write(part.read_bytes())
    script = b"label: dos\nstart=2048, size=8192, type=ef\nstart=16384, size=49152, type=a6, bootable\n"
    run(judge("sfdisk", "fdisk"), medium, stdin=script)
    check_tree(built("openbsd", medium, tmp_path / "disk.img"), tree)


def test_an_mbr_with_an_esp_and_a_slice_with_a_disklabel(tree: Path, tmp_path: Path) -> None:
    """What FreeBSD's memory stick images are: in the slice a label, and 16 sectors into it the root."""
    esp = fat_image(tmp_path / "esp.img", {"/EFI/BOOT/BOOTX64.EFI": standin("amd64")})
    root = ufs_image(tmp_path / "root.ufs", tree).read_bytes()
    medium = tmp_path / "memstick.img"
    sectors = len(root) // 512
    label = disklabel({"a": (7, 16, sectors), "c": (0, 0, 16 + sectors)})
    with medium.open("wb") as file:
        file.truncate((16384 + 16 + sectors + 2048) * 512)
        for at, part in ((2048, esp.read_bytes()), (16385, label), (16384 + 16, root)):
            file.seek(at * 512)
            file.write(part)
    script = f"label: dos\nstart=2048, size=8192, type=ef\nstart=16384, size={16 + sectors}, type=a5, bootable\n"
    run(judge("sfdisk", "fdisk"), medium, stdin=script.encode())
    check_tree(built("freebsd", medium, tmp_path / "disk.img"), tree)


@pytest.mark.parametrize("kind", ["folder", "tar", "tar.gz"])
def test_a_folder_and_an_archive_are_media_too(kind: str, tree: Path, tmp_path: Path) -> None:
    medium = tree
    if kind != "folder":
        medium = tmp_path / f"root.{kind}"
        with tarfile.open(medium, "w:gz" if kind.endswith("gz") else "w") as archive:
            archive.add(tree, ".")
    check_tree(built("freebsd", medium, tmp_path / "disk.img"), tree)


def test_a_file_that_the_roots_folder_has_as_well_is_not_dropped(
    tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--root", str(tree), "--root-file", f"/boot/loader.conf={tree / 'etc/empty'}"]
    assert cloudboot(["image", "build", "custom", *words, "-o", str(tmp_path / "disk.img")]) == 2
    assert "/boot/loader.conf is in" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["iso", "tar.gz", "folder"])
def test_a_file_of_the_root_takes_the_place_of_the_mediums(kind: str, tree: Path, tmp_path: Path) -> None:
    own = tmp_path / "loader.conf"
    own.write_text('vfs.root.mountfrom="ufs:/dev/ufs/freebsd"\n')
    medium = tree
    if kind == "iso":
        medium = iso_image(tmp_path / "install.iso", tree, "-R")
    elif kind == "tar.gz":
        medium = tmp_path / "root.tar.gz"
        with tarfile.open(medium, "w:gz") as archive:
            archive.add(tree, ".")
    disk = built("freebsd", medium, tmp_path / "disk.img", "--root-file", f"/boot/loader.conf={own}")
    assert disk.root is not None
    assert disk.root.read_file("/boot/loader.conf") == own.read_bytes()
    assert disk.root.read_file("/boot/kernel/kernel") == (tree / "boot/kernel/kernel").read_bytes()


def test_a_medium_for_a_bios_alone_is_refused_with_the_reason(
    tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tree / "boot/loader.efi").unlink()
    boot = tmp_path / "boot.bin"
    boot.write_bytes(b"\xeb\x3c" + bytes(100_000))
    medium = gpt_disk(tmp_path / "mfsbsd.img", ("a501", boot), ("a503", ufs_image(tmp_path / "root.ufs", tree)))
    output = tmp_path / "disk.img"
    assert cloudboot(["image", "build", "freebsd", "--from", str(medium), "-o", str(output)]) == 3
    told = capsys.readouterr().err
    assert "starts on a BIOS only (partition 1 (freebsd-boot))" in told
    assert "no /boot/loader.efi" in told
    assert not output.exists()


def test_a_medium_without_a_tree_can_be_an_esp_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    esp = fat_image(tmp_path / "esp.img", {"/EFI/BOOT/BOOTX64.EFI": standin("amd64")})
    medium = gpt_disk(tmp_path / "esp-only.img", ("ef00", esp))
    command = ["image", "build", "openbsd", "--from", str(medium), "-o", str(tmp_path / "disk.img")]
    assert cloudboot(command) == 3
    assert "--esp-only" in capsys.readouterr().err
    assert cloudboot([*command, "--esp-only"]) == 0


def test_what_is_no_medium_is_refused(tmp_path: Path) -> None:
    for name, data in (("zeros", bytes(1 << 20)), ("text", b"hello" * 5000), ("empty", b"")):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(MediumError, match="no folder, tar archive, ISO 9660 image or disk image"):
            open_medium(tmp_path / name).__enter__()


def test_damaged_iso_images_end_in_typed_errors(tree: Path, tmp_path: Path) -> None:
    good = iso_image(tmp_path / "install.iso", tree, "-R").read_bytes()
    damaged = tmp_path / "damaged.iso"
    ends = set()
    for offset in (*range(16 * 2048, 24 * 2048, 293), *range(24 * 2048, 60 * 2048, 1801)):
        data = bytearray(good)
        data[offset : offset + 4] = b"\xff\xff\xff\xff"
        damaged.write_bytes(data)
        try:
            with open_medium(damaged) as medium:
                volume = next(each for each in medium.volumes if each.export is not None)
                assert volume.export is not None
                volume.export(tmp_path)
            ends.add("read")
        except (IsoError, MediumError, CatalogueError):
            ends.add("refused")
    assert ends == {"read", "refused"}


def test_a_directory_that_is_its_own_parent_is_refused(tree: Path, tmp_path: Path) -> None:
    data = bytearray(iso_image(tmp_path / "install.iso", tree, "-R").read_bytes())
    root = bytes(data[16 * 2048 + 156 + 2 : 16 * 2048 + 156 + 18])  # Extent Location and Data Length, ECMA-119 9.1
    at = data.index(b"\x04BOOT", 18 * 2048) - 32
    data[at + 2 : at + 18] = root
    (tmp_path / "loop.iso").write_bytes(data)
    with pytest.raises(IsoError, match="loop"):
        open_medium(tmp_path / "loop.iso").__enter__()


def test_a_catalogue_that_lies_is_refused(tree: Path, tmp_path: Path) -> None:
    fat_image(tree / "boot/efiboot.img", {"/EFI/BOOT/BOOTX64.EFI": standin("amd64")}, 1440)
    medium = iso_image(tmp_path / "install.iso", tree, "-R", "-e", "boot/efiboot.img", "-no-emul-boot")
    data = bytearray(medium.read_bytes())
    entry = data.index(b"\x55\xaa", 18 * 2048) + 2
    data[entry + 8 : entry + 12] = b"\xff\xff\xff\x7f"  # Load RBA of the first entry (El Torito 1.0, figure 3)
    (tmp_path / "lie.iso").write_bytes(data)
    with pytest.raises(CatalogueError, match="outside the medium"):
        open_medium(tmp_path / "lie.iso").__enter__()


@pytest.mark.parametrize("count", [0, 1, 4, 2879, 0xFFFF])
def test_the_size_of_a_boot_image_is_that_of_its_file_system(tree: Path, tmp_path: Path, count: int) -> None:
    """Writers state what fits 16 bits, or what a BIOS is to read; mtools reads the loader wherever that ends."""
    esp = fat_image(tree / "boot/efiboot.img", {"/EFI/BOOT/BOOTX64.EFI": standin("amd64")}, 1440)
    (tree / "boot/loader.efi").unlink()
    medium = iso_image(tmp_path / "install.iso", tree, "-R", "-e", "boot/efiboot.img", "-no-emul-boot")
    data = bytearray(medium.read_bytes())
    entry = data.index(b"\x55\xaa", 18 * 2048) + 2
    data[entry + 6 : entry + 8] = count.to_bytes(2, "little")
    medium.write_bytes(data)
    disk = built("freebsd", medium, tmp_path / "disk.img")
    run(judge("mcopy", "mtools"), "-i", esp, "::/EFI/BOOT/BOOTX64.EFI", tmp_path / "loader")
    assert disk.esp.read_file("/EFI/BOOT/BOOTX64.EFI") == (tmp_path / "loader").read_bytes()


@pytest.mark.parametrize(("at", "value"), [(64, 0x90), (66, 9), (65, 0xEF)])
def test_a_catalogue_that_pycdlib_refuses(tree: Path, tmp_path: Path, at: int, value: int) -> None:
    esp = fat_image(tree / "boot/efiboot.img", {"/EFI/BOOT/BOOTX64.EFI": standin("amd64")}, 1440)
    (tree / "boot/bios.img").write_bytes(bytes(2048))
    words = ("-b", "boot/bios.img", "-no-emul-boot", "-eltorito-alt-boot", "-e", f"boot/{esp.name}", "-no-emul-boot")
    medium = iso_image(tmp_path / "install.iso", tree, "-R", *words)
    data = bytearray(medium.read_bytes())
    data[data.index(b"\x55\xaa", 18 * 2048) - 30 + at] = value
    medium.write_bytes(data)
    with open_medium(medium) as opened:
        assert [volume.title for volume in opened.volumes][1:] == ["El Torito image 1 (EFI)"]
    check_tree(built("freebsd", medium, tmp_path / "disk.img"), tree)


def test_an_iso_image_that_ends_early_is_refused(tree: Path, tmp_path: Path) -> None:
    medium = iso_image(tmp_path / "install.iso", tree, "-R")
    short = tmp_path / "short.iso"
    short.write_bytes(medium.read_bytes()[: medium.stat().st_size // 2])
    with pytest.raises(IsoError, match="beyond the end of the medium"):
        open_medium(short).__enter__()


def test_without_pycdlib_the_extra_is_named(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    medium = iso_image(tmp_path / "install.iso", tree, "-R")
    monkeypatch.setitem(sys.modules, "pycdlib", None)
    assert cloudboot(["image", "build", "freebsd", "--from", str(medium), "-o", str(tmp_path / "disk.img")]) == 5
    assert "pip install 'cloudboot-probes[iso]'" in capsys.readouterr().err


def test_a_dry_run_writes_nothing_and_says_where_the_loader_is(
    tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "disk.img"
    command = ["image", "build", "freebsd", "--from", str(tree), "-o", str(output), "--dry-run", "--json"]
    assert cloudboot(command) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["esp"]["/EFI/BOOT/BOOTX64.EFI"] == len(standin("amd64"))
    assert plan["root"]["/boot/kernel/kernel"] == 256 * 9000
    assert not output.exists()


def test_a_recipe_that_needs_a_medium_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert cloudboot(["image", "build", "netbsd", "-o", "/nonexistent/disk.img"]) == 2
    assert "--from" in capsys.readouterr().err
    assert cloudboot(["image", "build", "custom", "--from", "/etc", "-o", "/nonexistent/disk.img"]) == 2
    assert "takes nothing from a medium" in capsys.readouterr().err


def test_the_demo_recipe_needs_no_medium(tmp_path: Path) -> None:
    made = replace(recipe.load("demo"), architecture="riscv64")
    built_image = image.build(image.plan(made), tmp_path / "disk.img")
    assert shutil.which("grub-fstest") is None or "grub-fstest" in built_image.readers
    with open_storage(tmp_path / "disk.img") as opened:
        assert Disk.open(opened.storage).esp.read_file("/EFI/BOOT/BOOTRISCV64.EFI") == standin("riscv64")


def probed(system: str, disk: Path, folder: Path) -> dict[str, dict[str, object]]:
    """The gates of a probe of a disk."""
    reference, record = f"oci:{folder / 'store'}:foreign", folder / "record.json"
    assert cloudboot(["push", str(disk), reference]) == 0
    assert cloudboot(["probe", system, reference, "--record", str(record)]) == 1
    return {gate["gate"]: gate for gate in json.loads(record.read_text())["gates"]}


def test_a_disk_of_other_programs_is_probed(tree: Path, tmp_path: Path) -> None:
    """sgdisk, mkfs.fat, mtools and makefs made it: there is no manifest, and the structure alone is checked."""
    (tree / "boot/loader.efi").unlink()
    esp = fat_image(tmp_path / "esp.img", {"/EFI/BOOT/BOOTX64.EFI": standin("amd64")})
    disk = gpt_disk(tmp_path / "disk.img", ("ef00", esp), ("a902", ufs_image(tmp_path / "root.ufs", tree)))
    gates = probed("netbsd", disk, tmp_path)
    evidence = {name: json.dumps(gate.get("evidence")) for name, gate in gates.items()}
    assert "no manifest" in evidence["header"]
    assert gates["ufs-root"]["verdict"] == "pass"
    assert '"/boot/loader.conf": 19' in evidence["start-image"]
    # The stand-in is no loader of NetBSD's, and the last gate says so.
    assert [name for name, gate in gates.items() if gate["verdict"] == "fail"] == ["loader-banner"]
    assert "cloudboot stand-in EFI loader, Revision 1.0" in evidence["loader-banner"]


@pytest.mark.parametrize("container", ["raw", "qcow2"])
def test_a_file_is_probed_where_it_is(container: str, tmp_path: Path) -> None:
    disk, record = tmp_path / "disk.img", tmp_path / "record.json"
    assert cloudboot(["image", "build", "demo", "-o", str(disk)]) == 0
    if container != "raw":
        run(judge("qemu-img", "qemu-utils"), "convert", "-O", container, disk, tmp_path / "disk.qcow2")
        disk = tmp_path / "disk.qcow2"
    assert cloudboot(["probe", "demo", str(disk), "--record", str(record)]) == 0
    document = json.loads(record.read_text())
    assert document["run"]["reference"] == str(disk)
    assert document["gates"][0]["evidence"]["reference"] == str(disk)
    assert cloudboot(["probe", "demo", str(tmp_path / "missing.img")]) == 5


def test_freebsd_looks_for_the_superblock_in_one_place_alone(tree: Path, tmp_path: Path) -> None:
    """makefs puts it where NetBSD's loader looks, too, and FreeBSD's does not."""
    esp = fat_image(tmp_path / "esp.img", {"/EFI/BOOT/BOOTX64.EFI": standin("amd64")})
    disk = gpt_disk(tmp_path / "disk.img", ("ef00", esp), ("a503", ufs_image(tmp_path / "root.ufs", tree)))
    gates = probed("freebsd", disk, tmp_path)
    assert [name for name, gate in gates.items() if gate["verdict"] == "fail"] == ["header"]
    assert "superblock-sblockloc" in json.dumps(gates["header"])
