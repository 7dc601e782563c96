"""What a fleet costs: against shells that run the same probes, for empty cells, for a cancellation, in memory.

``python benchmarks/fleet.py [PART]...``; the parts are shells, ideal, empty, cancel and memory, by default all of them.
``PROBES`` and ``CELLS`` in the environment are the numbers of probes and of empty cells. CPU is the time of all
processes of a row, in seconds: it depends less on what else the machine does.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from _targets import Targets

from cloudboot_fleet.campaign import Campaign, CampaignFolder, Finished, Lost
from cloudboot_fleet.forkserver import ForkServer
from cloudboot_fleet.matrix import Pins, parse
from cloudboot_fleet.results import FolderResults
from cloudboot_fleet.testing import command_line, descendants_of, eventually, processes_with

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cloudboot_fleet.campaign import Handed

CLOUDBOOT = str(Path(sys.executable).with_name("cloudboot"))
PROBES = int(os.environ.get("PROBES", "200"))
CELLS = int(os.environ.get("CELLS", "2000"))
ROUNDS = 5
TARGETS = Targets()
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


@dataclass(frozen=True)
class Took:
    """Seconds of wall time, and of all processors in user and system mode."""

    seconds: float
    cpu: float

    def __str__(self) -> str:
        return f"{self.seconds:8.1f} {self.cpu:8.1f}"


def timed(work: Callable[[], object]) -> Took:
    """How long ``work`` takes, which waits for every process that it starts."""
    start, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    work()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Took(time.monotonic() - start, cpu)


def row(name: str, took: Took, more: str = "") -> None:
    print(f"{name:52}{took}  {more}".rstrip(), flush=True)


def campaign(text: str, folder: Path) -> tuple[Took, float]:
    """Run a matrix on two workers: the whole command, and the seconds of the cells alone."""
    (folder / "m.toml").write_text(text)
    took = timed(
        lambda: subprocess.run(
            [CLOUDBOOT, "fleet", "run", "m.toml", "--workers", "2", "--folder", "run"], cwd=folder, check=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
    )  # fmt: skip
    return took, float(json.loads((folder / "run" / "state.json").read_text())["seconds"])


def twice(words: list[str], folder: Path) -> None:
    """Two processes side by side."""
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: subprocess.run(words, check=True, cwd=folder), range(2)))


def hosted(count: int) -> str:
    axes = f'system = "demo"\nrecipe = "demo"\nfirmware = "hosted"\nrepeat = {{from = 1, to = {count}}}\n'
    return f'[[cells]]\nkind = "probe"\n[cells.axes]\n{axes}'


def shells(folder: Path) -> None:
    """Two shells, each of which runs half of the probes, one command after another."""
    loop = f"for i in $(seq {PROBES // 2}); do {CLOUDBOOT} demo >/dev/null 2>&1 || exit 1; done"
    by_shells = timed(lambda: twice(["sh", "-c", loop], folder))
    whole, _ = campaign(hosted(PROBES), folder)
    row(f"{PROBES} hosted probes, two shells", by_shells)
    row(f"{PROBES} hosted probes, fleet with two workers", whole,
        f"{whole.seconds / by_shells.seconds:.2f} of the time (at most 1.05), "
        + TARGETS.at_most(whole.seconds / by_shells.seconds, 1.05))  # fmt: skip


def ideal(folder: Path) -> None:
    """Two processes that run half of the probes each, without starting anew.

    Of a tenth of the probes both are measured as well: what a probe more takes leaves out how the two start.
    """
    few = max(2, PROBES // 10)
    (folder / "few").mkdir()
    first = timed(lambda: twice([sys.executable, "-c", IDEAL, str(few // 2)], folder))
    start, _ = campaign(hosted(few), folder / "few")
    best = timed(lambda: twice([sys.executable, "-c", IDEAL, str(PROBES // 2)], folder))
    whole, cells = campaign(hosted(PROBES), folder)
    alone, each = ((many.cpu - one.cpu) / (PROBES - few) for many, one in ((best, first), (whole, start)))
    row(f"{PROBES} hosted probes, two processes without a fleet", best)
    row(f"{PROBES} hosted probes, fleet with two workers", whole,
        f"its cells {cells:.1f} s, {100 * best.seconds / cells:.0f} % of the ideal (at least 90), "
        + TARGETS.at_least(100 * best.seconds / cells, 90))  # fmt: skip
    print(f"CPU of a probe more: {alone:.3f} s without a fleet, {each:.3f} s with it, {100 * alone / each:.0f} %")


def empty(folder: Path) -> None:
    """Cells that do nothing."""
    text = '[[cells]]\nkind = "nothing"\n[cells.axes]\nrepeat = {{from = 1, to = {}}}'
    (folder / "few").mkdir()
    few, _ = campaign(text.format(20), folder / "few")
    whole, cells = campaign(text.format(CELLS), folder)
    each = 1000 * (whole.cpu - few.cpu) / (CELLS - 20)
    row("20 empty cells planned, run and reported", few)
    row(f"{CELLS} empty cells planned, run and reported", whole,
        f"the cells {cells:.1f} s (all below 30), {each:.1f} ms of CPU for each, "
        + TARGETS.at_most(whole.seconds, 30))  # fmt: skip


def cancel(folder: Path) -> None:
    """From the cancellation of a cell to the end of its QEMU, the worst of some rounds."""
    text = '[[cells]]\nkind = "probe"\n[cells.axes]\nsystem = "demo"\nrecipe = "demo"\nfirmware = "qemu"'
    work = Pins(folder).pin(next(parse(text).cells())).as_dict()
    took = []
    with ForkServer(folder / "scratch") as server:
        for number in range(ROUNDS):
            key = f"cell-{number}"
            with server.scratch(key) as scratch:
                cell = threading.Thread(target=server.run, args=(key, work, scratch))
                cell.start()
                machine = eventually(lambda: [each for each in processes_with(" -name ") if _is_qemu(each.pid)])[0]
                start = time.monotonic()
                server.kill(key)
                while Path(f"/proc/{machine.pid}").exists():
                    time.sleep(0.001)
                took.append(time.monotonic() - start)
                cell.join()
    verdict = TARGETS.at_most(max(took), 0.5)
    told = f"a cancelled cell's QEMU is gone after {max(took):.3f} s, the worst of {ROUNDS} (at most 0.5), {verdict}"
    print(told, flush=True)


def _is_qemu(pid: int) -> bool:
    return "qemu-system" in command_line(pid)[:40] and any(each.pid == pid for each in descendants_of(os.getpid()))


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
    for count in (1_000, 10_000, 100_000):
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


PARTS = {"shells": shells, "ideal": ideal, "empty": empty, "cancel": cancel, "memory": memory}


def main(arguments: list[str]) -> int:
    if arguments[:1] == ["--simulated"]:
        simulated(int(arguments[1]), Path(arguments[2]))
        return 0
    print(f"{'':52}{'seconds':>8} {'CPU':>8}", flush=True)
    for name in arguments or PARTS:
        with tempfile.TemporaryDirectory(prefix="cloudboot-bench-") as folder:
            PARTS[name](Path(folder))
    return TARGETS.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
