"""UFS2 file systems in Python: format, build from a tree or a tar, read, change, check.

:func:`build` and :func:`format` make them, :class:`UFS2` reads them, :class:`WritableUFS2` changes them in place,
:func:`check` recomputes every invariant. The doubles of builtin errors (``FileNotFoundError`` and so on) are in
:mod:`.errors`.
"""

from __future__ import annotations

from cloudboot_vfs import DirEntry, Region, Stat

from .builder.builder import build, format, required_size  # noqa: A004 -- the usual word for it
from .builder.built import Built
from .builder.members import Directory, File, HardLink, Special, Symlink
from .checker.check import check
from .editor.copyin import CopiedIn, copy_in
from .editor.edit import WritableUFS2
from .editor.livefile import LiveFile
from .editor.preen import Repaired, repair
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
    NestedOperationError,
    NoSpaceError,
    OptionError,
    PathError,
    ReadOnlyError,
    RepairRefusedError,
    SourceChangedError,
    SourceError,
    StaleFileError,
    SuperblockError,
    SymlinkLoopError,
    TooManyLinksError,
    Ufs2Error,
    UnsupportedError,
)  # fmt: skip
from .exporter.compare import Difference, compare
from .exporter.copyout import CopiedOut, copy_out
from .exporter.extract import Extraction, Skipped, extract
from .exporter.presets import FREEBSD_BOOT, Preset
from .exporter.verify import Verification, verify
from .layout.geometry import Geometry, plan
from .layout.options import Options
from .opening import open  # noqa: A004 -- the usual word for it
from .reader.extattr import Attribute
from .reader.file import UFS2File
from .reader.reader import UFS2
from .reader.vmimage import open_image, open_volume

__all__ = [
    "FREEBSD_BOOT",
    "UFS2",
    "Attribute",
    "AttributeAreaError",
    "AttributeNotFoundError",
    "BlockError",
    "Built",
    "CheckHashError",
    "CopiedIn",
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
    "NestedOperationError",
    "NoSpaceError",
    "OptionError",
    "Options",
    "PathError",
    "Preset",
    "ReadOnlyError",
    "Region",
    "RepairRefusedError",
    "Repaired",
    "Skipped",
    "SourceChangedError",
    "SourceError",
    "Special",
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
    "copy_in",
    "copy_out",
    "extract",
    "format",
    "open",
    "open_image",
    "open_volume",
    "plan",
    "repair",
    "required_size",
    "verify",
]
