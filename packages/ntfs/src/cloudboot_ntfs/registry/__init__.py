"""Registry hives: read, build, replay logs, export and import ``.reg`` text. Nothing here needs a file system.

:class:`Hive` reads a hive where it stands; :meth:`Hive.load` gives :class:`Key` objects, which :func:`build` writes.
"""

from .builder import DEFAULT_SECURITY, HiveOptions, build
from .check import check
from .constants import KeyFlag, ValueType
from .hive import DeletedCell, Hive, HiveKey
from .logs import replay
from .model import Key, Value
from .regtext import decode_file, export_text, import_text

__all__ = [
    "DEFAULT_SECURITY",
    "DeletedCell",
    "Hive",
    "HiveKey",
    "HiveOptions",
    "Key",
    "KeyFlag",
    "Value",
    "ValueType",
    "build",
    "check",
    "decode_file",
    "export_text",
    "import_text",
    "replay",
]
