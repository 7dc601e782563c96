"""``cloudboot fleet run``: a campaign from its matrix to its report."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudboot_base import Error, UsageError, followed, new_file
from cloudboot_base.command import CHECK_FAILED, INTERRUPTED, OK, printable
from cloudboot_fleet.campaign import Campaign, CampaignFolder
from cloudboot_fleet.campaign.dask import DaskExecutor
from cloudboot_fleet.cluster import Tls
from cloudboot_fleet.cluster.choice import SUBMITTED, opened, submission
from cloudboot_fleet.cluster.preflight import agreed_hosts, asked_hosts, check_needs, check_place, check_push
from cloudboot_fleet.errors import ClusterError, RefusedError
from cloudboot_fleet.fuzzing import merge_campaign
from cloudboot_fleet.matrix import Matrix, Pins, expanded, load
from cloudboot_fleet.render import Summary
from cloudboot_fleet.render.html import write_report
from cloudboot_fleet.render.junit import write_junit
from cloudboot_fleet.render.terminal import cell_line, live_table
from cloudboot_fleet.results import FolderResults, open_results

from . import planning

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping

    from cloudboot_fleet.matrix.pins import Gathered
    from cloudboot_fleet.results import Results
    from cloudboot_probes.cli.console import Console

_REDRAW = 0.1  # seconds between two drawings of the live table


def main(options: argparse.Namespace, console: Console) -> int:
    """Run a campaign."""
    _check_outputs(options)
    matrix = load(options.matrix)
    if options.hours is not None:
        matrix = matrix.with_hours(options.hours)
    tls = tls_of(options, matrix)
    if options.dry_run:
        return _dry_run(options, console, matrix, tls)
    pins = Pins(matrix.folder)
    if options.resume is not None:
        pins.restore(CampaignFolder.existing(options.resume).pins)
    with console.waiting("pinning"):
        matrix = expanded(matrix, pins.glob)
        gathered = pins.gather(matrix)
    with _folder(options, matrix) as folder:
        folder.lock(matrix.name, str(Path(options.matrix).resolve()))
        pins.save(folder.pins)
        results = open_results(options.results) if options.results else FolderResults(folder.cells)
        if isinstance(results, FolderResults):
            results.folder.mkdir(parents=True, exist_ok=True)
            results.sweep()
        with _interrupted_once():
            return _run(options, console, _Prepared(matrix, pins, gathered, folder, results, tls))


def _check_outputs(options: argparse.Namespace) -> None:
    """Refuse what could not be written after hours of work.

    Raises:
        UsageError: the folder of a report is not there, a folder has its name, or both reports have one name.
    """
    given = [each for each in (options.report, options.junit) if each is not None]
    for path in given:
        if path.is_dir():
            raise UsageError(f"{path} is a folder, and a report is a file")
        if not path.absolute().parent.is_dir():
            raise UsageError(f"{path}: there is no folder {path.parent}")
    if len({each.absolute() for each in given}) < len(given):
        raise UsageError(f"--report and --junit are both {options.junit}")


@contextlib.contextmanager
def _interrupted_once() -> Iterator[None]:
    """Let one signal end the campaign, and ignore those after it.

    Another one would cut short what ends the cells, and leave the campaign without its state and reports.
    """
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}

    def interrupt(number: int, _frame: object) -> None:
        for each in numbers:
            signal.signal(each, signal.SIG_IGN)
        # Dask's tasks that are cut short during the start say so with a traceback.
        for name in ("asyncio", "tornado.application"):
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
        raise KeyboardInterrupt(signal.Signals(number).name)

    for number, handler in before.items():
        if handler not in (signal.SIG_IGN, None):
            signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None:
                signal.signal(number, handler)


def _dry_run(options: argparse.Namespace, console: Console, matrix: Matrix, tls: Tls | None) -> int:
    """Print what would be submitted, or the plan where nothing is."""
    if options.scheduler not in SUBMITTED:
        options.all = False
        return planning.main(options, console)
    told = submission(options.scheduler, matrix, tls, options.workers)
    if console.json and options.scheduler == "slurm":
        console.result({"scheduler": "slurm", "job_script": told})
    else:
        console.print(told, end="")
    return OK


def tls_of(options: argparse.Namespace, matrix: Matrix | None = None) -> Tls | None:
    """The certificates of the command line, else those of ``[cluster.tls]``.

    Raises:
        UsageError: some of the three files are missing.
    """
    given = {"ca": options.tls_ca, "certificate": options.tls_certificate, "key": options.tls_key}
    if matrix is not None:
        table = matrix.cluster.get("tls", {})
        given = {
            name: value or (matrix.folder / table[name] if name in table else None) for name, value in given.items()
        }
    missing = [name for name, value in given.items() if value is None]
    if len(missing) == len(given):
        return None
    if missing:
        raise UsageError(f"TLS needs a {missing[0]} as well", hint="give --tls-ca, --tls-certificate and --tls-key")
    return Tls(**{name: path.resolve() for name, path in given.items()})


def _folder(options: argparse.Namespace, matrix: Matrix) -> CampaignFolder:
    if options.resume is not None:
        if options.folder is not None:
            raise UsageError("--folder is for a new campaign, --resume for one that was started")
        return CampaignFolder.existing(options.resume)
    return CampaignFolder.new(options.folder or Path(f"{matrix.name}.fleet"))


@dataclass(frozen=True)
class _Prepared:
    """Everything that is known before the first worker starts."""

    matrix: Matrix
    pins: Pins
    gathered: Mapping[int, Gathered]
    folder: CampaignFolder
    results: Results
    tls: Tls | None


def _run(options: argparse.Namespace, console: Console, ready: _Prepared) -> int:
    matrix, folder, results = ready.matrix, ready.folder, ready.results
    start = time.monotonic()
    interrupted = False
    lost: Error | None = None
    outputs: dict[Path, Any] = {options.report or folder.path / "report.html": write_report}
    if options.junit is not None:
        outputs[options.junit] = write_junit
    with contextlib.ExitStack() as stack:
        with console.waiting("starting workers"):
            cluster = stack.enter_context(opened(options, matrix, ready.tls))
            executor = DaskExecutor(
                cluster.connect, results.place, finish=options.on_exit == "finish", scratch=cluster.scratch,
                kinds=sorted({block.kind.name for block in matrix.blocks}),
            )  # fmt: skip
            stack.callback(executor.client.close)
            cluster.wait(executor)
        check_needs(matrix, list(executor.workers().values()))
        check_place(results, executor.client)
        ready.pins.hosts = agreed_hosts(
            ready.gathered, matrix, executor.workers(), asked_hosts(ready.gathered, executor.client)
        )
        lines = _Lines(console)
        told = executor.dashboard or "none, because bokeh is not installed"
        console.say(f"cloudboot: dashboard: {told}")

        def listen(result: dict[str, Any], kept: bool) -> None:
            if kept:
                _fetch(results, result, folder, console)
            lines.show(result)

        campaign = Campaign(
            matrix, ready.pins, results, folder, executor, total=sum(each.cells for each in ready.gathered.values()),
            listener=listen, progress=_Live(console).show,
            before=lambda: check_push(results.place, executor.client),
        )  # fmt: skip
        try:
            campaign.run()
        except (KeyboardInterrupt, BrokenPipeError):  # the reader of stdout is gone
            interrupted = True
        except (ClusterError, RefusedError) as error:
            lost = error  # what has run is reported all the same
        finally:
            console.status("")
    if any(block.kind.name == "fuzz" for block in matrix.blocks):
        with console.waiting("merging corpora"):
            merged = merge_campaign(folder.results(), folder.cells, folder.path / "fuzz")
        for each in merged:
            console.say(f"cloudboot: {each}")
    summary = Summary(matrix, campaign.tally, folder, time.monotonic() - start)
    code = _finish(console, summary, outputs, interrupted=interrupted)
    if lost is not None:
        raise lost
    if lines.problem is not None:
        raise lines.problem
    return code


class _Lines:
    """The lines of cells. What stdout cannot take is left out: it does not end a campaign, whose results are stored."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self.problem: OSError | None = None

    def show(self, result: dict[str, Any]) -> None:
        """Print the line of a cell.

        Raises:
            BrokenPipeError: the reader of stdout is gone.
        """
        if self.problem is not None:
            return
        try:
            if self._console.json:
                self._console.line(result)
            else:
                self._console.print(cell_line(result, color=self._console.color))
        except BrokenPipeError:
            raise
        except OSError as error:
            self.problem = error


