"""Keys and values in memory: what a hive is built from, and what one is loaded into."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Self

from cloudboot_base.lightdata import dataclass, field
from cloudboot_ntfs.errors import HiveLimitError, KeyNotFoundError
from cloudboot_ntfs.upcase import upcase

from .constants import ValueType, type_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    #: A value as Python has it: text, numbers, texts of a REG_MULTI_SZ, or the bytes of everything else.
    Decoded = str | int | list[str] | bytes

_TEXT = (ValueType.REG_SZ, ValueType.REG_EXPAND_SZ, ValueType.REG_LINK)
_NUMBERS = {ValueType.REG_DWORD: "<I", ValueType.REG_DWORD_BIG_ENDIAN: ">I", ValueType.REG_QWORD: "<Q"}


@dataclass(slots=True)
class Value:
    """A value: the bytes of a type. The default value of a key has the name ``""``."""

    name: str
    kind: int
    data: bytes

    @property
    def type_name(self) -> str:
        """``"REG_SZ"``, or the number in hexadecimal."""
        return type_name(self.kind)

    @property
    def decoded(self) -> Decoded:
        """Text, a number or texts where the type and the bytes agree; else the bytes."""
        return decode(self.kind, self.data)

    @classmethod
    def text(cls, name: str, text: str, kind: int = ValueType.REG_SZ) -> Self:
        """A REG_SZ, or another type of text."""
        return cls(name, kind, encode_text(text))

    @classmethod
    def texts(cls, name: str, texts: Sequence[str]) -> Self:
        """A REG_MULTI_SZ.

        Raises:
            HiveLimitError: an empty text, which would end the list.
        """
        if any(not text for text in texts):
            raise HiveLimitError("an empty text ends a REG_MULTI_SZ", field=name)
        return cls(name, ValueType.REG_MULTI_SZ, b"".join(map(encode_text, texts)) + b"\0\0")

    @classmethod
    def number(cls, name: str, number: int, kind: int = ValueType.REG_DWORD) -> Self:
        """A REG_DWORD, REG_DWORD_BIG_ENDIAN or REG_QWORD.

        Raises:
            HiveLimitError: it does not fit.
        """
        code = _NUMBERS[ValueType(kind)]
        if not 0 <= number < 1 << 8 * struct.calcsize(code):
            raise HiveLimitError(
                "the number does not fit the type", field=name, expected=type_name(kind), actual=number
            )
        return cls(name, kind, struct.pack(code, number))

    @classmethod
    def binary(cls, name: str, data: bytes) -> Self:
        """A REG_BINARY."""
        return cls(name, ValueType.REG_BINARY, data)


@dataclass(slots=True)
class Key:
    """A key with all that is below it.

    ``modified`` is a FILETIME, ``security`` a self-relative security descriptor (``None``: that of the parent, and
    for the root one that lets the system and administrators do everything). ``flags`` keeps bits beyond those that
    follow from the key's place and name. ``control`` has the flags of virtualization and of Wow64 (the high half of the
    field of the longest name), and ``handle`` is what a key with the flag PREDEFINED_HANDLE has in place of values.
    """

    name: str = ""
    values: list[Value] = field(default_factory=list)
    keys: list[Key] = field(default_factory=list)
    modified: int = 0
    class_name: bytes = b""
    security: bytes | None = None
    flags: int = 0
    access: int = 0
    control: int = 0
    handle: int = 0

    def key(self, path: str) -> Key:
        """The key at ``path``; names are separated by backslashes and their case does not count.

        Raises:
            KeyNotFoundError: there is none.
        """
        found = self.find(path)
        if found is None:
            raise KeyNotFoundError("there is no such key", structure="KeyNode", field=path)
        return found

    def find(self, path: str) -> Key | None:
        """The key at ``path``, or ``None``."""
        node = self
        for name in split(path):
            wanted = upcase(name)
            below = next((key for key in node.keys if upcase(key.name) == wanted), None)
            if below is None:
                return None
            node = below
        return node

    def make(self, path: str) -> Key:
        """The key at ``path``, made with those above it where there is none."""
        node = self
        for name in split(path):
            below = node.find(name)
            if below is None:
                below = Key(name, modified=self.modified)
                node.keys.append(below)
            node = below
        return node

    def remove(self, path: str) -> None:
        """Take the key at ``path`` away with all that is below it.

        Raises:
            KeyNotFoundError: there is none, or it is this key.
        """
        *above, name = split(path) or [""]
        parent = self.key("\\".join(above))
        if not name:
            raise KeyNotFoundError("a key cannot be removed from itself", structure="KeyNode", field=path)
        parent.keys.remove(parent.key(name))

    def value(self, name: str = "") -> Value:
        """The value of that name.

        Raises:
            KeyNotFoundError: there is none.
        """
        wanted = upcase(name)
        for value in self.values:
            if upcase(value.name) == wanted:
                return value
        raise KeyNotFoundError("there is no such value", structure="KeyValue", field=name or "(default)")

    def set(self, value: Value) -> None:
        """Put a value in place of the one of its name, or after the others."""
        wanted = upcase(value.name)
        for position, present in enumerate(self.values):
            if upcase(present.name) == wanted:
                self.values[position] = value
                return
        self.values.append(value)

    def discard(self, name: str) -> None:
        """Take a value away, if it is there."""
        wanted = upcase(name)
        self.values[:] = [value for value in self.values if upcase(value.name) != wanted]

    def walk(self) -> Iterator[tuple[str, Key]]:
        """This key and all below it as ``(path, key)``, parents first; the path of this key is ``""``."""
        pending = [("", self)]
        while pending:
            path, key = pending.pop()
            yield path, key
            pending.extend((f"{path}\\{below.name}" if path else below.name, below) for below in reversed(key.keys))


def split(path: str) -> list[str]:
    """The names of a path; empty ones count for nothing."""
    return [name for name in path.split("\\") if name]


def encode_text(text: str) -> bytes:
    """UTF-16 with the zero that ends it."""
    return (text + "\0").encode("utf-16-le", "surrogatepass")


def decode(kind: int, data: bytes) -> Decoded:
    """The value of the bytes of a type; the bytes themselves where they do not agree with the type."""
    if kind in _TEXT and len(data) % 2 == 0:
        return data.decode("utf-16-le", "surrogatepass").split("\0", 1)[0]
    if kind == ValueType.REG_MULTI_SZ and len(data) % 2 == 0:
        texts = data.decode("utf-16-le", "surrogatepass").split("\0")
        return texts[: texts.index("")] if "" in texts else texts
    code = _NUMBERS.get(kind)  # type: ignore[call-overload]  # an IntEnum member equals its number
    if code is not None and len(data) == struct.calcsize(code):
        number: int = struct.unpack(code, data)[0]
        return number
    return data
