"""Oracles: what a deterministic run looks and sounds like, in files that can be compared byte for byte."""

from .files import FrameRecord, Oracle, read_oracle
from .harvest import DEFAULT_CHECKPOINTS, Harvest, harvest, run_once
from .manifest import Checkpoint, Manifest
from .write import write_oracle

__all__ = [
    "DEFAULT_CHECKPOINTS",
    "Checkpoint",
    "FrameRecord",
    "Harvest",
    "Manifest",
    "Oracle",
    "harvest",
    "read_oracle",
    "run_once",
    "write_oracle",
]
