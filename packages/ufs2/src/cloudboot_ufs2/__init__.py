"""UFS2 file systems in Python: newfs, build from a tree or a tar, read, change, check.

:func:`build` and :func:`newfs` make them, :class:`UFS2` reads them, :class:`WritableUFS2` changes them in place,
:func:`check` recomputes every invariant. The doubles of builtin errors (``FileNotFoundError`` and so on) stand in
:mod:`.errors`.
"""

from .builder import Built, build, newfs, required_size
from .check import check
from .edit import WritableUFS2
from .errors import (
    AttributeAreaError,
    AttributeNotFoundError,
    BlockError,
    CheckHashError,
    DirectoryError,
    DirectoryNotEmptyError,
    FileTooLargeError,
    GroupError,
    ImageTruncatedError,
    InodeError,
    NameTooLongError,
    NoSpaceError,
    OptionError,
    PathError,
    ReadOnlyError,
    SourceChangedError,
    SourceError,
    StaleFileError,
    SuperblockError,
    SymlinkLoopError,
    TooManyLinksError,
    Ufs2Error,
    UnsupportedError,
)  # fmt: skip
from .extattr import Attribute
from .file import UFS2File
from .geometry import Geometry, plan
from .livefile import LiveFile
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
    "DirectoryNotEmptyError",
    "File",
    "FileTooLargeError",
    "Geometry",
    "GroupError",
    "HardLink",
    "ImageTruncatedError",
    "InodeError",
    "LiveFile",
    "NameTooLongError",
    "NoSpaceError",
    "OptionError",
    "Options",
    "PathError",
    "ReadOnlyError",
    "Region",
    "SourceChangedError",
    "SourceError",
    "StaleFileError",
    "Stat",
    "SuperblockError",
    "Symlink",
    "SymlinkLoopError",
    "TooManyLinksError",
    "UFS2File",
    "Ufs2Error",
    "UnsupportedError",
    "WritableUFS2",
    "build",
    "check",
    "newfs",
    "plan",
    "required_size",
]
