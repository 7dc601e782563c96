"""Dates and times of directory entries (fatgen103, "Date and Time Formats").

FAT stores local time without a zone. A ``datetime`` with a zone is stored as UTC; one without is stored as it is.
"""

from __future__ import annotations

import datetime as dt

from cloudboot_base import RangeError
from cloudboot_base.lightdata import NamedTuple

#: The first moment FAT can store.
EPOCH = dt.datetime(1980, 1, 1)  # noqa: DTZ001 -- FAT times have no zone


class Stamp(NamedTuple):
    """A moment in the three fields FAT has for it."""

    date: int
    time: int
    tenth: int


def is_too_early(moment: dt.datetime) -> bool:
    """Whether ``moment`` is stored as 1980-01-01, because FAT has no earlier one."""
    return _in_utc(moment).year < EPOCH.year


def _in_utc(moment: dt.datetime) -> dt.datetime:
    if moment.tzinfo is not None and 1 < moment.year < 9999:  # beyond, UTC may be in no year there is
        return moment.astimezone(dt.UTC)
    return moment


def encode(moment: dt.datetime) -> Stamp:
    """The stamp of ``moment``. What is earlier than 1980 becomes 1980-01-01: SOURCE_DATE_EPOCH is often 0.

    Raises:
        RangeError: after 2107.
    """
    moment = EPOCH if is_too_early(moment) else _in_utc(moment)
    if moment.year > 2107:
        raise RangeError(
            "FAT stores the years 1980 to 2107", field="timestamp", expected="at most 2107", actual=moment.isoformat()
        )
    date = (moment.year - 1980) << 9 | moment.month << 5 | moment.day
    time = moment.hour << 11 | moment.minute << 5 | moment.second >> 1
    return Stamp(date, time, (moment.second & 1) * 100 + moment.microsecond // 10_000)


def decode(date: int, time: int = 0, tenth: int = 0) -> dt.datetime | None:
    """The moment a stamp stands for; ``None`` where the fields are zero or no date there is."""
    try:
        day = dt.datetime(1980 + (date >> 9), date >> 5 & 15, date & 31)  # noqa: DTZ001 -- FAT times have no zone
        moment = day.replace(hour=time >> 11, minute=time >> 5 & 63, second=(time & 31) * 2)
    except ValueError:
        return None
    return moment + dt.timedelta(milliseconds=10 * tenth) if tenth < 200 else moment


def nanoseconds(moment: dt.datetime | None) -> int | None:
    """Nanoseconds since 1970 of a moment without a zone, taken for UTC."""
    if moment is None:
        return None
    passed = moment - dt.datetime(1970, 1, 1)  # noqa: DTZ001 -- FAT times have no zone
    return (passed.days * 86_400 + passed.seconds) * 1_000_000_000 + passed.microseconds * 1000


def moment(nanoseconds: int) -> dt.datetime:
    """The moment without a zone that is ``nanoseconds`` after 1970 in UTC.

    Raises:
        RangeError: no calendar has it.
    """
    try:
        return dt.datetime(1970, 1, 1) + dt.timedelta(microseconds=nanoseconds // 1000)  # noqa: DTZ001 -- as above
    except OverflowError as error:
        raise RangeError("FAT stores the years 1980 to 2107", field="timestamp", actual=nanoseconds) from error
