"""A recorded game played to its end by two engines: the number of tics is what a second engine can judge.

A demo ends where the player left. An engine whose play differs by a tic, or by a random number, ends elsewhere.
"""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import subprocess
import tempfile
from typing import TYPE_CHECKING, Final

from cloudboot_base import MissingDependencyError
from cloudboot_doom_oracle.errors import EngineError

from .process import CDoomEngine

if TYPE_CHECKING:
    from cloudboot_doom_oracle.wad import Wad

_COUNT: Final = re.compile(r"timed (\d+) gametics")
_DEMOS: Final = ("demo1", "demo2", "demo3", "demo4")


@dataclasses.dataclass(frozen=True, slots=True)
class TimedDemo:
    """How many tics a demo of the WAD took in an engine."""

    engine: str
    demo: str
    gametics: int


def demos_of(wad: Wad) -> list[str]:
    """The names of the WAD's demos, as ``-timedemo`` takes them."""
    return [name for name in _DEMOS if name.upper() in wad]


def timed_demo(wad: Wad, demo: str) -> TimedDemo:
    """Play a demo to its end in cydoomgeneric.

    Raises:
        MissingDependencyError: cydoomgeneric or pyelftools is not installed.
        EngineError: the engine ended without a count, or hangs.
    """
    with CDoomEngine(wad, arguments=["-timedemo", demo]) as engine:
        try:
            for _ in engine.frames():
                pass
        except EngineError as end:  # a timed demo ends the process, and its count is among the last words
            found = _COUNT.search(str(end))
            if found is None:
                raise
            return TimedDemo(engine.version, demo, int(found[1]))
    raise AssertionError("frames() ends only in an error")


def chocolate_timed_demo(wad: Wad, demo: str, *, seconds: float = 120.0) -> TimedDemo:
    """Play a demo to its end in chocolate-doom, without a display or sound.

    Raises:
        MissingDependencyError: chocolate-doom is not installed.
        EngineError: it ended without a count, or takes longer than ``seconds``.
    """
    program = shutil.which("chocolate-doom", path=f"{os.environ.get('PATH', os.defpath)}:/usr/games")
    if program is None:
        raise MissingDependencyError("chocolate-doom is not installed", hint="apt install chocolate-doom")
    with tempfile.TemporaryDirectory(prefix="doom-") as folder:
        environment = {**os.environ, "SDL_VIDEODRIVER": "dummy", "SDL_AUDIODRIVER": "dummy", "HOME": folder}
        words = ["-iwad", os.path.abspath(wad.path), "-timedemo", demo, "-nosound", "-nodraw", "-nogui"]
        try:
            done = subprocess.run(
                [program, *words], env=environment, cwd=folder, capture_output=True, stdin=subprocess.DEVNULL,
                encoding="utf-8", errors="replace", timeout=seconds, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise EngineError(
                f"chocolate-doom takes longer than {seconds:g} s for {demo}", tic=0, status=None
            ) from None
    output = done.stdout + done.stderr
    found = _COUNT.search(output)
    if found is None:
        raise EngineError(f"chocolate-doom counts no tics of {demo}", tic=0, status=done.returncode, output=output)
    return TimedDemo("chocolate-doom", demo, int(found[1]))
