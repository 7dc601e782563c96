"""The choice of a back end: which is installed, and which executes an architecture."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Final

from cloudboot_uefi_host.errors import BackEndMissingError

from .architecture import architecture_of

if TYPE_CHECKING:
    from .processor import CounterSource, Processor

#: The architectures Unicorn executes.
UNICORN: Final = frozenset({"amd64", "arm64", "riscv64"})


def available(architecture: str) -> bool:
    """Whether a back end for ``architecture`` is installed."""
    return architecture in UNICORN and importlib.util.find_spec("unicorn") is not None


def create(architecture: str, memory_size: int, counter: CounterSource) -> Processor:
    """A processor with ``memory_size`` bytes of RAM.

    Raises:
        UsageError: the architecture is not known.
        BackEndMissingError: no back end for it is installed.
    """
    described = architecture_of(architecture)
    if architecture not in UNICORN:
        raise BackEndMissingError(f"no installed back end executes {architecture}")
    if not available(architecture):
        raise BackEndMissingError(
            f"no processor back end for {architecture} is installed",
            hint="pip install 'cloudboot-uefi-host[unicorn]'",
        )
    from .unicorn import UnicornProcessor  # here: an optional dependency, 60 ms to import

    return UnicornProcessor(described, memory_size, counter)
