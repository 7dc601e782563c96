"""Choose a place for results by its name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from .folder import FolderResults
from .registry import RegistryResults

if TYPE_CHECKING:
    from .store import Results


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
