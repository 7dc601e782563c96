"""The engine's own process: cydoomgeneric in lock-step, its frames, sounds and key requests sent to the parent.

``python -m cloudboot_doom_oracle.engine.child WAD DESCRIPTOR_OUT DESCRIPTOR_IN SEED PIN``. cydoomgeneric is GPL-2.0. It
is loaded by this module only, in this process only; the parent sees messages on two pipes.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import sys
import traceback
from typing import TYPE_CHECKING, Any, Final, NoReturn

from cloudboot_doom_oracle.engine.protocol import (
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
)
from cloudboot_doom_oracle.wad import Wad

if TYPE_CHECKING:
    from cloudboot_doom_oracle.engine.hooks import SharedObject

TICRATE: Final = 35
_NO_RANDOMIZE: Final = 0x0040000  # linux/personality.h: ADDR_NO_RANDOMIZE
_FAILED: Final = 70
_REFUSED: Final = 71
_LUMP_RATE: Final = 11025


class _SfxInfo(ctypes.Structure):
    """``sfxinfo_t`` of the engine's i_sound.h."""


_SfxInfo._fields_ = [
    ("tagname", ctypes.c_char_p),
    ("name", ctypes.c_char * 9),
    ("priority", ctypes.c_int),
    ("link", ctypes.POINTER(_SfxInfo)),
    ("pitch", ctypes.c_int),
    ("volume", ctypes.c_int),
    ("usefulness", ctypes.c_int),
    ("lumpnum", ctypes.c_int),
    ("numchannels", ctypes.c_int),
    ("driver_data", ctypes.c_void_p),
]


class _MusicInfo(ctypes.Structure):
    """``musicinfo_t``; only the name is used."""

    _fields_ = (("name", ctypes.c_char_p),)


_Sfx = ctypes.POINTER(_SfxInfo)
_INT = ctypes.c_int


