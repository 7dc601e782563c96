"""The bytes of a disk, or of a partition of it, out of an image file of any supported kind."""

from __future__ import annotations

import contextlib
import itertools
from typing import TYPE_CHECKING, BinaryIO

from cloudboot_base import Storage, Window, open_storage
from cloudboot_base.lightdata import dataclass

from .compression import MAGIC_SIZE, decoder_for, decompressed, name_of
from .errors import ContainerTruncatedError, UnsupportedContainerError
from .partitions import Place, choose, read_partitions, stated_place
from .qcow2 import MAGIC as QCOW2_MAGIC
from .qcow2 import Qcow2
from .spool import spool
from .vhd import FOOTER_COOKIE, open_vhd

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Iterator

    from typing_extensions import Buffer

    from .compression import Decoder
    from .partitions import PartitionReader

    Source = str | os.PathLike[str] | BinaryIO | Buffer | Storage

_QEMU_IMG = "qemu-img convert -O raw IMAGE disk.img"
#: First bytes -> what they begin, and how to get at the disk in it.
_REFUSED = (
    (b"vhdxfile", "a VHDX image", _QEMU_IMG),
    (b"KDMV", "a VMDK image", _QEMU_IMG),
    (b"# Disk DescriptorFile", "a VMDK descriptor, whose disk is in other files", _QEMU_IMG),
    (b"QED\0", "a QED image", _QEMU_IMG),
    (b"<<< ", "a VDI image", _QEMU_IMG),
    (b"WithoutFreeSpace", "a Parallels image", _QEMU_IMG),
    (b"WithouFreSpacExt", "a Parallels image", _QEMU_IMG),
    (b"LUKS\xba\xbe", "an encrypted (LUKS) disk", "cryptsetup open IMAGE NAME, then read /dev/mapper/NAME"),
    (b"\x3a\xff\x26\xed", "an Android sparse image", "simg2img IMAGE disk.img"),
    (b"EVF\x09\x0d\x0a\xff\x00", "an EnCase (EWF) image", "ewfexport -f raw IMAGE"),
    (b"EVF2\x0d\x0a\x81\x00", "an EnCase (EWF) image", "ewfexport -f raw IMAGE"),
)
_DMG_TRAILER = b"koly"  # at the start of the last 512 bytes
_HEAD = 512
_TAR_MAGIC, _TAR_MAGIC_AT = b"ustar", 257  # POSIX pax, "ustar Interchange Format"; GNU's has it too


@dataclass(frozen=True, slots=True)
class Disk:
    """An opened disk: its bytes, and the format of the file they came from.

    That is ``"raw"``, ``"qcow2"`` or ``"vhd"``, the name of a compression for a raw disk in it, or ``"qcow2 in xz"``.
    """

    storage: Storage
    format: str


def in_place(stored: Storage) -> Disk | None:
    """The disk in ``stored`` if it can be read where it is (raw, qcow2, VHD); ``None`` if it is compressed.

    Raises:
        ContainerError: the container is damaged.
        UnsupportedContainerError: a container of another kind; the hint says what to do.
    """
    head = stored.read_at(0, min(_HEAD, stored.size))
    _refuse(head)
    if stored.size >= _HEAD and stored.read_at(stored.size - _HEAD, len(_DMG_TRAILER)) == _DMG_TRAILER:
        raise UnsupportedContainerError(
            "a DMG image cannot be read", offset=stored.size - _HEAD, actual=_DMG_TRAILER, hint=_QEMU_IMG
        )
    if decoder_for(head[:MAGIC_SIZE]) is not None:
        return None
    if head.startswith(QCOW2_MAGIC):
        return Disk(Qcow2(stored), "qcow2")
    vhd = open_vhd(stored)
    return Disk(stored, "raw") if vhd is None else Disk(vhd, "vhd")


def require_raw(stored: Storage) -> None:
    """Refuse to change an image that is not raw.

    Raises:
        ContainerError: the container is damaged.
        UnsupportedContainerError: a container, which can only be read; the hint says what to do.
    """
    disk = in_place(stored)
    if disk is None or disk.format != "raw":
        kind = "compressed" if disk is None else disk.format
        raise UnsupportedContainerError(
            f"a {kind} image can be read, and not changed",
            hint="make a raw image of it first, with qemu-img or gzip -d",
        )


def _refuse(head: bytes) -> None:
    for magic, what, hint in _REFUSED:
        if head.startswith(magic):
            raise UnsupportedContainerError(f"{what} cannot be read", offset=0, actual=head[: len(magic)], hint=hint)
    if head.startswith(_TAR_MAGIC, _TAR_MAGIC_AT):
        raise UnsupportedContainerError(
            "a tar archive is not a disk", offset=_TAR_MAGIC_AT, actual=_TAR_MAGIC,
            hint="unpack it first (tar -xf); the disk is one of its files",
        )  # fmt: skip


