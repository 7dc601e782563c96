"""One declaration of a binary record: a :class:`struct.Struct`, a typed dataclass, and a numpy dtype on demand.

- :mod:`.declaration`, :mod:`.generate`: construct declarations become generated record classes;
- :mod:`.record`, :mod:`.model`, :mod:`.enums`: the bases of those classes, the shape of a record, open enumerations;
- :mod:`.cursor`: reading untrusted bytes, every step bounds-checked and loops ended by a budget;
- :mod:`.family`: tagged unions in which unknown tags survive.

Only :mod:`.declaration` and :mod:`.generate` import construct; generated records never do.
"""

from .cursor import Budget, Cursor
from .enums import OpenEnum
from .family import Member, TaggedFamily, Unknown
from .model import ByteOrder, DeclaredOrder, Field, RecordLayout
from .record import AnyRecord, EitherOrderRecord, Record

__all__ = [
    "AnyRecord",
    "Budget",
    "ByteOrder",
    "Cursor",
    "DeclaredOrder",
    "EitherOrderRecord",
    "Field",
    "Member",
    "OpenEnum",
    "Record",
    "RecordLayout",
    "TaggedFamily",
    "Unknown",
]
