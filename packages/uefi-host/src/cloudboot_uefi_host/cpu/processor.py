"""What the firmware asks of a processor.

A back end executes instructions and stops. It knows nothing about UEFI: the firmware places code and data in the shared
memory, sets registers by name, runs from an address, and looks at the reason of the stop.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloudboot_uefi_host.memory import GuestMemory

    from .architecture import Architecture


class StopReason(enum.Enum):
    """Why :meth:`Processor.run` returned. ``HALTED``: the program waits for an interrupt, and goes on behind that."""

    TRAP = "trap"
    HALTED = "halted"
    FAULT = "fault"
    WATCHED = "watched"
    INSTRUCTIONS = "instructions"
    INTERRUPTED = "interrupted"


class Stop(NamedTuple):
    """The end of one run. ``pc`` is the address of the trap, or of the instruction that did not complete.

    ``detail`` says in words what failed, ``address`` is the memory address concerned.
    """

    reason: StopReason
    pc: int
    detail: str = ""
    address: int | None = None


class CounterSource(Protocol):
    """Where a back end gets the values of time counters from, so that they are the same in every run."""

    def counter(self) -> int:
        """The next value of the time counter: never less than the one before."""

    def wall_time(self) -> float:
        """What the real-time clock shows, in seconds since 1970."""


class Processor(Protocol):
    """One processor with its memory.

    Registers have the names of :class:`~.architecture.Architecture`, in lower case (``"rcx"``, ``"x0"``, ``"xmm6"``).
    """

    @property
    def name(self) -> str:
        """The back end's name: ``"unicorn"``."""

    @property
    def architecture(self) -> Architecture:
        """Which processor it is."""

    @property
    def memory(self) -> GuestMemory:
        """The RAM."""

    def read(self, register: str) -> int:
        """The value of a register, unsigned."""

    def write(self, register: str, value: int) -> None:
        """Set a register; the value is cut to the register's width."""

    def read_many(self, registers: Sequence[str]) -> list[int]:
        """The values of several general registers in one step."""

    def place_traps(self, address: int, size: int) -> None:
        """Make ``size`` bytes at ``address`` a table of traps of :data:`~.architecture.TRAP_SIZE` bytes each.

        The back end writes the code of the traps; the program cannot change it.
        """

    def guard(self, address: int, size: int) -> None:
        """Make every access of the program to these pages a fault."""

    def load_code(self, address: int, size: int) -> None:
        """Drop what was translated of these bytes: the firmware has written new code there."""

    def run(self, pc: int, instructions: int = 0) -> Stop:
        """Execute from ``pc`` until something stops it; at most ``instructions`` of them, where that is not 0.

        Raises:
            BackEndError: the back end itself failed.
        """

    def interrupt(self) -> None:
        """Make :meth:`run` return soon; called from another thread. The program cannot go on from there."""

    def save(self) -> object:
        """All registers."""

    def restore(self, state: object) -> None:
        """Set all registers to what :meth:`save` gave."""

    def close(self) -> None:
        """Give memory and processes back."""
