"""Crashes, grouped by what they have in common: the type of the exception and where it was raised."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import PurePath

_FRAME = re.compile(r'^ *File "([^"]+)", line \d+, in (\S+)', re.MULTILINE)
_FRAMES = 3


@dataclass(frozen=True, slots=True)
class Crash:
    """An input that a harness does not survive. ``cause`` groups it with others, ``traceback`` is what Python said."""

    data: bytes
    cause: str
    traceback: str

    @property
    def name(self) -> str:
        """A name for files, the same for every crash of one cause."""
        kind = re.sub(r"[^A-Za-z0-9]+", "-", self.cause.split(" ", 1)[0]).strip("-").lower() or "crash"
        return f"{kind}-{hashlib.sha256(self.cause.encode()).hexdigest()[:10]}"


def cause_of_traceback(text: str) -> str:
    """The exception's type and the innermost functions, without line numbers: those move with every edit."""
    frames = [f"{PurePath(path).name}:{function}" for path, function in _FRAME.findall(text)]
    lines = [line for line in text.rstrip().splitlines() if line and not line.startswith(" ")]
    kind = next(
        (line.partition(":")[0] for line in reversed(lines) if re.match(r"[A-Za-z_][\w.]*(:|$)", line)), "crash"
    )
    return " ".join([kind, "in", " < ".join(reversed(frames[-_FRAMES:])) or "unknown place"])
