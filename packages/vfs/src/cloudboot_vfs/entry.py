"""What is told of a file system: the facts of a node, a name in a directory, where bytes are in the volume."""

from __future__ import annotations

import stat

from cloudboot_base.lightdata import NamedTuple


class Stat(NamedTuple):
    """The facts of a file, directory or other node, under the names of :class:`os.stat_result`.

    What a file system does not record is 0: FAT has no owners, NTFS no generation.
    """

    st_mode: int
    st_ino: int  #: tells nodes apart: two names with the same number are the same node
    st_nlink: int
    st_uid: int
    st_gid: int
    st_size: int
    st_blocks: int  #: of 512 bytes
    st_atime_ns: int
    st_mtime_ns: int
    st_ctime_ns: int
    st_birthtime_ns: int
    st_flags: int
    st_gen: int
    st_rdev: int


class DirEntry(NamedTuple):
    """A name in a directory, like :class:`os.DirEntry`; ``kind`` is what ``stat.S_IFMT`` gives, 0 where unknown."""

    name: str
    path: str
    inode: int
    kind: int

    def is_dir(self) -> bool:
        """Whether the directory says it is a directory."""
        return self.kind == stat.S_IFDIR

    def is_file(self) -> bool:
        """Whether the directory says it is a regular file."""
        return self.kind == stat.S_IFREG

    def is_symlink(self) -> bool:
        """Whether the directory says it is a symbolic link."""
        return self.kind == stat.S_IFLNK


class Extent(NamedTuple):
    """``length`` bytes of a file that stand together in the volume, at ``offset``."""

    offset: int
    length: int


class Region(NamedTuple):
    """A piece of the volume that belongs to no file, in bytes.

    ``kind`` is the format's word for it; ``number`` tells pieces of one kind apart: that of a cylinder group, say.
    """

    kind: str
    offset: int
    length: int
    number: int = 0
