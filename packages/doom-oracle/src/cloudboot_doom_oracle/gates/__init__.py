"""The gates: what an oracle is compared with, each outcome a :class:`cloudboot_base.Gate`."""

from .context import Context, run_gates
from .diagnosis import DIAGNOSES, Diagnosis
from .diverge import Divergence, first_divergence
from .exact import EXACT_STAGES
from .guest import GUEST_STAGES

__all__ = [
    "DIAGNOSES",
    "EXACT_STAGES",
    "GUEST_STAGES",
    "Context",
    "Diagnosis",
    "Divergence",
    "first_divergence",
    "run_gates",
]
