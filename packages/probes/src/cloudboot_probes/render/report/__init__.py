"""The report of a run: one HTML page that needs no other file, made of the run's record alone."""

from .page import report

__all__ = ["report"]
