"""What a fleet costs: against shells that run the same probes, for empty cells, and for the client's memory.

``python benchmarks/fleet.py [PART]...``; the parts are shells, empty, ideal and memory, by default all of them.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from cloudboot_fleet import Campaign, CampaignFolder, Finished, FolderResults, Lost, Pins, parse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloudboot_fleet import Handed

CLOUDBOOT = str(Path(sys.executable).with_name("cloudboot"))
PROBES = int(os.environ.get("PROBES", "40"))
IDEAL = """
import sys, tempfile, pathlib
from cloudboot_fleet.tasks.probe import run
import os
for number in range(int(sys.argv[1])):
    with tempfile.TemporaryDirectory() as name:
        os.chdir(name)
        kept = pathlib.Path(name) / "kept"
        kept.mkdir()
        outcome = run({"inputs": {"system": "demo", "recipe": "demo", "firmware": "hosted"},
                       "limits": {"timeout": 60}}, kept)
        assert outcome.status == "passed", outcome
        os.chdir("/")
"""


def campaign(text: str, folder: Path) -> tuple[float, float]:
    """Run a matrix on two workers; seconds of the whole command, and of the cells alone."""
    (folder / "m.toml").write_text(text)
    start = time.monotonic()
    subprocess.run(
        [CLOUDBOOT, "fleet", "run", "m.toml", "--workers", "2", "--folder", "run"], cwd=folder, check=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    return time.monotonic() - start, float(json.loads((folder / "run" / "state.json").read_text())["seconds"])


def hosted(count: int) -> str:
    axes = f'system = "demo"\nrecipe = "demo"\nfirmware = "hosted"\nrepeat = {{from = 1, to = {count}}}\n'
    return f'[[cells]]\nkind = "probe"\n[cells.axes]\n{axes}'


def shells(folder: Path) -> None:
    """Two shells, each of which runs half of the probes, one command after another."""
    loop = f"for i in $(seq {PROBES // 2}); do {CLOUDBOOT} demo >/dev/null 2>&1 || exit 1; done"
    start = time.monotonic()
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: subprocess.run(["sh", "-c", loop], check=True, cwd=folder), range(2)))
    by_shells = time.monotonic() - start
    whole, cells = campaign(hosted(PROBES), folder)
    print(f"{PROBES} probes  two shells {by_shells:7.1f} s   fleet {whole:7.1f} s, its cells {cells:7.1f} s", end="")
    print(f"   {whole / by_shells:5.2f} of the shells' time (at most 1.05)")


def empty(folder: Path) -> None:
    """2,000 cells that do nothing."""
    whole, cells = campaign('[[cells]]\nkind = "nothing"\n[cells.axes]\nrepeat = {from = 1, to = 2000}', folder)
    print(f"2000 empty cells planned, run and reported: {whole:5.1f} s, the cells {cells:5.1f} s (below 30 s)")


def ideal(folder: Path) -> None:
    """Two processes that run half of the probes each, without starting anew."""
    count = 200
    start = time.monotonic()
    words = [sys.executable, "-c", IDEAL, str(count // 2)]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: subprocess.run(words, check=True, cwd=folder), range(2)))
    best = time.monotonic() - start
    whole, cells = campaign(hosted(count), folder)
    print(f"{count} probes  two processes {best:7.1f} s   fleet {whole:7.1f} s, its cells {cells:7.1f} s", end="")
    print(f"   {100 * best / cells:3.0f} % of the ideal (at least 90)")


class Simulated:
    """An executor whose cells are over at once."""

    slots, place, dashboard = 8, "simulated", None

    def __init__(self) -> None:
        self._ended: list[Finished | Lost] = []

    def submit(self, handed: Sequence[Handed]) -> None:
        for each in handed:
            index = each.pinned.cell.index
            status = "failed" if index % 10 == 0 else "passed"
            cause = f"gate: number {index} failed" if status == "failed" else None
            self._ended.append(Finished(each.pinned.key, {"status": status, "seconds": 0.01, "cause": cause}))

    def wait(self, _seconds: float) -> list[Finished | Lost]:
        ended, self._ended = self._ended, []
        return ended

    def cancel(self, _keys: Sequence[str]) -> None:
        raise AssertionError("nothing is cancelled here")


def memory(folder: Path) -> None:
    """The client's memory, in a process of its own for each size."""
    for count in (1_000, 100_000):
        words = [sys.executable, __file__, "--simulated", str(count), str(folder / str(count))]
        print(subprocess.run(words, check=True, capture_output=True, text=True).stdout, end="")


def simulated(count: int, place: Path) -> None:
    matrix = parse(f'[[cells]]\nkind = "nothing"\n[cells.axes]\nrepeat = {{from = 1, to = {count}}}')
    start = time.monotonic()
    with CampaignFolder.new(place) as folder:
        folder.lock("simulated", "none")
        pins = Pins(place)
        total = sum(block.cells for block in pins.gather(matrix).values())
        done = Campaign(matrix, pins, FolderResults(folder.cells), folder, Simulated(), total=total).run().done
    seconds = time.monotonic() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{done:7} simulated cells: {seconds:5.1f} s, the client's peak is {peak:5.1f} MiB")


PARTS = {"shells": shells, "empty": empty, "ideal": ideal, "memory": memory}


def main(arguments: list[str]) -> None:
    if arguments[:1] == ["--simulated"]:
        simulated(int(arguments[1]), Path(arguments[2]))
        return
    for name in arguments or PARTS:
        with tempfile.TemporaryDirectory(prefix="cloudboot-bench-") as folder:
            PARTS[name](Path(folder))


if __name__ == "__main__":
    main(sys.argv[1:])
