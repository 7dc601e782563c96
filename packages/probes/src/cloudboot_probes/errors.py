"""What this package itself refuses, and what goes wrong in a boot; the packages below have trees of their own.

CloudbootError (a cloudboot_base.Error)
+-- RecipeError             a recipe or a flag asks for something that cannot be built (exit code 2)
+-- PackageMissingError     a Debian package, or the means to fetch one, is not there (exit code 5)
+-- ManifestError           the file in the ESP is not a manifest (also a FormatError; exit code 3)
+-- KernelFormatError       a kernel cannot be unpacked (also a FormatError; exit code 3)
+-- NotBootableError        a CD has no boot image for UEFI (also a FormatError; exit code 3)
+-- ReadBackError           a finished disk does not hold what went into it (exit code 1)
+-- MediumError             an installation medium cannot be used (exit code 3); see media/errors.py
+-- DownloadError           a medium cannot be downloaded (exit code 5); see media/errors.py

GateFailedError (of cloudboot_base; exit code 1)
+-- AccountError            what the kernel reports of its root cannot be used
+-- WindowsBootError        a component of Windows' boot is not there, or not as it must be
+-- DefectError             an unexpected exception: a defect of this program
+-- BootError               the machine did something else than to boot; "verdict" is its stable name
    +-- NoBootOptionError   the firmware found nothing to start, or could not start it
    +-- LoaderCrashedError  the firmware caught an exception of the processor
    +-- LoaderFailedError   the loader printed an error
    +-- LoaderPromptError   the loader waits for a key
    +-- KernelPanicError    the kernel gave up
    +-- SystemFailedError   the system's first program reported a failure
    +-- MachineResetError   the machine was reset: with the next start the same would happen again
    +-- MachineOffError     the machine was switched off by what ran in it
    +-- MachineSilentError  nothing was ever printed
    +-- MachineStalledError nothing happens any more
    +-- BootTimeoutError    the time was over while something was still going on
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from cloudboot_base import Error, FormatError, GateFailedError
from cloudboot_base.exit_codes import BAD_INPUT, CHECK_FAILED, SYSTEM, USAGE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class CloudbootError(Error):
    """The base of the tree."""

    exit_code = USAGE


class RecipeError(CloudbootError):
    """A recipe or a flag asks for something that cannot be built."""


class PackageMissingError(CloudbootError):
    """A Debian package, or the means to fetch one, is not there."""

    exit_code = SYSTEM


class NotBootableError(CloudbootError, FormatError):
    """A CD has no boot image for UEFI."""

    exit_code = BAD_INPUT


class ManifestError(CloudbootError, FormatError):
    """The build's manifest in the ESP is not one."""

    exit_code = BAD_INPUT


class KernelFormatError(CloudbootError, FormatError):
    """A kernel is not a bzImage, or is compressed in a way that cannot be undone here."""

    exit_code = BAD_INPUT


class ReadBackError(CloudbootError):
    """A finished disk does not hold what went into it; it did not get its name."""

    exit_code = CHECK_FAILED


class AccountError(GateFailedError):
    """What the kernel reports of its root is incomplete, damaged, or far more than was built."""


class WindowsBootError(GateFailedError):
    """A component of Windows' boot is not there, or not as it must be.

    ``status`` is the code that the boot manager or Windows' loader shows then, ``file`` the file it names. Both are
    ``None`` where the firmware starts nothing, or where Windows starts all the same.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        file: str | None = None,
        evidence: Mapping[str, object] | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, evidence=evidence, hint=hint)
        self.status, self.file = status, file

    def facts(self) -> dict[str, object]:
        """The status code and the file on the screen."""
        status = None if self.status is None else f"{self.status:#010x}"
        facts = {"status": status, "file": self.file}
        return {name: value for name, value in facts.items() if value is not None}


class DefectError(GateFailedError):
    """An unexpected exception in a stage: a defect of this program, reported as the gate's failure."""

    def __init__(self, error: Exception, trace: Sequence[str]) -> None:
        super().__init__(
            f"a defect of cloudboot: {type(error).__name__}: {error}",
            hint="please report it with the lines of the traceback",
        )
        self.trace = list(trace)

    def facts(self) -> dict[str, object]:
        """Where it happened."""
        return {"traceback": self.trace}


class BootError(GateFailedError):
    """The machine did something else than to boot.

    ``verdict`` is the stable name of the kind of failure, ``screen`` the last screenful of the serial line,
    ``try_next`` what the user can do, most promising first.
    """

    verdict: ClassVar[str] = "boot-failed"

    def __init__(
        self,
        message: str,
        *,
        screen: Sequence[str] = (),
        try_next: Sequence[str] = (),
        evidence: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(message, evidence=evidence, hint=try_next[0] if try_next else None)
        self.screen = list(screen)
        self.try_next = list(try_next)

    def facts(self) -> dict[str, object]:
        """The kind of failure, the screen and what to try."""
        return {"verdict": self.verdict, "screen": self.screen, "try_next": self.try_next}


class NoBootOptionError(BootError):
    """The firmware found nothing to start on the disk, or could not start what it found."""

    verdict = "no-boot-option"


class LoaderCrashedError(BootError):
    """The firmware caught an exception of the processor while the loader ran."""

    verdict = "loader-crashed"


class LoaderFailedError(BootError):
    """The loader printed an error."""

    verdict = "loader-failed"


class LoaderPromptError(BootError):
    """The loader, or the firmware's shell, waits for a key."""

    verdict = "prompt"


class KernelPanicError(BootError):
    """The kernel gave up."""

    verdict = "kernel-panic"


class SystemFailedError(BootError):
    """The system's first program reported a failure."""

    verdict = "system-failed"


class MachineResetError(BootError):
    """The machine was reset by what ran in it; started again it would do so again."""

    verdict = "reset-loop"


class MachineOffError(BootError):
    """The machine was switched off by what ran in it."""

    verdict = "switched-off"


class MachineSilentError(BootError):
    """The serial line never said anything."""

    verdict = "silent"


class MachineStalledError(BootError):
    """Nothing is printed, nothing is read: the machine halts, or runs in a circle."""

    verdict = "stalled"


class BootTimeoutError(BootError):
    """The time was over while the machine was still busy."""

    verdict = "timeout"
