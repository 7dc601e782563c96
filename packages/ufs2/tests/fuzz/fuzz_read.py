"""Fuzz the reader: ``python fuzz_read.py -max_total_time=60`` (needs atheris). The format is ``fuzzing.Patches``.

Only errors derived from ``Ufs2Error`` may come out. The images have less than half a MiB, so libFuzzer's ``-timeout=1``
and ``-rss_limit_mb`` hold the reader to little time and space.
"""

from __future__ import annotations

from pathlib import Path

from cloudboot_ufs2 import UFS2, Ufs2Error
from cloudboot_ufs2.testing.fuzzing import Patches, compressed_images, fuzz, read_corpus

PATCHES = Patches(compressed_images(Path(__file__).parents[1] / "golden"))
CORPUS = read_corpus(Path(__file__).parent / "corpus" / "fuzz_read.txt")
SEEDS = PATCHES.seeds()
_READ_LIMIT = 1 << 20


def one_input(data: bytes) -> None:
    """Everything this package reads of a foreign image."""
    image = bytes(PATCHES.apply(data))
    for verify in (True, False):
        try:
            with UFS2.open(image, verify=verify) as volume:
                read_all(volume)
        except Ufs2Error as error:
            str(error)
            error.as_dict()


def read_all(volume: UFS2) -> None:
    for region in volume.regions():
        assert region.length >= 0
    budget = _READ_LIMIT
    for path, directories, others in volume.walk():
        for entry in [*directories, *others]:
            try:
                size = volume.stat_inode(entry.inode).st_size
                if entry.is_symlink():
                    volume.link_target(entry.inode)
                    volume.exists(entry.path)
                elif entry.is_file() and budget > 0:
                    file = volume.open_inode(entry.inode)
                    budget -= len(file.read_at(0, 65536)) + 4096
                    file.read_at(max(0, size - 100), 200)
                    start = volume.geometry.fragment_size
                    for offset, length in volume.extents(entry.path):
                        assert offset >= start
                        assert 0 < length <= volume.size
                    volume.pointer_blocks(entry.path)
            except Ufs2Error as error:
                str(error)
        volume.listdir(path)


if __name__ == "__main__":
    fuzz(one_input, [*SEEDS, *CORPUS])
