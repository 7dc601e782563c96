"""The command ``cloudboot-ntfs``."""

from .main import main

__all__ = ["main"]