class Child:
    """One run. The clock stands still between frames, so that exactly one tic passes for each."""

    def __init__(self, wad: Wad, seed: int, out: int, answers: int) -> None:
        import cydoomgeneric

        from cloudboot_doom_oracle.engine.hooks import SharedObject

        self._engine = cydoomgeneric
        self._wad = wad
        self._seed = seed & 0xFF
        self._out = os.fdopen(out, "wb", buffering=1 << 20)
        self._answers = os.fdopen(answers, "rb", buffering=0)
        self._milliseconds = 0
        self._frames = 0
        self._asked = -1
        self._keys: list[tuple[int, int]] = []
        self._playing: dict[int, int] = {}
        self._updates: dict[int, tuple[int, int]] = {}
        self._cached: set[str] = set()
        self._song = ""
        self._palette = wad.lump("PLAYPAL")[:PALETTE_BYTES]
        # The callbacks must be set before the symbols are of use.
        cydoomgeneric.init(WIDTH, HEIGHT, self._draw, self._get_key, self._sleep, lambda: self._milliseconds)
        self.object: SharedObject = SharedObject(cydoomgeneric.__file__)
        self._gametic = self.object.integer("gametic")
        self._prndindex = self.object.integer("prndindex")
        self._rndindex = self.object.integer("rndindex")
        self._gamestate = self.object.integer("gamestate")
        self._install()

    def _install(self) -> None:
        function = ctypes.CFUNCTYPE
        set_palette = function(None, ctypes.c_void_p)(self.object.address("I_SetPalette"))

        def palette(address: int) -> None:
            self._palette = ctypes.string_at(address, PALETTE_BYTES)
            set_palette(address)

        replacements: dict[str, Any] = {
            "I_SetPalette": function(None, ctypes.c_void_p)(_guarded(palette)),
            "I_PrecacheSounds": function(None, _Sfx, _INT)(_guarded(self._cache)),
            "I_GetSfxLumpNum": function(_INT, _Sfx)(_guarded(self._lump_number)),
            "I_StartSound": function(_INT, _Sfx, _INT, _INT, _INT)(_guarded(self._start)),
            "I_StopSound": function(None, _INT)(_guarded(self._stop)),
            "I_SoundIsPlaying": function(_INT, _INT)(_guarded(self._is_playing)),
            "I_UpdateSoundParams": function(None, _INT, _INT, _INT)(_guarded(self._update)),
            # The engine's own loops forever behind its message. Its arguments are integers and pointers.
            "I_Error": function(None, ctypes.c_char_p, *[ctypes.c_void_p] * 4)(_guarded(_fatal)),
            "M_ClearRandom": function(None)(_guarded(self._clear_random)),
        }
        with contextlib.suppress(LookupError):  # a build without music calls nothing
            change = function(None, _INT, _INT)(self.object.address("S_ChangeMusic"))
            stop = function(None)(self.object.address("I_StopSong"))

            def change_music(number: int, looping: int) -> None:
                change(number, looping)  # it stops the song that plays, so the event of that comes first
                self._song = self._music_name(number)
                self._sound("song", name=self._song, volume=looping)

            def stop_song() -> None:
                self._sound("song-stop", name=self._song)
                stop()

            replacements["S_ChangeMusic"] = function(None, _INT, _INT)(_guarded(change_music))
            replacements["I_StopSong"] = function(None)(_guarded(stop_song))
        for name, callback in replacements.items():
            self.object.replace(name, callback)
        self._clear_random()

    def _music_name(self, number: int) -> str:
        size = 32  # sizeof(musicinfo_t)
        info = _MusicInfo.from_address(self.object.address("S_music") + number * size)
        return "D_" + (info.name or b"?").decode("latin-1").upper()

    def _clear_random(self) -> None:
        self._prndindex.value = self._rndindex.value = self._seed

    def _send(self, kind: bytes, *parts: bytes) -> None:
        self._out.write(MESSAGE.pack(kind, sum(map(len, parts))))
        for part in parts:
            self._out.write(part)

    def hello(self, *, pinned: bool) -> None:
        """The first message."""
        import importlib.metadata

        version = f"cydoomgeneric {importlib.metadata.version('cydoomgeneric')}"
        self._send(HELLO, json.dumps([version, pinned]).encode())
        self._out.flush()

    def _sound(
        self, op: str, *, name: str = "", channel: int = 0, volume: int = 0, sep: int = 0, digest: str = ""
    ) -> None:
        fields = [self._gametic.value, op, name, channel, volume, sep, digest]
        self._send(SOUND, json.dumps(fields).encode())

    def _lump(self, sound: Any) -> str:
        info = sound.contents
        name: bytes = info.link.contents.name if info.link else info.name
        return "DS" + name.decode("latin-1").upper()

    def _lump_number(self, sound: Any) -> int:
        return int(self._lump(sound) in self._wad)

    def _cache(self, sounds: Any, count: int) -> None:
        import hashlib

        for index in range(1, count):
            name = self._lump(ctypes.pointer(sounds[index]))
            if name in self._wad and name not in self._cached:
                self._cached.add(name)
                self._sound("cache", name=name, digest=hashlib.sha256(self._wad.lump(name)).hexdigest())

    def _tics(self, name: str) -> int:
        """How long a sound lasts; a lump that is no sound lasts no time."""
        lump = self._wad.lump(name) if name in self._wad else b""
        if len(lump) < 8:
            return 0
        rate, samples = int.from_bytes(lump[2:4], "little"), int.from_bytes(lump[4:8], "little")
        return -(-min(samples, len(lump) - 8) * TICRATE // (rate or _LUMP_RATE))

    def _start(self, sound: Any, channel: int, volume: int, separation: int) -> int:
        import hashlib

        name = self._lump(sound)
        lump = self._wad.lump(name) if name in self._wad else b""
        volume, separation = max(0, min(127, volume)), max(0, min(254, separation))
        digest = hashlib.sha256(lump).hexdigest()
        self._sound("play", name=name, channel=channel, volume=volume, sep=separation, digest=digest)
        self._playing[channel] = self._gametic.value + self._tics(name)
        self._updates[channel] = (volume, separation)
        return channel

    def _stop(self, channel: int) -> None:
        self._sound("stop", channel=channel)
        self._playing.pop(channel, None)

    def _is_playing(self, channel: int) -> int:
        return int(self._playing.get(channel, -1) > self._gametic.value)

    def _update(self, channel: int, volume: int, separation: int) -> None:
        now = (max(0, min(127, volume)), max(0, min(254, separation)))
        if self._updates.get(channel) != now:
            self._updates[channel] = now
            self._sound("update", channel=channel, volume=now[0], sep=now[1])

    def _sleep(self, milliseconds: int) -> None:
        self._milliseconds += milliseconds

    def _get_key(self) -> tuple[int, int] | None:
        tic = self._gametic.value
        if tic != self._asked:
            self._asked = tic
            self._send(KEYS, tic.to_bytes(4, "little"))
            self._out.flush()
            count = self._read(1)[0]
            answer = self._read(KEY.size * count)
            self._keys += [KEY.unpack_from(answer, KEY.size * index) for index in range(count)]
        return self._keys.pop(0) if self._keys else None

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            part = self._answers.read(size - len(data))
            if not part:
                os._exit(0)  # the parent has seen enough
            data += part
        return data

    def _draw(self, _: object) -> None:
        try:
            tic = self._gametic.value
            self._frames += 1
            self._milliseconds = max(self._milliseconds, -(-(tic + 1) * 1000 // TICRATE))
            pixels = ctypes.string_at(self.object.pointer("I_VideoBuffer"), WIDTH * HEIGHT)
            head = FRAME_HEAD.pack(
                tic, self._frames, self._prndindex.value & 0xFF, self._rndindex.value & 0xFF, self._gamestate.value
            )
            self._send(FRAME, head, self._palette, pixels)
            self._out.flush()
        except BrokenPipeError:
            os._exit(0)
        except BaseException:  # noqa: BLE001 -- the engine would swallow it
            _die()

    def run(self, arguments: list[str]) -> None:
        """Run the game; it ends with the process."""
        self.object.integer("singletics").value = 1
        self._engine.main(["doom", "-iwad", os.fspath(self._wad.path), *arguments])


def _guarded(function: Any) -> Any:
    """A callback whose exceptions end the process: ctypes would print and ignore them."""

    def call(*arguments: Any) -> Any:
        try:
            return function(*arguments)
        except BrokenPipeError:
            os._exit(0)
        except BaseException:  # noqa: BLE001 -- ctypes would print and ignore it
            _die()

    return call


def _fatal(template: bytes, *values: int | None) -> NoReturn:
    """Print the engine's fatal error and end."""
    text = ctypes.create_string_buffer(1024)
    ctypes.CDLL(None).snprintf(text, len(text), template, *(ctypes.c_void_p(value) for value in values))
    sys.stderr.write(text.value.decode("latin-1") + "\n")
    sys.stderr.flush()
    os._exit(_REFUSED)


def _die() -> NoReturn:
    traceback.print_exc()
    sys.stderr.flush()
    os._exit(_FAILED)


def _pin() -> bool:
    """Switch address randomisation off, by running this program again; whether it is off."""
    libc = ctypes.CDLL(None, use_errno=True)
    current = libc.personality(0xFFFFFFFF)
    if current != -1 and current & _NO_RANDOMIZE:
        return True
    if libc.personality(_NO_RANDOMIZE) != -1:
        module = "cloudboot_doom_oracle.engine.child"
        os.execv(sys.executable, [sys.executable, "-m", module, *sys.argv[1:]])  # noqa: S606 -- this program again
    return False


def main() -> None:
    """Run what the arguments say."""
    path, out, answers, seed, pin, *arguments = sys.argv[1:]
    pinned = _pin() if pin == "1" else False
    child = Child(Wad(path), int(seed), int(out), int(answers))
    child.hello(pinned=pinned)
    child.run(arguments)


if __name__ == "__main__":
    main()
