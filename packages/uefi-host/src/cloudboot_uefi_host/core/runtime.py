"""Runtime services but for the variables (UEFI 2.10 chapter 8)."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, NoReturn

from cloudboot_uefi_abi.layout.records import EFI_TIME, EFI_TIME_CAPABILITIES
from cloudboot_uefi_abi.status import Status

from .control import MachineReset

if TYPE_CHECKING:
    from cloudboot_uefi_host.memory import GuestMemory

    from .clock import Clock

_UNSPECIFIED_TIMEZONE = 0x7FF
_RESETS = 4
#: ResetData beyond this is not kept, in bytes.
_MAX_DATA = 4096
_MAX_CAPSULE = 0


def efi_time(moment: datetime.datetime | None) -> bytes:
    """``moment`` as EFI_TIME; zeros for ``None``. A moment without a time zone is local time."""
    if moment is None:
        return bytes(EFI_TIME.SIZE)
    offset = moment.utcoffset()
    zone = _UNSPECIFIED_TIMEZONE if offset is None else -int(offset.total_seconds()) // 60
    return EFI_TIME(
        Year=moment.year,
        Month=moment.month,
        Day=moment.day,
        Hour=moment.hour,
        Minute=moment.minute,
        Second=moment.second,
        Nanosecond=moment.microsecond * 1000,
        TimeZone=zone,
    ).pack()


class RuntimeServices:
    """Time and reset."""

    def __init__(self, memory: GuestMemory, clock: Clock) -> None:
        self._memory, self._clock = memory, clock
        self._high_count = 1

    def now(self) -> datetime.datetime:
        """The wall clock of the machine, in UTC."""
        return datetime.datetime.fromtimestamp(self._clock.wall_time(), datetime.UTC)

    def get_time(self, time: int, capabilities: int) -> int:
        """GetTime."""
        if not time:
            return Status.INVALID_PARAMETER
        self._memory.write(time, efi_time(self.now()))
        if capabilities:
            self._memory.write(capabilities, EFI_TIME_CAPABILITIES(Resolution=1, Accuracy=0, SetsToZero=0).pack())
        return Status.SUCCESS

    def set_time(self, time: int) -> int:
        """SetTime."""
        if not time:
            return Status.INVALID_PARAMETER
        record = EFI_TIME.unpack_from(self._memory.read(time, EFI_TIME.SIZE))
        try:
            moment = datetime.datetime(
                record.Year, record.Month, record.Day, record.Hour, record.Minute, record.Second,
                tzinfo=datetime.UTC,
            )  # fmt: skip
        except ValueError:
            return Status.INVALID_PARAMETER
        self._clock.epoch = int(moment.timestamp() - self._clock.seconds())
        return Status.SUCCESS

    def get_next_high_monotonic_count(self, count: int) -> int:
        """GetNextHighMonotonicCount."""
        if not count:
            return Status.INVALID_PARAMETER
        self._high_count += 1
        self._memory.put32(count, self._high_count)
        return Status.SUCCESS

    def reset_system(self, kind: int, status: int, size: int, data: int) -> NoReturn:
        """ResetSystem: the run ends."""
        content = self._memory.read(data, min(size, _MAX_DATA)) if data and size else b""
        raise MachineReset(kind, status, content)
