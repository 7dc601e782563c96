"""Fuzz campaigns: harnesses run for a time, corpora merged, crashes grouped by cause, minimised, written as tests.

A harness is a Python file with a function ``one_input(data: bytes)`` that hands it to atheris when it is run.
"""

from .causes import Crash, cause_of_traceback
from .merge import merge_campaign

__all__ = ["Crash", "cause_of_traceback", "merge_campaign"]
