"""What goes wrong with a campaign, before it starts and while it runs.

Error (cloudboot_base)
+-- FleetError               the base of this package's errors
    +-- MatrixError          the matrix file cannot be used (also a ValueError)
    +-- PinError             an input of a cell cannot be pinned to a digest
    +-- ResourceError        no worker has what a cell needs
    +-- ClusterError         there is no scheduler, or no worker came
    |   +-- InsecureError    a scheduler that is not on this machine, without TLS
    |   +-- PeerError        what listens at the address is not a scheduler
    +-- CampaignError        the campaign's folder is in use, or is not one
    +-- HostError            a worker's programs are not those that a cell was pinned to
    +-- ResultError          a stored result is damaged, or could not be stored
    |   +-- RefusedError     the place of results takes none of this user's
    +-- ForkServerError      the process that starts cells on a worker ended or answers wrongly
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudboot_base import Error
from cloudboot_base.exit_codes import SYSTEM, USAGE

if TYPE_CHECKING:
    from collections.abc import Mapping


class FleetError(Error):
    """Something this package refuses or cannot do."""


class MatrixError(FleetError, ValueError):
    """The matrix file cannot be used; ``key`` is the key at fault, ``where`` has its line."""

    exit_code = USAGE

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        path: str | None = None,
        where: Mapping[str, int | str] | None = None,
        key: tuple[str | int, ...] = (),
    ) -> None:
        super().__init__(message, hint=hint, path=path, where=where)
        self.key = key

    def facts(self) -> dict[str, object]:
        """The key."""
        return {"key": ".".join(map(str, self.key))} if self.key else {}


class PinError(FleetError):
    """An input of a cell cannot be pinned to a digest. ``exit_code`` is that of what kept it from being read."""

    def __init__(
        self,
        message: str,
        *,
        code: int | None = None,
        hint: str | None = None,
        path: str | None = None,
        where: Mapping[str, int | str] | None = None,
    ) -> None:
        super().__init__(message, hint=hint, path=path, where=where)
        if code is not None:
            self.exit_code = code  # type: ignore[misc]  # the class's own is for errors without a cause


class ResourceError(FleetError):
    """No worker has what a cell needs, so that it would wait forever."""

    exit_code = USAGE


class ClusterError(FleetError):
    """There is no scheduler at the address, or no worker came in time."""

    exit_code = SYSTEM


class InsecureError(ClusterError):
    """A scheduler that other machines can reach, without TLS: it would run any code that they send."""

    exit_code = USAGE


class PeerError(ClusterError):
    """What listens at the address is not a scheduler, or refuses this side's certificate."""


class CampaignError(FleetError):
    """The folder of a campaign is in use by another process, or is not one."""

    exit_code = USAGE


class HostError(FleetError):
    """A worker's programs, firmware or packages are not those that a cell was pinned to."""

    exit_code = SYSTEM


class ResultError(FleetError):
    """A stored result is damaged, or could not be stored."""


class RefusedError(ResultError):
    """The registry or folder of results takes none, or none of this user's."""

    exit_code = 7  # that of a refused login, in cloudboot-oci-stream


class ForkServerError(FleetError):
    """The process that starts cells on a worker ended, or answers with something else than was asked."""

    exit_code = SYSTEM
