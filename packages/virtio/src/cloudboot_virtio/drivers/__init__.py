"""Drivers of virtio devices over any :class:`.Transport`."""

from .blk import BlockDriver, BlockInfo
from .console import ConsoleDriver, ConsolePort
from .gpu import Framebuffer, GpuDriver, Mode
from .input import InputDriver, InputEvent
from .net import NetDriver
from .rng import RngDriver
from .sound import PcmInfo, PcmOutput, SoundDriver

__all__ = [
    "BlockDriver",
    "BlockInfo",
    "ConsoleDriver",
    "ConsolePort",
    "Framebuffer",
    "GpuDriver",
    "InputDriver",
    "InputEvent",
    "Mode",
    "NetDriver",
    "PcmInfo",
    "PcmOutput",
    "RngDriver",
    "SoundDriver",
]
