"""UFS2 file systems in Python: newfs, build from a tree or a tar, read, change, check.

:func:`build` and :func:`newfs` make them, :class:`UFS2` reads them, :class:`WritableUFS2` changes them in place,
:func:`check` recomputes every invariant. The doubles of builtin errors (``FileNotFoundError`` and so on) stand in
:mod:`.errors`.
"""

from .builder import Built, build, newfs, required_size
from .check import check
from .compare import Difference, compare
from .copyout import CopiedOut, copy_out
from .edit import WritableUFS2
from .entry import DirEntry, Region, Stat
from .errors import (
    AttributeAreaError,
    AttributeNotFoundError,
    BlockError,
    CheckHashError,
    ContainerError,
    DirectoryError,
    DirectoryNotEmptyError,
    FileTooLargeError,
    GroupError,
    ImageTruncatedError,
    InodeError,
    NameTooLongError,
    NoSpaceError,
    OptionError,
    PartitionError,
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
from .extract import Extraction, Skipped, extract
from .file import UFS2File
from .geometry import Geometry, plan
from .livefile import LiveFile
from .members import Directory, File, HardLink, Symlink
from .options import Options
from .presets import FREEBSD_BOOT, Preset
from .reader import UFS2
from .verify import Verification, verify
from .vmimage import open_image, open_volume

__all__ = [
    "FREEBSD_BOOT",
    "UFS2",
    "Attribute",
    "AttributeAreaError",
    "AttributeNotFoundError",
    "BlockError",
    "Built",
    "CheckHashError",
    "ContainerError",
    "CopiedOut",
    "Difference",
    "DirEntry",
    "Directory",
    "DirectoryError",
    "DirectoryNotEmptyError",
    "Extraction",
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
    "PartitionError",
    "PathError",
    "Preset",
    "ReadOnlyError",
    "Region",
    "Skipped",
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
    "Verification",
    "WritableUFS2",
    "build",
    "check",
    "compare",
    "copy_out",
    "extract",
    "newfs",
    "open_image",
    "open_volume",
    "plan",
    "required_size",
    "verify",
]
