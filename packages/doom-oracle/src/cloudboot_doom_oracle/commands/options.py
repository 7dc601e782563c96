"""Options that several commands have, and what they are for."""

from __future__ import annotations

import argparse
import math
from typing import TYPE_CHECKING

from cloudboot_base import MissingDependencyError
from cloudboot_doom_oracle.script import Script, read_script
from cloudboot_doom_oracle.wad import Wad, find_wads

if TYPE_CHECKING:
    import os

_ARCHITECTURES = ("amd64", "arm64", "riscv64", "loong64")


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """``--wad``, ``--script`` and ``--no-pin``."""
    parser.add_argument("--wad", metavar="FILE", help="An IWAD (default: that of an installed package).")
    parser.add_argument(
        "--script", metavar="FILE", help="Keys to press: lines of TIC:keydown:KEY and TIC:keyup:KEY (default: none)."
    )
    parser.add_argument(
        "--no-pin",
        action="store_true",
        help="Keep address space randomisation, and take each frame from two of three runs.",
    )


def add_machine_options(parser: argparse.ArgumentParser) -> None:
    """``--architecture`` and ``--ring``."""
    parser.add_argument(
        "--architecture", default="amd64", choices=_ARCHITECTURES, help="Architecture of the machine (default: amd64)."
    )
    parser.add_argument(
        "--ring", default="split", choices=("split", "packed"), help="Layout of the virtqueues (default: split)."
    )


def open_wad(path: str | os.PathLike[str] | None) -> Wad:
    """The WAD of ``--wad``, or the first that is installed.

    Raises:
        MissingDependencyError: none was given, and none is installed.
        WadError: it is no IWAD.
    """
    if path is not None:
        return Wad(path)
    found = find_wads()
    if not found:
        raise MissingDependencyError(
            "no IWAD was found", hint="pip install vizdoom, apt install freedoom, or --wad FILE"
        )
    return Wad(found[0])


def open_script(path: str | os.PathLike[str] | None) -> Script:
    """The script of ``--script``, or an empty one.

    Raises:
        ScriptError: the file is not UTF-8 text, or a line of it cannot be used.
        BudgetError: the file is too large.
        OSError: the file cannot be read, or is not an ordinary file.
    """
    return Script() if path is None else read_script(path)


def tics(text: str) -> list[int]:
    """``"1,35,70"`` for argparse: tics that rise."""
    parts = text.split(",")
    if not all(part.isascii() and part.isdigit() and len(part) < 9 for part in parts):
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of tics like 1,35,70")
    return sorted({int(part) for part in parts})


def count_argument(text: str) -> int:
    """A number of 1 or more for argparse."""
    if not (text.isascii() and text.isdigit() and len(text) < 9 and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of 1 or more")
    return int(text)


def positive_argument(text: str) -> float:
    """A finite number above 0 for argparse."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a finite number above 0")
    return value


def ratio_argument(text: str) -> float:
    """A share from above 0 to 1 for argparse."""
    if (value := positive_argument(text)) > 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a share from 0 to 1")
    return value


def chi2_argument(text: str) -> float:
    """A chi-square distance for argparse: finite and not negative."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a chi-square distance: a finite number of 0 or more")
    return value
