"""What differs between two file systems, or between one and a folder of the host."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from cloudboot_vfs import compare as trees
from cloudboot_vfs.compare import FIELDS, Difference

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from cloudboot_ufs2.reader.reader import UFS2

__all__ = ["FIELDS", "Difference", "compare"]


class _Tree(trees.VolumeTree):
    """A file system with its extended attributes."""

    def __init__(self, volume: UFS2) -> None:
        super().__init__(volume)
        self._ufs2 = volume

    def attributes(self, path: str) -> dict[str, bytes] | None:
        """Extended attributes by name."""
        found = self._ufs2.attributes(path, follow_symlinks=False)
        return {attribute.full_name: attribute.value for attribute in found}


def compare(left: UFS2, right: UFS2 | str | os.PathLike[str], *, ignore: Collection[str] = ()) -> Iterator[Difference]:
    """The differences between two trees, sorted by path; ``ignore`` names :data:`FIELDS` that do not count.

    Directories are not compared in size, nor in the number of links, which on other file systems mean other things; the
    extended attributes of a folder are not, since neither ``build`` nor ``get`` carries them.

    Raises:
        Ufs2Error: a file system is damaged.
        OSError: the folder cannot be read.
    """
    other = trees.FolderTree(right) if isinstance(right, str | os.PathLike) else _Tree(right)
    return trees.compare(_Tree(left), other, ignore=ignore)
