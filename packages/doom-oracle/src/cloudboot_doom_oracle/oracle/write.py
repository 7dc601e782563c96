"""Writing an oracle: a new folder that appears when it is whole."""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cloudboot_doom_oracle.audio.mixer import RATE
from cloudboot_doom_oracle.audio.wav import wav_bytes

from .files import AUDIO_LOG, FRAMES, MANIFEST, MIXER_LOG, MUSIC_LOG, REFERENCE, REFERENCE_EXACT, ppm_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .harvest import Harvest

_UP = 4  # 11,025 to 44,100 frames a second


def files_of(harvest: Harvest) -> dict[str, bytes]:
    """Every file of an oracle, by name."""
    frames = [[row.tic, row.frame_hash, row.prndindex, row.mrndindex] for row in harvest.frames]
    listing = "[\n" + ",\n".join(json.dumps(row) for row in frames) + "\n]\n"
    upsampled = np.repeat(np.frombuffer(harvest.samples, "<i2").reshape(-1, 2), _UP, axis=0).tobytes()
    return {
        MANIFEST: harvest.manifest.to_json().encode(),
        AUDIO_LOG: harvest.audio_log,
        MUSIC_LOG: harvest.music_log,
        MIXER_LOG: harvest.mixer_log,
        FRAMES: listing.encode(),
        REFERENCE: wav_bytes(upsampled, _UP * RATE),
        REFERENCE_EXACT: wav_bytes(harvest.samples, RATE),
        **{
            checkpoint.frame_ppm: ppm_bytes(harvest.pictures[checkpoint.tic])
            for checkpoint in harvest.manifest.checkpoints
        },
    }


def write_oracle(harvest: Harvest, folder: str | os.PathLike[str], *, force: bool = False) -> None:
    """Write an oracle with :func:`write_files`.

    Raises:
        FileExistsError: as :func:`write_files` says.
    """
    write_files(files_of(harvest), folder, force=force)


def write_files(files: Mapping[str, bytes], folder: str | os.PathLike[str], *, force: bool = False) -> None:
    """Write all files to a new folder and give it its name at the end. With ``force`` an older oracle is replaced then.

    Raises:
        FileExistsError: the folder exists and is not empty, and ``force`` is not set; or it is no oracle.
    """
    target = Path(folder)
    if target.exists():
        content = os.listdir(target)  # NotADirectoryError says it all for a file
        if content and not force:
            raise FileExistsError(errno.EEXIST, "the folder exists; --force replaces an oracle", os.fspath(target))
        if content and MANIFEST not in content:
            raise FileExistsError(errno.EEXIST, "the folder is not an oracle that could be replaced", os.fspath(target))
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".partial", dir=target.parent))
    try:
        for name, content_bytes in files.items():
            (partial / name).write_bytes(content_bytes)
        partial.chmod(0o755)
        if target.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".old", dir=target.parent))
            os.replace(target, old)
            os.replace(partial, target)
            shutil.rmtree(old)
        else:
            os.replace(partial, target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
