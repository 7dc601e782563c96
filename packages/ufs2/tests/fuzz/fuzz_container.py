"""Fuzz what stands around a disk: ``python fuzz_container.py -max_total_time=60`` (needs atheris).

The first byte of an input chooses the container: 0 a qcow2 image as it is, 1 to 4 a compressed stream (gzip, xz,
Zstandard, bzip2), anything else a file system of ``fuzzing.Patches`` that is compressed after the patches, so that
what the spool believes of it is wrong. Only errors derived from ``FormatError`` may come out.
"""

from __future__ import annotations

import gzip
import lzma
import struct
from pathlib import Path

from cloudboot_base import FormatError, MemoryStorage
from cloudboot_disk_image import Qcow2
from cloudboot_disk_image.compression import zstandard
from cloudboot_ufs2 import open_image
from cloudboot_ufs2.testing import pattern
from cloudboot_ufs2.testing.fuzzing import Patches, compressed_images, fuzz, read_corpus

PATCHES = Patches(compressed_images(Path(__file__).parents[1] / "golden"))
CORPUS = read_corpus(Path(__file__).parent / "corpus" / "fuzz_container.txt")
_LIMIT = 8 << 20
_CLUSTER = 512


def small_qcow2() -> bytes:
    """A qcow2 image by hand: version 3, clusters of 512 bytes; one is stored, one zeros, one compressed."""
    packed = gzip.compress(pattern(_CLUSTER), mtime=0)[10:-8]
    header = struct.pack(
        ">4sIQIIQIIQQIIQQQQII", b"QFI\xfb", 3, 0, 0, 9, 4 * _CLUSTER, 0, 1, 512, 0, 0, 0, 0, 0, 0, 0, 4, 104
    )  # fmt: skip
    l1 = struct.pack(">Q", 1024)
    l2 = struct.pack(">4Q", 1536, 1, 1 << 62 | 2048, 0)
    return b"".join(part.ljust(_CLUSTER, b"\0") for part in (header, l1, l2, pattern(_CLUSTER), packed))


SEEDS = [
    b"\0" + small_qcow2(),
    b"\1" + gzip.compress(pattern(5000), mtime=0),
    b"\2" + lzma.compress(pattern(5000)),
    b"\3" + zstandard().compress(pattern(5000)),
    *(b"\xff" + seed for seed in PATCHES.seeds()[::40]),
]


def one_input(data: bytes) -> None:
    """Read a container of a stranger."""
    if not data:
        return
    try:
        if data[0] == 0:
            disk = Qcow2(MemoryStorage(data[1:]))
            for start in range(0, min(disk.size, _LIMIT), 65536):
                disk.read_at(start, min(65536, disk.size - start))
            return
        source = data[1:] if data[0] < 5 else gzip.compress(bytes(PATCHES.apply(data[1:])), 1)
        with open_image(source, limit=_LIMIT) as volume:
            for _, _, others in volume.walk():
                for entry in others:
                    if entry.is_file():
                        volume.read_file(entry.path, limit=_LIMIT)
    except FormatError as error:
        str(error)
        error.as_dict()


if __name__ == "__main__":
    fuzz(one_input, [*SEEDS, *CORPUS])
