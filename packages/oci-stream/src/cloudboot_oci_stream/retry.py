"""Trying again: how often, after how long, and what for."""

from __future__ import annotations

import dataclasses
import random
from typing import TYPE_CHECKING, TypeVar

from cloudboot_oci_stream.errors import OciError, StatusError, TransferTimeoutError, TransportError

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloudboot_oci_stream.deadline import Deadline

_FIRST_CONTACTS = 3
"""Attempts at a registry that has never answered: it is more likely to be named wrongly than to be away."""

_Result = TypeVar("_Result")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How a broken transfer goes on.

    ``attempts`` is how often in a row it may break without at least ``progress`` bytes in between; the pauses double
    from ``pause`` to ``longest_pause`` seconds, each shortened by a random part so that many clients do not come back
    at once. A registry that says ``Retry-After`` is believed, up to ``longest_pause``; one that wants to be left alone
    for longer than all pauses together is not asked again. By default a registry may be gone for 12 seconds; one that
    has never answered is given up after a second.
    """

    attempts: int = 8
    progress: int = 1 << 16
    pause: float = 0.1
    longest_pause: float = 30.0

    def allows(self, failures: int, error: OciError) -> bool:
        """Whether to try again after ``failures`` in a row, the last of them ``error``."""
        is_first_contact = isinstance(error, TransportError | TransferTimeoutError) and error.is_first_contact
        most = min(self.attempts, _FIRST_CONTACTS) if is_first_contact else self.attempts
        return error.retryable and failures <= most and not self._is_for_later(error)

    def _is_for_later(self, error: OciError) -> bool:
        """Whether the registry wants to be left alone for longer than all the pauses together."""
        wanted = error.retry_after if isinstance(error, StatusError) else None
        return wanted is not None and wanted > self.longest_pause * self.attempts

    def seconds(self, failures: int, error: OciError) -> float:
        """How long to wait after ``failures`` in a row, the last of them ``error``."""
        if isinstance(error, StatusError) and error.retry_after is not None:
            return min(error.retry_after, self.longest_pause)
        longest: float = min(self.longest_pause, self.pause * 2 ** min(failures, 30))
        return longest * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, guards nothing


class Attempts:
    """How often a transfer from ``start`` on may still break, getting further in between."""

    def __init__(
        self, retry: RetryPolicy, deadline: Deadline, start: int, size: int, attempts: int | None = None
    ) -> None:
        self._retry, self._deadline = retry, deadline
        if attempts is not None:
            self._retry = dataclasses.replace(retry, attempts=attempts)
        self._progress = min(retry.progress, size)
        self._mark, self._failures = start, 0

    def again(self, error: OciError, position: int) -> None:
        """Wait until the transfer, broken off at ``position`` by ``error``, can go on.

        Raises:
            OciError: ``error``, if it occurred too often or cannot be retried.
            TransferTimeoutError: the wait would pass the deadline.
        """
        if position - self._mark >= self._progress:
            self._failures = 0
        self._mark = position
        self._failures += 1
        if not self._retry.allows(self._failures, error):
            error.offset = position if error.offset is None else error.offset
            raise error
        self._deadline.sleep(self._retry.seconds(self._failures - 1, error), error)


def retrying(operation: Callable[[], _Result], deadline: Deadline, retry: RetryPolicy | None = None) -> _Result:
    """The result of ``operation``, which is called again where its error speaks of a passing condition."""
    policy = retry or RetryPolicy()
    failures = 0
    while True:
        try:
            return operation()
        except OciError as error:
            failures += 1
            if not policy.allows(failures, error):
                raise
            deadline.sleep(policy.seconds(failures - 1, error), error)
