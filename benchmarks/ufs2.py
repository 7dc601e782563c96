"""UFS2 against its peers, in one run: ``python benchmarks/ufs2.py [--quick] [--rounds N] [--json]``.

Subject and peer take turns on the same data, so that what else the machine does meets both. The table shows medians,
the ratio of medians, the ratio that may not be exceeded, and the peak memory of the subject's process. ``cp`` and
``cat`` are the coreutils', ``makefs`` is Debian's (its UFS2 layout is wrong, its speed is a fair mark), ``fls`` is the
Sleuth Kit's.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

FILES = 20_000
Command = Sequence[str | os.PathLike[str]]


@dataclass(frozen=True)
class Case:
    """What is measured: the subject's command, the peer's, and the ratio that was promised, if one was."""

    name: str
    peer_name: str
    subject: Command
    peer: Command
    limit: float | None
    outputs: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Row:
    case: str
    subject_seconds: float
    peer: str
    peer_seconds: float
    ratio: float
    limit: float | None
    peak_mebibytes: float


def run(command: Command) -> tuple[float, float]:
    """Seconds and peak memory (MiB) of a command."""
    start = time.perf_counter()
    # Into a pipe, as a program would read it; cat does nothing at all when it writes to /dev/null.
    process = subprocess.Popen(command, stdout=subprocess.PIPE, bufsize=0)
    assert process.stdout is not None
    while process.stdout.read(1 << 20):
        pass
    process.stdout.close()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(os.fspath(word) for word in command)} failed: {process.returncode}")
    return time.perf_counter() - start, usage.ru_maxrss / 1024


def measure(case: Case, rounds: int) -> Row:
    """Alternate subject and peer; the first round of each only warms the caches."""
    times: dict[str, list[float]] = {"subject": [], "peer": []}
    peak = 0.0
    for number in range(rounds + 1):
        for who, command in (("peer", case.peer), ("subject", case.subject)):
            for path in case.outputs:
                path.unlink(missing_ok=True)
            seconds, memory = run(command)
            if number:
                times[who].append(seconds)
            if who == "subject":
                peak = max(peak, memory)
    for path in case.outputs:
        path.unlink(missing_ok=True)
    subject, peer = statistics.median(times["subject"]), statistics.median(times["peer"])
    return Row(case.name, subject, case.peer_name, peer, subject / peer, case.limit, peak)


def make_large(folder: Path, size: int) -> Path:
    """One file of incompressible bytes."""
    folder.mkdir()
    chance = random.Random(1)
    with (folder / "large").open("wb") as file:
        for _ in range(size >> 20):
            file.write(chance.randbytes(1 << 20))
    return folder


def make_small(folder: Path, count: int) -> Path:
    """``count`` files of 1 to 8 KiB, two hundred in a folder."""
    chance = random.Random(2)
    for number in range(count):
        path = folder / f"d{number // 200:03}" / f"f{number % 200:03}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(chance.randbytes(chance.randint(1024, 8192)))
    return folder


def cases(work: Path, size: int, count: int) -> list[Case]:
    """All of them; what a case reads is made here."""
    ufs2: list[str | os.PathLike[str]] = [sys.executable, "-m", "cloudboot_ufs2"]
    large, small = make_large(work / "large", size), make_small(work / "small", count)
    image, copy = work / "image", work / "copy"
    large_image, small_image = work / "large.ufs", work / "small.ufs"
    for source, target in ((large, large_image), (small, small_image)):
        run([*ufs2, "build", target, source])
    name = f"{size >> 20} MiB file" if size < 1 << 30 else f"{size >> 30} GiB file"
    found = [
        Case(f"build {name}", "cp", [*ufs2, "build", image, large], ["cp", large / "large", copy], 2.0, (image, copy)),
        Case(
            f"build {name}, 4 KiB blocks", "cp", [*ufs2, "build", image, large, "-b", "4096"],
            ["cp", large / "large", copy], 2.0, (image, copy),
        ),
        Case(f"read {name}", "cat", [*ufs2, "cat", large_image, "/large"], ["cat", large / "large"], None),
    ]  # fmt: skip
    if shutil.which("makefs"):
        room = str(count * 12288 + (16 << 20))
        peer: Command = ["makefs", "-t", "ffs", "-o", "version=2", "-s", room, copy, small]
        found.append(Case(f"build {count} files", "makefs", [*ufs2, "build", image, small], peer, 3.0, (image, copy)))
    if shutil.which("fls"):
        found.append(
            Case(f"list {count} files", "fls -r", [*ufs2, "ls", "-R", small_image], ["fls", "-r", small_image], None)
        )
    found.append(Case(f"check {count} files", "1 s", [*ufs2, "check", small_image], ["sleep", "1"], 1.0))
    return found


def show(rows: Sequence[Row], write: Callable[[str], object] = print) -> None:
    write(f"{'case':<28} {'ours':>8} {'peer':>8} {'':<8} {'ratio':>6} {'limit':>6} {'peak':>9}")
    for row in rows:
        write(
            f"{row.case:<28} {row.subject_seconds:>7.3f}s {row.peer_seconds:>7.3f}s {row.peer:<8} "
            f"{row.ratio:>6.2f} {'-' if row.limit is None else row.limit:>6} {row.peak_mebibytes:>5.0f} MiB"
        )


def main() -> int:
    parser = argparse.ArgumentParser(description="UFS2 against its peers.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="a sixteenth of the data, for a look")
    parser.add_argument("--folder", type=Path, help="where to work; 4 GiB are needed")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    size, count = (1 << 26, FILES // 16) if options.quick else (1 << 30, FILES)
    with tempfile.TemporaryDirectory(dir=options.folder) as work:
        rows = [measure(case, options.rounds) for case in cases(Path(work), size, count)]
    if options.json:
        print(json.dumps([row.__dict__ for row in rows], indent=2))
    else:
        show(rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
