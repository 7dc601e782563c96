"""What differs between two volumes, or between one and a folder of the host."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Final

from cloudboot_base.lightdata import replace
from cloudboot_ntfs.reader.reparse import WOF_STREAM
from cloudboot_vfs import compare as trees
from cloudboot_vfs.compare import Difference

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from cloudboot_ntfs.reader.volume import NTFS

__all__ = ["FIELDS", "Difference", "compare"]

#: What is compared, besides the paths. NTFS keeps no owners and modes of POSIX.
FIELDS: Final = ("type", "size", "content", "target", "mtime", "links", "streams")
_NOT_KEPT: Final = frozenset({"mode", "owner"})
_PIECE: Final = 1 << 20


class _Tree(trees.VolumeTree):
    """A volume, with digests of the data streams beside the content of its files and directories."""

    def __init__(self, volume: NTFS) -> None:
        super().__init__(volume)
        self._ntfs = volume

    def attributes(self, path: str) -> dict[str, bytes] | None:
        """The size and the digest of each data stream with a name."""
        number = self._ntfs.find(path, follow_symlinks=False)
        names = [name for name in self._ntfs.stream_names(number) if name and name != WOF_STREAM]
        return {name: self._digest(number, name) for name in names}

    def _digest(self, number: int, name: str) -> bytes:
        stream = self._ntfs.open_inode(number, stream=name)
        digest = hashlib.sha256()
        for start in range(0, stream.size, _PIECE):
            digest.update(stream.read_at(start, _PIECE))
        return f"{stream.size} bytes, {digest.hexdigest()[:16]}".encode()


def compare(left: NTFS, right: NTFS | str | os.PathLike[str], *, ignore: Collection[str] = ()) -> Iterator[Difference]:
    """The differences between two trees, sorted by path; ``ignore`` names :data:`FIELDS` that do not count.

    The data streams of a folder are not compared, since the host has none. Times differ by 100 ns or more, the unit of
    NTFS; sizes and links of directories are not compared.

    Raises:
        NtfsError: a volume is damaged, or a file is encrypted.
        OSError: the folder cannot be read.
    """
    other = trees.FolderTree(right) if isinstance(right, str | os.PathLike) else _Tree(right)
    left_out = {"xattrs" if field == "streams" else field for field in ignore} | _NOT_KEPT
    for each in trees.compare(_Tree(left), other, ignore=left_out):
        if each.field == "xattrs":
            yield replace(each, field="streams")
        elif each.field != "mtime" or int(str(each.left)) // 100 != int(str(each.right)) // 100:
            yield each
