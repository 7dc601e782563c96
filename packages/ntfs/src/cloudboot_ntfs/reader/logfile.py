"""What $LogFile says of the volume: whether there is anything to be replayed (linux-ntfs, "$LogFile")."""

from __future__ import annotations

import enum
import struct
from typing import TYPE_CHECKING, Final, NamedTuple

from cloudboot_ntfs.errors import FixupError
from cloudboot_ntfs.layout import fixup
from cloudboot_ntfs.layout.constants import Number, Type

if TYPE_CHECKING:
    from .mft import Mft

_PAGE: Final = 4096
_PIECE: Final = 1 << 20
_CLIENTS_NONE, _IS_CLEAN = 0xFFFF, 0x0002


class LogState(enum.StrEnum):
    """The states of a log."""

    EMPTY = "empty"  #: all ones: the next mount begins a new one
    CLEAN = "clean"  #: of a volume that was unmounted
    REPLAY = "to be replayed"
    DAMAGED = "damaged"


class Log(NamedTuple):
    """The state of a log, and for one that is damaged what is wrong with it."""

    state: LogState
    message: str = ""
    field: str = ""
    offset: int | None = None
    expected: object = None
    actual: object = None


def read_log(mft: Mft) -> Log:
    """The state of $LogFile.

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
    if head[:4] not in (b"RSTR", b"CHKD") or len(head) < _PAGE:
        return Log(LogState.DAMAGED, "neither empty nor a log", "signature", expected=b"RSTR", actual=head[:4])
    page = bytearray(head)
    try:
        fixup.restore(page, "RSTR")
    except FixupError as error:
        return Log(LogState.DAMAGED, str(error), "usa")
    area = struct.unpack_from("<H", page, 24)[0]
    if area + 16 > len(page):
        return Log(LogState.DAMAGED, "the restart area passes its page", "restart_area_offset", actual=area)
    in_use, flags = struct.unpack_from("<HH", page, area + 12)
    if in_use != _CLIENTS_NONE and not flags & _IS_CLEAN:
        return Log(LogState.REPLAY, "the log holds what is to be replayed", "flags", expected=_IS_CLEAN, actual=flags)
    return Log(LogState.CLEAN)
