"""For tests of this package and of those that boot images: looking for what a machine left behind."""

from __future__ import annotations

import os


def processes_named(marker: str) -> list[int]:
    """The ids of the processes, this one aside, that have ``marker`` among their arguments; zombies have none."""
    wanted = marker.encode()
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit() and int(entry) != os.getpid():
            try:
                with open(f"/proc/{entry}/cmdline", "rb") as file:
                    arguments = file.read().split(b"\0")
            except OSError:
                continue  # it ended meanwhile
            if wanted in arguments:
                found.append(int(entry))
    return found


def open_files(pid: int) -> list[str]:
    """What the descriptors of a process stand for, as ``/proc`` tells it: paths, ``socket:[...]``, ``/memfd:...``."""
    folder = f"/proc/{pid}/fd"
    return [os.readlink(f"{folder}/{entry}") for entry in os.listdir(folder)]
