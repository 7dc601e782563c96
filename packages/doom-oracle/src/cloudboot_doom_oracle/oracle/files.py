"""An oracle's folder: reading it, and the names of its files."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from cloudboot_base.storage import read_file
from cloudboot_doom_oracle.audio.wav import Wav, read_wav
from cloudboot_doom_oracle.errors import ManifestError, OtherWadError

from .manifest import Checkpoint, Manifest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cloudboot_doom_oracle.script import Script
    from cloudboot_doom_oracle.wad import Wad

MANIFEST: Final = "manifest.json"
AUDIO_LOG: Final = "audio_log.json"
MUSIC_LOG: Final = "music_log.json"
MIXER_LOG: Final = "mixer_log.json"
FRAMES: Final = "frames.json"
REFERENCE: Final = "reference.wav"
REFERENCE_EXACT: Final = "reference-11025.wav"
LARGEST_FILE: Final = 1 << 30
"""Bytes of the largest log, list of frames or picture that is read."""
_PPM_HEAD: Final = re.compile(rb"P6\s+(\d{1,5})\s+(\d{1,5})\s+255\s")


@dataclasses.dataclass(frozen=True, slots=True)
class FrameRecord:
    """One frame of a run: its tic, the digest of its RGB bytes, and the random indices."""

    tic: int
    frame_hash: str
    prndindex: int
    mrndindex: int


def ppm_name(tic: int) -> str:
    """``frame_tic000035.ppm``."""
    return f"frame_tic{tic:06d}.ppm"


def ppm_bytes(rgb: NDArray[np.uint8]) -> bytes:
    """A binary PPM."""
    height, width, _ = rgb.shape
    return b"P6\n%d %d\n255\n" % (width, height) + rgb.tobytes()


def read_ppm(data: bytes, path: str) -> NDArray[np.uint8]:
    """The pixels of a binary PPM with 8 bits a sample, as (height, width, 3).

    Raises:
        ManifestError: it is not one, or is cut short.
    """
    found = _PPM_HEAD.match(data)
    if found is None:
        raise ManifestError("not a binary PPM with 8 bits a sample", structure="ppm", offset=0, path=path)
    width, height, start = int(found[1]), int(found[2]), found.end()
    size = 3 * width * height
    if len(data) - start != size:
        raise ManifestError(
            "the picture is not whole", structure="ppm", expected=size, actual=len(data) - start, path=path
        )
    return np.frombuffer(data, np.uint8, size, start).reshape(height, width, 3)


@dataclasses.dataclass(frozen=True)
class Oracle:
    """An oracle on disk. Files are read when they are asked for, and checked against the manifest."""

    folder: Path
    manifest: Manifest

    def _read(self, name: str) -> bytes:
        return read_file(self.folder / name, LARGEST_FILE)

    @cached_property
    def audio_log(self) -> bytes:
        """The bytes of ``audio_log.json``."""
        return self._read(AUDIO_LOG)

    @cached_property
    def frames(self) -> list[FrameRecord]:
        """Every frame of the run.

        Raises:
            ManifestError: the file is damaged.
        """
        path = os.fspath(self.folder / FRAMES)
        try:
            rows = json.loads(self._read(FRAMES))
        except (ValueError, RecursionError) as error:
            raise ManifestError(f"not a list of frames: {error}", structure="frames", path=path) from None
        if not isinstance(rows, list) or not rows:
            raise ManifestError("not a list of frames", structure="frames", path=path)
        for number, row in enumerate(rows, 1):
            if not isinstance(row, list) or [type(value) for value in row] != [int, str, int, int]:
                raise ManifestError(
                    "not tic, digest and two random indices", structure="frames", path=path,
                    actual=str(row)[:80], where={"frame": number},
                )  # fmt: skip
        return [FrameRecord(*row) for row in rows]

    @property
    def exact_sound(self) -> Wav:
        """``reference-11025.wav``."""
        return read_wav(self.folder / REFERENCE_EXACT)

    def picture(self, checkpoint: Checkpoint) -> NDArray[np.uint8]:
        """The frame of a checkpoint.

        Raises:
            ManifestError: the picture is damaged, or is not the one whose digest the manifest has.
        """
        path = os.fspath(self.folder / checkpoint.frame_ppm)
        pixels = read_ppm(self._read(checkpoint.frame_ppm), path)
        digest = hashlib.sha256(pixels.tobytes()).hexdigest()
        if digest != checkpoint.frame_hash:
            raise ManifestError(
                "the picture is not that of the manifest",
                structure="checkpoint",
                field="frame_hash",
                expected=checkpoint.frame_hash,
                actual=digest,
                path=path,
                where={"tic": checkpoint.tic},
            )
        return pixels

    def check_made_from(self, wad: Wad, script: Script) -> None:
        """Raise unless the oracle was made from this WAD and script.

        Raises:
            OtherWadError: it was not.
        """
        made: tuple[tuple[str, Any, Any], ...] = (
            ("wad_bytes", self.manifest.wad_bytes, len(wad.data)),
            ("wad_hash", self.manifest.wad_hash, wad.sha256),
            ("script_hash", self.manifest.script_hash, script.sha256),
        )
        for field, expected, actual in made:
            if expected != actual:
                raise OtherWadError(
                    "the oracle was made from another " + ("script" if field == "script_hash" else "WAD"),
                    structure="manifest",
                    field=field,
                    expected=expected,
                    actual=actual,
                    path=os.fspath(self.folder),
                )


def read_oracle(folder: str | os.PathLike[str]) -> Oracle:
    """Open an oracle.

    Raises:
        ManifestError: its manifest is damaged.
        OSError: there is none.
    """
    path = Path(folder)
    manifest = Manifest.from_json(read_file(path / MANIFEST, LARGEST_FILE), os.fspath(path / MANIFEST))
    return Oracle(path, manifest)
