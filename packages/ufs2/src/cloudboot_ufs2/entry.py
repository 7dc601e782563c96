"""What is told of a file system: the facts of an inode, a name in a directory, a piece that holds no files."""

from __future__ import annotations

from typing import NamedTuple

from .constants import DT_DIR, DT_LNK, DT_REG


class Stat(NamedTuple):
    """What an inode says, under the names of :class:`os.stat_result`."""

    st_mode: int
    st_ino: int
    st_nlink: int
    st_uid: int
    st_gid: int
    st_size: int
    st_blocks: int
    st_atime_ns: int
    st_mtime_ns: int
    st_ctime_ns: int
    st_birthtime_ns: int
    st_flags: int
    st_gen: int
    st_rdev: int


class Region(NamedTuple):
    """A piece of the volume that belongs to no file, in bytes."""

    kind: str  #: boot, superblock, backup-superblock, group, inodes or summary
    group: int
    offset: int
    length: int


class DirEntry(NamedTuple):
    """A name in a directory, like :class:`os.DirEntry`."""

    name: str
    path: str
    inode: int
    kind: int  #: d_type

    def is_dir(self) -> bool:
        """Whether the directory says it is a directory."""
        return self.kind == DT_DIR

    def is_file(self) -> bool:
        """Whether the directory says it is a regular file."""
        return self.kind == DT_REG

    def is_symlink(self) -> bool:
        """Whether the directory says it is a symbolic link."""
        return self.kind == DT_LNK