@contextlib.contextmanager
def open_disk(
    source: Source,
    *,
    folder: str | os.PathLike[str] | None = None,
    limit: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> Iterator[Disk]:
    """The disk in ``source``: a path, a binary file, a buffer or a storage.

    A file compressed with gzip, xz, LZMA, Zstandard or bzip2 is decompressed once into a nameless sparse file in
    ``folder`` (by default TMPDIR); ``limit`` bounds its size in bytes, and ``progress`` is told how many bytes of the
    compressed file have been read. It may hold a raw disk, or a qcow2 or VHD image.

    Raises:
        ContainerError: the container is damaged.
        UnsupportedContainerError: a container of a kind that is not read, or Zstandard without its module.
        OSError: the source cannot be read, or there is no room for the disk.
    """
    with contextlib.ExitStack() as stack:
        stored = stack.enter_context(open_storage(source)).storage
        disk = in_place(stored)
        if disk is None:
            import tempfile  # which only a compressed disk needs

            file = stack.enter_context(tempfile.TemporaryFile(dir=folder))
            make, pieces = _decompressed(stored, progress)
            unpacked = in_place(spool(pieces, file.fileno(), limit=limit))
            if unpacked is None:
                raise UnsupportedContainerError(
                    "a file that is compressed twice cannot be read", hint="decompress it once yourself"
                )
            name = name_of(make)
            disk = Disk(unpacked.storage, name if unpacked.format == "raw" else f"{unpacked.format} in {name}")
        yield disk


def decompressed_disk(stored: Storage, progress: Callable[[int], None] | None = None) -> Iterator[bytes] | None:
    """The bytes of a compressed raw disk, in pieces; ``None`` if what is compressed is an image of another kind.

    Raises:
        ContainerError: the stream is damaged.
        UnsupportedContainerError: what it holds is not a disk.
    """
    _, pieces = _decompressed(stored, progress)
    first = next(pieces, b"")
    _refuse(first[:_HEAD])
    if first.startswith((QCOW2_MAGIC, FOOTER_COOKIE)) or decoder_for(first[:MAGIC_SIZE]) is not None:
        return None
    return itertools.chain([first], pieces)


def _decompressed(
    stored: Storage, progress: Callable[[int], None] | None
) -> tuple[Callable[[], Decoder], Iterator[bytes]]:
    make = decoder_for(stored.read_at(0, min(MAGIC_SIZE, stored.size)))
    if make is None:
        raise UnsupportedContainerError("the file is not compressed", offset=0)
    return make, decompressed(_Sequential(stored), make, progress)


@contextlib.contextmanager
def open_partition(
    source: Source,
    partition: str | None = None,
    *,
    offset: int | None = None,
    size: int | None = None,
    readers: Iterable[PartitionReader] = (),
    find: Callable[[Storage], Place] | None = None,
    folder: str | os.PathLike[str] | None = None,
    limit: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> Iterator[Storage]:
    """Part of the disk in ``source``, as storage.

    ``offset`` and ``size``, in bytes, say where it is; otherwise ``partition`` names it, as :func:`choose` takes it;
    otherwise ``find`` looks for it; without any of them it is the whole disk. Other arguments and errors are those of
    :func:`open_disk`.

    Raises:
        PartitionError: no such partition.
        ContainerTruncatedError: the disk ends before the part does.
        UsageError: both ``partition`` and a place are given.
    """
    with open_disk(source, folder=folder, limit=limit, progress=progress) as disk:
        stated = stated_place(offset, size, partition)
        if stated is not None:
            place = stated
        elif partition is not None:
            chosen = choose(read_partitions(disk.storage, readers).partitions, partition)
            place = Place(chosen.offset, chosen.size)
        else:
            place = find(disk.storage) if find is not None else Place(0, None)
        yield window(disk.storage, place)


def window(disk: Storage, place: Place) -> Storage:
    """The part of a disk at ``place``.

    Raises:
        ContainerTruncatedError: it is not all there.
    """
    if place == Place(0, None):
        return disk
    length = disk.size - place.offset if place.size is None else place.size
    if place.offset < 0 or length < 0 or place.offset + length > disk.size:
        raise ContainerTruncatedError(
            "the disk ends before the partition", expected=place.offset + max(0, length), actual=disk.size
        )
    return Window(disk, place.offset, length)


class _Sequential:
    """A storage read from front to back."""

    def __init__(self, storage: Storage) -> None:
        self._storage, self._position = storage, 0

    def read(self, size: int) -> bytes:
        """Up to ``size`` bytes."""
        data = self._storage.read_at(self._position, max(0, min(size, self._storage.size - self._position)))
        self._position += len(data)
        return data
