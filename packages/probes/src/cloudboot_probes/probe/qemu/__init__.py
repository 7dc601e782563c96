"""Real firmware in a QEMU machine, untouched: what it does is seen from outside, never asked of it."""

from .firmware import FIRMWARE

__all__ = ["FIRMWARE"]
