"""Fuzz the reader, the checker and the writer: ``python fuzz_read.py -max_total_time=60``.

Only errors of the package may come out. The input overwrites the metadata of a small good volume, which it chooses by
its first byte.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["cloudboot_fat"]):
    from cloudboot_fat import FatFileSystem, FatType, FormatOptions, build, check

from cloudboot_base import FormatError, MemoryStorage

_TREE = {"/DIR/SUB/DEEP": b"deep" * 500, "/DIR/a long name.txt": b"long" * 500, "/FILE": b"file" * 500}


def _seed(size: int, fat_type: FatType) -> tuple[bytes, list[tuple[int, int]]]:
    data = bytearray(size)
    geometry = build(MemoryStorage(data), _TREE, FormatOptions(fat_type=fat_type, cluster_size=512)).geometry
    regions = [(3, 87), (geometry.fat_offset(), 128), (geometry.root_offset, 256), (geometry.data_offset, 1024)]
    return bytes(data), regions


_SEEDS = [_seed(96 << 10, 12), _seed(2200 << 10, 16)]


def one_input(raw: bytes) -> None:
    """Read, check and change what the input makes of a volume."""
    provider = atheris.FuzzedDataProvider(raw)
    seed, regions = _SEEDS[provider.ConsumeIntInRange(0, len(_SEEDS) - 1)]
    data = bytearray(seed)
    while provider.remaining_bytes() > 1:
        start, length = regions[provider.ConsumeIntInRange(0, len(regions) - 1)]
        at = start + provider.ConsumeIntInRange(0, length - 1)
        patch = provider.ConsumeBytes(provider.ConsumeIntInRange(1, 8))
        data[at : at + len(patch)] = patch
    storage = MemoryStorage(data)
    try:
        fs = FatFileSystem(storage)
        check(storage)
        _ = fs.label, fs.serial
        paths = [f"{path.rstrip('/')}/{entry.name}" for path, _, files in fs.walk() for entry in files]
        for path in paths:
            fs.read_file(path)
    except FormatError:
        return
    for call, arguments in (
        ("write_file", ("/FILE", b"x" * 3000)),
        ("makedirs", ("/DIR/a/b",)),
        ("rename", ("/DIR/SUB/DEEP", "/a new name")),
        ("remove", ("/DIR/a long name.txt",)),
        ("rmdir", ("/DIR/SUB",)),
    ):
        try:
            getattr(fs, call)(*arguments)
        except FormatError:
            continue


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
