"""What can go wrong between a driver and a device.

    VirtioError                   anything this package raises
    +-- TransportError            there is no such device, or its PCI structures cannot be used
    +-- NegotiationError          driver and device do not agree on features
    +-- DeviceBrokenError         the device wrote what the specification forbids: structure, field, expected, actual
    +-- DriverBrokenError         device side: the driver wrote what the specification forbids
    +-- NeedsResetError           the device set NEEDS_RESET: only a device reset helps
    +-- CompletionTimeoutError    a chain did not come back in time; it still belongs to the device (a TimeoutError)
    +-- CommandError              the device answered a command with an error code
    +-- OwnershipError            a chain was used by the side that does not own it (a ValueError)
    +-- RingFullError             the ring has no free descriptors for the chain
    +-- DmaMemoryError            the DMA memory has no free run of pages of that size (also a MemoryError)
    RecordingError                a recording is damaged (a FormatError)

Exit codes: 25 in general, 26 transport and negotiation, 27 a broken device, 28 a timeout, 29 a refused command.
"""

from __future__ import annotations

from cloudboot_base import Error, FormatError


class VirtioError(Error):
    """The base of the tree."""

    exit_code = 25


class TransportError(VirtioError):
    """There is no such device, or its PCI structures cannot be used."""

    exit_code = 26


class NegotiationError(VirtioError):
    """Driver and device do not agree on features."""

    exit_code = 26


class DeviceBrokenError(VirtioError, FormatError):
    """The device wrote something that the specification forbids.

    ``structure`` and ``field`` are the specification's names. ``offset`` is the entry's index within the ring's memory
    area, in bytes. After this error the queue accepts nothing but a reset.
    """

    exit_code = 27


class DriverBrokenError(VirtioError, FormatError):
    """The driver wrote something that the specification forbids; raised by the device side of a ring."""

    exit_code = 27


class NeedsResetError(VirtioError):
    """The device set DEVICE_NEEDS_RESET (2.1.1): it does nothing more until it is reset."""

    exit_code = 27


class CompletionTimeoutError(VirtioError, TimeoutError):
    """No chain came back within ``seconds``.

    The chains still belong to the device. It may read and write their memory at any later moment, so nothing was
    reclaimed: wait again, or reset the queue or the device.
    """

    exit_code = 28

    def __init__(self, message: str, *, seconds: float, in_flight: int) -> None:
        self.seconds = seconds
        self.in_flight = in_flight
        super().__init__(
            f"{message} within {seconds:g} s; {in_flight} in flight stay the device's",
            hint="wait again, or reset the queue or the device",
        )


class CommandError(VirtioError):
    """The device answered ``command`` with the error code ``code``."""

    exit_code = 29

    def __init__(self, command: str, code: int, meaning: str | None = None) -> None:
        self.command = command
        self.code = code
        super().__init__(f"{command}: the device answered {code:#x}" + (f" ({meaning})" if meaning else ""))

    def facts(self) -> dict[str, object]:
        """The command and the code."""
        return {"command": self.command, "code": self.code}


class OwnershipError(VirtioError, ValueError):
    """A chain was touched, submitted or freed while it belongs to the device."""


class RingFullError(VirtioError):
    """The ring has no free descriptors for a chain."""


class DmaMemoryError(VirtioError, MemoryError):
    """There is no free run of DMA pages of the size asked for."""


class RecordingError(FormatError):
    """A recording is damaged, or is not one."""
