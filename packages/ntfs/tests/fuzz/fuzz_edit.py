"""Fuzz the editor and the repair: ``python fuzz_edit.py -max_total_time=60`` (needs atheris).

On a damaged volume an operation is done, or raises an error of this package. What a repair has mended is sound.
"""

from __future__ import annotations

import contextlib

import cloudboot_ntfs as ntfs
from cloudboot_ntfs.errors import DescriptorError
from cloudboot_ntfs.testing.fuzzing import Patches, fuzz, small_volume

VOLUME = small_volume()
with ntfs.NTFS(VOLUME) as _volume:
    _cluster = _volume.geometry.cluster_size
    _mft = _volume.geometry.mft_lcn * _cluster
    _streams = [_volume.mft.stream(_volume.mft.file(number), 0xA0, "$I30") for number in (5, _volume.find("/many"))]
    _blocks = [((stream.runs[0].lcn or 0) * _cluster, 4096) for stream in _streams]
PARTS = [(_mft + 3 * 1024, 3 * 1024), (_mft + 64 * 1024, 70 * 1024), *_blocks]
PATCHES = Patches(VOLUME, PARTS)


def change(volume: ntfs.WritableNTFS) -> None:
    """One of every kind of operation."""
    for action in (
        lambda: volume.write_file("/many/new", b"x" * 9000),
        lambda: volume.rename("/many/name 7", "/many/name 8"),
        lambda: volume.unlink("/many/name 30"),
        lambda: volume.link("/file", "/many/again"),
        lambda: volume.truncate("/file", 1 << 20),
        lambda: volume.symlink("many", "/way"),
        lambda: volume.mkdir("/names/new"),
    ):
        with contextlib.suppress(ntfs.NtfsError, DescriptorError):
            action()


def one_input(data: bytes) -> None:
    """Change a damaged volume, and repair it."""
    patched = bytearray(PATCHES.apply(data))
    with contextlib.suppress(ntfs.NtfsError, DescriptorError), ntfs.WritableNTFS(patched, force=True) as volume:
        change(volume)
    mended = bytearray(PATCHES.apply(data))
    with contextlib.suppress(ntfs.NtfsError):
        ntfs.repair(mended)
        assert ntfs.check(bytes(mended)) == []


if __name__ == "__main__":
    fuzz(one_input, [b"", b"\0\1\2" * 20])
