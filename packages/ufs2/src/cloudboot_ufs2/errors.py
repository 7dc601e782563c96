"""What can be wrong with a UFS2 image, with what is asked of it, or with what is to be put into it.

Ufs2Error (a cloudboot_base.FormatError)
+-- ImageTruncatedError     a structure reaches past the end of the image (also a TruncatedError, so an EOFError)
+-- SuperblockError         no superblock, or one that breaks a rule
+-- UnsupportedError        well-formed, but of a kind this package does not handle
+-- GroupError              a cylinder group that contradicts the superblock
+-- InodeError              an inode number out of range, or an inode that cannot be
+-- BlockError              a block pointer that leaves the data area
+-- DirectoryError          a directory whose records do not hold together
+-- AttributeAreaError      extended attributes that do not hold together
+-- AttributeNotFoundError  no such extended attribute (also an OSError, ENODATA)
+-- CheckHashError          a stored check-hash is not that of the bytes
+-- FileNotFoundError       also the builtin of that name
+-- NotADirectoryError      also the builtin of that name
+-- IsADirectoryError       also the builtin of that name
+-- SymlinkLoopError        more than 40 symbolic links on one path (also an OSError, ELOOP)
+-- FileExistsError         also the builtin of that name
+-- DirectoryNotEmptyError  a directory that should go holds something (also an OSError, ENOTEMPTY)
+-- PathError               a path or a move that cannot be (also a ValueError, EINVAL)
+-- NameTooLongError        more than 255 bytes in a name (also an OSError, ENAMETOOLONG)
+-- TooManyLinksError       an inode has as many names as it can (also an OSError, EMLINK)
+-- FileTooLargeError       no file reaches that far (also an OSError, EFBIG)
+-- ReadOnlyError           a file system that must not be written to as it is (also an OSError, EROFS)
+-- NestedOperationError    an operation within another one, from a destructor or a clock (also a RuntimeError)
+-- StaleFileError          an open file was removed (also an OSError, ESTALE)
+-- OptionError             an option newfs would refuse (also a ValueError)
+-- NoSpaceError            what is to be stored does not fit (also an OSError, ENOSPC)
+-- RepairRefusedError      damage that a repair leaves alone
+-- SourceError             a member of the tree or archive that cannot be stored
    +-- SourceChangedError  a file that changed while it was read
"""

from __future__ import annotations

import builtins
import errno
from typing import TYPE_CHECKING

from cloudboot_base import FormatError, TruncatedError
from cloudboot_base.exit_codes import CHECK_FAILED, NO_SPACE, USAGE
from cloudboot_vfs import errors as vfs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloudboot_base import Finding


class Ufs2Error(FormatError):
    """The base of everything this package raises about images."""


class ImageTruncatedError(Ufs2Error, TruncatedError):
    """A structure reaches past the end of the image."""


class SuperblockError(Ufs2Error):
    """There is no superblock, or it breaks a rule."""


class UnsupportedError(Ufs2Error):
    """What was found is well-formed, but of a kind this package does not handle."""


class InodeError(Ufs2Error):
    """An inode number is out of range, or the inode cannot be what it says."""


class GroupError(Ufs2Error):
    """A cylinder group contradicts the superblock, or itself."""


class BlockError(Ufs2Error):
    """A block pointer leaves the file system."""


class DirectoryError(Ufs2Error):
    """The records of a directory do not hold together."""


class AttributeAreaError(Ufs2Error):
    """The records of extended attributes do not hold together."""


class AttributeNotFoundError(Ufs2Error, OSError):
    """No such extended attribute."""

    errno = errno.ENODATA


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


class FileExistsError(Ufs2Error, builtins.FileExistsError):  # noqa: A001 -- a double of the builtin, on purpose
    """The name is taken."""

    errno = errno.EEXIST


class DirectoryNotEmptyError(Ufs2Error, OSError):
    """A directory that should be removed or replaced holds something."""

    errno = errno.ENOTEMPTY


class PathError(Ufs2Error, vfs.PathError):
    """A path that names nothing that can be made, moved or removed, or a move of a directory into itself."""

    errno = errno.EINVAL


class NameTooLongError(Ufs2Error, OSError):
    """A name has more than 255 bytes."""

    errno = errno.ENAMETOOLONG


class TooManyLinksError(Ufs2Error, OSError):
    """An inode has as many names as it can have."""

    errno = errno.EMLINK


class FileTooLargeError(Ufs2Error, OSError):
    """No file of this block size reaches that far."""

    errno = errno.EFBIG


class ReadOnlyError(Ufs2Error, vfs.ReadOnlyError):
    """The file system must not be written to as it is: unclean, damaged, or with snapshots."""

    errno = errno.EROFS


class NestedOperationError(Ufs2Error, RuntimeError):
    """Something that runs in the middle of an operation, a destructor or a clock, wanted to do another one."""


class StaleFileError(Ufs2Error, OSError):
    """An open file was removed."""

    errno = errno.ESTALE


class OptionError(Ufs2Error, ValueError):
    """An option that newfs(8) would refuse."""

    exit_code = USAGE


class NoSpaceError(Ufs2Error, OSError):
    """What is to be stored does not fit.

    ``needed`` is a size in bytes that does, ``available`` what there is, ``missing`` the difference, where known.
    """

    errno = errno.ENOSPC
    exit_code = NO_SPACE

    def __init__(
        self,
        message: str,
        *,
        needed: int | None = None,
        available: int | None = None,
        missing: int | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(
            message,
            expected=None if needed is None else f"{needed} bytes",
            actual=None if available is None else f"{available} bytes",
            hint=hint,
        )
        self.needed = needed
        self.available = available
        self.missing = missing


class RepairRefusedError(Ufs2Error):
    """A file system has damage that preening does not repair; ``findings`` lists it. Nothing has been written."""

    exit_code = CHECK_FAILED

    def __init__(self, findings: Sequence[Finding], *, reason: str | None = None) -> None:
        self.findings = tuple(findings)
        first = f": {self.findings[0]}" if self.findings else ""
        text = f"{len(self.findings)} findings are not of a kind that is repaired, and nothing has been changed"
        super().__init__(
            f"{text} ({reason})" if reason else text + first,
            hint="FreeBSD's fsck_ffs asks what to do about each; get and export save what can be read",
        )

    def facts(self) -> dict[str, object]:
        """Those of a format error, and the findings."""
        return {**super().facts(), "findings": [finding.as_dict() for finding in self.findings]}


class SourceError(Ufs2Error):
    """A member of the tree or archive cannot be stored; ``member`` names it."""

    def __init__(
        self, message: str, *, member: str, expected: object = None, actual: object = None, hint: str | None = None
    ) -> None:
        super().__init__(f"{member}: {message}", expected=expected, actual=actual, hint=hint)
        self.member = member


class SourceChangedError(SourceError):
    """A file changed while it was read."""
