"""The report of a run, or of several side by side: one HTML page that needs no other file, made of records alone."""

from .comparison import comparison
from .page import report

__all__ = ["comparison", "report"]
