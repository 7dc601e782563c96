"""What can go wrong between asking for a machine and reading its console.

    QemuError                      anything this package raises
    +-- ProgramMissingError        a program is not installed; the hint names its Debian package
    +-- FirmwareMissingError       no firmware fits the architecture; the hint names its Debian package
    +-- MachineFailedError         QEMU did not start, died, or the machine broke down: exit code and stderr
    +-- MachineEndedError          the guest shut down or reset while more was expected of it
    +-- ExpectTimeoutError         the text did not appear in time (also a TimeoutError)
    +-- QmpError                   QEMU refused a QMP command, or did not answer
    +-- ImageError                 a drive's source cannot serve as one (also a ValueError)

Every error is one line, with ``hint`` saying what the user can do next where there is such a thing.
"""

from __future__ import annotations

from cloudboot_base import Error
from cloudboot_base.exit_codes import BAD_INPUT, SYSTEM


class QemuError(Error):
    """The base of the tree."""

    exit_code = 12


class ProgramMissingError(QemuError):
    """A program this package runs is not on PATH."""

    exit_code = SYSTEM

    def __init__(self, program: str, *, package: str) -> None:
        self.program = program
        self.package = package
        super().__init__(f"{program} is not installed", hint=f"on Debian: apt install {package}")


class FirmwareMissingError(QemuError):
    """No UEFI firmware image was found for an architecture."""

    exit_code = SYSTEM

    def __init__(self, architecture: str, *, package: str, hint: str | None = None) -> None:
        self.architecture = architecture
        self.package = package
        super().__init__(f"no UEFI firmware for {architecture} found", hint=hint or f"on Debian: apt install {package}")


class MachineFailedError(QemuError):
    """QEMU did not start, died, or stopped the machine because of an error of its own.

    ``status`` is the process's exit code (negative: the signal that ended it, ``None``: it still runs), ``stderr`` the
    last lines QEMU printed.
    """

    def __init__(self, message: str, *, status: int | None, stderr: str, hint: str | None = None) -> None:
        self.status = status
        self.stderr = stderr
        last = " | ".join(line for line in stderr.splitlines()[-3:] if line)
        super().__init__(f"{message}: {last}" if last else message, hint=hint)


class MachineEndedError(QemuError):
    """The guest ended the machine; ``reason`` is QEMU's word for how (``guest-reset``, ``guest-shutdown``, ...)."""

    def __init__(self, reason: str, *, awaited: str, tail: str) -> None:
        self.reason = reason
        self.tail = tail
        super().__init__(f"the machine ended ({reason}) before {awaited} appeared; last text: {tail[-200:]!r}")

    def facts(self) -> dict[str, object]:
        """QEMU's word for the end."""
        return {"reason": self.reason}


class ExpectTimeoutError(QemuError, TimeoutError):
    """``pattern`` did not appear within ``seconds``; ``tail`` is the end of the transcript."""

    def __init__(self, pattern: str, *, seconds: float, tail: str) -> None:
        self.pattern = pattern
        self.seconds = seconds
        self.tail = tail
        super().__init__(f"{pattern} did not appear within {seconds:g} s; last text: {tail[-200:]!r}")


class QmpError(QemuError):
    """A QMP command failed; ``error_class`` is QEMU's (``GenericError``, ...) where QEMU answered at all."""

    def __init__(self, command: str, message: str, *, error_class: str | None = None) -> None:
        self.command = command
        self.error_class = error_class
        super().__init__(f"QMP {command}: {message}")


class ImageError(QemuError, ValueError):
    """A drive's source cannot be opened the way it was asked for."""

    exit_code = BAD_INPUT
