"""The folder of a campaign: what it runs, how far it is, and, unless they go elsewhere, its results."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from typing import TYPE_CHECKING, Any, Self

from cloudboot_base import new_file
from cloudboot_base.storage import write_all
from cloudboot_fleet.errors import CampaignError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from types import TracebackType

_STATE = {"state", "done", "total", "counts", "scheduler", "slots", "rate", "running"}
_MARK = {"cloudboot-fleet-campaign": 1}


class CampaignFolder:
    """One campaign's folder. Only one process at a time runs the campaign (:meth:`lock`); others may read."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self._lock: int | None = None
        self._journal: Any = None

    @property
    def cells(self) -> Path:
        """Where results are, in full or as copies."""
        return self.path / "cells"

    @property
    def pins(self) -> Path:
        """The table of what was resolved to what."""
        return self.path / "pins.json"

    @classmethod
    def existing(cls, path: Path) -> CampaignFolder:
        """The folder of a campaign that was started before.

        Raises:
            CampaignError: the folder is not one of a campaign.
        """
        folder = cls(path)
        if not (folder.path / "campaign.json").is_file():
            raise CampaignError("not the folder of a campaign: it has no campaign.json", path=str(path))
        return folder

    @classmethod
    def new(cls, path: Path) -> CampaignFolder:
        """A folder for a new campaign, made if it is not there.

        One of a campaign that ended before its first cell did is taken again.

        Raises:
            CampaignError: the folder has something in it.
        """
        folder = cls(path)
        folder.path.mkdir(parents=True, exist_ok=True)
        if (folder.path / "campaign.json").is_file():
            if not folder.running and next(folder.results(), None) is None and not any(folder.cells.glob("*/*")):
                return folder
            raise CampaignError(
                "the folder has a campaign already", path=str(path), hint=f"--resume {path} goes on with it"
            )
        if any(folder.path.iterdir()):
            raise CampaignError("the folder is not empty", path=str(path))
        return folder

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._journal is not None:
            self._journal.close()
            self._journal = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def lock(self, name: str, matrix: str) -> None:
        """Take the campaign for this process.

        Raises:
            CampaignError: another process runs it.
        """
        fd = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            state: dict[str, Any] = {}
            with contextlib.suppress(CampaignError):  # who runs it matters more than a damaged file
                state = self.state() or {}
            raise CampaignError(
                f"the campaign is being run by process {state.get('pid', 'unknown')} on {state.get('host', 'unknown')}",
                path=str(self.path),
                hint=f"cloudboot fleet status {self.path}",
            ) from None
        self._lock = fd
        self._write("campaign.json", {**_MARK, "name": name, "matrix": matrix})
        with contextlib.suppress(FileNotFoundError):
            (self.path / "cancel").unlink()
        journal = self.path / "journal.jsonl"
        if journal.exists():
            journal.replace(self.path / "journal.previous.jsonl")
        self._journal = journal.open("a", encoding="utf-8")

    @property
    def running(self) -> bool:
        """Whether some process has the campaign."""
        try:
            fd = os.open(self.path / "lock", os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(fd)
        return False

    def record(self, result: Mapping[str, Any]) -> None:
        """Add a line to the journal."""
        self._journal.write(json.dumps(result) + "\n")
        self._journal.flush()

    def results(self) -> Iterator[dict[str, Any]]:
        """The journal's lines; one that was cut by the end of its writer is left out."""
        with contextlib.suppress(FileNotFoundError), (self.path / "journal.jsonl").open("rb") as file:
            for line in file:
                if line.endswith(b"\n"):
                    yield json.loads(line)

    def write_state(self, state: Mapping[str, Any]) -> None:
        """Replace the state that ``fleet status`` shows."""
        self._write("state.json", state)

    def state(self) -> dict[str, Any] | None:
        """The state that was written last, or ``None``.

        Raises:
            CampaignError: the file is not the JSON of a state.
        """
        try:
            found: Any = json.loads((self.path / "state.json").read_bytes())
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise CampaignError(f"state.json is damaged: {error}", path=str(self.path)) from None
        if not isinstance(found, dict) or not found.keys() >= _STATE:
            raise CampaignError("state.json is damaged, or of another version", path=str(self.path))
        return found

    def ask_cancel(self, choice: str) -> None:
        """Have the process that runs the campaign end it."""
        with new_file(self.path / "cancel", force=True) as fd:
            write_all(fd, memoryview(choice.encode()), 0)

    def asked(self) -> str | None:
        """What :meth:`ask_cancel` asked for."""
        try:
            return (self.path / "cancel").read_text()
        except FileNotFoundError:
            return None

    def _write(self, name: str, value: Mapping[str, Any]) -> None:
        with new_file(self.path / name, force=True) as fd:
            write_all(fd, memoryview(json.dumps(value, indent=1).encode() + b"\n"), 0)
