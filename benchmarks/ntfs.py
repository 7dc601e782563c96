"""NTFS, hives and boot configurations against their peers: ``python benchmarks/ntfs.py [--quick] [--json]``.

Subject and peer work on the same data one after the other. Times are those of the processor, of the process and what it
started, so that what else the machine does counts little; where the kernel copies for both, that is in both. A peer
``goal`` is a number of seconds, of MB/s, or of MiB. ``mount`` is mkntfs, ntfs-3g over FUSE and ``cp -r``, by the clock,
since the file system works in another process; its subject is timed by the clock, too.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from _targets import Targets

import cloudboot_ntfs as ntfs
from cloudboot_base import MemoryStorage
from cloudboot_ntfs.bcd import BcdOptions, create
from cloudboot_ntfs.layout import lzx, xpress
from cloudboot_ntfs.registry import Hive, Key, Value
from cloudboot_ntfs.registry import build as build_hive
from cloudboot_ntfs.testing import mounted, ntfs3g_volume, wim_chunks

if TYPE_CHECKING:
    from collections.abc import Callable


class Row(NamedTuple):
    """One line of the table; a ratio of at most ``goal`` is good."""

    name: str
    peer: str
    subject: float
    other: float
    goal: float

    @property
    def ratio(self) -> float:
        return self.subject / self.other


def cpu(action: Callable[[], object], rounds: int, prepare: Callable[[], object] = lambda: None) -> float:
    """Median processor seconds of this process and of those it waited for, without those of ``prepare``."""
    found = []
    for _ in range(rounds):
        prepare()
        before = os.times()
        action()
        after = os.times()
        found.append(sum(after[:4]) - sum(before[:4]))
    return statistics.median(found)


def wall(action: Callable[[], object], rounds: int) -> float:
    """Median seconds by the clock."""
    found = []
    for _ in range(rounds):
        start = time.perf_counter()
        action()
        found.append(time.perf_counter() - start)
    return statistics.median(found)


def run(*command: str | Path) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the data, one round")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(Path(folder), quick=options.quick)
    targets = Targets()
    if options.json:
        found = [row._asdict() | {"ratio": row.ratio, "verdict": targets.at_most(row.ratio, row.goal)} for row in rows]
        print(json.dumps(found, indent=2))
        return targets.exit_code
    print(f"| {'what':<44} | {'subject':>8} | {'peer':>8} | {'ratio':>6} | {'goal':>5} | {'':6} | peer is |")
    print(f"|{'-' * 46}|{'-' * 10}|{'-' * 10}|{'-' * 8}|{'-' * 7}|{'-' * 8}|---------|")
    for row in rows:
        verdict = targets.at_most(row.ratio, row.goal)
        numbers = f"{row.subject:8.3f} | {row.other:8.3f} | {row.ratio:6.2f} | {row.goal:5.2f} | {verdict:6}"
        print(f"| {row.name:<44} | {numbers} | {row.peer} |")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"\npeak memory of this process: {peak} MiB")
    return targets.exit_code


def measure(folder: Path, *, quick: bool) -> list[Row]:
    rounds, scale = (1, 10) if quick else (3, 1)
    rows = [*large(folder, (512 << 20) // scale, rounds), *small(folder, 5000 // scale, rounds)]
    few, many = (20_000 // scale, 100_000 // scale)
    times = [cpu(lambda n=count: build_many(folder, n), 1) for count in (few, many)]
    rows.append(
        Row(f"build {many} files, us per file", f"{few} files", 1e6 * times[1] / many, 1e6 * times[0] / few, 1.2)
    )
    # Before anything below takes more; what was built before takes less.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    rows.append(Row(f"memory after building {many} files, MiB", "goal", peak, 300, 1.0))
    rows.append(changes(few, many))
    rows += [*compressed(folder, rounds), *hives(100_000 // scale, rounds)]
    return rows


def large(folder: Path, size: int, rounds: int) -> list[Row]:
    source, image, copy = folder / "tree" / "large", folder / "large.img", folder / "copy"
    source.parent.mkdir()
    with source.open("wb") as file:
        for number in range(size >> 20):
            file.write(number.to_bytes(8, "little") * (1 << 17))
    # Both make a new file; to replace one, a copy that is safe would keep the old file to its end as well.
    built = cpu(lambda: ntfs.build(image, source.parent), 2 * rounds - 1, lambda: image.unlink(missing_ok=True))
    copied = cpu(
        lambda: run("cp", "--reflink=never", source, copy), 2 * rounds - 1, lambda: copy.unlink(missing_ok=True)
    )
    read = cpu(lambda: read_all(image), rounds)
    dumped = cpu(lambda: run("dd", f"if={copy}", "of=/dev/null", "bs=1M", "status=none"), rounds)
    shutil.rmtree(source.parent)
    return [
        Row(f"build, one file of {size >> 20} MiB", "cp", built, copied, 1.3),
        Row(f"read {size >> 20} MiB", "dd", read, dumped, 2.0),
    ]


def read_all(image: Path) -> None:
    with ntfs.NTFS(image) as volume:
        file = volume.open_file("/large")
        buffer = bytearray(1 << 20)
        while file.readinto(buffer):
            pass


def small(folder: Path, count: int, rounds: int) -> list[Row]:
    tree, image, other = folder / "small", folder / "small.img", folder / "other.img"
    for number in range(count):
        place = tree / f"folder {number % 50}"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"a file of many {number}").write_bytes(b"%d" % number * (number % 300))

    def by_mount() -> None:
        other.unlink(missing_ok=True)
        ntfs3g_volume(other, 64 << 20)
        with mounted(other) as inside:
            run("cp", "-r", tree, inside)

    subject = wall(lambda: ntfs.build(image, tree, size=64 << 20, force=True), rounds)
    return [
        Row(f"build {count} small files in 50 folders", "mount", subject, wall(by_mount, rounds), 0.5),
        Row(f"walk {count} entries", "goal", cpu(lambda: walk(image), rounds), 0.2, 1.0),
        Row(f"check {count} files", "goal", cpu(lambda: ntfs.check(image), rounds), 1.0, 1.0),
    ]


def walk(image: Path) -> int:
    with ntfs.NTFS(image) as volume:
        return sum(len(below) + len(others) for _, below, others in volume.walk())


def build_many(folder: Path, count: int) -> None:
    tree = {f"/{number % 100}/a file of many {number}": b"content" for number in range(count)}
    ntfs.build(folder / "many.img", tree, size=512 << 20, force=True)


def changes(few: int, many: int) -> Row:
    """Files made one after the other in one directory, each a complete operation; their names come in no order."""

    def make(count: int) -> float:
        storage = MemoryStorage(bytearray(512 << 20))
        ntfs.format(storage, ntfs.Options(fresh=True))

        def work() -> None:
            with ntfs.WritableNTFS(storage) as volume:
                for number in range(count):
                    volume.write_file(f"/a file of many {number * 7919 % count:06}", b"content")

        taken = cpu(work, 1)
        assert ntfs.check(storage) == []
        return taken / count

    what = f"create {many} files in a directory, us each"
    return Row(what, f"{few} files", 1e6 * make(many), 1e6 * make(few), 1.2)


def compressed(folder: Path, rounds: int) -> list[Row]:
    """Programs of this machine stand for DLLs; the goal is 2 MB/s, so the peer is a second for two megabytes."""
    programs = [Path(name) for name in ("/usr/bin/qemu-img", "/usr/bin/perl", "/bin/bash")]
    data = max((path for path in programs if path.exists()), key=lambda path: path.stat().st_size).read_bytes()[
        : 2 << 20
    ]
    rows = []
    for name, decompress in (("LZX", lzx.decompress), ("XPRESS", xpress.decompress)):
        place = folder / name
        place.mkdir()
        chunks = wim_chunks(data, name, place)

        def all_of_them(chunks: list[bytes] = chunks, decompress: Callable[[bytes, int], bytes] = decompress) -> None:
            for index, chunk in enumerate(chunks):
                size = min(32768, len(data) - index * 32768)
                if len(chunk) < size:
                    decompress(chunk, size)

        rows.append(Row(f"{name}, {len(data) / 1e6:.1f} MB", "goal", cpu(all_of_them, rounds), len(data) / 2e6, 1.0))
    return rows


def hives(count: int, rounds: int) -> list[Row]:
    root = Key("R")
    for number in range(100):
        below = [Key(f"k{index}", [Value.number("v", index)]) for index in range(count // 100)]
        root.keys.append(Key(f"a{number}", keys=below))
    data = build_hive(root)

    def read() -> None:
        for _, key in Hive(data).walk():
            key.values()

    return [
        Row(f"hive of {count} keys read, values too", "goal", cpu(read, rounds), 2.0, 1.0),
        Row(
            "boot configuration built, ms",
            "goal",
            1e3 * cpu(lambda: create("windows", BcdOptions()).pack(), 20),
            20,
            1.0,
        ),
        Row("format 64 MiB", "goal", cpu(lambda: ntfs.format(MemoryStorage(bytearray(64 << 20))), rounds), 0.2, 1.0),
    ]


if __name__ == "__main__":
    sys.exit(main())
