"""C declarations of the specification as data: types, prototypes, structures with their offsets.

The declarations of :mod:`.tables` and :mod:`.protocols` are written as the specification prints them. Layout follows
the rules of all four 64-bit ABIs UEFI runs on: natural alignment, 8-byte pointers, 4-byte enumerations (UEFI 2.10
table 2.3).
"""

from __future__ import annotations

import enum
import re
import struct
from functools import cached_property
from typing import TYPE_CHECKING, Final

from cloudboot_base import RangeError, TruncatedError
from cloudboot_base.lightdata import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from uuid import UUID

    from typing_extensions import Buffer

__all__ = ["Argument", "Direction", "Kind", "Member", "Prototype", "Structure", "Type", "named_type", "structure"]


class Kind(enum.Enum):
    """What a value of a type is, as far as a caller that only sees registers needs to know."""

    VOID = "void"
    UNSIGNED = "unsigned"
    SIGNED = "signed"
    BOOLEAN = "boolean"
    CHARACTER = "character"
    STATUS = "status"
    ENUMERATION = "enumeration"
    HANDLE = "handle"
    POINTER = "pointer"
    FUNCTION = "function"
    RECORD = "record"


class Direction(enum.Flag):
    """Which way an argument carries data: a pointer marked OUT is written through."""

    IN = 1
    OUT = 2


@dataclass(frozen=True, slots=True)
class Type:
    """A type of the specification.

    ``size`` and ``alignment`` are in bytes. ``target`` is the name of what a pointer points to (``"CHAR16"``, or
    ``"EFI_HANDLE *"`` for a pointer to a pointer), and empty for any other kind.
    """

    name: str
    kind: Kind
    size: int
    alignment: int
    target: str = ""

    def value(self, register: int) -> int:
        """The value of this type that a 64-bit register or stack slot holds.

        The bits above the type's size are not part of the value in any of the calling conventions, and hold whatever
        was there before.
        """
        if self.kind is Kind.BOOLEAN:
            return int(bool(register & 0xFF))
        bits = 8 * self.size
        masked = register & (1 << bits) - 1
        return masked - (1 << bits) if self.kind is Kind.SIGNED and masked >> bits - 1 else masked


_FORMATS: Final = {1: "B", 2: "H", 4: "I", 8: "Q"}


def _scalars(kind: Kind, size: int, names: str) -> dict[str, Type]:
    return {name: Type(name, kind, size, size) for name in names.split()}


_TYPES: Final[dict[str, Type]] = {
    "VOID": Type("VOID", Kind.VOID, 0, 1),
    **_scalars(Kind.UNSIGNED, 1, "UINT8"),
    **_scalars(Kind.UNSIGNED, 2, "UINT16"),
    **_scalars(Kind.UNSIGNED, 4, "UINT32"),
    **_scalars(Kind.UNSIGNED, 8, "UINT64 UINTN EFI_TPL EFI_LBA EFI_PHYSICAL_ADDRESS EFI_VIRTUAL_ADDRESS"),
    **_scalars(Kind.UNSIGNED, 1, "EFI_KEY_TOGGLE_STATE"),
    **_scalars(Kind.UNSIGNED, 4, "EFI_TCG2_EVENT_LOG_FORMAT EFI_TCG2_EVENT_LOG_BITMAP EFI_TCG2_EVENT_ALGORITHM_BITMAP"),
    **_scalars(Kind.UNSIGNED, 4, "EFI_CC_EVENT_LOG_FORMAT EFI_CC_MR_INDEX"),
    **_scalars(Kind.SIGNED, 1, "INT8"),
    **_scalars(Kind.SIGNED, 2, "INT16"),
    **_scalars(Kind.SIGNED, 4, "INT32"),
    **_scalars(Kind.SIGNED, 8, "INT64 INTN"),
    **_scalars(Kind.BOOLEAN, 1, "BOOLEAN"),
    **_scalars(Kind.CHARACTER, 1, "CHAR8"),
    **_scalars(Kind.CHARACTER, 2, "CHAR16"),
    **_scalars(Kind.STATUS, 8, "EFI_STATUS"),
    **_scalars(
        Kind.ENUMERATION,
        4,
        "EFI_ALLOCATE_TYPE EFI_MEMORY_TYPE EFI_TIMER_DELAY EFI_INTERFACE_TYPE EFI_LOCATE_SEARCH_TYPE EFI_RESET_TYPE "
        "EFI_GRAPHICS_OUTPUT_BLT_OPERATION EFI_GRAPHICS_PIXEL_FORMAT EFI_PARITY_TYPE EFI_STOP_BITS_TYPE "
        "EFI_CONSOLE_CONTROL_SCREEN_MODE",
    ),
    **_scalars(Kind.HANDLE, 8, "EFI_HANDLE EFI_EVENT EFI_HII_HANDLE"),
    **_scalars(Kind.FUNCTION, 8, "EFI_EVENT_NOTIFY EFI_KEY_NOTIFY_FUNCTION EFI_IMAGE_ENTRY_POINT EFI_IMAGE_UNLOAD"),
    "EFI_GUID": Type("EFI_GUID", Kind.RECORD, 16, 4),
    "EFI_TABLE_HEADER": Type("EFI_TABLE_HEADER", Kind.RECORD, 24, 8),
}


