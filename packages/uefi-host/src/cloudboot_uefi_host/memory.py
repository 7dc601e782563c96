"""Guest memory as bytes at physical addresses."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from .errors import GuestPointerError

if TYPE_CHECKING:
    from typing_extensions import Buffer

_U16, _U32, _U64 = struct.Struct("<H"), struct.Struct("<I"), struct.Struct("<Q")
_MASK64 = (1 << 64) - 1
#: The longest string that a service reads, in characters.
MAX_STRING = 65536


class GuestMemory:
    """RAM of ``len(view)`` bytes from the physical address ``base``, shared with the processor.

    Raises (every method):
        GuestPointerError: the range is not inside the RAM.
    """

    def __init__(self, view: memoryview, base: int) -> None:
        self.view, self.base, self.size = view, base, len(view)

    @property
    def end(self) -> int:
        """The first address after the RAM."""
        return self.base + self.size

    def offset(self, address: int, count: int) -> int:
        """Where ``address`` is in :attr:`view`, after checking that ``count`` bytes are there."""
        offset = address - self.base
        if offset < 0 or count < 0 or offset + count > self.size:
            raise GuestPointerError(f"{count} bytes at {address:#x} are outside memory ({self.base:#x}-{self.end:#x})")
        return offset

    def read(self, address: int, count: int) -> bytes:
        """``count`` bytes."""
        offset = self.offset(address, count)
        return bytes(self.view[offset : offset + count])

    def write(self, address: int, data: Buffer) -> None:
        """Store ``data``."""
        source = memoryview(data).cast("B")
        offset = self.offset(address, len(source))
        self.view[offset : offset + len(source)] = source

    def window(self, address: int, count: int) -> memoryview:
        """The bytes themselves, writable."""
        offset = self.offset(address, count)
        return self.view[offset : offset + count]

    def fill(self, address: int, count: int, value: int = 0) -> None:
        """Set ``count`` bytes to ``value``."""
        offset = self.offset(address, count)
        self.view[offset : offset + count] = bytes([value & 0xFF]) * count

    def u8(self, address: int) -> int:
        """An unsigned byte."""
        return self.view[self.offset(address, 1)]

    def u16(self, address: int) -> int:
        """A little-endian 16-bit integer."""
        return int(_U16.unpack_from(self.view, self.offset(address, 2))[0])

    def u32(self, address: int) -> int:
        """A little-endian 32-bit integer."""
        return int(_U32.unpack_from(self.view, self.offset(address, 4))[0])

    def u64(self, address: int) -> int:
        """A little-endian 64-bit integer."""
        return int(_U64.unpack_from(self.view, self.offset(address, 8))[0])

    def put8(self, address: int, value: int) -> None:
        """Store the low 8 bits of ``value``."""
        self.view[self.offset(address, 1)] = value & 0xFF

    def put16(self, address: int, value: int) -> None:
        """Store the low 16 bits of ``value``."""
        _U16.pack_into(self.view, self.offset(address, 2), value & 0xFFFF)

    def put32(self, address: int, value: int) -> None:
        """Store the low 32 bits of ``value``."""
        _U32.pack_into(self.view, self.offset(address, 4), value & 0xFFFFFFFF)

    def put64(self, address: int, value: int) -> None:
        """Store the low 64 bits of ``value``."""
        _U64.pack_into(self.view, self.offset(address, 8), value & _MASK64)

    def text(self, address: int, limit: int = MAX_STRING) -> str:
        """The NUL-terminated UCS-2 string at ``address``, without its end; unpaired surrogates are kept.

        Raises:
            GuestPointerError: there is no NUL within ``limit`` characters, or within the RAM.
        """
        parts, at, left = [], address, limit
        while left > 0:
            count = min(left, 64, (self.end - at) // 2)
            if count <= 0:
                break
            chunk = self.read(at, 2 * count)
            for index in range(0, len(chunk), 2):
                if chunk[index] == 0 and chunk[index + 1] == 0:
                    parts.append(chunk[:index])
                    return b"".join(parts).decode("utf-16-le", "surrogatepass")
            parts.append(chunk)
            at, left = at + 2 * count, left - count
        raise GuestPointerError(f"the string at {address:#x} has no end within {limit} characters")
