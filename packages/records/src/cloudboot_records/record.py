"""The bases of the generated record classes: one byte order by declaration, or either by argument."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, ClassVar, Self

from cloudboot_base import RangeError, TruncatedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typing_extensions import Buffer

    from .model import ByteOrder, RecordLayout


class AnyRecord:
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

    # Here and not in every generated class, as dataclass would have it: that compiles two methods for each of them
    # whenever they are imported, a millisecond for a record of twelve fields.

    def __eq__(self, other: object) -> bool:
        if self.__class__ is not other.__class__:
            return NotImplemented
        return all(getattr(self, field.name) == getattr(other, field.name) for field in self.LAYOUT.fields)

    __hash__ = None  # type: ignore[assignment]  # a record can be changed

    def __repr__(self) -> str:
        values = ", ".join(f"{field.name}={getattr(self, field.name)!r}" for field in self.LAYOUT.fields)
        return f"{type(self).__qualname__}({values})"

    @classmethod
    def _unpack(cls, form: struct.Struct, buffer: Buffer, offset: int, base: int | None) -> Self:
        if offset < 0:  # struct would count from the end
            raise cls._truncated(buffer, offset, base)
        try:
            return cls._from_values(form.unpack_from(buffer, offset))
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
    def _unpack_all(cls, form: struct.Struct, buffer: Buffer) -> Iterator[Self]:
        size = memoryview(buffer).nbytes
        if size % cls.SIZE:
            raise TruncatedError(
                "the last structure is incomplete", structure=cls.__name__, expected=cls.SIZE, actual=size % cls.SIZE
            )
        return map(cls._from_values, form.iter_unpack(buffer))

    def _pack(self, form: struct.Struct) -> bytes:
        try:
            return form.pack(*self._values())
        except (struct.error, OverflowError) as error:  # the latter for a float that is too large for 32 bits
            raise self._range_error(error) from None

    def _pack_into(self, form: struct.Struct, buffer: Buffer, offset: int) -> None:
        data = self._pack(form)
        view = memoryview(buffer).cast("B")
        if not 0 <= offset <= len(view) - len(data):
            raise RangeError(
                "the structure passes the end of the buffer",
                structure=type(self).__name__, offset=offset, expected=len(data), actual=max(0, len(view) - offset),
            )  # fmt: skip
        view[offset : offset + len(data)] = data

    def _range_error(self, error: Exception) -> RangeError:
        """The error that names the field whose value does not fit."""
        for field in self.LAYOUT.fields:
            value = getattr(self, field.name)
            items = value if field.count is not None and field.code != "s" else (value,)
            for item in items:
                if isinstance(item, AnyRecord):
                    try:
                        item._pack(item.LAYOUT.struct("little"))  # noqa: SLF001 -- of the same class
                    except RangeError as inner:
                        return inner
                    continue
                try:
                    plain = getattr(item, "bytes_le", item)  # a GUID
                    struct.pack("<" + (field.code if field.code != "s" else f"{field.count}s"), plain)
                except (struct.error, OverflowError) as reason:
                    return RangeError(str(reason), structure=type(self).__name__, field=field.name, actual=item)
        return RangeError(str(error), structure=type(self).__name__)


class Record(AnyRecord):
    """A record with one byte order, the declaration's."""

    __slots__ = ()

    @classmethod
    def unpack_from(cls, buffer: Buffer, offset: int = 0, *, base: int | None = None) -> Self:
        """Read one record from ``buffer`` at ``offset``.

        ``base`` is where ``buffer`` itself starts in the image; it only makes the error exact.

        Raises:
            TruncatedError: fewer than ``SIZE`` bytes remain, or ``offset`` is negative.
        """
        return cls._unpack(cls.LAYOUT.struct(), buffer, offset, base)

    @classmethod
    def iter_unpack(cls, buffer: Buffer) -> Iterator[Self]:
        """Read records that stand one after another; ``buffer`` holds a whole number of them."""
        return cls._unpack_all(cls.LAYOUT.struct(), buffer)

    def pack(self) -> bytes:
        """The record's bytes.

        Raises:
            RangeError: a value does not fit its field; the error names it.
        """
        return self._pack(self.LAYOUT.struct())

    def pack_into(self, buffer: Buffer, offset: int = 0) -> None:
        """Write the record's bytes into a writable ``buffer`` at ``offset``.

        Raises:
            RangeError: as :meth:`pack`, or the buffer ends first.
        """
        self._pack_into(self.LAYOUT.struct(), buffer, offset)


class EitherOrderRecord(AnyRecord):
    """A record that exists in both byte orders; each call is told which (UFS of either kind of machine, say)."""

    __slots__ = ()

    @classmethod
    def unpack_from(cls, buffer: Buffer, offset: int, byteorder: ByteOrder, *, base: int | None = None) -> Self:
        """Read one record from ``buffer`` at ``offset``; ``base`` and errors as :meth:`Record.unpack_from`."""
        return cls._unpack(cls.LAYOUT.struct(byteorder), buffer, offset, base)

    @classmethod
    def iter_unpack(cls, buffer: Buffer, byteorder: ByteOrder) -> Iterator[Self]:
        """Read records that stand one after another; ``buffer`` holds a whole number of them."""
        return cls._unpack_all(cls.LAYOUT.struct(byteorder), buffer)

    def pack(self, byteorder: ByteOrder) -> bytes:
        """The record's bytes; errors as :meth:`Record.pack`."""
        return self._pack(self.LAYOUT.struct(byteorder))

    def pack_into(self, buffer: Buffer, offset: int, byteorder: ByteOrder) -> None:
        """Write the record's bytes into a writable ``buffer`` at ``offset``; errors as :meth:`Record.pack_into`."""
        self._pack_into(self.LAYOUT.struct(byteorder), buffer, offset)


def exactly(record: str, field: str, count: int, value: Any) -> Any:
    """``value``, an array or bytes field, if it has ``count`` elements; struct would pad or cut it in silence."""
    if len(value) != count:
        raise RangeError("wrong number of elements", structure=record, field=field, expected=count, actual=len(value))
    return value


def guid_bytes(record: str, field: str, value: Any) -> bytes:
    """The 16 bytes of a GUID field (UEFI 2.10 appendix A: the first three parts little-endian)."""
    from uuid import UUID  # 3 ms, which records without a GUID need not spend

    if not isinstance(value, UUID):
        raise RangeError("not a GUID", structure=record, field=field, actual=value)
    return value.bytes_le


def joined_bits(record: str, field: str, parts: tuple[tuple[str, int, int], ...]) -> int:
    """The integer made of bit ranges ``(name, width, value)``, the least significant first."""
    total = shift = 0
    for name, width, value in parts:
        if not 0 <= value < 1 << width:
            raise RangeError(
                "the value does not fit its bits", structure=record, field=f"{field}.{name}",
                expected=f"less than 2**{width}", actual=value,
            )  # fmt: skip
        total |= value << shift
        shift += width
    return total
