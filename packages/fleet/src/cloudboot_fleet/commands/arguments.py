"""The commands and their arguments; nothing heavy is imported here."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from cloudboot_base.command import seconds_argument, whole_argument
from cloudboot_probes.cli.arguments import input_file, path_of
from cloudboot_probes.cli.commands import Command, Group

if TYPE_CHECKING:
    from cloudboot_base.parser import CommandParser


def _count(text: str) -> int:
    value = whole_argument(text)
    if not 1 <= value <= 10_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 10000")
    return value


def _resource(text: str) -> tuple[str, float]:
    """``NAME=AMOUNT``, or ``NAME`` for one."""
    name, _, amount = text.partition("=")
    try:
        value = float(amount or "1")
    except ValueError:
        value = -1.0
    if not name or not 0 < value < 1e9:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=AMOUNT")
    return name, value


def _matrix(parser: CommandParser) -> None:
    parser.add_argument("matrix", type=input_file, metavar="MATRIX", help="A TOML file with the cells.")


def _tls(parser: CommandParser) -> None:
    group = parser.add_argument_group("TLS")
    group.add_argument("--tls-ca", type=input_file, metavar="FILE", help="The authority that both sides trust (PEM).")
    group.add_argument("--tls-certificate", type=input_file, metavar="FILE", help="This side's certificate (PEM).")
    group.add_argument("--tls-key", type=input_file, metavar="FILE", help="This side's private key (PEM).")


def run(parser: CommandParser) -> None:
    """``cloudboot fleet run``."""
    _matrix(parser)
    parser.add_argument(
        "--folder", type=path_of, metavar="DIR", help="The campaign's folder (default: the matrix's name and .fleet)."
    )
    parser.add_argument("--resume", type=path_of, metavar="DIR", help="Continue the campaign in this folder.")
    parser.add_argument(
        "--results", metavar="PLACE",
        help="Where the results of cells are stored: /FOLDER, ./FOLDER, HOST/REPOSITORY or oci:FOLDER "
        "(default: the campaign's folder).",
    )  # fmt: skip
    parser.add_argument(
        "--on-exit", choices=("stop", "finish"), default="stop",
        help="What happens to running cells on another scheduler when this command is killed (default: stop).",
    )  # fmt: skip
    cluster = parser.add_argument_group("cluster")
    cluster.add_argument(
        "--scheduler", default="local", metavar="WHERE",
        help="One of: local, tls://HOST:PORT, slurm, kubernetes (default: local).",
    )  # fmt: skip
    cluster.add_argument(
        "--workers",
        type=_count,
        metavar="N",
        help="Number of workers to start (default: one for each processor, if local).",
    )
    cluster.add_argument(
        "--resource", type=_resource, action="append", metavar="NAME=AMOUNT",
        help="A resource that each local worker offers. Can be repeated.",
    )  # fmt: skip
    cluster.add_argument(
        "--scratch", type=path_of, metavar="DIR", help="Parent of the scratch folders of cells (default: TMPDIR)."
    )
    cluster.add_argument(
        "--dry-run",
        action="store_true",
        help="Print the plan, or with a batch system the job script or manifest; run nothing.",
    )
    reports = parser.add_argument_group("reports")
    reports.add_argument(
        "--report", type=path_of, metavar="FILE", help="The matrix as HTML (default: report.html in the folder)."
    )
    reports.add_argument("--junit", type=path_of, metavar="FILE", help="The cells as JUnit XML.")
    parser.add_argument_group("fuzzing").add_argument(
        "--hours", type=_hours, metavar="N", help="Divide this many hours of one worker among the cells of kind fuzz."
    )
    _tls(parser)


def _hours(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value <= 100_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of hours above 0")
    return value


def plan(parser: CommandParser) -> None:
    """``cloudboot fleet plan``."""
    _matrix(parser)
    parser.add_argument("--resume", type=path_of, metavar="DIR", help="Use the digests of the campaign in this folder.")
    parser.add_argument("--all", action="store_true", help="Print every cell, not only the first 20 of each table.")


def status(parser: CommandParser) -> None:
    """``cloudboot fleet status``."""
    parser.add_argument("folder", type=path_of, metavar="DIR", help="The folder of a campaign.")


def cancel(parser: CommandParser) -> None:
    """``cloudboot fleet cancel``."""
    parser.add_argument("folder", type=path_of, metavar="DIR", help="The folder of a campaign.")
    parser.add_argument("--finish", action="store_true", help="Let running cells finish.")


def worker(parser: CommandParser) -> None:
    """``cloudboot fleet worker``."""
    parser.add_argument(
        "scheduler", metavar="ADDRESS", help="Address of the scheduler: tls://HOST:PORT, or tcp:// on this machine."
    )
    parser.add_argument(
        "--workers", type=_count, default=1, metavar="N", help="Number of worker processes (default: 1)."
    )
    parser.add_argument(
        "--resource",
        type=_resource,
        action="append",
        metavar="NAME=AMOUNT",
        help="A resource that each worker offers. Can be repeated.",
    )
    parser.add_argument(
        "--scratch", type=path_of, metavar="DIR", help="Folder for temporary files of Dask (default: TMPDIR)."
    )
    parser.add_argument(
        "--patience", type=seconds_argument, default=60.0, metavar="SECONDS",
        help="How long to wait for a scheduler that does not answer (default: 60).",
    )  # fmt: skip
    _tls(parser)


def scheduler(parser: CommandParser) -> None:
    """``cloudboot fleet scheduler``."""
    parser.add_argument(
        "address", metavar="ADDRESS", nargs="?", default="tcp://127.0.0.1:8786",
        help="Where to listen: tls://HOST:PORT, or tcp:// on loopback (default: tcp://127.0.0.1:8786).",
    )  # fmt: skip
    _tls(parser)


_HERE = "cloudboot_fleet.commands"
GROUP = Group(
    "Run a matrix of probes, builds, checks, fuzzing and harvests on many machines.",
    {
        "run": Command("Run every cell of a matrix; exit 0 only if all pass.", run, f"{_HERE}.running:main"),
        "plan": Command("Print every cell of a matrix and what it needs; run nothing.", plan, f"{_HERE}.planning:main"),
        "status": Command(
            "Show the state of a campaign; exit 1 if a cell failed or the campaign was interrupted.",
            status,
            f"{_HERE}.monitoring:status",
        ),
        "cancel": Command("End a running campaign.", cancel, f"{_HERE}.monitoring:cancel"),
        "worker": Command("Run cells for a scheduler until it ends.", worker, f"{_HERE}.serving:worker"),
        "scheduler": Command("Run a scheduler for workers on other machines.", scheduler, f"{_HERE}.serving:scheduler"),
    },
)
