"""What tests of campaigns need: matrices of fast cells, processes looked up by what they are, waiting with a limit."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from cloudboot_fleet.campaign import CampaignFolder
from cloudboot_fleet.forkserver.processes import Process, descendants, table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

Found = TypeVar("Found")

#: Seconds after which something that should happen soon is taken for something that never happens.
LIMIT = 180.0


def eventually(look: Callable[[], Found], limit: float = LIMIT) -> Found:
    """What ``look`` gives once that is true.

    Raises:
        AssertionError: it was not, for ``limit`` seconds.
    """
    end = time.monotonic() + limit
    while not (found := look()):
        if time.monotonic() > end:
            raise AssertionError(f"still {found!r} after {limit:.0f} s")
        time.sleep(0.02)
    return found


def command_line(pid: int) -> str:
    """What a process was started with; nothing if it is gone."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read().replace(b"\0", b" ").decode("utf-8", "replace").strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def processes_with(text: str) -> list[Process]:
    """The processes whose command line has ``text`` in it."""
    return [process for process in table().values() if text in command_line(process.pid)]


def descendants_of(pid: int) -> list[Process]:
    """A process and everything below it."""
    return descendants(pid, table())


def listening(pids: Iterable[int]) -> set[tuple[str, int]]:
    """The addresses and ports at which the processes accept TCP connections, by the kernel's tables (proc(5))."""
    by_inode: dict[str, tuple[str, int]] = {}
    for name in ("tcp", "tcp6"):
        with contextlib.suppress(FileNotFoundError):
            for line in Path("/proc/net", name).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == "0A":  # TCP_LISTEN
                    by_inode[f"socket:[{fields[9]}]"] = _endpoint(fields[1])
    found: set[tuple[str, int]] = set()
    for pid in pids:
        with contextlib.suppress(OSError):
            for entry in os.scandir(f"/proc/{pid}/fd"):
                with contextlib.suppress(OSError):
                    if (place := by_inode.get(os.readlink(entry.path))) is not None:
                        found.add(place)
    return found


def _endpoint(text: str) -> tuple[str, int]:
    """``0100007F:1F90`` is ``("127.0.0.1", 8080)``: words of 32 bits in the byte order of the machine."""
    host, _, port = text.partition(":")
    raw = b"".join(int(host[at : at + 8], 16).to_bytes(4, sys.byteorder) for at in range(0, len(host), 8))
    return str(ipaddress.ip_address(raw)), int(port, 16)


class Running:
    """``cloudboot fleet`` in a process of its own, killed at the end of the block; what it prints is kept in a file."""

    def __init__(self, *words: str | Path, folder: Path, environment: Mapping[str, str] | None = None) -> None:
        self._log = folder / f"{words[0]}-{time.monotonic_ns()}.log"
        command = [sys.executable, "-m", "cloudboot_fleet", *map(str, words)]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=subprocess.STDOUT, env=environment)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(LIMIT)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    @property
    def pid(self) -> int:
        """Its process."""
        return self.process.pid

    @property
    def printed(self) -> str:
        """What it has printed so far, on both streams."""
        return self._log.read_text(errors="replace")

    def wait(self) -> int:
        """Its exit code.

        Raises:
            AssertionError: it does not end.
        """
        try:
            return self.process.wait(2 * LIMIT)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it does not end:\n{self.printed}") from None


def journal(folder: Path) -> dict[str, dict[str, Any]]:
    """The cells of a campaign that came to their end, by name."""
    return {str(cell["name"]): cell for cell in CampaignFolder(folder).results()}
