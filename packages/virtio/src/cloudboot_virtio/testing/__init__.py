"""Devices in this process for tests of drivers: late, out of order, short, duplicating, hostile, failing, dying."""

from .behaviour import Behaviour
from .fake import FakeDevice
from .models import BlockModel, GpuModel, Model, RngModel, SinkModel
from .naive import NaiveGpu
from .pictures import ppm_pixels

__all__ = [
    "Behaviour",
    "BlockModel",
    "FakeDevice",
    "GpuModel",
    "Model",
    "NaiveGpu",
    "RngModel",
    "SinkModel",
    "ppm_pixels",
]
