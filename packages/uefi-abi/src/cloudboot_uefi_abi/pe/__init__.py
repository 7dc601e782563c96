"""PE32+ images as UEFI loads them."""

from __future__ import annotations

from .image import DataDirectory, Directory, PEImage, Section
from .relocations import Relocation, RelocationType

__all__ = ["DataDirectory", "Directory", "PEImage", "Relocation", "RelocationType", "Section"]
