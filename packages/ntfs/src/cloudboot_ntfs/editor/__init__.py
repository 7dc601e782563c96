"""Changing a volume in place."""

from .preen import Repaired, repair
from .volume import WritableNTFS

__all__ = ["Repaired", "WritableNTFS", "repair"]
