"""Engines that can be stepped tic by tic."""

from .process import CDoomEngine, run_engine
from .protocol import Engine, Frame, RandomState, SoundEvent

__all__ = ["CDoomEngine", "Engine", "Frame", "RandomState", "SoundEvent", "run_engine"]
