"""Choose a place for results by its name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from cloudboot_base import Error
from cloudboot_fleet.errors import RefusedError

from .folder import FolderResults
from .registry import RegistryResults

if TYPE_CHECKING:
    from .store import Results


def refusal(place: str) -> tuple[bool, str, str | None] | None:
    """What keeps results from being stored at a place, and a hint; the first is whether it is a refusal.

    ``None`` if nothing does. Workers are asked this: an error's class may need more to be made than its message.
    """
    try:
        open_results(place).check()
    except (Error, OSError) as error:
        return isinstance(error, RefusedError), str(error), getattr(error, "hint", None)
    return None


def open_results(place: str | os.PathLike[str]) -> Results:
    """The place that a path names, or a reference to an OCI repository (``HOST/REPOSITORY`` or ``oci:FOLDER``).

    A path has a slash at its beginning or begins with a dot; anything else is a reference.

    Raises:
        InvalidReferenceError: neither.
    """
    text = os.fspath(place)
    if isinstance(place, Path) or text.startswith(("/", "./", "../")):
        return FolderResults(Path(text).resolve())
    return RegistryResults(text)
