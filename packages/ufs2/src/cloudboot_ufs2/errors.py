"""What can be wrong with a UFS2 image, with what is asked of it, or with what is to be put into it.

Ufs2Error (a cloudboot_layout.FormatError)
+-- ImageTruncatedError     a structure reaches past the end of the image (also a TruncatedError, so an EOFError)
+-- SuperblockError         no superblock, or one that breaks a rule
+-- GroupError              a cylinder group that contradicts the superblock
+-- InodeError              an inode number out of range, or an inode that cannot be
+-- BlockError              a block pointer that leaves the data area
+-- DirectoryError          a directory whose records do not hold together
+-- CheckHashError          a stored check-hash is not that of the bytes
+-- FileNotFoundError       also the builtin of that name
+-- NotADirectoryError      also the builtin of that name
+-- IsADirectoryError       also the builtin of that name
+-- SymlinkLoopError        more than 40 symbolic links on one path (also an OSError, ELOOP)
+-- OptionError             an option newfs would refuse (also a ValueError)
+-- NoSpaceError            what is to be stored does not fit (also an OSError, ENOSPC)
+-- SourceError             a member of the tree or archive that cannot be stored
    +-- SourceChangedError  a file that changed while it was read
"""

from __future__ import annotations

import builtins
import errno

from cloudboot_layout import FormatError, TruncatedError


class Ufs2Error(FormatError):
    """The base of everything this package raises about images."""


class ImageTruncatedError(Ufs2Error, TruncatedError):
    """A structure reaches past the end of the image."""


class SuperblockError(Ufs2Error):
    """There is no superblock, or it breaks a rule."""


class InodeError(Ufs2Error):
    """An inode number is out of range, or the inode cannot be what it says."""


class BlockError(Ufs2Error):
    """A block pointer leaves the file system."""


class DirectoryError(Ufs2Error):
    """The records of a directory do not hold together."""


class CheckHashError(Ufs2Error):
    """A stored check-hash is not that of the bytes."""


class FileNotFoundError(Ufs2Error, builtins.FileNotFoundError):  # noqa: A001 -- a double of the builtin, on purpose
    """No such name."""

    errno = errno.ENOENT


class NotADirectoryError(Ufs2Error, builtins.NotADirectoryError):  # noqa: A001 -- a double of the builtin, on purpose
    """A path goes through something that is not a directory."""

    errno = errno.ENOTDIR


class IsADirectoryError(Ufs2Error, builtins.IsADirectoryError):  # noqa: A001 -- a double of the builtin, on purpose
    """A file was asked for and a directory found."""

    errno = errno.EISDIR


class SymlinkLoopError(Ufs2Error, OSError):
    """Too many symbolic links on one path."""

    errno = errno.ELOOP


class OptionError(Ufs2Error, ValueError):
    """An option that newfs(8) would refuse."""


class NoSpaceError(Ufs2Error, OSError):
    """What is to be stored does not fit; ``needed`` is a size in bytes that does, where one is known."""

    errno = errno.ENOSPC
    no_space = True

    def __init__(self, message: str, *, needed: int | None = None, available: int | None = None) -> None:
        super().__init__(
            message, expected=None if needed is None else f"{needed} bytes", actual=available and f"{available} bytes"
        )
        self.needed = needed
        self.available = available


class SourceError(Ufs2Error):
    """A member of the tree or archive cannot be stored; ``member`` names it."""

    def __init__(self, message: str, *, member: str, expected: object = None, actual: object = None) -> None:
        super().__init__(f"{member}: {message}", expected=expected, actual=actual)
        self.member = member


class SourceChangedError(SourceError):
    """A file changed while it was read."""
