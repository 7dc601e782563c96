"""Building an ESP: cloudboot_fat against ``cp`` and against ``mkfs.fat`` with ``mcopy``.

``python benchmarks/fat.py`` prints a table. Every round runs every subject once, in turn, on a warm page cache; the
table gives the median, the fastest round, and the ratio to ``cp``. ``cp`` is the floor: it moves the same bytes and
makes no file system. The builder is timed inside one process, as a library, and as a command of its own.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from cloudboot_base import new_image
from cloudboot_fat import FormatOptions, build

if TYPE_CHECKING:
    from collections.abc import Callable

MIB = 1 << 20


def make_tree(folder: Path, files: int, total: int) -> None:
    """A folder of ``files`` files of random bytes, ``total`` bytes together, a few large and many small."""
    rng = random.Random(files)
    weights = [rng.paretovariate(1.0) for _ in range(files)]
    for number, weight in enumerate(weights):
        path = folder / f"directory {number % 10}" / f"a file with a long name {number}.efi"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(rng.randbytes(int(total * weight / sum(weights))))


def subjects(source: Path, work: Path, size: int) -> dict[str, Callable[[], None]]:
    """What is timed, by name."""
    image = work / "volume.img"

    def ours() -> None:
        with new_image(image, size, force=True) as storage:
            build(storage, source, FormatOptions(fat_type=32, fresh=True))

    def command() -> None:
        run(sys.executable, "-m", "cloudboot_fat", "build", image, source, "--size", str(size), "--type", "32")

    def copy() -> None:
        run("cp", "-r", source, work / "copy")

    def peer() -> None:
        with image.open("wb") as file:
            file.truncate(size)
        run("mkfs.fat", "-F", "32", image)
        run("mcopy", "-s", "-Q", "-i", image, *sorted(source.iterdir()), "::/")

    return {
        "cp -r": copy,
        "cloudboot_fat.build": ours,
        "python -m cloudboot_fat build": command,
        "mkfs.fat + mcopy": peer,
    }


def run(*command: str | os.PathLike[str]) -> None:
    environment = {**os.environ, "PATH": f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"}
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)


def clean(work: Path) -> None:
    (work / "volume.img").unlink(missing_ok=True)
    shutil.rmtree(work / "copy", ignore_errors=True)


def main() -> int:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--size", type=int, default=300, metavar="MIB", help="of the volume (default: 300)")
    parser.add_argument("--data", type=int, default=50, metavar="MIB", help="of the files together (default: 50)")
    parser.add_argument("--files", type=int, nargs="+", default=[20, 1000], help="how many (default: 20 and 1000)")
    parser.add_argument("--folder", help="where to work (default: the system's temporary folder)")
    options = parser.parse_args()
    print(f"{options.size} MiB FAT32, {options.data} MiB of files, {options.rounds} rounds, seconds")
    print(f"{'files':>6}  {'subject':30} {'median':>8} {'fastest':>8} {'/ cp':>6}")
    for files in options.files:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            work = Path(folder)
            make_tree(work / "source", files, options.data * MIB)
            timed = subjects(work / "source", work, options.size * MIB)
            seconds: dict[str, list[float]] = {name: [] for name in timed}
            for _ in range(options.rounds):
                for name, subject in timed.items():
                    clean(work)
                    os.sync()
                    began = time.perf_counter()
                    subject()
                    seconds[name].append(time.perf_counter() - began)
        floor = statistics.median(seconds["cp -r"])
        for name, found in seconds.items():
            median = statistics.median(found)
            print(f"{files:6}  {name:30} {median:8.3f} {min(found):8.3f} {median / floor:6.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
