"""UFS2 against its peers, in one run: ``python benchmarks/ufs2.py [--quick] [--rounds N] [--json]``.

Subject and peer take turns on the same data, so that what else the machine does meets both. The table shows medians,
the ratio of medians, the ratio that is the goal, and the peak memory of the subject's process with its goal. ``cp`` and
``cat`` are the coreutils', ``makefs`` is Debian's (its UFS2 layout is wrong, its speed is a fair mark), ``fls`` is the
Sleuth Kit's. A row whose peer is ``1 s`` is measured against the clock, one whose peer is ``ours`` against the same
command on other data. Subjects named "library" are timed inside their process, all others from start to end.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from _targets import Targets

FILES = 20_000
READS = 100_000
#: What an installed package does not meet: modules compiled anew at each start, and output that is not buffered.
ENVIRONMENT = {
    name: value for name, value in os.environ.items() if name not in {"PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"}
}
Command = Sequence[str | os.PathLike[str]]


@dataclass(frozen=True)
class Case:
    """What is measured: the subject's command, the peer's, and the goals, where there are any."""

    name: str
    peer_name: str
    subject: Command
    peer: Command
    goal: float | None
    outputs: tuple[Path, ...] = ()
    peak_goal: float | None = None  #: MiB
    prints_seconds: bool = False  #: whether the subject times itself


@dataclass(frozen=True)
class Row:
    case: str
    subject_seconds: float
    peer: str
    peer_seconds: float
    ratio: float
    goal: float | None
    peak_mebibytes: float
    peak_goal: float | None


def run(command: Command) -> tuple[float, float, bytes]:
    """Seconds and peak memory (MiB) of a command, and the end of what it printed."""
    start = time.perf_counter()
    # Into a pipe, as a program would read it; cat does nothing at all when it writes to /dev/null.
    process = subprocess.Popen(command, stdout=subprocess.PIPE, bufsize=0, env=ENVIRONMENT)
    assert process.stdout is not None
    last = b""
    while piece := process.stdout.read(1 << 20):
        last = piece
    process.stdout.close()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(os.fspath(word) for word in command)} failed: {process.returncode}")
    return time.perf_counter() - start, usage.ru_maxrss / 1024, last


def measure(case: Case, rounds: int) -> Row:
    """Alternate subject and peer; the first round of each only warms the caches."""
    times: dict[str, list[float]] = {"subject": [], "peer": []}
    peak = 0.0
    for number in range(rounds + 1):
        for who, command in (("peer", case.peer), ("subject", case.subject)):
            for path in case.outputs:
                path.unlink(missing_ok=True)
            seconds, memory, printed = run(command)
            if who == "subject" and case.prints_seconds:
                seconds = float(printed)
            if number:
                times[who].append(seconds)
            if who == "subject":
                peak = max(peak, memory)
    for path in case.outputs:
        path.unlink(missing_ok=True)
    subject, peer = statistics.median(times["subject"]), statistics.median(times["peer"])
    return Row(case.name, subject, case.peer_name, peer, subject / peer, case.goal, peak, case.peak_goal)


def make_large(folder: Path, size: int) -> Path:
    """One file of incompressible bytes."""
    folder.mkdir()
    chance = random.Random(1)
    with (folder / "large").open("wb") as file:
        for start in range(0, size, 1 << 20):
            file.write(chance.randbytes(min(1 << 20, size - start)))
    return folder


def make_small(folder: Path, count: int) -> Path:
    """``count`` files of 1 to 8 KiB, two hundred in a folder."""
    chance = random.Random(2)
    for number in range(count):
        path = folder / f"d{number // 200:03}" / f"f{number % 200:03}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(chance.randbytes(chance.randint(1024, 8192)))
    return folder


def walk(image: str) -> float:
    """Seconds to walk a whole file system as a library, with the status of everything in it."""
    from cloudboot_ufs2 import UFS2

    start = time.perf_counter()
    with UFS2.open(image) as volume:
        for _, directories, others in volume.walk():
            for entry in directories:
                volume.stat_inode(entry.inode)
            for entry in others:
                volume.stat_inode(entry.inode)
    return time.perf_counter() - start


def read_at_random(image: str) -> float:
    """Seconds of ``READS`` reads of 4 KiB at random blocks of an open file."""
    from cloudboot_ufs2 import UFS2

    with UFS2.open(image) as volume, volume.open_file("/large") as file:
        chance = random.Random(3)
        offsets = [chance.randrange(file.size // 4096) * 4096 for _ in range(READS)]
        start = time.perf_counter()
        for offset in offsets:
            file.read_at(offset, 4096)
        return time.perf_counter() - start


def name_of(size: int) -> str:
    return f"{size >> 20} MiB" if size < 1 << 30 else f"{size / (1 << 30):.3g} GiB"


def cases(work: Path, size: int, count: int) -> Iterator[Case]:
    """All of them; what a case reads is made before it, and removed when nothing needs it any more."""
    ufs2: list[str | os.PathLike[str]] = [sys.executable, "-m", "cloudboot_ufs2"]
    image, copy = work / "image", work / "copy"
    yield from large_cases(work, ufs2, size)
    small, small_image = make_small(work / "small", count), work / "small.ufs"
    run([*ufs2, "build", small_image, small])
    build: Command = [*ufs2, "build", image, small]
    if shutil.which("makefs"):
        room = str(count * 12288 + (16 << 20))
        makefs: Command = ["makefs", "-t", "ffs", "-o", "version=2", "-s", room, copy, small]
        yield Case(f"build {count} files", "makefs", build, makefs, 1.0, (image, copy))
    if shutil.which("fls"):
        fls: Command = ["fls", "-r", small_image]
        library: Command = [sys.executable, __file__, "--time", "walk", small_image]
        yield Case(f"library: walk, {count} stats", "fls -r", library, fls, 2.0, prints_seconds=True)
        yield Case(f"ls -R of {count} files", "fls -r", [*ufs2, "ls", "-R", small_image], fls, 2.0)
    yield Case(f"check {count} files", "1 s", [*ufs2, "check", small_image], ["sleep", "1"], 1.0)
    many = make_small(work / "many", 10 * count)
    # Ten times as many files may take ten times as long, and a fifth more.
    subject = [*ufs2, "build", copy, many]
    yield Case(f"build {10 * count} files", "ours/10", subject, build, 12.0, (image, copy), peak_goal=300)


def large_cases(work: Path, ufs2: Sequence[str | os.PathLike[str]], size: int) -> Iterator[Case]:
    image, copy = work / "image", work / "copy"
    large, large_image = make_large(work / "large", size), work / "large.ufs"
    run([*ufs2, "build", large_image, large])
    name = name_of(size)
    cp: Command = ["cp", large / "large", copy]
    build: Command = [*ufs2, "build", image, large]
    yield Case(f"build {name} file", "cp", build, cp, 1.3, (image, copy))
    yield Case(f"build {name} file, 4 KiB blocks", "cp", [*build, "-b", "4096"], cp, 1.3, (image, copy))
    yield Case(f"cat {name} file", "cat", [*ufs2, "cat", large_image, "/large"], ["cat", large / "large"], 1.3)
    reads: Command = [sys.executable, __file__, "--time", "reads", large_image]
    yield Case(f"library: {READS} reads of 4 KiB", "1 s", reads, ["sleep", "1"], 1.0, prints_seconds=True)
    large_image.unlink()
    shutil.rmtree(large)
    # With 4 KiB blocks the triple indirect block begins at 1 GiB + 2 MiB + 48 KiB.
    larger = make_large(work / "larger", size + (10 << 20))
    build = [*ufs2, "build", image, larger]
    name = name_of(size + (10 << 20))
    yield Case(f"build {name} file, 4 KiB blocks", "ours", [*build, "-b", "4096"], build, 1.5, (image,))
    shutil.rmtree(larger)


def verdict_of(row: Row, targets: Targets) -> str:
    """Both goals of a row are one target."""
    if row.goal is None and row.peak_goal is None:
        return ""
    fast, small = row.goal or math.inf, row.peak_goal or math.inf
    return targets.met(row.ratio <= fast and row.peak_mebibytes <= small)


def show(rows: Sequence[Row], targets: Targets, write: Callable[[str], object] = print) -> None:
    write(f"{'case':<34} {'ours':>8} {'peer':>8} {'':<7} {'ratio':>6} {'goal':>5} {'peak':>9} {'goal':>5}")
    for row in rows:
        write(
            f"{row.case:<34} {row.subject_seconds:>7.3f}s {row.peer_seconds:>7.3f}s {row.peer:<7} "
            f"{row.ratio:>6.2f} {row.goal or '-':>5} {row.peak_mebibytes:>5.0f} MiB {row.peak_goal or '-':>5}"
            f"  {verdict_of(row, targets)}".rstrip()
        )


def main() -> int:
    parser = argparse.ArgumentParser(description="UFS2 against its peers.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="a sixteenth of the data, for a look")
    parser.add_argument("--folder", type=Path, help="where to work; 4 GiB are needed")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--only", default="", help="the cases whose names hold this")
    parser.add_argument("--time", nargs=2, metavar=("WHAT", "IMAGE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.time:
        print({"walk": walk, "reads": read_at_random}[options.time[0]](options.time[1]))
        return 0
    size, count = (1 << 26, FILES // 16) if options.quick else (1 << 30, FILES)
    with tempfile.TemporaryDirectory(dir=options.folder) as work:
        found = (case for case in cases(Path(work), size, count) if options.only in case.name)
        rows = [measure(case, options.rounds) for case in found]
    targets = Targets()
    if options.json:
        print(json.dumps([row.__dict__ | {"verdict": verdict_of(row, targets)} for row in rows], indent=2))
    else:
        show(rows, targets)
    return targets.exit_code


if __name__ == "__main__":
    sys.exit(main())
