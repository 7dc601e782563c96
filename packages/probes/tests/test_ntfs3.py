"""Linux's own NTFS driver, ntfs3, in a machine: it reads what we built and changed, changes it, and we read that.

Its rules for what may be mounted are strict ($AttrDef, sizes, runs, sequence numbers, the order of indexes, counts of
links, and $LogFile where it writes); what it accepts in silence is judged by the tests of cloudboot-ntfs.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import lzma
import random
import re
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import cloudboot_ntfs as ntfs
from cloudboot_base.testing import FOREIGN, judge, judge_file, run
from cloudboot_ntfs.builder.source import File, HardLink, Member, Symlink
from cloudboot_probes import debian, image
from cloudboot_probes.cpio import initramfs
from cloudboot_probes.recipe import Recipe
from cloudboot_qemu import Drive, Machine
from cloudboot_vfs.testing import Model, Node, walk

pytestmark = pytest.mark.live
KERNEL = ("linux-image-cloud-amd64", FOREIGN / "boot")
MODULES = ("virtio_blk", "nls_utf8", "ntfs3")
INIT = rb"""#!/bin/busybox sh
/bin/busybox mkdir -p /dev /proc /mnt
/bin/busybox --install -s /bin
export PATH=/bin
mount -t devtmpfs devtmpfs /dev
mount -t proc proc /proc
dmesg -n 1
for module in virtio_blk nls_utf8 ntfs3; do insmod /modules/$module.ko || echo "judge: fail $module"; done

list() {
    cd /mnt
    echo "judge: listing $1"
    {
        find . -type f -exec sha256sum {} +
        find . -type l -exec stat -c '%N' {} +
        find . -type d
    } 2>&1 | gzip -c | base64 -w 160
    echo "judge: listed"
    cd /
}

change() {
    cd /mnt
    rm -r gone
    head -c 50000 /dev/zero | tr '\0' y >> grown
    mkdir judge
    cd judge
    number=0
    while [ $number -lt 300 ]; do
        echo "file $number" > file$number
        number=$((number + 1))
    done
    rm file1??
    mkdir -p a/b/c
    mv file7 a/b/c/renamed
    ln file8 second
    head -c 300000 /dev/zero | tr '\0' x > large
    truncate -s 200000 large
    printf more >> large
    cd /
}

for device in /dev/vd[b-z]; do
    mount -t ntfs3 -o ro,iocharset=utf8 $device /mnt || { echo "judge: fail ro $device"; continue; }
    list $device
    umount /mnt || echo "judge: fail umount $device"
    mount -t ntfs3 -o rw,iocharset=utf8 $device /mnt || { echo "judge: fail rw $device"; continue; }
    change || echo "judge: fail change $device"
    umount /mnt || echo "judge: fail umount $device"
