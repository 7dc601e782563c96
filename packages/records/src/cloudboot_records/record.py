"""The base of the generated record classes."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, ClassVar, Self

from cloudboot_base import RangeError, TruncatedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typing_extensions import Buffer

    from .model import ByteOrder, RecordLayout


class Record:
    """A fixed binary record as a Python object; subclasses are generated from a construct declaration.

    The field names are the specification's own. ``LAYOUT`` gives the :class:`struct.Struct`, the numpy dtype and
    the offset of every field.
    """

    __slots__ = ()

    LAYOUT: ClassVar[RecordLayout]
    SIZE: ClassVar[int]

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        raise NotImplementedError  # every generated record has its own

    def _values(self) -> tuple[Any, ...]:
        raise NotImplementedError  # every generated record has its own

    @classmethod
    def unpack_from(
        cls, buffer: Buffer, offset: int = 0, byteorder: ByteOrder = "little", *, base: int | None = None
    ) -> Self:
        """Read one record from ``buffer`` at ``offset``.

        ``base`` is where ``buffer`` itself starts in the image; it only makes the error exact.

        Raises:
            TruncatedError: fewer than ``SIZE`` bytes remain, or ``offset`` is negative.
        """
        if offset < 0:  # struct would count from the end
            raise cls._truncated(buffer, offset, base)
        try:
            return cls._from_values(cls.LAYOUT.struct(byteorder).unpack_from(buffer, offset))
        except (struct.error, OverflowError):  # the latter for an offset of more than 63 bits, read from an image
            raise cls._truncated(buffer, offset, base) from None

    @classmethod
    def _truncated(cls, buffer: Buffer, offset: int, base: int | None) -> TruncatedError:
        return TruncatedError(
            "the structure reaches past the end",
            structure=cls.__name__,
            offset=offset + (base or 0),
            expected=cls.SIZE,
            actual=max(0, memoryview(buffer).nbytes - offset) if offset >= 0 else 0,
        )

    @classmethod
    def iter_unpack(cls, buffer: Buffer, byteorder: ByteOrder = "little") -> Iterator[Self]:
        """Read records that stand one after another; ``buffer`` holds a whole number of them."""
        size = memoryview(buffer).nbytes
        if size % cls.SIZE:
            raise TruncatedError(
                "the last structure is incomplete", structure=cls.__name__, expected=cls.SIZE, actual=size % cls.SIZE
            )
        return map(cls._from_values, cls.LAYOUT.struct(byteorder).iter_unpack(buffer))

    def pack(self, byteorder: ByteOrder = "little") -> bytes:
        """The record's bytes.

        Raises:
            RangeError: a value does not fit its field; the error names it.
        """
        try:
            return self.LAYOUT.struct(byteorder).pack(*self._values())
        except (struct.error, OverflowError) as error:  # the latter for a float that is too large for 32 bits
            raise self._range_error(error) from None

    def pack_into(self, buffer: Buffer, offset: int = 0, byteorder: ByteOrder = "little") -> None:
        """Write the record's bytes into a writable ``buffer`` at ``offset``.

        Raises:
            RangeError: as :meth:`pack`, or the buffer ends first.
        """
        data = self.pack(byteorder)
        view = memoryview(buffer).cast("B")
        if not 0 <= offset <= len(view) - len(data):
            raise RangeError(
                "the structure passes the end of the buffer",
                structure=type(self).__name__, offset=offset, expected=len(data), actual=max(0, len(view) - offset),
            )  # fmt: skip
        view[offset : offset + len(data)] = data

    def _range_error(self, error: Exception) -> RangeError:
        for field in self.LAYOUT.fields:
            value = getattr(self, field.name)
            items = value if field.count is not None and field.code != "s" else (value,)
            for item in items:
                if isinstance(item, Record):
                    try:
                        item.pack()
                    except RangeError as inner:
                        return inner
                    continue
                try:
                    struct.pack("<" + (field.code if field.code != "s" else f"{field.count}s"), item)
                except (struct.error, OverflowError) as reason:
                    return RangeError(str(reason), structure=type(self).__name__, field=field.name, actual=item)
        return RangeError(str(error), structure=type(self).__name__)


def exactly(record: str, field: str, count: int, value: Any) -> Any:
    """``value``, an array or bytes field, if it has ``count`` elements; struct would pad or cut it in silence."""
    if len(value) != count:
        raise RangeError("wrong number of elements", structure=record, field=field, expected=count, actual=len(value))
    return value
