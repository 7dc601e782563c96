"""What fuzzers need: small images of every kind, patches that aim at their structures, and the loop of atheris."""

from __future__ import annotations

import base64
import gc
import lzma
import shlex
import struct
import sys
import tempfile
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING

from cloudboot_ufs2.editor.edit import WritableUFS2
from cloudboot_ufs2.layout.options import Options
from cloudboot_ufs2.layout.records import Fs
from cloudboot_ufs2.reader.reader import UFS2
from cloudboot_ufs2.testing import editable_image, pattern, small_tree

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cloudboot_records import ByteOrder


def small_image(byteorder: ByteOrder = "little") -> bytes:
    """A file system of 448 KiB with one of everything that has pointers, names or attributes; for fuzzers."""
    options = Options(block_size=4096, fragment_size=512, density=4096, minfree=0, timestamp=1, byteorder=byteorder)
    image = editable_image(small_tree(), options, size=448 << 10)
    with WritableUFS2.open(image) as volume, volume.open_file("/d/double", "wb") as file:
        # Blocks behind the direct pointers, behind the first indirect block, and behind the second.
        for block in (0, 12, 12 + 512, 12 + 512 + 700):
            file.write_at(block * 4096, pattern(100, seed=block))
        volume.setxattr("/a", "user.comment", b"value")
        volume.setxattr("/d", "system.long", pattern(700))
    return bytes(image)


def compressed_images(folder: Path) -> list[bytes]:
    """The images that are in ``folder`` compressed with xz, in the order of their names."""
    return [lzma.decompress(path.read_bytes()) for path in sorted(folder.glob("*.xz"))]


class Patches:
    """What fuzzers feed: patches to small good images, aimed at their structures.

    The first octet of an input chooses the image. A patch is a region (u8), an offset in it (u16), a length (u8) and
    that many bytes; all of these wrap around.
    """

    _HEAD = struct.Struct("<BHB")

    def __init__(self, others: Sequence[bytes] = ()) -> None:
        """Patches to :func:`small_image` in both byte orders, and to ``others``."""
        self._images = [(image, _regions(image)) for image in (small_image(), small_image("big"), *others)]

    def patch(self, region: int, offset: int, data: bytes) -> bytes:
        """One patch."""
        return self._HEAD.pack(region, offset, len(data)) + data

    def apply(self, data: bytes) -> bytearray:
        """The image that ``data`` chooses, with all the patches it holds."""
        original, regions = self._images[data[0] % len(self._images) if data else 0]
        image = bytearray(original)
        at = 1
        while at + self._HEAD.size <= len(data):
            region, offset, length = self._HEAD.unpack_from(data, at)
            piece = data[at + self._HEAD.size : at + self._HEAD.size + length]
            start, size = regions[region % len(regions)]
            # The first region is the whole image; its offsets count in units that reach its end.
            position = start + offset * (size >> 16 or 1) % size
            piece = piece[: len(image) - position]
            image[position : position + len(piece)] = piece
            at += self._HEAD.size + length
        return image

    def seeds(self) -> list[bytes]:
        """A corpus to start from: every region of every image once, with values that tend to hurt."""
        values = (b"\0" * 8, b"\xff" * 8, (1 << 62).to_bytes(8, "little"), b"\1\0\0\0\0\0\0\0")
        found = [b""]
        for number, (_, regions) in enumerate(self._images):
            for region in range(1, len(regions)):
                size = regions[region][1]
                for index, value in enumerate(values):
                    found.append(bytes([number]) + self.patch(region, (index * 97 + region * 13) % size & ~3, value))
        return found


def _regions(image: bytes) -> list[tuple[int, int]]:
    """``(offset, length)`` of the whole image, then of its structures and directories."""
    with UFS2.open(image) as volume:
        geometry = volume.geometry
        found = [(0, len(image)), (volume.superblock_offset, Fs.SIZE)]
        for region in volume.regions():
            if region.kind == "group":
                found.append((region.offset, geometry.cgsize))
            elif region.kind in ("inodes", "summary"):
                found.append((region.offset, min(region.length, 32 * geometry.inode_size)))
        for path, _, others in volume.walk():
            found.extend(volume.extents(path))
            for entry in others:
                found.extend(volume.pointer_blocks(entry.path, follow_symlinks=False))
                attributes = volume.read_inode(entry.inode).di_extb
                fsize = geometry.fragment_size
                found.extend((address * fsize, fsize) for address in attributes if address)
    return found[:255]


def read_corpus(path: Path) -> list[bytes]:
    """Inputs that were worth keeping: one a line, in base64."""
    return [base64.b64decode(line) for line in path.read_text().split("\n")[:-1]]


def fuzz(one_input: Callable[[bytes], None], seeds: Sequence[bytes]) -> None:
    """Run atheris, with the command line's libFuzzer options, on ``seeds`` and what it makes of them."""
    import atheris

    # The package is imported already, so that its tests can use the harness without atheris; instrument what is there.
    for each in gc.get_objects():
        if isinstance(each, FunctionType) and (each.__module__ or "").startswith("cloudboot_ufs2"):
            atheris.instrument_func(each)
    with tempfile.TemporaryDirectory() as folder:
        inputs, again = Path(folder) / "seeds", Path(folder) / "again"
        inputs.mkdir()
        for number, seed in enumerate(seeds):
            (inputs / f"seed-{number:04}").write_bytes(seed)
        # libFuzzer starts the program again by its name, to merge corpora.
        again.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {shlex.quote(sys.argv[0])} "$@"\n')
        again.chmod(0o700)
        atheris.Setup([str(again), *sys.argv[1:], str(inputs)], one_input)
        atheris.Fuzz()
