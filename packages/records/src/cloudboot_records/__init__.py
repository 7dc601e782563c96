"""One declaration of a binary record: a :class:`struct.Struct`, a typed dataclass, and a numpy dtype on demand.

- :mod:`.declaration`, :mod:`.generate`: construct declarations become generated record classes;
- :mod:`.record`, :mod:`.model`: the base of those classes, and the shape of a record.

Only :mod:`.declaration` and :mod:`.generate` import construct; generated records never do.
"""

from .model import ByteOrder, Field, RecordLayout
from .record import Record

__all__ = ["ByteOrder", "Field", "Record", "RecordLayout"]
