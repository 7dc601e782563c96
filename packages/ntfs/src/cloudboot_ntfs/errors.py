"""What can be wrong with a hive, a boot configuration or a volume, or with what is asked of one.

cloudboot_base.FormatError
+-- HiveError               a registry hive breaks its format
|   +-- HiveTruncatedError  a structure of the hive reaches past its end (also a TruncatedError, so an EOFError)
|   +-- HiveDirtyError      the hive was not written to its end, and its logs were not given
|   +-- HiveLimitError      a name or a value that no hive can hold (also a ValueError)
|   +-- KeyNotFoundError    no such key or value (also a LookupError)
|   +-- RegTextError        the text of a .reg file breaks its grammar (also a ValueError)
+-- BcdError                a hive is not a boot configuration, or an element cannot be what it says
|   +-- DeviceError         a device element breaks its format
|   +-- ElementError        a value that does not fit the element's type (also a ValueError)
|   +-- ObjectNotFoundError no such object, element or template (also a LookupError)
+-- DescriptorError         a security descriptor or its text breaks the format (also a ValueError)
+-- NtfsError               the base of everything about volumes
    +-- VolumeTruncatedError    a structure reaches past the end of the volume (also a TruncatedError, so an EOFError)
    +-- BootSectorError         no boot sector of NTFS, or one that states what cannot be
    +-- FixupError              a record was not written whole
    +-- RecordError             an MFT record that cannot be, or is not in use
    +-- AttributeFormatError    an attribute that breaks its format
    +-- AttributeMissingError   a record without an attribute that its kind needs
    +-- RunListError            a run list that breaks its format or leaves the volume
    +-- IndexFormatError        an index that does not hold together
    +-- CompressionError        compressed data that breaks its format
    +-- ReparseError            a reparse point that breaks its format
    +-- UnsupportedError        well-formed, but of a kind this package does not handle
    |   +-- EncryptedError      content that EFS encrypted, or is to encrypt (also a PermissionError, EACCES)
    +-- FileNotFoundError       also the builtin of that name
    +-- NotADirectoryError      also the builtin of that name
    +-- IsADirectoryError       also the builtin of that name
    +-- SymlinkLoopError        more than 40 links on one path (also an OSError, ELOOP)
    +-- StreamNotFoundError     no data stream of that name (also an OSError, ENODATA)
    +-- FileExistsError         also the builtin of that name
    +-- DirectoryNotEmptyError  a directory that should go holds something (also an OSError, ENOTEMPTY)
    +-- PathError               a path or a move that cannot be (also cloudboot_vfs' PathError, so a ValueError)
    |   +-- NameTooLongError    a name of more than 255 UTF-16 units (also an OSError, ENAMETOOLONG)
    +-- TooManyLinksError       a file has as many names as it can (also an OSError, EMLINK)
    +-- FileTooLargeError       a size that no file can have (also an OSError, EFBIG)
    +-- StaleFileError          an open file has been removed (also an OSError, ESTALE)
    +-- ContentSizeError        a file claims more bytes than can be read at once (also cloudboot_vfs' of that name)
    +-- ReadOnlyError           a volume or file that must not be changed as it is (also cloudboot_vfs', EROFS)
    +-- RepairRefusedError      damage that is not repaired
    +-- OptionError             an option that cannot be met (also a ValueError)
    +-- NoSpaceError            what is to be stored does not fit (also an OSError, ENOSPC)
    +-- SourceError             a member of the tree or archive that cannot be stored (also cloudboot_vfs')
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


class HiveError(FormatError):
    """A registry hive breaks its format."""


class HiveTruncatedError(HiveError, TruncatedError):
    """A structure of the hive reaches past its end."""


class HiveDirtyError(HiveError):
    """The hive was not written to its end, and its logs were not given."""


class HiveLimitError(HiveError, ValueError):
    """A name or a value that no hive can hold."""

    exit_code = USAGE


class KeyNotFoundError(HiveError, LookupError):
    """There is no such key or value."""


class RegTextError(HiveError, ValueError):
    """The text of a ``.reg`` file breaks its grammar."""


class BcdError(FormatError):
    """A hive is not a boot configuration, or an element cannot be what it says."""


class DeviceError(BcdError):
    """A device element breaks its format."""


class ElementError(BcdError, ValueError):
    """A value does not fit the type of the element."""

    exit_code = USAGE


class ObjectNotFoundError(BcdError, LookupError):
    """There is no such object, element or template."""


class DescriptorError(FormatError, ValueError):
    """A security descriptor or its text breaks the format (MS-DTYP 2.4.6, 2.5.1)."""


class NtfsError(FormatError):
    """The base of everything about volumes."""


class VolumeTruncatedError(NtfsError, TruncatedError):
    """A structure reaches past the end of the volume."""


class BootSectorError(NtfsError):
    """The boot sector is not that of NTFS, or states what cannot be."""


class FixupError(NtfsError):
    """A record was not written whole, or its update sequence array does not fit."""


class RecordError(NtfsError):
    """An MFT record cannot be what it says, or is not in use."""


class AttributeFormatError(NtfsError):
    """An attribute breaks its format."""


class AttributeMissingError(NtfsError):
    """A record has no such attribute, which its kind needs."""


class RunListError(NtfsError):
    """A run list breaks its format, or leaves the volume."""


class IndexFormatError(NtfsError):
    """An index does not hold together."""


class CompressionError(NtfsError):
    """Compressed data breaks its format."""


class ReparseError(NtfsError):
    """A reparse point breaks its format."""


class UnsupportedError(NtfsError):
    """What was found is well-formed, but of a kind that this package does not handle."""


class EncryptedError(UnsupportedError, PermissionError):
    """The content of a file is encrypted by EFS: it is neither read nor changed without the key."""

    errno = errno.EACCES


class FileNotFoundError(NtfsError, builtins.FileNotFoundError):  # noqa: A001 -- a double of the builtin, on purpose
    """No such name."""

    errno = errno.ENOENT


class NotADirectoryError(NtfsError, builtins.NotADirectoryError):  # noqa: A001 -- a double of the builtin, on purpose
    """A path goes through something that is not a directory."""

    errno = errno.ENOTDIR


class IsADirectoryError(NtfsError, builtins.IsADirectoryError):  # noqa: A001 -- a double of the builtin, on purpose
    """A file was asked for and a directory found."""

    errno = errno.EISDIR


class SymlinkLoopError(NtfsError, OSError):
    """Too many links on one path."""

    errno = errno.ELOOP


class StreamNotFoundError(NtfsError, OSError):
    """The file has no data stream of that name."""

    errno = errno.ENODATA


class FileExistsError(NtfsError, builtins.FileExistsError):  # noqa: A001 -- a double of the builtin, on purpose
    """The name is taken."""

    errno = errno.EEXIST


class DirectoryNotEmptyError(NtfsError, OSError):
    """A directory that should be removed or replaced holds something."""

    errno = errno.ENOTEMPTY


class PathError(NtfsError, vfs.PathError):
    """A path that names nothing that can be made, moved or removed, or a move of a directory into itself."""


class NameTooLongError(PathError, OSError):
    """A name has more than 255 UTF-16 units."""

    errno = errno.ENAMETOOLONG


class TooManyLinksError(NtfsError, OSError):
    """A file has as many names as it can have."""

    errno = errno.EMLINK


class FileTooLargeError(NtfsError, OSError):
    """No file can have that size."""

    errno = errno.EFBIG


class StaleFileError(NtfsError, OSError):
    """An open file has been removed."""

    errno = errno.ESTALE


class ContentSizeError(NtfsError, vfs.ContentSizeError):
    """A file claims more bytes than can be read at once."""


class ReadOnlyError(NtfsError, vfs.ReadOnlyError):
    """The volume, or a file of it, must not be changed as it is."""


class RepairRefusedError(NtfsError):
    """A volume has damage that is not repaired; ``findings`` lists it. Nothing has been written."""

    exit_code = CHECK_FAILED

    def __init__(self, findings: Sequence[Finding]) -> None:
        self.findings = tuple(findings)
        first = f": {self.findings[0]}" if self.findings else ""
        super().__init__(
            f"{len(self.findings)} findings are not of a kind that is repaired, and nothing has been changed{first}",
            hint="Windows' chkdsk repairs more; get and export save what can be read",
        )

    def facts(self) -> dict[str, object]:
        """Those of a format error, and the findings."""
        return {**super().facts(), "findings": [finding.as_dict() for finding in self.findings]}


class OptionError(NtfsError, ValueError):
    """An option that cannot be met."""

    exit_code = USAGE


class NoSpaceError(NtfsError, OSError):
    """What is to be stored does not fit; ``needed`` is a size in bytes that does, where one is known."""

    errno = errno.ENOSPC
    exit_code = NO_SPACE

    def __init__(self, message: str, *, needed: int | None = None, available: int | None = None) -> None:
        super().__init__(
            message, expected=None if needed is None else f"{needed} bytes", actual=available and f"{available} bytes"
        )
        self.needed = needed
        self.available = available


class SourceError(NtfsError, vfs.SourceError):
    """A member of the tree or archive cannot be stored; ``member`` names it."""


class SourceChangedError(SourceError):
    """A file changed while it was read."""
