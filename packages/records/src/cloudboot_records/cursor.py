"""A position in untrusted bytes: every step is checked against their end, and loops against a budget."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, TypeVar

from cloudboot_base import BudgetError, FormatError, TruncatedError

from .record import EitherOrderRecord, Record

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from .model import ByteOrder

Fixed = TypeVar("Fixed", bound=Record)
Either = TypeVar("Either", bound=EitherOrderRecord)

_INTEGERS = {
    (size, order): struct.Struct(prefix + code)
    for size, code in ((1, "B"), (2, "H"), (4, "I"), (8, "Q"))
    for order, prefix in (("little", "<"), ("big", ">"))
}


class Budget:
    """What reading one input may cost: steps, bytes, records, in whatever unit the reader counts.

    A reader shares one budget among everything that it reads out of one input, so that neither a loop nor a tree of
    structures that refer to one another takes more than ``limit``.
    """

    __slots__ = ("_unit", "limit", "spent")

    def __init__(self, limit: int, unit: str = "steps") -> None:
        self.limit = limit
        self.spent = 0
        self._unit = unit

    def spend(self, amount: int = 1, *, structure: str | None = None, offset: int | None = None) -> None:
        """Count ``amount``.

        Raises:
            BudgetError: more than the limit has been spent.
        """
        self.spent += amount
        if self.spent > self.limit:
            raise BudgetError(
                f"reading takes more {self._unit} than a valid input needs",
                structure=structure, offset=offset, expected=f"at most {self.limit}", actual=self.spent,
            )  # fmt: skip


class Cursor:
    """A position in ``data``; reading moves it, and no read passes the end.

    ``base`` is where ``data`` starts in the image and makes the offsets in errors exact. ``structure`` names what is
    read, for errors that a plain ``take`` raises. ``budget`` is shared by every cursor made from this one.
    """

    __slots__ = ("_view", "base", "budget", "position", "structure")

    def __init__(self, data: Buffer, *, base: int = 0, structure: str = "", budget: Budget | None = None) -> None:
        self._view = memoryview(data).cast("B").toreadonly()
        self.base = base
        self.budget = budget
        self.structure = structure
        self.position = 0

    def __len__(self) -> int:
        return len(self._view)

    @property
    def remaining(self) -> int:
        """Bytes from the position to the end."""
        return len(self._view) - self.position

    @property
    def offset(self) -> int:
        """The position in the image: ``base`` and the bytes read."""
        return self.base + self.position

    def view(self, size: int) -> memoryview:
        """The next ``size`` bytes, not copied.

        Raises:
            TruncatedError: fewer remain, or ``size`` is negative.
        """
        if not 0 <= size <= self.remaining:
            raise self._truncated(size)
        start, self.position = self.position, self.position + size
        return self._view[start : self.position]

    def take(self, size: int) -> bytes:
        """The next ``size`` bytes; errors as :meth:`view`."""
        return bytes(self.view(size))

    def rest(self) -> bytes:
        """Everything up to the end."""
        return self.take(self.remaining)

    def skip(self, size: int) -> None:
        """Pass over ``size`` bytes; errors as :meth:`view`."""
        self.view(size)

    def align(self, alignment: int) -> None:
        """Pass over what is missing to a multiple of ``alignment``, counted from the start of the data."""
        self.skip(-self.position % alignment)

    def u8(self) -> int:
        """The next byte."""
        return self._integer(1, "little")

    def u16(self, byteorder: ByteOrder = "little") -> int:
        """The next two bytes as an unsigned integer."""
        return self._integer(2, byteorder)

    def u32(self, byteorder: ByteOrder = "little") -> int:
        """The next four bytes as an unsigned integer."""
        return self._integer(4, byteorder)

    def u64(self, byteorder: ByteOrder = "little") -> int:
        """The next eight bytes as an unsigned integer."""
        return self._integer(8, byteorder)

    def _integer(self, size: int, byteorder: ByteOrder) -> int:
        if size > self.remaining:
            raise self._truncated(size)
        (value,) = _INTEGERS[size, byteorder].unpack_from(self._view, self.position)
        self.position += size
        return int(value)

    def record(self, record: type[Fixed]) -> Fixed:
        """The next record.

        Raises:
            TruncatedError: fewer than its ``SIZE`` bytes remain.
        """
        found = record.unpack_from(self._view, self.position, base=self.base)
        self.position += record.SIZE
        return found

    def record_in(self, record: type[Either], byteorder: ByteOrder) -> Either:
        """The next record, of a kind that exists in both byte orders; errors as :meth:`record`."""
        found = record.unpack_from(self._view, self.position, byteorder, base=self.base)
        self.position += record.SIZE
        return found

    def utf16z(self, limit: int | None = None) -> str:
        """UTF-16LE text up to its NUL character, which is passed over; lone surrogates are kept.

        ``limit`` bounds the text in bytes, the NUL included.

        Raises:
            TruncatedError: no NUL before the end, or before ``limit``.
        """
        size = self.remaining if limit is None else min(limit, self.remaining)
        window = bytes(self._view[self.position : self.position + size])
        end = window.find(b"\0\0")
        while end >= 0 and end % 2:
            end = window.find(b"\0\0", end + 1)
        if end < 0:
            raise TruncatedError(
                "the UTF-16 text has no NUL character",
                structure=self.structure or None,
                offset=self.offset,
                actual=size,
            )
        self.position += end + 2
        return window[:end].decode("utf-16-le", "surrogatepass")

    def asciiz(self, limit: int | None = None) -> bytes:
        """The bytes up to the next zero byte, which is passed over; ``limit`` and errors as :meth:`utf16z`."""
        size = self.remaining if limit is None else min(limit, self.remaining)
        window = bytes(self._view[self.position : self.position + size])
        text, zero, _ = window.partition(b"\0")
        if not zero:
            raise TruncatedError(
                "the text has no zero byte", structure=self.structure or None, offset=self.offset, actual=size
            )
        self.position += len(text) + 1
        return text

    def sub(self, size: int, structure: str = "") -> Cursor:
        """A cursor of its own over the next ``size`` bytes, which this one passes over; errors as :meth:`view`."""
        base = self.offset
        return Cursor(self.view(size), base=base, structure=structure or self.structure, budget=self.budget)

    def at(self, offset: int, size: int | None = None, structure: str = "") -> Cursor:
        """A cursor over ``size`` bytes (or all) from ``offset``, counted from the start of this one's data.

        This one stays where it is. Offsets that a structure states about itself are followed this way.

        Raises:
            TruncatedError: the bytes are not all there, or ``offset`` is negative.
        """
        length = len(self._view)
        if not 0 <= offset <= length or (size is not None and not 0 <= size <= length - offset):
            raise TruncatedError(
                "the offset leads past the end",
                structure=structure or self.structure or None, offset=self.base + offset,
                expected=size, actual=max(0, length - offset) if offset >= 0 else 0,
            )  # fmt: skip
        end = length if size is None else offset + size
        return Cursor(
            self._view[offset:end],
            base=self.base + offset,
            structure=structure or self.structure,
            budget=self.budget,
        )

    def spend(self, amount: int = 1) -> None:
        """Count ``amount`` against the budget, if there is one; raises as :meth:`Budget.spend`."""
        if self.budget is not None:
            self.budget.spend(amount, structure=self.structure or None, offset=self.offset)

    def expect_end(self) -> None:
        """Refuse bytes that remain.

        Raises:
            FormatError: the structure should end here.
        """
        if self.remaining:
            raise FormatError(
                "bytes remain after the structure",
                structure=self.structure or None, offset=self.offset, expected=0, actual=self.remaining,
            )  # fmt: skip

    def _truncated(self, size: int) -> TruncatedError:
        return TruncatedError(
            "the structure reaches past the end",
            structure=self.structure or None, offset=self.offset, expected=size, actual=self.remaining,
        )  # fmt: skip
