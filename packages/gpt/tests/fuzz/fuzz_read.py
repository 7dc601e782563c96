"""Fuzz the reader, the checker and the repairer: ``python fuzz_read.py -max_total_time=60`` (needs atheris).

An input is a mode byte and a list of patches to a good disk, each an offset (u16), a length (u8) and bytes. Most random
bytes would die at a checksum, so the mode asks for checksums to be made right again after patching. The starting
corpus is :data:`SEEDS`. Only errors derived from ``GPTError`` may come out.
"""

from __future__ import annotations

import gc
import struct
import sys
import tempfile
from pathlib import Path
from types import FunctionType

from cloudboot_base import FormatError, MemoryStorage
from cloudboot_gpt import BackupPolicy, GPTError, MBRPolicy, check, create, read, repair
from cloudboot_gpt.testing import sample_disk, with_entry, with_header

BIG_SECTORS, REHASH_HEADERS, REHASH_ARRAYS, TRUNCATE, RAW = 1, 2, 4, 8, 16
_DISKS = {size: sample_disk(size) for size in (512, 4096)}


def patch(offset: int, data: bytes) -> bytes:
    """One patch; an offset with the highest bit counts from the end of the disk."""
    return struct.pack("<HB", offset, len(data)) + data


_GPT = 512
SEEDS = (
    bytes([0]),
    bytes([BIG_SECTORS]),
    bytes([RAW]) + _DISKS[512][: 40 * 512],
    bytes([0]) + patch(510, b"\0\0"),
    bytes([0]) + patch(446 + 16 + 4, b"\xef"),
    bytes([TRUNCATE]) + patch(100, b""),
    bytes([REHASH_HEADERS]) + patch(_GPT + 24, struct.pack("<4Q", 1, 1 << 63, 34, 1 << 40)),
    bytes([REHASH_HEADERS]) + patch(_GPT + 72, struct.pack("<QII", 2, 0xFFFFFFFF, 1 << 31)),
    bytes([REHASH_HEADERS]) + patch(_GPT + 12, struct.pack("<I", 512)) + patch(_GPT + 92, b"tail"),
    bytes([REHASH_HEADERS]) + patch(0x8000 | 512, b"\0" * 92),
    bytes([REHASH_ARRAYS]) + patch(1024 + 32, struct.pack("<QQ", 64, 1 << 63)),
    bytes([REHASH_ARRAYS]) + patch(1024 + 128 + 32, struct.pack("<QQ", 64, 100)),
    bytes([REHASH_ARRAYS]) + patch(1024 + 56, b"\0\xd8\xff\xdf"),
    bytes([BIG_SECTORS | REHASH_ARRAYS]) + patch(8192 + 16, bytes(16)),
)


def disk_of(data: bytes) -> bytes:
    """The disk an input stands for."""
    mode = data[0] if data else 0
    if mode & RAW:
        return data[1:]
    size = 4096 if mode & BIG_SECTORS else 512
    disk = bytearray(_DISKS[size])
    at = 1
    while at + 3 <= len(data):
        offset, length = struct.unpack_from("<HB", data, at)
        piece = data[at + 3 : at + 3 + length]
        start = len(disk) - (offset & 0x7FFF) if offset & 0x8000 else offset
        end = min(start + len(piece), len(disk))
        if 0 <= start < end:
            disk[start:end] = piece[: end - start]
        at += 3 + length
    changed = bytes(disk)
    for copy in ("primary", "backup"):
        # What the patches made of an array's place or size can lie anywhere; then its checksum stays wrong.
        if mode & REHASH_ARRAYS:
            try:
                changed = with_entry(changed, copy, 1, size)
            except FormatError:
                continue
        elif mode & REHASH_HEADERS:
            changed = with_header(changed, copy, size)
    return changed[: len(changed) - data[-1] * 7] if mode & TRUNCATE else changed


POLICIES: tuple[tuple[BackupPolicy, MBRPolicy], ...] = (
    ("ignore", "protective"),
    ("allow", "ignore"),
    ("only", "ignore"),
    ("require", "hybrid"),
)


def one_input(data: bytes) -> None:
    """Everything this package does with a foreign disk."""
    disk = disk_of(data)
    for backup, mbr in POLICIES:
        try:
            table = read(disk, backup=backup, mbr=mbr)
        except GPTError as error:
            str(error)
            error.as_dict()
            continue
        table.as_dict()
        bad = {fault.partition for fault in table.faults}
        for partition in table.partitions:
            if partition.number in bad:
                continue
            assert partition.window(MemoryStorage(disk)).size == partition.size
        if not check(disk):
            copy = bytearray(disk[: table.size])
            create(copy, table)
            assert read(copy, backup="require") == table
    try:
        check(disk)
        fixed = bytearray(disk)
        repair(fixed)
    except GPTError:
        return
    assert repair(fixed) == []
    read(fixed, backup="require", mbr="hybrid")


def main() -> None:
    """Run atheris on :data:`SEEDS` and what it makes of them."""
    import atheris

    # The package is imported already, so that its tests can use this module without atheris; instrument what is there.
    for each in gc.get_objects():
        if isinstance(each, FunctionType) and (each.__module__ or "").startswith("cloudboot_gpt"):
            atheris.instrument_func(each)
    with tempfile.TemporaryDirectory() as folder:
        for number, seed in enumerate(SEEDS):
            (Path(folder) / f"seed-{number:02}").write_bytes(seed)
        atheris.Setup([*sys.argv, folder], one_input)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
