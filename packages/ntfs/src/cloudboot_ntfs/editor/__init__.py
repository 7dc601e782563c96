"""Changing a volume in place."""

from .volume import WritableNTFS

__all__ = ["WritableNTFS"]
