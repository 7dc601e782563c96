"""Fuzz the checker and the reader: ``python fuzz_volume.py -max_total_time=60`` (needs atheris).

A checker collects; a reader raises errors of this package. Nothing else may come out of either.
"""

from __future__ import annotations

import contextlib
import json

import cloudboot_ntfs as ntfs
from cloudboot_ntfs.errors import DescriptorError
from cloudboot_ntfs.testing.fuzzing import Patches, fuzz, small_volume

VOLUME = small_volume()
with ntfs.NTFS(VOLUME) as _volume:
    _cluster = _volume.geometry.cluster_size
    _mft = _volume.geometry.mft_lcn * _cluster
    _streams = [_volume.mft.stream(_volume.mft.file(number), 0xA0, "$I30") for number in (5, _volume.find("/many"))]
    _blocks = [((stream.runs[0].lcn or 0) * _cluster, 4096) for stream in _streams]
PARTS = [(0, 84), (_mft, 12 * 1024), (_mft + 24 * 1024, 3 * 1024), (_mft + 64 * 1024, 70 * 1024), *_blocks]
PATCHES = Patches(VOLUME, PARTS)


def one_input(data: bytes) -> None:
    """Check a changed volume, and read everything in it."""
    patched = PATCHES.apply(data)
    for finding in ntfs.check(patched):
        str(finding)
        json.dumps(finding.as_dict())
    with contextlib.suppress(ntfs.NtfsError, DescriptorError), ntfs.NTFS(patched) as volume:
        for _, below, others in volume.walk():
            for entry in [*below, *others]:
                with contextlib.suppress(ntfs.NtfsError, DescriptorError):
                    volume.stat_inode(entry.inode)
                    volume.sddl(entry.path, follow_symlinks=False)
                    for stream in volume.stream_names(entry.inode):
                        volume.open_inode(entry.inode, stream=stream).read_at(0, 1 << 16)


if __name__ == "__main__":
    fuzz(one_input, [b"", b"\0\1\2" * 20])
