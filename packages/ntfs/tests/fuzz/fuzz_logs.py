"""Fuzz base blocks and logs of hives, with right checksums: ``python fuzz_logs.py -max_total_time=60`` (needs atheris).

A log is applied, or an error of this package is raised. The memory that it takes is bounded by what is given.
"""

from __future__ import annotations

import contextlib
import struct

from cloudboot_ntfs.errors import DescriptorError, HiveError
from cloudboot_ntfs.registry import Hive, Key, Value, build, check
from cloudboot_ntfs.registry.cells import checksum
from cloudboot_ntfs.registry.logs import marvin32, replay
from cloudboot_ntfs.testing.fuzzing import Patches, fuzz
from cloudboot_ntfs.testing.hives import new_log, old_log


def stage(number: int) -> bytes:
    """A hive as it was after ``number`` writes."""
    return build(Key("R", [Value.number("stage", number), Value.binary("space", bytes(9000))], [Key("a")]))


DIRTY, NEW = new_log(stage(0), stage(1))
OLD = old_log(stage(0), stage(1))[1]
HIVE, LOGS = (
    Patches(DIRTY, [(0, 48), (4096, 64)]),
    (Patches(NEW, [(0, 48), (512, 56)]), Patches(OLD, [(0, 48), (512, 24)])),
)


def summed(data: bytes) -> bytes:
    """A base block with its checksum, and the hashes of a log's first entry."""
    changed = bytearray(data)
    struct.pack_into("<I", changed, 508, checksum(bytes(changed)))
    if changed[512:516] == b"HvLE":
        end = 512 + min(struct.unpack_from("<I", changed, 516)[0], len(changed) - 512)
        struct.pack_into("<Q", changed, 512 + 24, marvin32(bytes(changed[552:end])))
        struct.pack_into("<Q", changed, 512 + 32, marvin32(bytes(changed[512:544])))
    return bytes(changed)


def one_input(data: bytes) -> None:
    """Replay a changed log over a changed hive, and read the result."""
    kind = data[0] if data else 0
    half = 1 + len(data) // 6 * 3
    hive = summed(HIVE.apply(data[half:] if kind & 2 else b""))
    logs = [summed(LOGS[kind & 1].apply(data[1:half] if kind & 2 else data[1:]))]
    with contextlib.suppress(HiveError, DescriptorError):
        whole = replay(hive, logs)
        assert len(whole) <= len(hive) + len(logs[0]) + (16 << 20)
        check(whole)
        build(Hive(whole).load())


if __name__ == "__main__":
    fuzz(one_input, [b"", b"\1" + b"\5\6\7" * 20])
