"""UFS2 file systems in Python: newfs, build from a tree or a tar, read, check.

:func:`build` and :func:`newfs` make them, :class:`UFS2` reads them, :func:`check` recomputes every invariant. The
doubles of builtin errors (``FileNotFoundError`` and so on) stand in :mod:`.errors`.
"""

from .builder import Built, build, newfs, required_size
from .check import check
from .errors import (
    AttributeAreaError,
    AttributeNotFoundError,
    BlockError,
    CheckHashError,
    DirectoryError,
    ImageTruncatedError,
    InodeError,
    NoSpaceError,
    OptionError,
    SourceChangedError,
    SourceError,
    SuperblockError,
    SymlinkLoopError,
    Ufs2Error,
    UnsupportedError,
)  # fmt: skip
from .extattr import Attribute
from .file import UFS2File
from .geometry import Geometry, plan
from .members import Directory, File, HardLink, Symlink
from .options import Options
from .reader import UFS2, DirEntry, Region, Stat

__all__ = [
    "UFS2",
    "Attribute",
    "AttributeAreaError",
    "AttributeNotFoundError",
    "BlockError",
    "Built",
    "CheckHashError",
    "DirEntry",
    "Directory",
    "DirectoryError",
    "File",
    "Geometry",
    "HardLink",
    "ImageTruncatedError",
    "InodeError",
    "NoSpaceError",
    "OptionError",
    "Options",
    "Region",
    "SourceChangedError",
    "SourceError",
    "Stat",
    "SuperblockError",
    "Symlink",
    "SymlinkLoopError",
    "UFS2File",
    "Ufs2Error",
    "UnsupportedError",
    "build",
    "check",
    "newfs",
    "plan",
    "required_size",
]
