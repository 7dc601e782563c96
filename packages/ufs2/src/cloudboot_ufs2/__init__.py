"""UFS2 file systems in Python: newfs, build from a tree or a tar, read, change, check.

:func:`build` and :func:`newfs` make them, :class:`UFS2` reads them, :class:`WritableUFS2` changes them in place,
:func:`check` recomputes every invariant. The doubles of builtin errors (``FileNotFoundError`` and so on) stand in
:mod:`.errors`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudboot_vfs import DirEntry, Region, Stat

from .check import check
from .compare import Difference, compare
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
from .extract import Extraction, Skipped, extract
from .reader import UFS2
from .verify import Verification, verify

if TYPE_CHECKING:
    from .builder import Built, build, newfs, required_size
    from .copyin import CopiedIn, copy_in
    from .copyout import CopiedOut, copy_out
    from .edit import WritableUFS2
    from .extattr import Attribute
    from .file import UFS2File
    from .geometry import Geometry, plan
    from .livefile import LiveFile
    from .members import Directory, File, HardLink, Special, Symlink
    from .options import Options
    from .preen import Repaired, repair
    from .presets import FREEBSD_BOOT, Preset
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
    "newfs",
    "open_image",
    "open_volume",
    "plan",
    "repair",
    "required_size",
    "verify",
]

# What is imported when it is first asked for (PEP 562): with all of it a command that only reads would start in twice
# the time. Functions that bear the name of their module are not among them: importing the module would hide them.
_LATER = {
    "builder": ("Built", "build", "newfs", "required_size"),
    "copyin": ("CopiedIn", "copy_in"),
    "copyout": ("CopiedOut", "copy_out"),
    "edit": ("WritableUFS2",),
    "extattr": ("Attribute",),
    "file": ("UFS2File",),
    "geometry": ("Geometry", "plan"),
    "livefile": ("LiveFile",),
    "members": ("Directory", "File", "HardLink", "Special", "Symlink"),
    "options": ("Options",),
    "preen": ("Repaired", "repair"),
    "presets": ("FREEBSD_BOOT", "Preset"),
    "vmimage": ("open_image", "open_volume"),
}

if not TYPE_CHECKING:  # a type checker knows the names from above, and that there are no others

    def __getattr__(name: str) -> object:
        for module, names in _LATER.items():
            if name in names:
                from importlib import import_module

                found = globals()[name] = getattr(import_module(f".{module}", __name__), name)
                return found
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