class _Live:
    """The live table, drawn again a few times a second."""

    def __init__(self, console: Console) -> None:
        self._console, self._drawn = console, 0.0

    def show(self, campaign: Campaign) -> None:
        now = time.monotonic()
        if now - self._drawn >= _REDRAW:
            self._drawn = now
            self._console.status(live_table(campaign))


def _fetch(results: Results, result: dict[str, Any], folder: CampaignFolder, console: Console) -> None:
    """A copy of a result's files in the campaign's folder, which the report links to."""
    copy = FolderResults(folder.cells)
    target = copy.path(result["key"])
    if results.place == copy.place or target.exists():
        return
    try:
        results.fetch(result["key"], target)
    except (Error, OSError) as error:  # the result is where it was stored; only the link will be missing
        console.warn(f"the files of {result['name']} could not be fetched: {error}")


def _finish(console: Console, summary: Summary, outputs: dict[Path, Any], *, interrupted: bool) -> int:
    tally, folder = summary.tally, summary.folder
    for path, write in outputs.items():
        with new_file(followed(path), force=True) as fd, open(fd, "w", encoding="utf-8", closefd=False) as file:
            write(file, summary, Path(os.path.abspath(path)).parent)
    with contextlib.suppress(OSError):
        _print_summary(console, summary)
    if interrupted:
        console.say("cloudboot: interrupted")
    for path in outputs:
        console.say(f"cloudboot: wrote {path}")
    if tally.done < tally.total or interrupted:
        console.say(f"cloudboot: hint: --resume {folder.path} goes on with what has not run")
    if interrupted:
        return INTERRUPTED
    return OK if tally.passed else CHECK_FAILED


def _print_summary(console: Console, summary: Summary) -> None:
    tally, seconds = summary.tally, summary.seconds
    if console.json:
        console.line({"summary": tally.summary(seconds), "seconds": round(seconds, 3), **tally.as_dict()})
    else:
        for cause in tally.grouped()[:10]:
            console.print(printable(f"{cause.count:6} x {cause.shown}"))
        console.print(tally.summary(seconds))
