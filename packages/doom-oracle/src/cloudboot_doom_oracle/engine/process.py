"""The engine from outside: a child process, one for each run."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import select
import subprocess
import sys
import tempfile
import time
from typing import TYPE_CHECKING, Any, Final, Self

from cloudboot_base import MissingDependencyError
from cloudboot_doom_oracle.errors import EngineError

from .protocol import (
    FRAME,
    FRAME_HEAD,
    HEIGHT,
    HELLO,
    KEY,
    KEYS,
    MESSAGE,
    PALETTE_BYTES,
    SOUND,
    WIDTH,
    Frame,
    RandomState,
    SoundEvent,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import TracebackType

    from cloudboot_doom_oracle.script import Script
    from cloudboot_doom_oracle.wad import Wad

    from .protocol import Engine


_FRAME_BYTES: Final = FRAME_HEAD.size + PALETTE_BYTES + WIDTH * HEIGHT
_LARGEST: Final = 1 << 20
_MOST_KEYS: Final = 255
_TIC_BYTES: Final = 4


def keys_of(script: Script) -> Callable[[int], Sequence[tuple[bool, int]]]:
    """A source of keys that follows a script; events of tics that were skipped come with the next tic."""
    waiting = list(script.events)

    def keys(tic: int) -> list[tuple[bool, int]]:
        due = []
        while waiting and waiting[0].tic <= tic:
            event = waiting.pop(0)
            due.append((event.down, event.key.doom))
        return due

    return keys


class CDoomEngine:
    """cydoomgeneric in a process of its own; see :class:`.Engine`."""

    def __init__(
        self,
        wad: Wad,
        keys: Callable[[int], Sequence[tuple[bool, int]]] | None = None,
        *,
        seed: int = 0,
        pin: bool = True,
        timeout: float = 30.0,
        arguments: Sequence[str] = (),
    ) -> None:
        """Start a run.

        Args:
            wad: an IWAD.
            keys: called once for each tic; gives (down, DOOM key) pairs.
            seed: index at which the random tables start, and start again with each new game.
            pin: run without address randomisation where the kernel allows that.
            timeout: seconds the engine may take for one tic.
            arguments: further arguments of the engine, ``-timedemo demo1`` for example.

        Raises:
            MissingDependencyError: cydoomgeneric or pyelftools is not installed.
            EngineError: the engine did not start.
        """
        for module in ("cydoomgeneric", "elftools"):
            if importlib.util.find_spec(module) is None:
                raise MissingDependencyError(
                    f"the Python package {module} is not installed", hint="pip install 'cloudboot-doom-oracle[engine]'"
                )
        self._keys = keys or (lambda _: ())
        self._timeout = timeout
        self._sounds: list[SoundEvent] = []
        self._tic = 0
        self._asked = -1
        self._scheduled: list[tuple[int, bool, int]] = []
        self.seed = seed
        self._random = RandomState(seed & 0xFF, seed & 0xFF)
        self._resources = contextlib.ExitStack()
        self._buffer = bytearray()
        with contextlib.ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="doom-"))
            self._output = stack.enter_context(tempfile.TemporaryFile())
            self._from_child, its_out = os.pipe2(os.O_CLOEXEC)
            stack.callback(os.close, self._from_child)
            its_in, self._to_child = os.pipe2(os.O_CLOEXEC)
            stack.callback(os.close, self._to_child)
            words = [os.path.abspath(wad.path), str(its_out), str(its_in), str(seed), "1" if pin else "0", *arguments]
            try:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "cloudboot_doom_oracle.engine.child", *words],
                    pass_fds=[its_out, its_in],
                    stdin=subprocess.DEVNULL,
                    stdout=self._output,
                    stderr=self._output,
                    cwd=folder,
                    env={**os.environ, "HOME": folder, "PYTHONHASHSEED": "0"},
                )
            finally:
                os.close(its_out)
                os.close(its_in)
            stack.callback(self._end)
            kind, payload = self._message()
            if kind != HELLO:
                raise self._failed("the engine did not say hello")
            self.version: str
            self.pinned: bool
            self.version, self.pinned = self._parsed(payload, str, bool)
            self._resources = stack.pop_all()

    @property
    def pid(self) -> int:
        """The engine's process id."""
        return self._process.pid

    @property
    def current_tic(self) -> int:
        """The last tic that the engine told."""
        return self._tic

    @property
    def random_state(self) -> RandomState:
        """The random indices with the last frame."""
        return self._random

    def key(self, tic: int, *, down: bool, code: int) -> None:
        """Press or release a key at a tic to come; see :meth:`.Engine.key`."""
        if tic <= self._asked:
            raise ValueError(f"tic {tic} has passed; the engine is at tic {self._asked}")
        if not 0 <= code <= 255:
            raise ValueError(f"{code} is no key of DOOM's")
        self._scheduled.append((tic, down, code))
        self._scheduled.sort(key=lambda event: event[0])

    def _keys_at(self, tic: int) -> list[tuple[bool, int]]:
        self._asked = tic
        keys = list(self._keys(tic))
        while self._scheduled and self._scheduled[0][0] <= tic:
            keys.append(self._scheduled.pop(0)[1:])
        return keys[:_MOST_KEYS]

    def _end(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()

    def _failed(self, message: str) -> EngineError:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(0.5)
        size = self._output.seek(0, os.SEEK_END)
        self._output.seek(max(0, size - 4096))
        output = self._output.read().decode("utf-8", "replace")
        return EngineError(message, tic=self._tic, status=self._process.poll(), output=output)

    def _receive(self, size: int) -> bytes:
        deadline = time.monotonic() + self._timeout
        while len(self._buffer) < size:
            ready, _, _ = select.select([self._from_child], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise self._failed(f"the engine hangs: nothing for {self._timeout:g} s")
            data = os.read(self._from_child, 1 << 20)
            if not data:
                raise self._failed("the engine died")
            self._buffer += data
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    def _message(self) -> tuple[bytes, bytes]:
        kind, size = MESSAGE.unpack(self._receive(MESSAGE.size))
        if size > _LARGEST:
            raise self._failed(f"a message of {size} bytes")
        return kind, self._receive(size)

    def _parsed(self, payload: bytes, *types: type) -> Any:
        """The values of a message, which is a JSON list of these types."""
        try:
            values = json.loads(payload)
        except (ValueError, RecursionError):
            values = None
        if not isinstance(values, list) or [type(value) for value in values] != list(types):
            raise self._failed(f"an invalid message: {payload[:40]!r}")
        return values

    def frames(self) -> Iterator[Frame]:
        """The frames in the order in which they are drawn; the game goes on forever.

        Raises:
            EngineError: the engine died, or hangs.
        """
        while True:
            kind, payload = self._message()
            if kind == FRAME and len(payload) == _FRAME_BYTES:
                tic, number, prndindex, mrndindex, gamestate = FRAME_HEAD.unpack_from(payload)
                palette_end = FRAME_HEAD.size + PALETTE_BYTES
                palette, pixels = payload[FRAME_HEAD.size : palette_end], payload[palette_end:]
                self._tic = tic
                self._random = RandomState(prndindex, mrndindex)
                yield Frame(tic, number, prndindex, mrndindex, gamestate, pixels, palette)
            elif kind == SOUND:
                self._sounds.append(SoundEvent(*self._parsed(payload, int, str, str, int, int, int, str)))
            elif kind == KEYS and len(payload) == _TIC_BYTES:
                self._tic = int.from_bytes(payload, "little")
                keys = self._keys_at(self._tic)
                answer = bytes([len(keys)]) + b"".join(KEY.pack(down, code) for down, code in keys)
                try:
                    os.write(self._to_child, answer)
                except BrokenPipeError:
                    raise self._failed("the engine died") from None
            else:
                raise self._failed(f"a message of type {kind!r} with {len(payload)} bytes")

    def sounds(self) -> Sequence[SoundEvent]:
        """The sound events up to the last frame."""
        return tuple(self._sounds)

    def close(self) -> None:
        """End the run. Safe to call more than once."""
        self._resources.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def run_engine(wad: Wad, script: Script, *, seed: int = 0, pin: bool = True) -> Engine:
    """The default engine with keys from a script."""
    return CDoomEngine(wad, keys_of(script), seed=seed, pin=pin)
