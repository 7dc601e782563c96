"""The report: one HTML file with pictures, envelopes and every gate."""

from .html import render_report
from .png import animated_png, difference, png

__all__ = ["animated_png", "difference", "png", "render_report"]
