"""What ``--keep`` leaves of a run: reports, console, serial line, traces and screenshot, each a file of a folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudboot_base import new_file

from .json import document
from .report import report

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cloudboot_probes.probe import Boot, Record


def keep(record: Record, folder: Path) -> list[Path]:
    """Write the files of a run into ``folder``, which is made where it is not there; those written.

    Raises:
        OSError: a file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, content in _contents(record):
        path = folder / name
        with new_file(path, force=True) as fd, open(fd, "wb", closefd=False) as file:
            file.write(content)
        written.append(path)
    return written


def _contents(record: Record) -> Iterator[tuple[str, bytes]]:
    boot = record.boot
    yield "record.json", document(record)
    yield "report.html", report(record).encode("utf-8", "surrogateescape")
    if boot.console:
        yield "console.txt", boot.console.encode("utf-8", "surrogateescape")
    if boot.reads:
        yield "reads.txt", _reads(boot).encode("utf-8", "surrogateescape")
    if boot.screenshot is not None:
        yield "screenshot.png", boot.screenshot
    yield from boot.files.items()


def _reads(boot: Boot) -> str:
    """A line for each read: seconds since power-on, first byte, bytes, whose they are."""
    lines = []
    for read in boot.reads:
        found = [] if boot.block_map is None else boot.block_map.overlapping(read.start, read.end)
        owners = ", ".join(dict.fromkeys(extent.owner for extent in found))
        lines.append(f"{read.time:.6f} {read.start} {read.end - read.start} {owners}".rstrip())
    return "\n".join(lines) + "\n"
