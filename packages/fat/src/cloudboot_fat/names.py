"""Long and short names: what is allowed, how one follows from the other, when two are the same.

fatgen103: "FAT Directory Structure" (short names), "FAT Long Directory Entries", "Name Limits and Character Sets",
"Name Matching In Short & Long Names", "Naming Conventions and Long Names".
"""

from __future__ import annotations

import codecs
import struct
from functools import cache
from typing import TYPE_CHECKING

from . import upcase
from .errors import InvalidNameError, OptionError
from .records import LongNameEntry

if TYPE_CHECKING:
    from collections.abc import Callable

LONG_NAME_MAX = 255  # UTF-16 code units
UNITS_PER_ENTRY = 13
LAST_LONG_ENTRY = 0x40
ATTR_LONG_NAME = 0x0F
LOWER_BASE, LOWER_EXTENSION = 0x08, 0x10

_CONTROL = {chr(code) for code in range(0x20)}
FORBIDDEN_LONG = frozenset(_CONTROL | set('"*/:<>?\\|'))
FORBIDDEN_SHORT = frozenset(FORBIDDEN_LONG | set("+,.;=[]"))
_SHORT = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'()-@^_`{}~")
_FORBIDDEN_SHORT_BYTES = frozenset(ord(c) for c in FORBIDDEN_SHORT)
_ASCII_UPPER = {code: code - 0x20 for code in range(ord("a"), ord("z") + 1)}
_LONG = LongNameEntry.LAYOUT.struct()


def fold(name: str) -> str:
    """The form in which two equal names are equal: upper case, one code unit at a time, as Windows has it."""
    if name.isascii():
        return name.upper()
    # translate() leaves ASCII alone, and upper() of ASCII letters must not touch the others.
    return name.translate(_ASCII_UPPER).translate(upcase.table())


def validate(name: str) -> None:
    """Refuse a name that cannot be a long name.

    Raises:
        InvalidNameError: empty, ``.`` or ``..``, too long, a forbidden character, or a dot or space at the end.
    """
    problem = long_name_problem(name)
    if problem is not None:
        raise InvalidNameError(problem, field="name", actual=ascii(name))


def long_name_problem(name: str) -> str | None:
    """What is wrong with ``name`` as a long name, or ``None``."""
    if not name or name in {".", ".."}:
        return "not a name"
    if not FORBIDDEN_LONG.isdisjoint(name):
        return f"the name holds {min(FORBIDDEN_LONG & set(name))!r}"
    if name[-1] in ". ":
        return "the name ends in a dot or a space, which VFAT drops"
    if not name.isascii():
        try:
            units = len(name.encode("utf-16-le")) // 2
        except UnicodeEncodeError:
            return "the name is not Unicode text"
    else:
        units = len(name)
    if units > LONG_NAME_MAX:
        return f"the name has {units} UTF-16 units; {LONG_NAME_MAX} is the limit"
    return None


def checksum(short: bytes) -> int:
    """``LDIR_Chksum`` of an 11-byte short name ("Checksum" under "FAT Long Directory Entries")."""
    total = 0
    for byte in short:
        total = (((total & 1) << 7) + (total >> 1) + byte) & 0xFF
    return total


def exact_short(name: str) -> bytes | None:
    """``name`` as the 11 bytes of ``DIR_Name`` if it is a short name just as it is, else ``None``."""
    base, dot, extension = name.partition(".")
    if not 1 <= len(base) <= 8 or len(extension) > 3 or (dot and not extension):
        return None
    if not _SHORT.issuperset(base) or not _SHORT.issuperset(extension):
        return None
    return base.encode("ascii").ljust(8) + extension.encode("ascii").ljust(3)


