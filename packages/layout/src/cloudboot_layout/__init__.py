"""One declaration of a binary record, and the bytes it is read from and written to.

The ground floor of the format packages:

- :mod:`.declaration`, :mod:`.generate`: a construct declaration becomes a :class:`struct.Struct`, a numpy dtype and a
  typed, slotted dataclass;
- :mod:`.storage`, :mod:`.output`: bytes at offsets, and files that appear only when whole;
- :mod:`.errors`: errors and findings that say what broke, and where;
- :mod:`.command`: the manners of the ``python -m`` commands.
"""

from .errors import Finding, FormatError, RangeError, TruncatedError
from .model import ByteOrder, Field, RecordLayout
from .output import new_file, new_image, refuse_existing
from .record import Record
from .storage import FileStorage, MemoryStorage, Storage, StorageFile, Window, WritableStorage, open_storage

__all__ = [
    "ByteOrder",
    "Field",
    "FileStorage",
    "Finding",
    "FormatError",
    "MemoryStorage",
    "RangeError",
    "Record",
    "RecordLayout",
    "Storage",
    "StorageFile",
    "TruncatedError",
    "Window",
    "WritableStorage",
    "new_file",
    "new_image",
    "open_storage",
    "refuse_existing",
]