def named_type(name: str, stars: int = 0) -> Type:
    """The type ``name``, or the pointer to it with that many stars.

    Raises:
        KeyError: ``name`` is passed by value and is no type of this table.
    """
    if not stars:
        return _TYPES[name]
    target = name if stars == 1 else f"{name} {'*' * (stars - 1)}"
    return Type(f"{name} {'*' * stars}", Kind.POINTER, 8, 8, target)


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a prototype, under the specification's name."""

    name: str
    type: Type
    direction: Direction = Direction.IN
    optional: bool = False

    def __str__(self) -> str:
        star = "" if self.type.name.endswith("*") else " "
        return f"{self.type.name}{star}{self.name}"


@dataclass(frozen=True, slots=True)
class Prototype:
    """A service: what it returns, and the arguments it declares; ``variadic`` ones take more after those."""

    name: str
    returns: Type
    arguments: tuple[Argument, ...]
    variadic: bool = False

    def __str__(self) -> str:
        shown = [*map(str, self.arguments), *(["..."] if self.variadic else [])]
        return f"{self.returns.name} {self.name}({', '.join(shown) or 'VOID'})"


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a structure: ``offset`` in bytes, ``count`` elements if it is an array.

    A function pointer has its ``prototype``.
    """

    name: str
    type: Type
    offset: int
    count: int | None = None
    prototype: Prototype | None = None

    @property
    def size(self) -> int:
        """Bytes the member occupies."""
        return self.type.size * (1 if self.count is None else self.count)


@dataclass(frozen=True)
class Structure:
    """A table or a protocol interface of the specification.

    ``section`` is UEFI 2.10's, or the document's where another one defines it. ``guid`` and ``revision`` belong to
    protocols; ``signature`` to tables.
    """

    name: str
    section: str
    members: tuple[Member, ...]
    guid: UUID | None = None
    revision: int | None = None
    signature: bytes | None = None

    @cached_property
    def alignment(self) -> int:
        """The strictest alignment among the members, in bytes."""
        return max(member.type.alignment for member in self.members)

    @cached_property
    def size(self) -> int:
        """``sizeof``, in bytes: the padding after the last member is included."""
        last = self.members[-1]
        return -(-(last.offset + last.size) // self.alignment) * self.alignment

    @cached_property
    def by_name(self) -> Mapping[str, Member]:
        """The members by name."""
        return {member.name: member for member in self.members}

    def offset(self, name: str) -> int:
        """``offsetof`` the member ``name``, in bytes.

        Raises:
            KeyError: there is no such member.
        """
        return self.by_name[name].offset

    @property
    def services(self) -> Iterator[Member]:
        """The members that are functions with a prototype, in order."""
        return (member for member in self.members if member.prototype is not None)

    def pack(self, values: Mapping[str, int | bytes]) -> bytes:
        """The structure's bytes: integers for scalars and pointers, bytes for records and arrays; zero where not given.

        Raises:
            RangeError: a name is not a member's, or a value does not fit.
        """
        for name in values:
            if name not in self.by_name:
                raise RangeError("the structure has no such member", structure=self.name, field=name)
        data = bytearray(self.size)
        for name, value in values.items():
            member = self.by_name[name]
            encoded = self._encoded(member, value) if isinstance(value, int) else value
            if len(encoded) != member.size:
                raise RangeError(
                    "wrong size", structure=self.name, field=name, expected=member.size, actual=len(encoded)
                )
            data[member.offset : member.offset + member.size] = encoded
        return bytes(data)

    def _encoded(self, member: Member, value: int) -> bytes:
        bits = 8 * member.size
        if bits > 64 or not -(1 << bits - 1) <= value < 1 << bits:
            raise RangeError("the value does not fit", structure=self.name, field=member.name, actual=value)
        return (value & (1 << bits) - 1).to_bytes(member.size, "little")

    def unpack_from(self, buffer: Buffer, offset: int = 0) -> dict[str, int | bytes]:
        """Every member's value, from ``buffer`` at ``offset``: integers for scalars, bytes for records and arrays.

        Raises:
            TruncatedError: fewer than ``size`` bytes remain, or ``offset`` is negative.
        """
        view = memoryview(buffer).cast("B")
        if not 0 <= offset <= len(view) - self.size:
            raise TruncatedError(
                "the structure reaches past the end",
                structure=self.name, offset=offset, expected=self.size, actual=max(0, len(view) - max(0, offset)),
            )  # fmt: skip
        values: dict[str, int | bytes] = {}
        for member in self.members:
            start = offset + member.offset
            if member.count is None and member.type.kind is not Kind.RECORD:
                signed = member.type.kind is Kind.SIGNED
                code = _FORMATS[member.size].lower() if signed else _FORMATS[member.size]
                values[member.name] = struct.unpack_from("<" + code, view, start)[0]
            else:
                values[member.name] = bytes(view[start : start + member.size])
        return values


_MEMBER = re.compile(r"(?P<type>\w+)(?:\s*(?P<stars>\*+)\s*|\s+)(?P<name>\w+)\s*(?:\[(?P<count>\d+)\])?")
_FUNCTION = re.compile(r"(?P<type>\w+)(?:\s*(?P<stars>\*+)\s*|\s+)(?P<name>\w+)\s*\((?P<arguments>[^()]*)\)", re.DOTALL)
_ARGUMENT = re.compile(
    r"(?P<in>IN\s+)?(?P<out>OUT\s+)?(?:CONST\s+)?(?P<type>\w+)(?:\s*(?P<stars>\*+)\s*|\s+)(?P<name>\w+)(?P<optional>\s+OPTIONAL)?"
)
_FUNCTION_TYPE: Final = Type("function", Kind.FUNCTION, 8, 8)


def _argument(text: str) -> Argument:
    found = _ARGUMENT.fullmatch(text.strip())
    if found is None:
        raise SyntaxError(f"not an argument: {text!r}")
    out = Direction.OUT if found["out"] else Direction(0)
    direction = (Direction.IN if found["in"] or not out else Direction(0)) | out
    return Argument(
        found["name"], named_type(found["type"], len(found["stars"] or "")), direction, found["optional"] is not None
    )


def prototype(text: str) -> Prototype:
    """The prototype a declaration in the specification's notation states.

    Raises:
        SyntaxError: the text is not such a declaration.
        KeyError: a type passed by value is not known.
    """
    found = _FUNCTION.fullmatch(text.strip())
    if found is None:
        raise SyntaxError(f"not a prototype: {text!r}")
    words = [word.strip() for word in found["arguments"].split(",") if word.strip() not in {"", "VOID"}]
    variadic = bool(words) and words[-1] == "..."
    arguments = tuple(map(_argument, words[: len(words) - variadic]))
    return Prototype(found["name"], named_type(found["type"], len(found["stars"] or "")), arguments, variadic)


def structure(
    name: str,
    section: str,
    text: str,
    *,
    guid: UUID | None = None,
    revision: int | None = None,
    signature: bytes | None = None,
) -> Structure:
    """The structure whose members ``text`` declares, each ended by a semicolon.

    Raises:
        SyntaxError: a member is not such a declaration.
        KeyError: a type used by value is not known.
    """
    members: list[Member] = []
    position = 0
    for line in text.split(";"):
        if not line.strip():
            continue
        if "(" in line:
            service = prototype(line)
            member = Member(service.name, _FUNCTION_TYPE, 0, None, service)
        else:
            found = _MEMBER.fullmatch(line.strip())
            if found is None:
                raise SyntaxError(f"{name}: not a member: {line!r}")
            kind = named_type(found["type"], len(found["stars"] or ""))
            member = Member(found["name"], kind, 0, int(found["count"]) if found["count"] else None)
        position = -(-position // member.type.alignment) * member.type.alignment
        members.append(Member(member.name, member.type, position, member.count, member.prototype))
        position += member.size
    return Structure(name, section, tuple(members), guid, revision, signature)
