"""A campaign for readers: lines for a terminal, an HTML page, JUnit XML."""

from .summary import Summary

__all__ = ["Summary"]