done
dmesg | grep -i ntfs3 | sed 's/^/judge: kernel /'
echo "judge: end"
poweroff -f
"""
#: What the machine leaves in ``/judge``.
LEFT = {
    **{f"/judge/file{number}": f"file {number}\n".encode() for number in range(300) if not 100 <= number < 200},
    "/judge/a/b/c/renamed": b"file 7\n",
    "/judge/second": b"file 8\n",
    "/judge/large": b"x" * 200_000 + b"more",
}
del LEFT["/judge/file7"]
GROWN = b"grown " * 1000
START = 1_600_000_000_000_000_000


def content(size: int) -> bytes:
    return hashlib.shake_128(str(size).encode()).digest(size)


def built(path: Path, cluster: int) -> None:
    sizes = (0, 1, 700, 4095, 4096, 4097, 65_535, 65_536, 1_000_001)
    tree: dict[str, Member] = {f"sizes/{size}": content(size) for size in sizes}
    tree |= {f"many/{number:04} {'x' * (number % 50)}": b"%d" % number for number in range(1500)}
    tree |= {"sizes/second": HardLink("sizes/4097"), "deep/" * 20 + "end": b"end"}
    tree |= {"\u00fcn\u00efcode \U0001f600": b"name", "link": Symlink("sizes/700"), "n" * 255: File(b"longest")}
    ntfs.build(path, tree, ntfs.Options(cluster_size=cluster), size=48 << 20)
    finish(path)


def edited(path: Path, cluster: int, make: Callable[[Path, int], None]) -> None:
    make(path, cluster)
    chance = random.Random(cluster)
    model: Model[Node] = Model(lambda clock: ntfs.WritableNTFS(path, clock=clock), START)

    def number() -> int:
        return chance.randrange(1 << 16)

    def size() -> int:
        return max(0, chance.choice((1, 7, 16, 40)) * cluster + chance.randrange(-600, 600))

    operations: list[Callable[[], None]] = [
        lambda: model.write_file(number(), chance.choice("abcdefgh"), size(), chance.randrange(10)),
        lambda: model.write_at(number(), size(), size(), append=chance.random() < 0.5),
        lambda: model.truncate(number(), size()),
        lambda: model.mkdir(number(), chance.choice("ijkl"), 0o755),
        lambda: model.fill_directory(number(), chance.randrange(40), chance.randrange(1, 60)),
        lambda: model.empty_directory(number(), chance.randrange(5)),
        lambda: model.unlink_or_rmdir(number()),
        lambda: model.link(number(), number(), chance.choice("mnop")),
        lambda: model.symlink(number(), chance.choice("qrst"), chance.choice((1, 20, 60))),
        lambda: model.rename(number(), number(), chance.choice("abijmnqr")),
    ]
    for _ in range(500):
        chance.choice(operations)()
    assert len(walk(model.root)) > 50
    model.volume.close()
    finish(path)


def formatted(path: Path, cluster: int) -> None:
    ntfs.format(path, ntfs.Options(cluster_size=cluster), size=48 << 20)


def foreign(path: Path, cluster: int) -> None:
    path.write_bytes(b"")
    with path.open("r+b") as file:
        file.truncate(48 << 20)
    run(judge("mkntfs", "ntfs-3g"), "-F", "-Q", "-q", "-c", str(cluster), path)


def finish(path: Path) -> None:
    """Add what the machine changes."""
    with ntfs.WritableNTFS(path) as volume:
        volume.write_file("/grown", GROWN)
        volume.mkdir("/gone")
        for number in range(200):
            volume.write_file(f"/gone/{number}", b"%d" % number)
    assert ntfs.check(path) == []


def tree_of(path: Path) -> tuple[dict[str, bytes], dict[str, str], set[str]]:
    """The contents of files, the targets of links, and the directories."""
    files: dict[str, bytes] = {}
    links: dict[str, str] = {}
    folders: set[str] = set()
    with ntfs.NTFS(path, case_sensitive=True) as volume:
        for top, _, others in volume.walk():
            folders.add(top)
            for entry in others:
                if stat.S_ISLNK(volume.stat(entry.path, follow_symlinks=False).st_mode):
                    links[entry.path] = volume.readlink(entry.path)
                else:
                    files[entry.path] = volume.read_file(entry.path)
    return files, links, folders


Volumes = list[tuple[str, Path]]


@pytest.fixture(scope="module")
def volumes(tmp_path_factory: pytest.TempPathFactory) -> Volumes:
    folder = tmp_path_factory.mktemp("ntfs3")
    found = []
    for cluster in (512, 4096, 65_536):
        found.append((f"built {cluster}", folder / f"built-{cluster}"))
        built(found[-1][1], cluster)
    for cluster, make in ((512, formatted), (4096, formatted), (4096, foreign)):
        found.append((f"edited {make.__name__} {cluster}", folder / f"{make.__name__}-{cluster}"))
        edited(found[-1][1], cluster, make)
    return found


def boot_image(folder: Path, made: Recipe) -> Path:
    """A disk that starts Linux with our ``init`` and the driver."""
    package, boot = KERNEL
    modules = {name: judge_file(boot / f"modules-cloud-amd64/{name}.ko.xz", package) for name in MODULES}
    busybox = next(debian.extract(debian.fetch("busybox-static"), r"(usr/)?bin/busybox").rglob("busybox"))
    files = {"init": (0o755, INIT), "bin/busybox": (0o755, busybox.read_bytes())}
    files |= {f"modules/{name}.ko": (0o644, lzma.decompress(path.read_bytes())) for name, path in modules.items()}
    (folder / "initrd").write_bytes(initramfs(files))
    own = replace(made.linux, kernel=judge_file(boot / "vmlinuz-cloud-amd64", package), initrd=folder / "initrd")
    path = folder / "boot.img"
    image.build(image.plan(replace(made, linux=own)), path)
    return path


def test_ntfs3_reads_and_changes_volumes(volumes: Volumes, linux_recipe: Recipe, tmp_path: Path) -> None:
    before = [tree_of(path) for _, path in volumes]
    drives = [Drive(path, name=f"disk{number}", readonly=False) for number, (_, path) in enumerate(volumes)]
    text = b""
    with Machine([Drive(boot_image(tmp_path, linux_recipe), name="boot"), *drives]) as machine:
        for line in machine.lines(300):
            text += line + b"\n"
            if re.fullmatch(rb"judge: end|.*Kernel panic.*", line):
                break
        else:
            pytest.fail(text.decode("utf-8", "replace")[-3000:])
    said = [line for line in text.decode("utf-8", "replace").splitlines() if re.match("judge: (fail|kernel)", line)]
    assert [line for line in said if "Enabled Linux POSIX ACLs" not in line and "Read-only LZX" not in line] == []
    listings = re.findall(rb"judge: listing (\S+)\n(.*?)judge: listed", text, re.DOTALL)
    assert len(listings) == len(volumes)
    for (name, path), (_, packed), (files, links, folders) in zip(volumes, listings, before, strict=True):
        listed = gzip.decompress(base64.b64decode(packed)).decode().splitlines()
        expected = [f"{hashlib.sha256(data).hexdigest()}  .{where}" for where, data in files.items()]
        expected += [f"'.{where}' -> '{target}'" for where, target in links.items()]
        expected += [f".{where.rstrip('/')}" for where in folders]
        assert sorted(listed) == sorted(expected), name
        assert ntfs.check(path) == [], name
        kept = {where: data for where, data in files.items() if not where.startswith("/gone/")}
        changed = kept | {"/grown": GROWN + b"y" * 50_000} | LEFT
        left = {"/judge", "/judge/a", "/judge/a/b", "/judge/a/b/c"}
        assert tree_of(path) == (changed, links, (folders - {"/gone"}) | left), name
