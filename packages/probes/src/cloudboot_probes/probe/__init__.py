"""Boot an image and prove each step: the stages of a probe over one context.

registry -> verified bytes in one sealed buffer -> table and file systems checked -> the same buffer is a machine's disk
-> firmware, loader, kernel and the kernel's own file-system driver, each watched from outside.
"""

from .context import Probe, ProbeOptions
from .stages import stages

__all__ = ["Probe", "ProbeOptions", "stages"]
