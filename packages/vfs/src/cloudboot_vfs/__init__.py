"""What every file system of this project has in common.

- :mod:`.protocol`: :class:`FileSystem` and :class:`WritableFileSystem`, which each file-system package fulfils;
- :mod:`.entry`: the facts they tell, :class:`Stat`, :class:`DirEntry`, :class:`Extent`, :class:`Region`.
"""

from .entry import DirEntry, Extent, Region, Stat
from .protocol import FileSystem, OpenFile, WritableFileSystem, WritableOpenFile

__all__ = ["DirEntry", "Extent", "FileSystem", "OpenFile", "Region", "Stat", "WritableFileSystem", "WritableOpenFile"]
