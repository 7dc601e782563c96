"""What programs asked the firmware for: one record per service call.

A record holds the values of the declared arguments and nothing else: other registers hold whatever code left there, and
would make two runs differ.
"""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING, NamedTuple

from cloudboot_uefi_abi.declarations import Kind
from cloudboot_uefi_abi.status import status_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cloudboot_uefi_abi.declarations import Prototype

#: Calls that an error report shows.
REPORTED_CALLS = 16


class CallRecord(NamedTuple):
    """One service call.

    ``number`` counts the calls from 1, ``depth`` how many calls into programs were open, ``image`` names the caller
    (empty for the firmware itself), ``service`` is ``"EFI_BOOT_SERVICES.LoadImage"``, ``result`` the returned register,
    ``None`` where the call did not return (Exit, or an error).
    """

    number: int
    depth: int
    image: str
    service: str
    prototype: Prototype
    arguments: tuple[int, ...]
    result: int | None

    def __str__(self) -> str:
        shown = ", ".join(
            f"{argument.name}={value:#x}"
            for argument, value in zip(self.prototype.arguments, self.arguments, strict=False)
        )
        if self.result is None:
            answer = "no return"
        elif self.prototype.returns.kind is Kind.STATUS:
            answer = status_name(self.result)
        elif self.prototype.returns.kind is Kind.VOID:
            answer = "void"
        else:
            answer = f"{self.result:#x}"
        return f"{self.number} {'  ' * self.depth}{self.image or '-'}: {self.service}({shown}) = {answer}"


class Trace:
    """The service calls of one machine: counts, the last calls, and, where a listener is given, every call.

    ``missing`` counts what programs asked for and the firmware does not have.
    """

    def __init__(self, listener: Callable[[CallRecord], None] | None = None) -> None:
        self.listener = listener
        self.number = 0
        self.counts: Counter[str] = Counter()
        self.missing: Counter[str] = Counter()
        self._last: deque[CallRecord] = deque(maxlen=REPORTED_CALLS)

    def add(self, record: CallRecord) -> None:
        """Take a finished call."""
        self._last.append(record)
        if self.listener is not None:
            self.listener(record)

    def last(self) -> Iterator[CallRecord]:
        """The last calls, oldest first."""
        return iter(self._last)
