"""Playing in a terminal: what is drawn, which keys are read, and a whole game on a pseudo-terminal."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pyte
import pytest

from cloudboot_doom_oracle import Wad
from cloudboot_doom_oracle.commands.play import half_blocks, keys_in
from cloudboot_doom_oracle.engine import CDoomEngine

HOME = b"\x1b[H"


def test_keys() -> None:
    assert keys_in(b"\x1b[A\x1b[D\r f\x1by\xff") == ["up", "left", "ret", "spc", "ctrl", "esc", "y"]
    assert keys_in(b"\x1bOA\x1bOB\x1bOC\x1bOD") == ["up", "down", "right", "left"]


def test_half_blocks_have_the_pictures_colours() -> None:
    picture = np.zeros((200, 320, 3), np.uint8)
    picture[:100] = (1, 2, 3)
    picture[100:] = (4, 5, 6)
    text = half_blocks(picture, 2, 1)
    assert text == "\x1b[38;2;1;2;3m\x1b[48;2;4;5;6m\u2580" * 2 + "\x1b[0m"


@dataclasses.dataclass
class Played:
    """A game on a pseudo-terminal, and a terminal emulator that nobody here wrote on the other end of it."""

    process: subprocess.Popen[bytes]
    ours: int
    theirs: int
    screen: pyte.Screen
    stream: pyte.ByteStream
    before: list[Any]
    pending: bytes = b""

    def frame(self) -> None:
        """Let the emulator have the output up to the beginning of the next frame."""
        while HOME not in self.pending[1:]:
            if select.select([self.ours], [], [], 1)[0]:
                self.pending += os.read(self.ours, 1 << 16)
            else:
                assert self.process.poll() is None, self.pending
        end = self.pending.index(HOME, 1)
        self.stream.feed(self.pending[:end])
        self.pending = self.pending[end:]

    def until(self, condition: Callable[[], bool], frames: int = 160) -> None:
        for _ in range(frames):
            self.frame()
            if condition():
                return
        raise AssertionError("\n".join(self.screen.display))

    def cursor_hidden(self) -> bool:
        return bool(self.screen.cursor.hidden)

    def resize(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self.ours, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def end(self) -> int:
        """Read until the program has ended; its exit status."""
        while self.process.poll() is None or select.select([self.ours], [], [], 0)[0]:
            if select.select([self.ours], [], [], 0.1)[0]:
                self.pending += os.read(self.ours, 1 << 16)
        self.stream.feed(self.pending)
        return self.process.returncode


@contextlib.contextmanager
def game(wad: Wad, columns: int, lines: int, **environment: str) -> Iterator[Played]:
    ours, theirs = pty.openpty()
    fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    command = [sys.executable, "-m", "cloudboot_doom_oracle", "play", "--wad", str(wad.path)]
    clean = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "COLUMNS", "LINES"}}
    process = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=subprocess.PIPE, start_new_session=True,
        env={**clean, "TERM": "xterm-256color", **environment},
    )  # fmt: skip
    screen = pyte.Screen(columns, lines)
    try:
        yield Played(process, ours, theirs, screen, pyte.ByteStream(screen), termios.tcgetattr(theirs))
    finally:
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        os.close(ours)
        os.close(theirs)


def cells(played: Played, columns: int, lines: int) -> list[tuple[str, str, str]]:
    buffer = played.screen.buffer
    return [(buffer[y][x].data, buffer[y][x].fg, buffer[y][x].bg) for y in range(lines) for x in range(columns)]


def expected_cells(picture: np.ndarray, columns: int, lines: int) -> list[tuple[str, str, str]]:
    """An upper half block in the colour of the upper of two pixels, on the colour of the lower one."""
    sampled = picture[np.arange(2 * lines) * 200 // (2 * lines)][:, np.arange(columns) * 320 // columns]
    colours = [[bytes(pixel.tolist()).hex() for pixel in row] for row in sampled]
    return [("\u2580", colours[2 * y][x], colours[2 * y + 1][x]) for y in range(lines) for x in range(columns)]


def title(wad: Wad) -> np.ndarray:
    with CDoomEngine(wad) as engine:
        frame = next(iter(engine.frames()))
        assert frame.sha256().startswith("e7b37f614653647c")  # the published digest of the title picture
        return frame.rgb()


def test_a_terminal_shows_the_frames_and_keys_arrive(wad: Wad) -> None:
    """The title, then a menu because of Escape; a smaller window leaves nothing of the larger picture."""
    picture = title(wad)
    with game(wad, 41, 14) as played:
        played.until(lambda: cells(played, 41, 13) == expected_cells(picture, 41, 13))
        assert played.screen.display[13] == " " * 41
        assert played.cursor_hidden()
        os.write(played.ours, b"\x1b")
        played.until(lambda: cells(played, 41, 13) != expected_cells(picture, 41, 13))
        changed = sum(a != b for a, b in zip(cells(played, 41, 13), expected_cells(picture, 41, 13), strict=True))
        assert 20 < changed < 41 * 13 // 2, changed  # a menu in the middle, the title around it
        for _ in range(10):  # a key is held for five tics, and then released
            played.frame()
        os.write(played.ours, b"\x1b")
        played.until(lambda: cells(played, 41, 13) == expected_cells(picture, 41, 13))
        played.resize(20, 8)
        played.until(lambda: cells(played, 20, 7) == expected_cells(picture, 20, 7))
        assert [line[20:] for line in played.screen.display] == [" " * 21] * 14
        assert played.screen.display[7:] == [" " * 41] * 7
        os.write(played.ours, b"\x03")
        assert played.end() == 0
        assert not played.cursor_hidden()
        assert termios.tcgetattr(played.theirs) == played.before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_a_usable_terminal(wad: Wad, number: signal.Signals) -> None:
    with game(wad, 20, 8) as played:
        played.frame()
        assert termios.tcgetattr(played.theirs) != played.before
        os.kill(played.process.pid, number)
        assert played.end() in {128 + number, -number}
        assert not played.cursor_hidden()
        assert termios.tcgetattr(played.theirs) == played.before


def test_without_colours_brightness_is_shown(wad: Wad) -> None:
    picture = title(wad)
    with game(wad, 30, 11, NO_COLOR="1") as played:
        played.until(lambda: any(line.strip() for line in played.screen.display))
        assert {(fg, bg) for _, fg, bg in cells(played, 30, 11)} == {("default", "default")}
        brightest = picture[np.arange(10) * 200 // 10][:, np.arange(30) * 320 // 30].max(axis=2)
        shown = np.array(
            [[" \u2591\u2592\u2593\u2588".index(mark) for mark in line] for line in played.screen.display[:10]]
        )
        order = np.argsort(brightest, axis=None)
        assert (np.diff(shown.ravel()[order]) >= 0).all()  # a brighter pixel is never drawn darker
        assert set(shown.ravel()) == {0, 1, 2, 3, 4}
        os.write(played.ours, b"\x03")
        assert played.end() == 0


def test_a_dumb_terminal_is_refused(wad: Wad) -> None:
    with game(wad, 80, 24, TERM="dumb") as played:
        assert played.process.stderr is not None
        assert played.process.wait(60) == 2
        assert b"TERM is dumb" in played.process.stderr.read()
        assert not select.select([played.ours], [], [], 0)[0]  # and nothing was drawn


def test_without_a_terminal_there_is_an_error(wad: Wad) -> None:
    command = [sys.executable, "-m", "cloudboot_doom_oracle", "play", "--wad", str(wad.path)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "play needs a terminal" in done.stderr
