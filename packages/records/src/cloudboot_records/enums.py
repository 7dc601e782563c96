"""Enumerations of a format, in which values that no specification names survive."""

from __future__ import annotations

import enum
from typing import Self


class OpenEnum(enum.IntEnum):
    """An integer enumeration that takes every value: one without a name becomes a member called ``UNKNOWN_0x...``.

    ``OpenEnum(value).known`` tells the two apart. Members without a name are equal to their integer, and are not
    listed by iteration.
    """

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, int):
            return None
        member = int.__new__(cls, value)
        member._name_ = f"UNKNOWN_{value:#x}"
        member._value_ = value
        return member

    @property
    def known(self) -> bool:
        """Whether the specification names this value."""
        return self._name_ in type(self).__members__
