"""What a campaign needs of a place for results, and what a result has to be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from cloudboot_fleet.errors import ResultError
from cloudboot_fleet.tasks.result import KEPT, SCHEMA

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class Results(Protocol):
    """A place where the result of a cell is under the digest of its inputs."""

    @property
    def place(self) -> str:
        """What :func:`.open_results` opens the same place by."""

    @property
    def is_folder(self) -> bool:
        """Whether every worker has to see the same folder."""

    def find(self, key: str) -> dict[str, Any] | None:
        """The result of a cell; ``None`` if there is none."""

    def check(self) -> None:
        """Raise :class:`.RefusedError` unless results can be stored there, without storing any."""

    def store(self, key: str, result: Mapping[str, Any], files: Path) -> bool:
        """Store a result with the files of a folder; false if another result has the key, which stays.

        A damaged one is replaced.
        """

    def fetch(self, key: str, folder: Path) -> None:
        """Put the files of a result into ``folder``, which is made."""


def checked(result: Any, key: str, path: str) -> dict[str, Any]:
    """A result that was read, if it is one of the cell ``key`` and this version's.

    Raises:
        ResultError: it is not; it is stored anew after the cell has run.
    """
    if not isinstance(result, dict) or result.get("key") != key:
        raise ResultError("the result is of another cell", path=path)
    if result.get("schema", SCHEMA) != SCHEMA or result.get("status") not in KEPT:
        raise ResultError("the result is of another version", path=path)
    for name, types in _TYPES.items():
        if name in result and not isinstance(result[name], types):
            raise ResultError(f"the result is damaged: {name} is {result[name]!r}"[:200], path=path)
    return result


_TYPES: dict[str, Any] = {
    "reached": str, "cause": str | None, "code": int, "seconds": int | float, "peak": int | None, "gates": list,
    "started_at": int | float | None, "facts": dict, "worker": str | None,
}  # fmt: skip
