"""Engines that can be stepped tic by tic."""

from .process import CDoomEngine, run_engine
from .protocol import Engine, Frame, SoundEvent

__all__ = ["CDoomEngine", "Engine", "Frame", "SoundEvent", "run_engine"]
