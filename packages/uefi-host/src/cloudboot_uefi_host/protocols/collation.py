"""EFI_UNICODE_COLLATION_PROTOCOL2 for English, as EDK2 maps the letters of ISO 8859-1 (UEFI 2.10 section 17.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from cloudboot_uefi_abi.guids import GUIDS
from cloudboot_uefi_abi.protocols.drivers import EFI_UNICODE_COLLATION_PROTOCOL2

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloudboot_uefi_host.core.core import Core

_COLLATION: Final = GUIDS["EFI_UNICODE_COLLATION_PROTOCOL2"].bytes_le
LANGUAGES: Final = b"en\0"
_LOWER: Final = [*range(0x61, 0x7B), *range(0xE0, 0xF7), *range(0xF8, 0xFF)]
_UPPER_OF: Final[dict[int, int]] = {code: code - 0x20 for code in _LOWER}
_LOWER_OF: Final = {upper: lower for lower, upper in _UPPER_OF.items()}
_IN_FAT_NAMES: Final = frozenset({*_LOWER, *_LOWER_OF, *b"0123456789\\._^$~!#%&-{}()@`'"})
_LEFT_OUT: Final = frozenset(b". ")
_MASK: Final = (1 << 64) - 1


class _Set(NamedTuple):
    """One ``[...]`` of a pattern: characters in upper case, and ranges of them."""

    ranges: tuple[tuple[int, int], ...]

    def holds(self, code: int) -> bool:
        return any(first <= code <= last for first, last in self.ranges)


_ANY, _ONE = "*", "?"


class UnicodeCollation:
    """Case folding, comparison and patterns, on strings of 16-bit units."""

    def __init__(self, core: Core) -> None:
        self._memory = core.memory
        self.handle = core.handles.create()
        calls: dict[str, Callable[..., int]] = {
            "StriColl": self._compare,
            "MetaiMatch": self._match,
            "StrLwr": self._lower,
            "StrUpr": self._upper,
            "FatToStr": self._from_fat,
            "StrToFat": self._to_fat,
        }
        values = {"SupportedLanguages": core.allocator.place(LANGUAGES)}
        address = core.publisher.publish(EFI_UNICODE_COLLATION_PROTOCOL2, calls, values)
        core.handles.install(self.handle, _COLLATION, address)

    def _units(self, address: int) -> list[int]:
        data = self._memory.text(address).encode("utf-16-le", "surrogatepass")
        return list(memoryview(data).cast("H"))

    def _compare(self, _this: int, first: int, second: int) -> int:
        left, right = ([*map(_upper, self._units(address)), 0] for address in (first, second))
        found = next((one - other for one, other in zip(left, right, strict=False) if one != other), 0)
        return found & _MASK

    def _match(self, _this: int, string: int, pattern: int) -> int:
        return int(matches(self._units(string), self._units(pattern)))

    def _lower(self, _this: int, string: int) -> int:
        self._put(string, [_LOWER_OF.get(unit, unit) for unit in self._units(string)])
        return 0

    def _upper(self, _this: int, string: int) -> int:
        self._put(string, [_upper(unit) for unit in self._units(string)])
        return 0

    def _put(self, address: int, units: list[int]) -> None:
        for index, unit in enumerate(units):
            self._memory.put16(address + 2 * index, unit)

    def _from_fat(self, _this: int, size: int, fat: int, string: int) -> int:
        count = 0
        while count < size and self._memory.u8(fat + count):
            self._memory.put16(string + 2 * count, self._memory.u8(fat + count))
            count += 1
        self._memory.put16(string + 2 * count, 0)
        return 0

    def _to_fat(self, _this: int, string: int, size: int, fat: int) -> int:
        count, replaced = 0, False
        for unit in self._units(string):
            if count == size:
                break
            if unit in _LEFT_OUT:
                continue
            known = unit in _IN_FAT_NAMES
            replaced |= not known
            self._memory.put8(fat + count, _upper(unit) if known else ord("_"))
            count += 1
        return int(replaced)


def _upper(unit: int) -> int:
    return _UPPER_OF.get(unit, unit)


def matches(string: list[int], pattern: list[int]) -> bool:
    """Whether a string is what a pattern of ``*``, ``?`` and ``[a-z]`` describes, in either case.

    In a set, a range without a first character begins with the lowest one, and one without a last holds nothing, as in
    EDK2; a set that is not closed ends with the pattern. The time is at most the product of both lengths.
    """
    units, parts = [_upper(unit) for unit in string], _parts(pattern)
    at = part = 0
    resume: tuple[int, int] | None = None  # after the last "*": the part that follows, and where it was tried
    while at < len(units) or part < len(parts):
        wanted = parts[part] if part < len(parts) else None
        if wanted == _ANY:
            resume = part + 1, at
            part += 1
        elif at < len(units) and (
            wanted == _ONE or wanted == units[at] or (isinstance(wanted, _Set) and wanted.holds(units[at]))
        ):
            at, part = at + 1, part + 1
        elif resume is not None and resume[1] < len(units):
            part, at = resume[0], resume[1] + 1
            resume = part, at
        else:
            return False
    return True


def _parts(pattern: list[int]) -> list[str | int | _Set]:
    parts: list[str | int | _Set] = []
    at = 0
    while at < len(pattern):
        unit = pattern[at]
        at += 1
        if unit == ord("["):
            ranges: list[tuple[int, int]] = []
            before = 0
            while at < len(pattern) and pattern[at] != ord("]"):
                first = last = _upper(pattern[at])
                if pattern[at] == ord("-"):
                    at += 1
                    if at == len(pattern) or pattern[at] == ord("]"):
                        break
                    first, last = before, _upper(pattern[at])
                before = last
                ranges.append((first, last))
                at += 1
            at += 1
            parts.append(_Set(tuple(ranges)))
        else:
            parts.append({ord("*"): _ANY, ord("?"): _ONE}.get(unit) or _upper(unit))
    return parts


def publish_unicode_collation(core: Core) -> UnicodeCollation:
    """A handle with EFI_UNICODE_COLLATION_PROTOCOL2."""
    return UnicodeCollation(core)
