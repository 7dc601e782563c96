"""What can be wrong with a FAT volume, or with what is asked of one.

    FormatError                       (cloudboot_base)
    +-- FatError                      base of everything this package raises itself
        +-- BootSectorError           the boot sector does not describe a FAT volume
        +-- ChainError                a cluster chain loops, leaves the volume, or is too short
        +-- DirectoryError            a directory cannot be read, or would be too large
        +-- OptionError               the options cannot be met            (also a ValueError)
        +-- InvalidNameError          a name VFAT cannot store             (also a ValueError)
        +-- PathTooLongError          a path that no reader follows        (also an OSError, ENAMETOOLONG)
        +-- FileTooLargeError         4 GiB or more                        (also an OSError, EFBIG)
        +-- NoSpaceError              the volume is full or too small      (also an OSError, ENOSPC)
        +-- FileNotFoundError         no such path                         (also the builtin)
        +-- FileExistsError           the path is taken                    (also the builtin)
        +-- NotADirectoryError        a file stands where a directory must (also the builtin)
        +-- IsADirectoryError         the other way round                  (also the builtin)
        +-- DirectoryNotEmptyError    rmdir of a directory with entries    (also an OSError, ENOTEMPTY)

:class:`cloudboot_base.TruncatedError` (the storage ends before the volume does) and
:class:`cloudboot_base.RangeError` (a value does not fit its field) come from the ground floor.
"""

from __future__ import annotations

import builtins
import errno as _errno

from cloudboot_base import FormatError
from cloudboot_base.exit_codes import NO_SPACE, USAGE


class FatError(FormatError):
    """Base of the errors this package raises."""


class BootSectorError(FatError):
    """The boot sector does not describe a FAT volume."""


class ChainError(FatError):
    """A cluster chain loops, leaves the volume, ends too early, or runs through a free or bad cluster."""


class DirectoryError(FatError):
    """A directory cannot be read, or would have more than 65,536 entries."""


class OptionError(FatError, ValueError):
    """The formatting options contradict one another, the storage, or the specification."""

    exit_code = USAGE


class InvalidNameError(FatError, ValueError):
    """A name or label that VFAT cannot store."""


class PathTooLongError(FatError, OSError):
    """A path of more than 4,096 characters, which this package's reader does not follow."""

    errno = _errno.ENAMETOOLONG


class FileTooLargeError(FatError, OSError):
    """A file of 4 GiB or more; ``DIR_FileSize`` has 32 bits."""

    errno = _errno.EFBIG


class NoSpaceError(FatError, OSError):
    """The volume has not enough room; ``expected`` says how many bytes would do."""

    errno = _errno.ENOSPC
    exit_code = NO_SPACE


class FileNotFoundError(FatError, builtins.FileNotFoundError):  # noqa: A001 -- the double of the builtin
    """There is nothing at the path."""

    errno = _errno.ENOENT


class FileExistsError(FatError, builtins.FileExistsError):  # noqa: A001 -- the double of the builtin
    """The path is taken."""

    errno = _errno.EEXIST


class NotADirectoryError(FatError, builtins.NotADirectoryError):  # noqa: A001 -- the double of the builtin
    """A file stands where a directory is needed."""

    errno = _errno.ENOTDIR


class IsADirectoryError(FatError, builtins.IsADirectoryError):  # noqa: A001 -- the double of the builtin
    """A directory stands where a file is needed."""

    errno = _errno.EISDIR


class DirectoryNotEmptyError(FatError, OSError):
    """Only an empty directory can be removed."""

    errno = _errno.ENOTEMPTY
