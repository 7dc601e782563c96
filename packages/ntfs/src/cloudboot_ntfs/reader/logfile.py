"""What $LogFile says of the volume: whether there is anything to be replayed (linux-ntfs, "$LogFile")."""

from __future__ import annotations

import enum
import struct
from typing import TYPE_CHECKING, Final

from cloudboot_base.lightdata import NamedTuple
from cloudboot_ntfs.errors import FixupError
from cloudboot_ntfs.layout import fixup
from cloudboot_ntfs.layout.constants import Number, Type

if TYPE_CHECKING:
    from .mft import Mft
    from .stream import Stream

_PAGE: Final = 4096
_MAX_PAGE: Final = 1 << 16
_PIECE: Final = 1 << 20
_CLIENTS_NONE, _IS_CLEAN = 0xFFFF, 0x0002
#: Major version from which a log may leave changes of the volume in the memory of Windows (Windows 8, fast startup).
_CACHED_VERSION: Final = 2


class LogState(enum.StrEnum):
    """The states of a log."""

    EMPTY = "empty"  #: all ones: the next mount begins a new one
    CLEAN = "clean"  #: of a volume that was unmounted
    REPLAY = "to be replayed"
    CACHED = "in use by a stopped Windows"  #: version 2.0: fast startup, hibernation, or a volume that was unplugged
    DAMAGED = "damaged"


#: States in which the volume may be changed.
SETTLED: Final = (LogState.EMPTY, LogState.CLEAN)


class Log(NamedTuple):
    """The state of a log, and for one that is not settled what is wrong with it."""

    state: LogState
    message: str = ""
    field: str = ""
    offset: int | None = None
    expected: object = None
    actual: object = None


class _Restart(NamedTuple):
    """What counts of a restart page."""

    lsn: int
    clients_in_use: int
    flags: int
    major: int
    minor: int


def read_log(mft: Mft) -> Log:
    """The state of $LogFile: that of the newer of its two restart pages. As with ntfs-3g, the first has to be whole.

    Raises:
        NtfsError: the volume has no such file, or its clusters cannot be read.
    """
    stream = mft.stream(mft.file(Number.LOG_FILE), Type.DATA)
    head = stream.read_at(0, _PAGE)
    if head[:4] == b"\xff\xff\xff\xff":
        for start in range(0, stream.size, _PIECE):
            piece = stream.read_at(start, _PIECE)
            if piece.count(b"\xff") != len(piece):
                return Log(LogState.DAMAGED, "an empty log that holds something", offset=start)
        return Log(LogState.EMPTY)
    first = _restart_page(stream, 0)
    if isinstance(first, Log):
        return first
    second = _restart_page(stream, _page_size(head))
    newest = second if isinstance(second, _Restart) and second.lsn > first.lsn else first
    if newest.major >= _CACHED_VERSION:
        return Log(
            LogState.CACHED,
            "a log of a Windows that was not shut down (fast startup, hibernation): it may hold changes in memory",
            "major_version", expected="1.1", actual=f"{newest.major}.{newest.minor}",
        )  # fmt: skip
    if newest.clients_in_use != _CLIENTS_NONE and not newest.flags & _IS_CLEAN:
        return Log(
            LogState.REPLAY, "the log holds what is to be replayed", "flags", expected=_IS_CLEAN, actual=newest.flags
        )
    return Log(LogState.CLEAN)


def _page_size(head: bytes) -> int:
    """Bytes of a restart page, where the second starts."""
    size = int.from_bytes(head[16:20], "little") if head[:4] in (b"RSTR", b"CHKD") else _PAGE
    return size if 512 <= size <= _MAX_PAGE and not size & (size - 1) else _PAGE


def _restart_page(stream: Stream, offset: int) -> _Restart | Log:
    """The restart page at ``offset``, or what is wrong with it."""
    head = stream.read_at(offset, _PAGE)
    if head[:4] not in (b"RSTR", b"CHKD") or len(head) < _PAGE:
        return Log(LogState.DAMAGED, "neither empty nor a log", "signature", offset, expected=b"RSTR", actual=head[:4])
    page = bytearray(stream.read_at(offset, _page_size(head)))
    try:
        fixup.restore(page, "RSTR")
    except FixupError as error:
        return Log(LogState.DAMAGED, str(error), "usa", offset)
    area, minor, major = struct.unpack_from("<Hhh", page, 24)
    if area + 16 > len(page):
        return Log(LogState.DAMAGED, "the restart area passes its page", "restart_area_offset", offset, actual=area)
    lsn, _, _, in_use, flags = struct.unpack_from("<QHHHH", page, area)
    return _Restart(lsn, in_use, flags, major, minor)
