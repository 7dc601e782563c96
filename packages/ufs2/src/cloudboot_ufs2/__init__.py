"""UFS2 file systems in Python: newfs, build from a tree or a tar, read, check."""

from .builder import Built, build, newfs
from .errors import NoSpaceError, OptionError, SourceError, Ufs2Error
from .geometry import Geometry, plan
from .members import Directory, File, HardLink, Symlink
from .options import Options
from .sizing import required_size

__all__ = [
    "Built",
    "Directory",
    "File",
    "Geometry",
    "HardLink",
    "NoSpaceError",
    "OptionError",
    "Options",
    "SourceError",
    "Symlink",
    "Ufs2Error",
    "build",
    "newfs",
    "plan",
    "required_size",
]
