"""What an engine is to the rest of the package, and the messages between it and its process."""

from __future__ import annotations

import dataclasses
import hashlib
import struct
from typing import TYPE_CHECKING, Final, Protocol, Self

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType

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

    ``op`` is ``cache``, ``play``, ``stop``, ``update``, ``song`` or ``song-stop``. Of a song, ``volume`` is 1 if it
    loops. Fields that an operation does not have are 0 or empty.
    """

    tic: int
    op: str
    name: str = ""
    channel: int = 0
    volume: int = 0
    separation: int = 0
    digest: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class RandomState:
    """The indices of the random tables: that of the game, and that of the menu."""

    prndindex: int
    mrndindex: int


class Engine(Protocol):
    """A run of the game, tic by tic. Leaving the ``with`` block ends it.

    Its tics are deterministic: the clock stands still between frames, and a run begins with the clock at 0. So there
    is nothing to reset within a run; a new run is a new engine. ``version`` names the engine, ``pinned`` says whether
    its address space is not randomised, ``seed`` where its random tables began.
    """

    version: str
    pinned: bool
    seed: int

    def __enter__(self) -> Self:
        """The engine itself."""

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End the run."""

    @property
    def current_tic(self) -> int:
        """The last tic that the engine told; 0 before the first."""

    @property
    def random_state(self) -> RandomState:
        """The random indices with the last frame; those of the seed before the first."""

    def key(self, tic: int, *, down: bool, code: int) -> None:
        """Press or release the key with DOOM's ``code`` at a tic that the engine has not asked for yet.

        Raises:
            ValueError: the tic has passed.
        """

    def frames(self) -> Iterator[Frame]:
        """The frames in the order in which they are drawn."""

    def sounds(self) -> Sequence[SoundEvent]:
        """The sound events up to the last frame."""
