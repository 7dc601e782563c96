"""Make what this folder holds anew: ``python make.py``. It needs mkntfs, ntfs-3g and hivexsh."""

from __future__ import annotations

import hashlib
import json
import lzma
import os
import tempfile
from pathlib import Path

import cloudboot_ntfs as ntfs
from cloudboot_base import MemoryStorage
from cloudboot_base.testing import judge, run
from cloudboot_ntfs.registry import Key, build
from cloudboot_ntfs.testing import mounted, ntfs3g_volume, pattern, sample_tree

HERE = Path(__file__).parent
SHAPES = [(512, 1024, 512), (4096, 1024, 512), (65536, 4096, 512), (4096, 4096, 4096)]


def digest(data: bytes) -> str:
    """The SHA-256 of some bytes."""
    return hashlib.sha256(data).hexdigest()


def built(shape: tuple[int, int, int]) -> bytes:
    """A volume with one of everything, as this package builds it."""
    cluster, record, sector = shape
    data = bytearray((96 if cluster > 4096 else 12) << 20)
    options = ntfs.Options(cluster_size=cluster, record_size=record, sector_size=sector, label="golden", fresh=True)
    ntfs.build(MemoryStorage(data), sample_tree(), options)
    return bytes(data)


def volume(cluster: int) -> None:
    """A volume that mkntfs formats and ntfs-3g fills, with what ntfs-3g reads from it."""
    with tempfile.TemporaryDirectory() as place:
        image = ntfs3g_volume(Path(place) / "image", 8 << 20, "-c", str(cluster), "-L", "golden")
        with mounted(image, "compression") as folder:
            fill(folder)
        with mounted(image, "ro") as folder:
            files = {
                str(path.relative_to(folder)): digest(path.read_bytes())
                for path in sorted(folder.rglob("*"))
                if path.is_file() and not path.is_symlink()
            }
            files["many/file 7:stream"] = digest((folder / "many/file 7:stream").read_bytes())
        (HERE / f"ntfs-3g-{cluster}.xz").write_bytes(lzma.compress(image.read_bytes(), preset=9))
        (HERE / f"ntfs-3g-{cluster}.json").write_text(json.dumps(files, indent=1, ensure_ascii=False) + "\n")


def fill(folder: Path) -> None:
    """Files of every kind that ntfs-3g makes."""
    (folder / "many").mkdir()
    for number in range(160):
        (folder / "many" / f"file {number}").write_bytes(pattern(number * 3, number))
    for number in range(0, 160, 9):
        (folder / "many" / f"file {number}").unlink()
    for number in range(30):
        os.link(folder / "many/file 1", folder / f"link {number}")
    (folder / "many/file 7:stream").write_bytes(pattern(3000))
    with (folder / "holes").open("wb") as file:
        for number in range(12):
            file.seek(number * 400_000)
            file.write(b"%d" % number)
    (folder / "\u00fcn\u00ef\u0416\U0001f600").write_bytes(b"unicode")
    packed = folder / "compressed"
    packed.mkdir()
    os.setxattr(packed, "system.ntfs_attrib", (0x810).to_bytes(4, "little"))
    (packed / "text").write_bytes(b"the same words again and again, " * 3000)


def hive() -> None:
    """A hive that this package builds and hivexsh changes, with what hivexsh exports of it."""
    root = Key("ROOT")
    root.make("Software\\Vendor")
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "hive"
        path.write_bytes(build(root))
        script = "cd \\Software\\Vendor\n" + "".join(f"add Key{number:03}\n" for number in range(80))
        script += "cd Key007\nsetval 3\nText\nstring:text\nNumber\ndword:00000007\nBytes\nhex:3:01,02,03\ncommit\n"
        run(judge("hivexsh", "libhivex-bin"), "-w", path, stdin=script.encode())
        (HERE / "hivex.hive.xz").write_bytes(lzma.compress(path.read_bytes(), preset=9))


if __name__ == "__main__":
    for cluster in (512, 4096):
        volume(cluster)
    hive()
    ours = {"-".join(map(str, shape)): digest(built(shape)) for shape in SHAPES}
    (HERE / "ours.json").write_text(json.dumps(ours, indent=1) + "\n")
