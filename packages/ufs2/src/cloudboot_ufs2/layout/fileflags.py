"""The names of ``di_flags`` (stat.h), as ls(1) and chflags(1) have them, and archives of bsdtar."""

from __future__ import annotations

#: The name that is written first, others that are read; a snapshot is nothing an archive could make.
_NAMES: tuple[tuple[int, tuple[str, ...]], ...] = (
    (0x00000001, ("nodump",)),
    (0x00000002, ("uchg", "uchange", "uimmutable")),
    (0x00000004, ("uappnd", "uappend")),
    (0x00000008, ("opaque",)),
    (0x00000010, ("uunlnk", "uunlink")),
    (0x00000080, ("usystem", "system")),
    (0x00000100, ("usparse", "sparse")),
    (0x00000200, ("uoffline", "offline")),
    (0x00000400, ("ureparse", "reparse")),
    (0x00000800, ("uarch", "uarchive")),
    (0x00001000, ("urdonly", "rdonly", "readonly")),
    (0x00008000, ("uhidden", "hidden")),
    (0x00010000, ("arch", "archived")),
    (0x00020000, ("schg", "schange", "simmutable")),
    (0x00040000, ("sappnd", "sappend")),
    (0x00100000, ("sunlnk", "sunlink")),
)
_VALUES = {name: value for value, names in _NAMES for name in names}


def parse_flags(text: str) -> tuple[int, list[str]]:
    """The flags of ``"schg,uarch"``, and the names that mean nothing to FreeBSD; ``no`` before a name clears it."""
    flags, unknown = 0, []
    for name in filter(None, text.replace(" ", "").split(",")):
        opposite = "nodump" if name == "dump" else name.removeprefix("no")  # strtofflags(3)
        if name in _VALUES:
            flags |= _VALUES[name]
        elif opposite in _VALUES:
            flags &= ~_VALUES[opposite]
        elif name != "none":
            unknown.append(name)
    return flags, unknown


def flags_text(flags: int) -> str:
    """The flags by their names, as they are in an archive; those without one are left out."""
    return ",".join(names[0] for value, names in _NAMES if flags & value)
