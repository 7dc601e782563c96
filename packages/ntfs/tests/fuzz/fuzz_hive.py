"""Fuzz hives and boot configurations: ``python fuzz_hive.py -max_total_time=60`` (needs atheris)."""

from __future__ import annotations

import contextlib
from uuid import UUID

from cloudboot_ntfs.bcd import Store, show
from cloudboot_ntfs.errors import BcdError, DescriptorError, HiveError
from cloudboot_ntfs.registry import Hive, build, check
from cloudboot_ntfs.testing.fuzzing import Patches, fuzz, small_hive, small_store

HIVE, STORE = small_hive(), small_store(UUID(int=7))
BASES = [Patches(base, [(4096, min(len(base) - 4096, 20_000))]) for base in (HIVE, STORE)]


def one_input(data: bytes) -> None:
    """Check, load and build a changed hive, and show a changed store."""
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
    fuzz(one_input, [b"", b"\1" + b"\5\6\7" * 20])
