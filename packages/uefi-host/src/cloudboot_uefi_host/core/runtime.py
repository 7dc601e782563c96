"""Runtime services but for the variables (UEFI 2.10 chapter 8)."""

from __future__ import annotations

import datetime
import math
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
#: The alarm of a PC's clock has no date.
_FARTHEST_ALARM = datetime.timedelta(days=1)


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
    """Time, the wake-up alarm, and reset. There is no firmware to update: capsules are refused."""

    def __init__(self, memory: GuestMemory, clock: Clock) -> None:
        self._memory, self._clock = memory, clock
        self._high_count = 1
        self._alarm: datetime.datetime | None = None

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
        moment = self._moment(time)
        if moment is None:
            return Status.INVALID_PARAMETER
        self._clock.epoch = math.ceil(moment.timestamp() - self._clock.seconds())  # not a second before that moment
        return Status.SUCCESS

    def _moment(self, time: int) -> datetime.datetime | None:
        """The moment that an EFI_TIME states; ``None`` for one that there is not."""
        record = EFI_TIME.unpack_from(self._memory.read(time, EFI_TIME.SIZE))
        try:
            return datetime.datetime(
                record.Year, record.Month, record.Day, record.Hour, record.Minute, record.Second,
                tzinfo=datetime.UTC,
            )  # fmt: skip
        except ValueError:
            return None

    def get_wakeup_time(self, enabled: int, pending: int, time: int) -> int:
        """GetWakeupTime. The alarm rings by being pending: the machine does not sleep."""
        if not enabled or not pending or not time:
            return Status.INVALID_PARAMETER
        now = self.now()
        self._memory.put8(enabled, int(self._alarm is not None))
        self._memory.put8(pending, int(self._alarm is not None and self._alarm <= now))
        self._memory.write(time, efi_time(self._alarm or now))
        return Status.SUCCESS

    def set_wakeup_time(self, enable: int, time: int) -> int:
        """SetWakeupTime."""
        if not enable:
            self._alarm = None
            return Status.SUCCESS
        moment = self._moment(time) if time else None
        if moment is None:
            return Status.INVALID_PARAMETER
        if not datetime.timedelta() <= moment - self.now() <= _FARTHEST_ALARM:
            return Status.UNSUPPORTED
        self._alarm = moment
        return Status.SUCCESS

    def update_capsule(self, capsules: int, count: int, _list: int) -> int:
        """UpdateCapsule: there is nothing to update."""
        return Status.UNSUPPORTED if capsules and count else Status.INVALID_PARAMETER

    def query_capsule_capabilities(self, capsules: int, count: int, maximum: int, reset: int) -> int:
        """QueryCapsuleCapabilities: no capsule is supported."""
        return Status.UNSUPPORTED if capsules and count and maximum and reset else Status.INVALID_PARAMETER

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
