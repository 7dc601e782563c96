"""WAV files with PCM samples: strict about structure, lenient about sizes that a killed writer did not fill in."""

from __future__ import annotations

import dataclasses
import os
import struct
from typing import TYPE_CHECKING, Final

import numpy as np

from cloudboot_base import read_file
from cloudboot_doom_oracle.errors import WavError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_CHUNK: Final = struct.Struct("<4sI")
_FORMAT: Final = struct.Struct("<HHIIHH")
_PCM: Final = 1
_LARGEST: Final = 1 << 30  # bytes: more than an hour and a half of stereo at 44.1 kHz
_EXTENSIBLE: Final = 0xFFFE
#: Bytes of the extension's GUID behind its first two, which are a plain format's number (RFC 2361, annex A).
_GUID: Final = bytes.fromhex("000000001000800000aa00389b71")
_SUBFORMAT: Final = 24  # offset in the format
_UNKNOWN: Final = {0, 0xFFFF_FFFF}  # sizes that a writer left open


@dataclasses.dataclass(frozen=True, slots=True)
class Wav:
    """``samples`` is (frames, channels) of signed 16-bit integers, ``rate`` in frames a second."""

    rate: int
    samples: NDArray[np.int16]

    @property
    def seconds(self) -> float:
        """The duration."""
        return len(self.samples) / self.rate


def wav_bytes(samples: bytes, rate: int, channels: int = 2) -> bytes:
    """A WAV file of S16 samples."""
    head = _FORMAT.pack(_PCM, channels, rate, rate * channels * 2, channels * 2, 16)
    body = b"WAVE" + _CHUNK.pack(b"fmt ", len(head)) + head + _CHUNK.pack(b"data", len(samples)) + samples
    return _CHUNK.pack(b"RIFF", len(body)) + body


def read_wav(path: str | os.PathLike[str]) -> Wav:
    """Read a WAV file of 16-bit PCM.

    QEMU writes the sizes when it ends. In a file of a killed QEMU they are 0, and writers into a pipe state
    2^32 - 1: the data then reaches to the end. The extensible format counts as the format that it names.

    Raises:
        WavError: it is no such file, or is cut short.
        OSError: it cannot be read.
    """
    name = os.fspath(path)
    data = read_file(path, _LARGEST)
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise WavError("not a WAV file", structure="RIFF", offset=0, actual=data[:12], path=name)
    head: tuple[int, ...] | None = None
    at = 12
    while at + _CHUNK.size <= len(data):
        kind, size = _CHUNK.unpack_from(data, at)
        at += _CHUNK.size
        if kind == b"data":
            if head is None:
                raise WavError("the samples come before the format", structure="data", offset=at, path=name)
            return _wav(name, head, data, at, size)
        if at + size > len(data):
            raise WavError("a chunk reaches past the end", structure=kind.decode("latin-1"), offset=at, path=name)
        if kind == b"fmt " and size >= _FORMAT.size:
            head = _FORMAT.unpack_from(data, at)
            guid = data[at + _SUBFORMAT : at + _SUBFORMAT + 16]
            if head[0] == _EXTENSIBLE and size >= _SUBFORMAT + 16 and guid[2:] == _GUID:
                head = (int.from_bytes(guid[:2], "little"), *head[1:])
        at += size + size % 2
    raise WavError("there are no samples", structure="data", expected="a data chunk", path=name)


def _wav(name: str, head: tuple[int, ...], data: bytes, at: int, size: int) -> Wav:
    coding, channels, rate, _, _, bits = head
    if coding != _PCM or bits != 16 or not 1 <= channels <= 8 or rate < 1:
        raise WavError("not 16-bit PCM", structure="fmt ", field="format", actual=str(head), path=name)
    if size in _UNKNOWN:
        size = len(data) - at
    if at + size > len(data):
        raise WavError(
            "the file is cut short", structure="data", offset=at, expected=size, actual=len(data) - at, path=name
        )
    frame = 2 * channels
    samples = np.frombuffer(data, "<i2", size // frame * channels, at).reshape(-1, channels)
    return Wav(rate, samples.astype(np.int16))
