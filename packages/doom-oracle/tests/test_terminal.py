"""Playing in a terminal: what is drawn, which keys are read, and a whole game on a pseudo-terminal."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys

import numpy as np

from cloudboot_doom_oracle import Wad
from cloudboot_doom_oracle.commands.play import half_blocks, keys_in


def test_keys() -> None:
    assert keys_in(b"\x1b[A\x1b[D\r f\x1by\xff") == ["up", "left", "ret", "spc", "ctrl", "esc", "y"]


def test_half_blocks_have_the_pictures_colours() -> None:
    picture = np.zeros((200, 320, 3), np.uint8)
    picture[:100] = (1, 2, 3)
    picture[100:] = (4, 5, 6)
    text = half_blocks(picture, 2, 1)
    assert text == "\x1b[38;2;1;2;3m\x1b[48;2;4;5;6m\u2580" * 2 + "\x1b[0m"


def test_a_game_on_a_pseudo_terminal(wad: Wad) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "cloudboot_doom_oracle", "play", "--wad", str(wad.path)]
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=subprocess.PIPE, start_new_session=True)
    os.close(theirs)
    seen = b""
    try:
        while b"\x1b[H" not in seen or seen.count("\u2580".encode()) < 5000:
            if select.select([ours], [], [], 1)[0]:
                seen += os.read(ours, 1 << 16)
        os.write(ours, b"\x03")
        while process.poll() is None:
            if select.select([ours], [], [], 0.1)[0]:
                try:
                    seen += os.read(ours, 1 << 16)
                except OSError:
                    break
        assert process.wait(20) == 0
    finally:
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        os.close(ours)
    assert seen.startswith(b"\x1b[?1049h")
    assert re.search(rb"\x1b\[38;2;\d+;\d+;\d+m\x1b\[48;2;", seen)


def test_without_a_terminal_there_is_an_error(wad: Wad) -> None:
    command = [sys.executable, "-m", "cloudboot_doom_oracle", "play", "--wad", str(wad.path)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "play needs a terminal" in done.stderr
