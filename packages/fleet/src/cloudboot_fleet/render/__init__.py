"""A campaign for readers: lines for a terminal, an HTML page, JUnit XML."""

from .ended import Ended

__all__ = ["Ended"]
