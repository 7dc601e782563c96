"""Harnesses that hang, leave processes behind or kill their worker, as files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def script(tmp_path: Path) -> Callable[[str, str], Path]:
    """Write a program that a cell of kind ``fuzz`` runs as its harness."""

    def written(name: str, text: str) -> Path:
        path = tmp_path / name
        path.write_text(text)
        return path

    return written
