"""Checking a volume: every rule recomputed, nothing repaired."""

from .check import check

__all__ = ["check"]
