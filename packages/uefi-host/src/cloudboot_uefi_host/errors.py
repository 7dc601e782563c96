"""What ends a run, and what a hosted firmware refuses.

HostError                    the base (exit code 20)
+-- GuestError               a program in the machine did what no program may; carries a Report
|   +-- GuestFaultError      a memory access or an instruction failed
|   +-- GuestPointerError    a service was called with a pointer outside memory
|   +-- GuestImageError      a started image broke a rule of the image services
+-- BudgetUsedError          the budget for wall time, instructions, service calls or nesting is used up (21)
+-- ServiceError             a boot service called from Python returned an error status (22)
+-- BackEndError             the processor's back end failed (23)
BackEndMissingError          no back end is installed; the hint names the extra (a MissingDependencyError)
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cloudboot_base import Error, MissingDependencyError
from cloudboot_uefi_abi.status import status_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Report:
    """The state of the machine when a run ended.

    ``registers`` maps names to values, ``calls`` holds the last service calls as text (oldest first), ``line`` is the
    instruction at the program counter: disassembled where capstone is installed, otherwise its bytes in hexadecimal.
    ``image`` names the image that holds the program counter.
    """

    registers: Mapping[str, int] = field(default_factory=dict)
    calls: Sequence[str] = ()
    line: str = ""
    image: str = ""

    def as_dict(self) -> dict[str, object]:
        """The report, ready for JSON."""
        return {
            "registers": {name: f"{value:#x}" for name, value in self.registers.items()},
            "calls": list(self.calls),
            "line": self.line,
            "image": self.image,
        }


class HostError(Error):
    """The hosted firmware cannot go on."""

    exit_code = 20

    def __init__(
        self,
        message: str,
        *,
        report: Report | None = None,
        hint: str | None = None,
        where: Mapping[str, int | str] | None = None,
    ) -> None:
        super().__init__(message, hint=hint, where=where)
        self.report = report

    def facts(self) -> dict[str, object]:
        """The machine's state, where there is one."""
        return {} if self.report is None else self.report.as_dict()


class GuestError(HostError):
    """A program in the machine did what no program may."""


class GuestFaultError(GuestError):
    """A memory access or an instruction failed."""


class GuestPointerError(GuestError):
    """A service was called with a pointer that is outside memory."""


class GuestImageError(GuestError):
    """An image broke a rule of the image services, such as Exit for an image that does not run."""


class BudgetUsedError(HostError):
    """A budget is used up: wall time, instructions, service calls, nesting, or polls without input."""

    exit_code = 21


class ServiceError(HostError):
    """A service that Python called returned an error. ``status`` is the EFI_STATUS."""

    exit_code = 22

    def __init__(self, message: str, status: int, *, hint: str | None = None) -> None:
        super().__init__(f"{message}: {status_name(status)}", hint=hint)
        self.status = status

    def facts(self) -> dict[str, object]:
        """The status code."""
        return {"status": f"{self.status:#x}"}


class BackEndError(HostError):
    """The processor's back end failed: the library refused a setting, or the child process died."""

    exit_code = 23


class BackEndMissingError(MissingDependencyError):
    """No back end for this architecture is installed."""
