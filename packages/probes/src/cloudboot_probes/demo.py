"""The demonstration's disk: a loader that is shipped with cloudboot_uefi_host, and a root with its configuration."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from . import image, recipe
from .standin import LOADER_CONF

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["LOADER_CONF", "build"]


def build(architecture: str, folder: Path) -> Path:
    """Build the disk in ``folder``; its path.

    Raises:
        RecipeError: there is no stand-in loader for the architecture.
    """
    disk = folder / "demo.img"
    made = replace(recipe.load("demo"), architecture=architecture)
    image.build(image.plan(made), disk, force=True)
    return disk
