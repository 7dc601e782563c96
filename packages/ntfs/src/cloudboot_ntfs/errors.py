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
"""

from __future__ import annotations

from cloudboot_base import FormatError, TruncatedError
from cloudboot_base.exit_codes import USAGE


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
