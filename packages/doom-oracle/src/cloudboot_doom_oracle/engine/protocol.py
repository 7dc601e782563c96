"""What an engine is to the rest of the package, and the messages between it and its process."""

from __future__ import annotations

import dataclasses
import hashlib
import struct
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

WIDTH: Final = 320
HEIGHT: Final = 200
PALETTE_BYTES: Final = 768

#: Type and payload size of a message.
MESSAGE = struct.Struct("<cI")
#: Tic, frame number, prndindex, rndindex, gamestate.
FRAME_HEAD = struct.Struct("<IIBBb")
KEY = struct.Struct("<BB")

HELLO, FRAME, SOUND, KEYS = b"H", b"F", b"S", b"K"


@dataclasses.dataclass(frozen=True, slots=True)
class Frame:
    """A drawn frame. ``pixels`` holds palette indices, ``palette`` the WAD's own RGB values, unchanged by gamma.

    ``number`` counts frames from 1. ``prndindex`` and ``mrndindex`` are the indices of the play's and the menu's random
    tables.
    """

    tic: int
    number: int
    prndindex: int
    mrndindex: int
    gamestate: int
    pixels: bytes
    palette: bytes

    def rgb(self) -> NDArray[np.uint8]:
        """The frame as (200, 320, 3) bytes."""
        table = np.frombuffer(self.palette, np.uint8).reshape(256, 3)
        return table[np.frombuffer(self.pixels, np.uint8)].reshape(HEIGHT, WIDTH, 3)

    def sha256(self) -> str:
        """The digest of the RGB bytes, row by row, without a header."""
        return hashlib.sha256(self.rgb().tobytes()).hexdigest()


@dataclasses.dataclass(frozen=True, slots=True)
class SoundEvent:
    """What the engine asked of its sound module at a tic.

    ``op`` is ``cache``, ``play``, ``stop``, ``update``, ``song`` or ``song-stop``. Fields that an operation does not
    have are 0 or empty.
    """

    tic: int
    op: str
    name: str = ""
    channel: int = 0
    volume: int = 0
    separation: int = 0
    digest: str = ""


class Engine(Protocol):
    """A run of the game, tic by tic. Leaving the ``with`` block ends it.

    ``version`` names the engine, ``pinned`` says whether its address space is not randomised.
    """

    version: str
    pinned: bool

    def frames(self) -> Iterator[Frame]:
        """The frames in the order in which they are drawn."""

    def sounds(self) -> Sequence[SoundEvent]:
        """The sound events up to the last frame."""
