"""What tests of this package and of others need: hives with logs, damaged copies, and judges."""

from .hives import new_log, old_log, sample_key

__all__ = ["new_log", "old_log", "sample_key"]
