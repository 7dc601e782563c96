"""Results in a folder: ``AB/ABCDEF.../result.json`` and the files beside it."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudboot_fleet.errors import RefusedError, ResultError

from .store import checked

if TYPE_CHECKING:
    from collections.abc import Mapping

RESULT = "result.json"
_STALE = 3600.0
_REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR}


class FolderResults:
    """Results in a folder, which may be shared by many machines. A result appears in one step, whole."""

    is_folder = True

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def place(self) -> str:
        """The folder."""
        return str(self.folder)

    def path(self, key: str) -> Path:
        """Where the result of ``key`` is or would be."""
        return self.folder / key[:2] / key

    def find(self, key: str) -> dict[str, Any] | None:
        """The result of a cell.

        Raises:
            ResultError: the file is not JSON of a result of that key and of this version.
        """
        path = self.path(key) / RESULT
        try:
            result = json.loads(path.read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            return None
        except ValueError as error:
            raise ResultError(f"the result is damaged: {error}", path=str(path)) from None
        return checked(result, key, str(path))

    def check(self) -> None:
        """Make a file that is gone again.

        Raises:
            RefusedError: this user may not write there.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.folder):
                pass
        except OSError as error:
            if error.errno not in _REFUSED:
                raise
            raise RefusedError(f"the folder takes no results: {error.strerror}", path=self.place) from None

    def store(self, key: str, result: Mapping[str, Any], files: Path) -> bool:
        """Store a result with what is in ``files``, which is moved where the file system allows it.

        A second result of the same inputs leaves the first as it is; a damaged one is replaced.

        Raises:
            OSError: the folder does not take it; nothing of it stays behind.
        """
        target = self.path(key)
        target.parent.mkdir(parents=True, exist_ok=True)
        if self._is_there(key):
            return False
        partial = Path(tempfile.mkdtemp(prefix=f".{key[:8]}-", suffix=".partial", dir=target.parent))
        try:
            _move(files, partial)
            # With ``indent`` the encoder is the one written in Python, and takes a millisecond.
            (partial / RESULT).write_text(json.dumps(result) + "\n")
            for file in partial.rglob("*"):
                if file.is_symlink():
                    file.unlink()  # it may lead anywhere; a registry takes none, either
                elif file.is_file():
                    with file.open("rb") as opened:
                        os.fsync(opened.fileno())
            partial.chmod(0o755)
            if target.exists() and not self._is_there(key):
                _discard(target)
            partial.rename(target)
        except OSError:
            shutil.rmtree(partial, ignore_errors=True)
            if self._is_there(key):
                return False
            raise
        return True

    def _is_there(self, key: str) -> bool:
        """Whether the result of a cell is there and can be used."""
        try:
            return self.find(key) is not None
        except ResultError:
            return False

    def fetch(self, key: str, folder: Path) -> None:
        """Copy the files of a result.

        Raises:
            OSError: it is not there.
        """
        shutil.copytree(self.path(key), folder, dirs_exist_ok=True)

    def sweep(self) -> None:
        """Remove what a killed worker left half-written: no worker takes an hour to write a result."""
        with tempfile.NamedTemporaryFile(dir=self.folder) as mark:  # the clock of another machine's disk is its own
            now = os.fstat(mark.fileno()).st_mtime
        for partial in self.folder.glob("*/.*.partial"):
            with contextlib.suppress(OSError):
                if now - partial.stat().st_mtime > _STALE:
                    shutil.rmtree(partial)


def _discard(damaged: Path) -> None:
    """Move a folder without a result that can be used out of the way, in one step, and remove it."""
    if damaged.is_dir():
        aside = Path(tempfile.mkdtemp(prefix=f".{damaged.name[:8]}-", suffix=".partial", dir=damaged.parent))
        damaged.rename(aside)  # an empty folder is replaced
        shutil.rmtree(aside, ignore_errors=True)
    else:
        damaged.unlink(missing_ok=True)


def _move(files: Path, target: Path) -> None:
    """Move what is in a folder into another one, or copy it to another file system."""
    for name in os.listdir(files):
        try:
            os.rename(files / name, target / name)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            shutil.copytree(files, target, dirs_exist_ok=True)
            return
