"""Changing a volume in place."""

from .mending import Repaired, repair
from .volume import WritableNTFS

__all__ = ["Repaired", "WritableNTFS", "repair"]
