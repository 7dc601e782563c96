"""Distinguished encoding of ASN.1 (X.690): elements with one-byte tags and definite lengths, read strictly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cloudboot_base.lightdata import dataclass
from cloudboot_uefi_abi.errors import SignedDataError

if TYPE_CHECKING:
    from collections.abc import Iterator

INTEGER: Final = 0x02
OCTET_STRING: Final = 0x04
NULL: Final = 0x05
OBJECT_IDENTIFIER: Final = 0x06
GENERALIZED_TIME: Final = 0x18
SEQUENCE: Final = 0x30
SET: Final = 0x31
CONTEXT_0, CONTEXT_1 = 0xA0, 0xA1
SUBJECT_KEY_IDENTIFIER: Final = 0x80
_LONG, _MANY_TAGS = 0x80, 0x1F
_MAX_LENGTH_BYTES: Final = 4


@dataclass(frozen=True, slots=True)
class Element:
    """One element: its tag, what it holds, and all of its bytes; ``offset`` is where it starts in the message."""

    tag: int
    content: bytes
    raw: bytes
    offset: int

    @classmethod
    def read(cls, data: bytes, at: int = 0, *, base: int = 0) -> Element:
        """The element at ``at``.

        Raises:
            SignedDataError: it leaves the data, or its head is not one of DER.
        """
        if at + 2 > len(data):
            raise SignedDataError(
                "an element has no room for tag and length", structure="DER", offset=base + at,
                expected=at + 2, actual=len(data),
            )  # fmt: skip
        tag, size, start = data[at], data[at + 1], at + 2
        if tag & _MANY_TAGS == _MANY_TAGS:
            raise SignedDataError("a tag of several bytes", structure="DER", field="tag", offset=base + at, actual=tag)
        if size & _LONG:
            count = size & ~_LONG
            size = int.from_bytes(data[start : start + count], "big")
            start += count
            shortest = 0 < count <= _MAX_LENGTH_BYTES and size >= _LONG and size >> 8 * (count - 1)
            if not shortest or start > len(data):
                raise SignedDataError(
                    "a length is not in its shortest definite form", structure="DER", field="length",
                    offset=base + at + 1, actual=data[at + 1 : start].hex(),
                )  # fmt: skip
        end = start + size
        if end > len(data):
            raise SignedDataError(
                "an element leaves the data", structure="DER", field="length", offset=base + at,
                expected=f"at most {len(data) - start}", actual=size,
            )  # fmt: skip
        return cls(tag, data[start:end], data[at:end], base + at)

    def __iter__(self) -> Iterator[Element]:
        """The elements inside; raises as :meth:`read`."""
        at, base = 0, self.offset + len(self.raw) - len(self.content)
        while at < len(self.content):
            inner = Element.read(self.content, at, base=base)
            yield inner
            at += len(inner.raw)

    def expect(self, tag: int, what: str) -> Element:
        """The element itself.

        Raises:
            SignedDataError: it has another tag.
        """
        if self.tag != tag:
            raise SignedDataError(
                "an element of another kind", structure=what, field="tag", offset=self.offset,
                expected=tag, actual=self.tag,
            )  # fmt: skip
        return self

    def identifier(self) -> str:
        """The object identifier in dotted form.

        Raises:
            SignedDataError: the element is not one.
        """
        self.expect(OBJECT_IDENTIFIER, "OBJECT IDENTIFIER")
        arcs: list[int] = []
        value = 0
        for byte in self.content:
            value = value << 7 | byte & 0x7F
            if not byte & _LONG:
                arcs.append(value)
                value = 0
        if not arcs or self.content[-1] & _LONG:
            raise SignedDataError(
                "an object identifier has no end", structure="OBJECT IDENTIFIER", offset=self.offset,
                actual=self.content.hex(),
            )  # fmt: skip
        first = min(arcs[0] // 40, 2)
        return ".".join(map(str, (first, arcs[0] - 40 * first, *arcs[1:])))
