"""What adapters and exports refuse, whatever the file system.

VfsError (a cloudboot_base.FormatError)
+-- ReadOnlyError      the file system is open for reading only, or must not be written to (also an OSError, EROFS)
+-- PathError          a path that cannot be made, moved or removed (also a ValueError, EINVAL)
+-- TreeError          a damaged directory tree: one directory in two places
+-- SourceError        a member of the tree or archive that a volume is made of cannot be stored
+-- ContentSizeError   a file claims more bytes than its file system has (also an OSError, EFBIG)
+-- StaleFileError     an open file was removed (also an OSError, ESTALE)
+-- NestedOperationError  an operation began within another one of the same thread (also a RuntimeError)

A file system's own errors derive from these where they mean the same.
"""

from __future__ import annotations

import errno

from cloudboot_base import FormatError


class VfsError(FormatError):
    """The base of the tree."""


class ReadOnlyError(VfsError, OSError):
    """The file system is open for reading only, or must not be written to as it is."""

    errno = errno.EROFS


class PathError(VfsError, ValueError):
    """A path names nothing that can be made, moved or removed."""

    errno = errno.EINVAL


class TreeError(VfsError):
    """A damaged directory tree: one directory has two names."""


class SourceError(VfsError):
    """A member of the tree or archive that a volume is made of cannot be stored; ``member`` names it."""

    def __init__(
        self, message: str, *, member: str, expected: object = None, actual: object = None, hint: str | None = None
    ) -> None:
        super().__init__(f"{member}: {message}", expected=expected, actual=actual, hint=hint)
        self.member = member
        self.reason = message


class ContentSizeError(VfsError, OSError):
    """A file claims more bytes than its file system has."""

    errno = errno.EFBIG


class StaleFileError(VfsError, OSError):
    """An open file was removed."""

    errno = errno.ESTALE


class NestedOperationError(VfsError, RuntimeError):
    """Something that runs in the middle of an operation, a destructor or a clock, wanted to do another one."""
