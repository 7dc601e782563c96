"""Rules for names: what NTFS can hold, and what Windows accepts (MS-FSCC 2.1.5)."""

from __future__ import annotations

from typing import Final

from cloudboot_ntfs.errors import NameTooLongError, PathError
from cloudboot_ntfs.upcase import units

#: UTF-16 units of a name at most.
MAX_NAME: Final = 255
_RESERVED: Final = frozenset('<>:"\\|?*') | {chr(code) for code in range(32)}
_DEVICES: Final = frozenset(
    {
        "CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$",
        *(f"{name}{digit}" for name in ("COM", "LPT") for digit in "123456789\u00b9\u00b2\u00b3"),
    }
)  # fmt: skip


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
