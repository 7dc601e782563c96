"""The game in a terminal: two pixels a character, keys from the keyboard."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import termios
import time
import tty
from typing import TYPE_CHECKING, Final

from cloudboot_base import UsageError
from cloudboot_doom_oracle.engine import CDoomEngine
from cloudboot_doom_oracle.keys import BY_NAME

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from cloudboot_doom_oracle.wad import Wad

_TICRATE: Final = 35
_HOLD: Final = 5  # tics: a terminal tells no key's release
_QUIT: Final = b"\x03"
_MOST_COLUMNS, _MOST_LINES = 160, 50
_SHADES: Final = " \u2591\u2592\u2593\u2588"
_SIGNALS: Final = (signal.SIGTERM, signal.SIGHUP)
_SEQUENCES: Final = {
    b"\x1b[A": "up",
    b"\x1b[B": "down",
    b"\x1b[C": "right",
    b"\x1b[D": "left",
    b"\x1bOA": "up",  # a terminal whose cursor keys are in application mode
    b"\x1bOB": "down",
    b"\x1bOC": "right",
    b"\x1bOD": "left",
    b"\r": "ret",
    b"\n": "ret",
    b"\t": "tab",
    b" ": "spc",
    b"\x7f": "backspace",
    b"\x1b": "esc",
    b"f": "ctrl",  # fire
}


def keys_in(data: bytes) -> list[str]:
    """The names of the keys that a terminal sent; what is no key of the game is passed over."""
    names = []
    while data:
        sequence = next((data[:size] for size in (3, 1) if data[:size] in _SEQUENCES), data[:1])
        name = _SEQUENCES.get(sequence, sequence.decode("latin-1").lower())
        if name in BY_NAME:
            names.append(name)
        data = data[len(sequence) :]
    return names


def half_blocks(rgb: NDArray[np.uint8], columns: int, lines: int) -> str:
    """A picture in ``columns`` x ``lines`` characters, each an upper and a lower pixel in 24-bit colour."""
    height, width, _ = rgb.shape
    rows = []
    for line in range(lines):
        upper, lower = rgb[2 * line * height // (2 * lines)], rgb[(2 * line + 1) * height // (2 * lines)]
        cells = []
        for column in range(columns):
            at = column * width // columns
            front, back = upper[at], lower[at]
            cells.append(f"\x1b[38;2;{front[0]};{front[1]};{front[2]}m\x1b[48;2;{back[0]};{back[1]};{back[2]}m\u2580")
        rows.append("".join(cells) + "\x1b[0m")
    return "\r\n".join(rows)


def shades(rgb: NDArray[np.uint8], columns: int, lines: int) -> str:
    """A picture in ``columns`` x ``lines`` characters without colour: a brighter pixel fills more of its character."""
    height, width, _ = rgb.shape
    rows = []
    for line in range(lines):
        row = rgb[line * height // lines]
        brightness = [int(row[column * width // columns].max()) for column in range(columns)]
        rows.append("".join(_SHADES[value * len(_SHADES) // 256] for value in brightness))
    return "\r\n".join(rows)


class Screen:
    """A terminal that pictures are drawn to. It is cleared when its size changes."""

    def __init__(self, *, colour: bool) -> None:
        self._draw = half_blocks if colour else shades
        self._size = (0, 0)

    def show(self, rgb: NDArray[np.uint8]) -> None:
        """Draw a picture, as large as the terminal is now, up to 160 x 50 characters."""
        try:
            columns, lines = os.get_terminal_size(sys.stdout.fileno())
        except OSError:
            columns, lines = 0, 0
        size = (min(columns or 80, _MOST_COLUMNS), min((lines or 24) - 1, _MOST_LINES))
        clear = "" if size == self._size else "\x1b[2J"
        self._size = size
        sys.stdout.write(f"{clear}\x1b[H{self._draw(rgb, *size)}")
        sys.stdout.flush()


class Keyboard:
    """Keys from standard input; each is held for a few tics."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._held: dict[str, int] = {}
        self.quit = False

    def __call__(self, tic: int) -> list[tuple[bool, int]]:
        """The events of a tic."""
        due = [(False, BY_NAME[name].doom) for name, until in self._held.items() if until <= tic]
        self._held = {name: until for name, until in self._held.items() if until > tic}
        if select.select([self._descriptor], [], [], 0)[0]:
            data = os.read(self._descriptor, 1024)
            self.quit = self.quit or _QUIT in data or not data
            for name in keys_in(data):
                if name not in self._held:
                    due.append((True, BY_NAME[name].doom))
                self._held[name] = tic + _HOLD
        return due


@contextlib.contextmanager
def _terminal(descriptor: int) -> Iterator[None]:
    """A raw terminal with a screen of its own, restored at the end, also at that of a signal that ends a program."""

    def end(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    handlers = {number: signal.signal(number, end) for number in _SIGNALS}
    before = termios.tcgetattr(descriptor)
    sys.stdout.write("\x1b[?1049h\x1b[?25l")
    try:
        tty.setraw(descriptor)
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
        sys.stdout.write("\x1b[0m\x1b[?25h\x1b[?1049l")
        sys.stdout.flush()
        for number, handler in handlers.items():
            signal.signal(number, handler)


def play(wad: Wad) -> None:
    """Play until Ctrl-C; arrows walk, f fires, the space bar opens doors.

    With ``NO_COLOR`` in the environment the picture is drawn without colours.

    Raises:
        UsageError: standard input or output is no terminal, or one that cannot place characters.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("play needs a terminal")
    if os.environ.get("TERM", "dumb") == "dumb":
        raise UsageError("play needs a terminal that can place characters; TERM is dumb or not set")
    screen = Screen(colour=not os.environ.get("NO_COLOR"))
    keyboard = Keyboard(sys.stdin.fileno())
    with _terminal(sys.stdin.fileno()), CDoomEngine(wad, keyboard) as engine:
        begin = time.monotonic()
        for frame in engine.frames():
            screen.show(frame.rgb())
            if keyboard.quit:
                return
            time.sleep(max(0.0, begin + frame.tic / _TICRATE - time.monotonic()))
