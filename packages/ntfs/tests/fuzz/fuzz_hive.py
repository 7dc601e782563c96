"""Fuzz hives and boot configurations: ``python fuzz_hive.py -max_total_time=60`` (needs atheris)."""

from __future__ import annotations

import contextlib
from uuid import UUID

from cloudboot_ntfs.bcd import Store, show
from cloudboot_ntfs.errors import BcdError, DescriptorError, HiveError
from cloudboot_ntfs.registry import Hive, Key, Value, build, check
from cloudboot_ntfs.testing.fuzzing import Patches, fuzz, small_hive, small_store
from cloudboot_ntfs.testing.hives import new_log, old_log

HIVE, STORE = small_hive(), small_store(UUID(int=7))
AFTER = build(Key("ROOT", [Value.text("after", "the write")]))
#: A dirty hive and a log of each format; the log is what is changed.
DIRTY = [make(HIVE, AFTER) for make in (new_log, old_log)]
LOGS = [Patches(log, [(0, len(log))]) for _, log in DIRTY]
BASES = [Patches(base, [(4096, min(len(base) - 4096, 20_000))]) for base in (HIVE, STORE)]


def one_input(data: bytes) -> None:
    """Check, load and build a changed hive, show a changed store, or apply a changed log."""
    if data and data[0] & 2:
        index = data[0] >> 2 & 1
        with contextlib.suppress(HiveError):
            Hive(DIRTY[index][0], logs=[LOGS[index].apply(data[1:]), DIRTY[index][1][: data[0] * 64]])
        return
    patched = BASES[data[0] & 1 if data else 0].apply(data[1:])
    for finding in check(patched):
        str(finding)
    with contextlib.suppress(HiveError, DescriptorError):
        hive = Hive(patched)
        list(hive.deleted())
        build(hive.load())
    with contextlib.suppress(HiveError, BcdError):
        show(Store.open(patched))


if __name__ == "__main__":
    fuzz(one_input, [b"", b"\1" + b"\5\6\7" * 20, b"\2\1", b"\6\1"])