def long_entry_count(name: str) -> int:
    """How many directory entries the long name takes; 0 if the short name says it all."""
    if exact_short(name) is not None:
        return 0
    units = len(name) if name.isascii() else len(name.encode("utf-16-le")) // 2
    return -(-units // UNITS_PER_ENTRY)


def needs_tail(name: str) -> bool:
    """Whether its short name cannot be the name itself in upper case."""
    return _basis(name)[2]


class ShortNames:
    """Chooses a short name for every long name of one directory ("The Basis-Name Generation Algorithm").

    Only ASCII goes into a short name, so that it does not depend on a code page; any other character becomes ``_``
    and forces a numeric tail.
    """

    def __init__(self) -> None:
        self._next: dict[tuple[str, str], int] = {}

    def choose(self, name: str, is_taken: Callable[[bytes], bool]) -> bytes:
        """An 11-byte short name for ``name`` that is not taken. The caller has to make ``is_taken`` true for it.

        Raises:
            InvalidNameError: all 999,999 numeric tails are taken.
        """
        base, extension, lossy = _basis(name)
        if not lossy:
            short = (base.ljust(8) + extension.ljust(3)).encode("ascii")
            if not is_taken(short):
                return short
        stem = base[:6]
        number = self._next.get((stem, extension), 1)
        while number < 1_000_000:
            tail = f"~{number}"
            short = (base[: 8 - len(tail)] + tail).ljust(8).encode("ascii") + extension.ljust(3).encode("ascii")
            number += 1
            if not is_taken(short):
                self._next[stem, extension] = number
                return short
        raise InvalidNameError("no short name is left for it in this directory", field="name", actual=ascii(name))


def _basis(name: str) -> tuple[str, str, bool]:
    """Base, extension, and whether something was lost on the way."""
    stripped = name.replace(" ", "").lstrip(".")
    lossy = stripped != name
    base, dot, extension = stripped.rpartition(".")
    if not dot:
        base, extension = stripped, ""
    if "." in base:
        base, lossy = base.replace(".", ""), True
    base, changed_base = _oem(base)
    extension, changed_extension = _oem(extension)
    lossy = lossy or changed_base or changed_extension or len(base) > 8 or len(extension) > 3
    return base[:8] or "_", extension[:3], lossy or not base


def _oem(text: str) -> tuple[str, bool]:
    upper = text.upper() if text.isascii() else fold(text)
    short = "".join(char if char in _SHORT else "_" for char in upper)
    return short, short != upper


def display_short(raw: bytes, codepage: str, case: int = 0) -> str:
    """The name a user sees for the 11 bytes of ``DIR_Name``; ``case`` is ``DIR_NTRes``.

    Bytes a name cannot hold appear as U+FFFD, so that no path from a damaged volume has a separator in it.
    """
    if raw[0] == 0x05:  # stands for 0xE5, which would mark the entry as deleted
        raw = b"\xe5" + raw[1:]
    base = _text(raw[:8].rstrip(b" "), codepage)
    extension = _text(raw[8:].rstrip(b" "), codepage)
    if case & LOWER_BASE:
        base = base.lower()
    if case & LOWER_EXTENSION:
        extension = extension.lower()
    return f"{base}.{extension}" if extension else base or "\ufffd"


def _text(raw: bytes, codepage: str) -> str:
    text = raw.decode(codepage, "replace")
    if raw.isalnum():
        return text
    return "".join("\ufffd" if char in FORBIDDEN_LONG or char == "." else char for char in text)


@cache
def lead_bytes(codepage: str) -> frozenset[int]:
    """The bytes that begin a character of two bytes: none in most code pages, many in cp932, cp936, cp949 and cp950.

    Raises:
        OptionError: Python has no codec for this code page, or DOS cannot use it.
    """
    wrong = OptionError("no such code page", field="codepage", expected="such as cp437", actual=codepage)
    try:
        usable = b"AZ09".decode(codepage) == "AZ09"
        make = codecs.getincrementaldecoder(codepage)
    except (LookupError, UnicodeError):
        raise wrong from None
    if not usable:
        raise wrong
    try:
        return frozenset(byte for byte in range(0x80, 0x100) if not make("replace").decode(bytes([byte])))
    except UnicodeError:  # an encoding that takes no bytes of this kind: idna
        raise wrong from None


def single_bytes(raw: bytes, codepage: str) -> bytes:
    """``raw`` without the characters that take two bytes, whose second byte means nothing by itself."""
    leads = lead_bytes(codepage)
    if leads.isdisjoint(raw):
        return raw
    kept = bytearray()
    at = 0
    while at < len(raw):
        if raw[at] in leads and at + 1 < len(raw):
            at += 2
            continue
        kept.append(raw[at])
        at += 1
    return bytes(kept)


def short_name_problem(raw: bytes, codepage: str = "cp437") -> str | None:
    """What is wrong with the 11 bytes of ``DIR_Name``, or ``None``."""
    if raw[0] == 0x20:
        return "the short name starts with a space"
    if raw[0] == 0x05:  # stands for 0xE5, which may begin a character of two bytes
        raw = b"\xe5" + raw[1:]
    body = single_bytes(raw[:8], codepage) + single_bytes(raw[8:], codepage)
    bad = _FORBIDDEN_SHORT_BYTES.intersection(body)
    if bad:
        return f"the short name holds byte {min(bad):#04x}"
    if any(0x61 <= byte <= 0x7A for byte in body):
        return "the short name has lower-case letters"
    return None


def long_entries(name: str, short: bytes) -> bytes:
    """The directory entries that carry ``name`` in front of the entry of ``short``."""
    units = name.encode("utf-16-le")
    count = -(-len(units) // (2 * UNITS_PER_ENTRY))
    # A name that fills its last entry has no terminator; any other has one, then 0xFFFF.
    padded = (units + b"\0\0").ljust(count * 26, b"\xff")[: count * 26]
    total = checksum(short)
    entries = bytearray()
    for number in range(count, 0, -1):
        part = padded[26 * (number - 1) : 26 * number]
        order = number | LAST_LONG_ENTRY if number == count else number
        entries += _LONG.pack(order, part[:10], ATTR_LONG_NAME, 0, total, part[10:22], 0, part[22:])
    return bytes(entries)


def decode_long(parts: list[bytes]) -> tuple[str, str | None]:
    """The long name in ``parts`` (26 bytes each, first characters first), and what is wrong with it if anything is.

    A lone surrogate becomes U+FFFD.
    """
    raw = b"".join(parts)
    units = struct.unpack(f"<{len(raw) // 2}H", raw)
    problem = None
    if 0 in units:
        end = units.index(0)
        if any(unit != 0xFFFF for unit in units[end + 1 :]):
            problem = "the padding after the terminator is not 0xFFFF"
        if end <= len(units) - 1 - UNITS_PER_ENTRY:
            problem = "the name needs fewer entries than it has"
        raw = raw[: 2 * end]
    try:
        name = raw.decode("utf-16-le")
    except UnicodeDecodeError:
        name = raw.decode("utf-16-le", "replace")
        problem = "the name is not valid UTF-16"
    return name, long_name_problem(name) or problem
