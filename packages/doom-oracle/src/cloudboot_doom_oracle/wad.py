"""WAD files: the directory, lumps, and where IWADs are found."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import struct
from functools import cached_property
from pathlib import Path
from typing import Final

from cloudboot_base.storage import read_file

from .errors import WadError

_HEADER = struct.Struct("<4sII")
_ENTRY = struct.Struct("<II8s")
_PALETTE: Final = 768  # bytes: 256 colours
#: Bytes of the largest file that is read; the games' own are below 30 MiB.
_LARGEST: Final = 1 << 30
#: Lumps an IWAD cannot be without.
_NEEDED: Final = ("PLAYPAL", "COLORMAP", "TITLEPIC")
_DEBIAN: Final = ("/usr/share/games/doom/freedoom1.wad", "/usr/share/games/doom/doom1.wad")


class Wad:
    """A WAD in memory. ``lumps`` maps a name to its bytes; of several of one name the last counts, as in the engine."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Read the file.

        Raises:
            WadError: it is no IWAD, or its directory reaches outside of it.
            BudgetError: it is larger than 1 GiB.
            OSError: it cannot be read, or is not an ordinary file.
        """
        self.path = Path(path)
        self.data = read_file(path, _LARGEST)
        self._places = self._directory()
        missing = [name for name in _NEEDED if name not in self._places]
        if missing:
            raise self._bad(f"the IWAD has no {missing[0]}", field="directory", expected=missing[0])
        position, size = self._places["PLAYPAL"]
        if size < _PALETTE or size % _PALETTE:
            raise self._bad(
                "PLAYPAL is not a number of whole palettes", field="PLAYPAL", offset=position,
                expected=f"a multiple of {_PALETTE}", actual=size,
            )  # fmt: skip

    def _bad(
        self, message: str, *, field: str, offset: int | None = None, expected: object = None, actual: object = None
    ) -> WadError:
        return WadError(
            message,
            structure="wadinfo",
            field=field,
            offset=offset,
            expected=expected,
            actual=actual,
            path=os.fspath(self.path),
        )

    def _directory(self) -> dict[str, tuple[int, int]]:
        if len(self.data) < _HEADER.size:
            raise self._bad("the file is shorter than a WAD's header", field="header", actual=len(self.data))
        identification, count, at = _HEADER.unpack_from(self.data)
        if identification == b"PWAD":
            raise self._bad(
                "a PWAD extends a game; an IWAD is needed", field="identification", expected=b"IWAD", actual=b"PWAD"
            )
        if identification != b"IWAD":
            raise self._bad("not a WAD", field="identification", offset=0, expected=b"IWAD", actual=identification)
        if at + count * _ENTRY.size > len(self.data):
            raise self._bad(
                "the directory reaches past the end",
                field="infotableofs",
                offset=8,
                expected=f"at most {len(self.data) - count * _ENTRY.size}",
                actual=at,
            )
        places = {}
        for index in range(count):
            offset = at + index * _ENTRY.size
            position, size, raw = _ENTRY.unpack_from(self.data, offset)
            if size and position + size > len(self.data):
                raise self._bad("a lump reaches past the end", field="filepos", offset=offset, actual=position)
            places[raw.split(b"\0", 1)[0].decode("latin-1").upper()] = (position, size)
        return places

    def __contains__(self, name: str) -> bool:
        return name in self._places

    def lump(self, name: str) -> bytes:
        """The bytes of a lump.

        Raises:
            WadError: there is no such lump.
        """
        if name not in self._places:
            raise self._bad(f"there is no lump {name}", field="directory", expected=name)
        position, size = self._places[name]
        return self.data[position : position + size]

    @cached_property
    def sha256(self) -> str:
        """The digest of the whole file."""
        return hashlib.sha256(self.data).hexdigest()


def find_wads() -> list[Path]:
    """The IWADs of installed packages: PyPI's vizdoom and Debian's freedoom, in that order."""
    found = []
    spec = importlib.util.find_spec("vizdoom")
    if spec is not None and spec.origin is not None:
        found.append(Path(spec.origin).parent / "freedoom1.wad")
    found += [Path(name) for name in _DEBIAN]
    return [path for path in found if path.is_file()]
