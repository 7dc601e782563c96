"""NTFS, registry hives and boot configurations of Windows in Python.

:func:`format` and :func:`build` make volumes, :class:`NTFS` reads them,
:class:`WritableNTFS` changes them,
:func:`check` finds what is wrong with them, and :func:`repair` mends what an interrupted change leaves behind.
Hives are in :mod:`.registry` and boot
configurations in :mod:`.bcd`; neither needs a file system. The doubles of builtin errors (``FileNotFoundError`` and so
on) stand in :mod:`.errors`.
"""

from .builder.build import Built, build, format, required_size  # noqa: A004 -- the usual word
from .builder.options import Options
from .builder.source import Directory, File, HardLink, Reparse, Symlink
from .checker import check
from .editor import Repaired, WritableNTFS, repair
from .errors import NtfsError
from .layout.boot import Geometry
from .layout.constants import FileAttribute
from .reader.entry import StreamInfo, UsnRecord
from .reader.file import NTFSFile
from .reader.logfile import LogState
from .reader.reparse import junction_data, symlink_data
from .reader.volume import NTFS

__all__ = [
    "NTFS",
    "Built",
    "Directory",
    "File",
    "FileAttribute",
    "Geometry",
    "HardLink",
    "LogState",
    "NTFSFile",
    "NtfsError",
    "Options",
    "Repaired",
    "Reparse",
    "StreamInfo",
    "Symlink",
    "UsnRecord",
    "WritableNTFS",
    "build",
    "check",
    "format",
    "junction_data",
    "repair",
    "required_size",
    "symlink_data",
]
