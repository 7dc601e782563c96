"""The arguments of a device node's text, and the values that are in them (UEFI 2.10 section 10.6.1.6)."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Final
from uuid import UUID

from cloudboot_uefi_abi.errors import DevicePathError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Arguments", "guid_from", "guid_text", "ipv4_text", "ipv6_text", "is_plain"]

_GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_HEX = re.compile(r"([0-9a-fA-F]{2})*")
_PLAIN = re.compile(r"[ -'*+\--~]*")
EMPTY: Final = ""


def is_plain(text: str) -> bool:
    """Whether ``text`` fits into an argument: printable ASCII without parentheses and commas."""
    return _PLAIN.fullmatch(text) is not None


@functools.lru_cache(maxsize=1024)
def guid_from(data: bytes) -> UUID:
    """The GUID that sixteen bytes are; few differ in the paths of one machine, and making one takes microseconds."""
    return UUID(bytes_le=data)


@functools.lru_cache(maxsize=1024)
def _guid(text: str) -> UUID:
    return UUID(text)


@functools.lru_cache(maxsize=1024)
def guid_text(guid: UUID) -> str:
    """A GUID in the notation of EDK2: capital letters."""
    return str(guid).upper()


def ipv4_text(address: bytes, port: int = 0) -> str:
    """``"10.0.2.2"``, or ``"10.0.2.2:67"`` where there is a port."""
    text = ".".join(map(str, address))
    return f"{text}:{port}" if port else text


def ipv6_text(address: bytes, port: int = 0) -> str:
    """All eight groups of four digits, or ``"[...]:547"`` where there is a port."""
    digits = address.hex().upper()
    text = ":".join(digits[index : index + 4] for index in range(0, 32, 4))
    return f"[{text}]:{port}" if port else text


class Arguments:
    """The arguments of one node, taken in order; ``offset`` is where the node is in the text, in characters."""

    def __init__(self, name: str, text: str, offset: int) -> None:
        self.name = name
        self.whole = text
        self._words = text.split(",") if text else []
        self._taken = 0
        self._offset = offset

    def error(self, message: str, *, expected: object = None, actual: object = None) -> DevicePathError:
        """The error of this node's text."""
        return DevicePathError(
            message, structure=self.name, field=f"argument {self._taken}", offset=self._offset,
            expected=expected, actual=actual,
        )  # fmt: skip

    @property
    def remaining(self) -> int:
        """Arguments not yet taken."""
        return max(0, len(self._words) - self._taken)

    def word(self, default: str | None = None) -> str:
        """The next argument as it is written, or ``default`` where it is missing or empty.

        Raises:
            DevicePathError: it is missing or empty, and there is no default.
        """
        found = self._words[self._taken].strip(" ") if self._taken < len(self._words) else ""
        self._taken += 1
        if found:
            return found
        if default is None:
            raise self.error("a required argument is missing")
        return default

    def rest(self) -> str:
        """Everything not yet taken, commas included."""
        found = ",".join(self._words[self._taken :])
        self._taken = len(self._words)
        return found

    def end(self) -> None:
        """Refuse arguments that were not taken.

        Raises:
            DevicePathError: there are more arguments than the node has.
        """
        if self.remaining:
            raise self.error("too many arguments", expected=self._taken, actual=len(self._words))

    def integer(self, bits: int, default: int | None = None) -> int:
        """An integer of ``bits`` bits, decimal or with 0x in front.

        Raises:
            DevicePathError: not an integer, or too large.
        """
        text = self.word(None if default is None else str(default))
        # Letters and digits only: int() would also take signs, blanks and underscores.
        plain = text.isalnum() and text.isascii() and len(text) <= 24
        try:
            value = int(text, 16 if text[:2] in {"0x", "0X"} else 10) if plain else -1
        except ValueError:
            value = -1
        if value < 0:
            raise self.error("not an integer", actual=text)
        if value >> bits:
            raise self.error("the integer is too large", expected=f"at most {bits} bits", actual=value)
        return value

    def choice(self, names: Mapping[str, int], bits: int, default: int | None = None) -> int:
        """One of the keywords ``names``, or an integer."""
        text = self.word(EMPTY if default is not None else None)
        if text in names:
            return names[text]
        self._taken -= 1
        return self.integer(bits, default)

    def guid(self) -> UUID:
        """A GUID.

        Raises:
            DevicePathError: not a GUID.
        """
        text = self.word()
        if _GUID.fullmatch(text) is None:
            raise self.error("not a GUID", actual=text)
        return _guid(text)

    def hexdump(self, size: int | None = None, default: str | None = None) -> bytes:
        """Bytes in hexadecimal, ``size`` of them if that is given; ``0x`` in front is passed over.

        Raises:
            DevicePathError: not hexadecimal digits in pairs, or another number of bytes.
        """
        text = self.word(default)
        digits = text[2:] if text[:2] in {"0x", "0X"} else text
        if _HEX.fullmatch(digits) is None:
            raise self.error("not a hex dump", actual=text)
        if size is not None and len(digits) != 2 * size:
            raise self.error("a hex dump of another size", expected=size, actual=len(digits) // 2)
        return bytes.fromhex(digits)

    def ipv4(self, default: str | None = None) -> tuple[bytes, int]:
        """An IPv4 address and its port, 0 where none is written.

        Raises:
            DevicePathError: not an IPv4 address.
        """
        import ipaddress  # 4 ms; only texts with addresses need it

        text = self.word(default)
        address, _, port = text.partition(":")
        try:
            packed = ipaddress.IPv4Address(address).packed
        except ValueError:
            raise self.error("not an IPv4 address", actual=text) from None
        return packed, self._port(port)

    def ipv6(self, default: str | None = None) -> tuple[bytes, int]:
        """An IPv6 address and its port, 0 where none is written.

        Raises:
            DevicePathError: not an IPv6 address.
        """
        import ipaddress  # as above

        text = self.word(default)
        address, port = text, ""
        if text.startswith("["):
            address, _, port = text[1:].partition("]")
        try:
            packed = ipaddress.IPv6Address(address).packed
        except ValueError:
            raise self.error("not an IPv6 address", actual=text) from None
        return packed, self._port(port.removeprefix(":"))

    def _port(self, text: str) -> int:
        if not text:
            return 0
        if not text.isascii() or not text.isdigit() or len(text) > 5 or int(text) > 0xFFFF:
            raise self.error("not a port", actual=text)
        return int(text)
