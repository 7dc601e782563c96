"""Compressed files, told by their first bytes and read once from front to back: gzip, xz, LZMA, Zstandard, bzip2.

A decoder is imported when a file needs it: most files that are asked about are not compressed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from .errors import ContainerError, UnsupportedContainerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

_INPUT, OUTPUT = 1 << 18, 1 << 20
_XZ_MEMORY = 1 << 30  # a stream made by xz -9 takes 65 MiB to read
_LZMA_MAGIC = b"\x5d\0"  # lc=3 lp=0 pb=2, which all encoders choose, and the low byte of the dictionary's size
_XZ_PADDING = 4  # "The .xz File Format", section 2.2
MAGIC_SIZE = 9


class Decoder(Protocol):
    """What :mod:`lzma`, :mod:`bz2` and zstd call a decompressor: it decodes one stream of possibly several."""

    @property
    def eof(self) -> bool:
        """Whether the stream has ended."""

    @property
    def needs_input(self) -> bool:
        """Whether nothing more comes out before something goes in."""

    @property
    def unused_data(self) -> bytes:
        """What stood after the end of the stream."""

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        """Up to ``max_length`` bytes."""


class Readable(Protocol):
    """A file, as far as it is needed here."""

    def read(self, size: int, /) -> bytes:
        """Up to ``size`` bytes, none at the end."""


class _Gzip:
    """:mod:`zlib` with the interface of the others."""

    def __init__(self) -> None:
        import zlib

        self._inner = zlib.decompressobj(zlib.MAX_WBITS | 16)
        self._pending = b""
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        plain = self._inner.decompress(self._pending + data, max(0, max_length))
        self._pending = self._inner.unconsumed_tail
        # zlib may hold output back although it has taken all its input.
        self.needs_input = not self._pending and len(plain) < max_length
        return plain


def zstandard() -> ModuleType:
    """The module that reads Zstandard: Python's own from 3.14 on, its backport before.

    Raises:
        UnsupportedContainerError: the backport is not installed.
    """
    try:
        from compression import zstd  # type: ignore[import-not-found, unused-ignore] # Python 3.14
    except ImportError:
        try:
            from backports import zstd
        except ImportError:
            raise UnsupportedContainerError(
                "Zstandard cannot be read here", hint="pip install 'cloudboot-disk-image[zstd]'"
            ) from None
    module: ModuleType = zstd
    return module


def _xz() -> Decoder:
    import lzma

    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)


def _lzma() -> Decoder:
    import lzma

    return lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=_XZ_MEMORY)


def _bzip2() -> Decoder:
    import bz2

    return bz2.BZ2Decompressor()


def _zstd() -> Decoder:
    decoder: Decoder = zstandard().ZstdDecompressor()
    return decoder


_DECODERS: tuple[tuple[bytes, Callable[[], Decoder]], ...] = (
    (b"\x1f\x8b", _Gzip),
    (b"\xfd7zXZ\0", _xz),
    (b"\x28\xb5\x2f\xfd", _zstd),
    # Skippable frames, which pzstd writes before each of the others (RFC 8878, section 3.1.2).
    *((bytes([low]) + b"\x2a\x4d\x18", _zstd) for low in range(0x50, 0x60)),
    (b"BZh", _bzip2),
)
_NAMES: dict[Callable[[], Decoder], str] = {_Gzip: "gzip", _xz: "xz", _lzma: "lzma", _zstd: "zstd", _bzip2: "bzip2"}
#: First bytes of what is not read -> what they begin, and how to get at its content.
_FOREIGN = (
    (b"PK\x03\x04", "a zip archive", "unpack it first"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it first"),
    (b"Rar!\x1a\x07", "a RAR archive", "unpack it first"),
    (b"\x04\x22\x4d\x18", "a file compressed with lz4", "unpack it first: lz4 -d"),
    (b"\x02\x21\x4c\x18", "a file compressed with lz4 -l", "unpack it first: lz4 -d"),
    (b"LZIP", "a file compressed with lzip", "unpack it first: lzip -d"),
    (b"\x89LZO\0\r\n\x1a\n", "a file compressed with lzop", "unpack it first: lzop -d"),
    (b"\x1f\x9d\x90", "a file compressed with compress", "unpack it first: gzip -d"),
)


def _magic_of(make: Callable[[], Decoder]) -> bytes:
    return next(magic for magic, each in _DECODERS if each is make)


def name_of(make: Callable[[], Decoder]) -> str:
    """``"gzip"``, ``"xz"``, ``"lzma"``, ``"zstd"`` or ``"bzip2"`` for what :func:`decoder_for` gave."""
    return _NAMES[make]


def decoder_for(head: bytes) -> Callable[[], Decoder] | None:
    """What makes decoders for a file that begins with ``head`` (:data:`MAGIC_SIZE` bytes); ``None`` if it is plain.

    Raises:
        UnsupportedContainerError: an archive or a compression that is not read, or Zstandard and no module for it.
    """
    for magic, what, hint in _FOREIGN:
        if head.startswith(magic):
            raise UnsupportedContainerError(f"{what} cannot be read", offset=0, actual=magic, hint=hint)
    if _is_lzma(head):
        return _lzma
    for magic, make in _DECODERS:
        if head.startswith(magic):
            if make is _zstd:
                zstandard()
            return make
    return None


def _is_lzma(head: bytes) -> bool:
    """Whether a file is in the form of the LZMA utilities, which has no magic number: by what liblzma asks of it."""
    dictionary = int.from_bytes(head[1:5], "little")
    above = 1 << dictionary.bit_length() - 1 if dictionary else 0
    return head.startswith(_LZMA_MAGIC) and dictionary >= 4096 and dictionary in (above, above | above >> 1)


def decompressed(
    file: Readable, make: Callable[[], Decoder], progress: Callable[[int], None] | None = None
) -> Iterator[bytes]:
    """The plain bytes of a compressed file in pieces of at most 1 MiB; streams one after the other are joined.

    What follows the last stream is treated as the compressors' own programs do: gzip and bzip2 ignore it, xz takes
    zeros in groups of four, zstd nothing.

    ``progress`` is told how many bytes of the file have been read.

    Raises:
        ContainerError: the file is damaged or ends early.
    """
    decoder, data, done = make(), b"", 0
    while True:
        if decoder.eof:
            data, zeros = decoder.unused_data, 0
            while True:
                rest = data.lstrip(b"\0") if make is not _zstd else data
                zeros += len(data) - len(rest)
                piece = file.read(_INPUT) if len(rest) < MAGIC_SIZE else b""
                data, done = rest + piece, done + len(piece)
                if not piece:
                    break
            if make is _xz and zeros % _XZ_PADDING:
                raise ContainerError("the padding behind an xz stream is no multiple of four bytes", actual=zeros)
            if not data or (make in (_Gzip, _bzip2) and not data.startswith(_magic_of(make))):
                return
            decoder = make()
        elif decoder.needs_input and not data:
            data = file.read(_INPUT)
            done += len(data)
            if not data:
                raise ContainerError("the compressed file ends early", offset=done)
        if progress is not None:
            progress(done)
        try:
            plain = decoder.decompress(data, OUTPUT)
        except _damage() as error:
            raise ContainerError(f"the compressed file is damaged: {error}") from error
        data = b""
        if plain:
            yield plain


def zstd_errors() -> tuple[type[Exception], ...]:
    """What Zstandard raises about its input; nothing where it is not installed."""
    try:
        return (zstandard().ZstdError,)
    except UnsupportedContainerError:
        return ()


def _damage() -> tuple[type[Exception], ...]:
    """What decoders raise about their input; that of bzip2 is an OSError."""
    import lzma
    import zlib

    return (zlib.error, lzma.LZMAError, OSError, EOFError, *zstd_errors())
