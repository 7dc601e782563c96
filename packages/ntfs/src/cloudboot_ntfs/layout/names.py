"""Rules for names: what NTFS can hold, and what Windows accepts (MS-FSCC 2.1.5)."""

from __future__ import annotations

import re
import zlib
from typing import TYPE_CHECKING, Final

from cloudboot_ntfs.errors import NameTooLongError, PathError
from cloudboot_ntfs.upcase import units

if TYPE_CHECKING:
    from collections.abc import Callable

#: UTF-16 units of a name at most.
MAX_NAME: Final = 255
_RESERVED: Final = frozenset('<>:"\\|?*') | {chr(code) for code in range(32)}
_SUSPECT: Final = re.compile(r'[<>:"\\|?*\x00-\x1f]|[. ]\Z|(?:CON|PRN|AUX|NUL|COM|LPT)', re.IGNORECASE)
_DEVICES: Final = frozenset(
    {
        "CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$",
        *(f"{name}{digit}" for name in ("COM", "LPT") for digit in "123456789\u00b9\u00b2\u00b3"),
    }
)  # fmt: skip


#: Names of printable ASCII that require_name and require_windows_name take: nearly all.
_ORDINARY: Final = re.compile(
    r"(?!(?i:CON|PRN|AUX|NUL|COM|LPT))[\x20-\x21\x23-\x29\x2b-\x2e0-9;=@-\[\]-{}~]{1,255}(?<![. ])"
)


def is_ordinary(name: str) -> bool:
    """Whether a name is surely right; one that is not must be looked at more closely."""
    return _ORDINARY.fullmatch(name) is not None


def require_name(name: str, path: str) -> None:
    """Refuse a name that no directory of NTFS can hold.

    Raises:
        PathError: empty, ``.``, ``..``, or with a slash or a zero.
        NameTooLongError: more than 255 UTF-16 units.
    """
    if not name or name in (".", "..") or "/" in name or "\0" in name:
        raise PathError(f"{path}: a name that no directory can hold", actual=name)
    if len(units(name)) > MAX_NAME:
        raise NameTooLongError(
            f"{path}: the name is too long", expected=f"{MAX_NAME} UTF-16 units", actual=len(units(name))
        )


def require_windows_name(name: str, path: str) -> None:
    r"""Refuse a name that NTFS can hold and Windows' own interface cannot open.

    Raises:
        PathError: a character of ``<>:"\|?*`` or below U+0020, a dot or a space at the end, or the name of a device.
    """
    wrong = sorted(set(name) & _RESERVED)
    if wrong:
        raise PathError(f"{path}: a character that Windows reserves", actual=wrong[0])
    if name[-1:] in (".", " "):
        raise PathError(f"{path}: Windows drops a dot or a space at the end of a name", actual=name[-1])
    if name.split(".", maxsplit=1)[0].rstrip(" ").upper() in _DEVICES:
        raise PathError(f"{path}: the name of a device", actual=name)


def is_windows_name(name: str) -> bool:
    """Whether Windows' own interface can open a name."""
    if _SUSPECT.search(name) is None:
        return True
    try:
        require_windows_name(name, name)
    except PathError:
        return False
    return True


#: Characters that DOS has in names, besides letters and digits.
_DOS_SIGNS: Final = frozenset("!#$%&'()-@^_`{}~")


def short_name(name: str, is_taken: Callable[[str], bool]) -> str:
    """A free name of at most eight characters and three for a long one, as Windows makes them.

    The first six characters, ``~`` and a number; after four of them two characters and four digits of a hash, so that
    many names that begin alike do not need many attempts.
    """
    base, dot, extension = name.strip(". ").rpartition(".")
    if not dot:
        base, extension = extension, ""
    base, extension = _dos_characters(base) or "_", _dos_characters(extension)[:3]
    tail = f".{extension}" if extension else ""
    for number in range(1, 5):
        found = f"{base[:6]}~{number}{tail}"
        if not is_taken(found):
            return found
    for attempt in range(1 << 16):
        digest = zlib.crc32(f"{attempt} {name}".encode("utf-8", "surrogatepass")) & 0xFFFF
        found = f"{base[:2]}{digest:04X}~{attempt % 9 + 1}{tail}"
        if not is_taken(found):
            return found
    raise PathError(f"{name}: the directory has no free short name for it")


def _dos_characters(text: str) -> str:
    return "".join(
        each if each.isascii() and (each.isalnum() or each in _DOS_SIGNS) else "_"
        for each in text.upper()
        if each not in ". "
    )
