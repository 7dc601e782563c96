"""The choice of a back end: which is installed, and which executes an architecture."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Final

from cloudboot_base import UsageError
from cloudboot_uefi_host.errors import BackEndMissingError

from . import gdb
from .architecture import architecture_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from .architecture import Architecture
    from .processor import CounterSource, Processor

    #: A back end of somebody else's: the architecture, bytes of RAM, and where time counters get their values.
    BackEnd = Callable[[Architecture, int, CounterSource], Processor]

#: The back ends, the fastest first.
BACK_ENDS: Final = ("unicorn", "gdb")
#: The architectures Unicorn executes.
UNICORN: Final = frozenset({"amd64", "arm64", "riscv64"})


def available(architecture: str, back_end: str | None = None) -> bool:
    """Whether a back end for ``architecture``, or the one called ``back_end``, is installed."""
    return bool(_candidates(architecture, back_end))


def _candidates(architecture: str, back_end: str | None) -> list[str]:
    """The back ends that are installed for an architecture, the fastest first."""
    found = []
    if architecture in UNICORN and importlib.util.find_spec("unicorn") is not None:
        found.append("unicorn")
    if gdb.available(architecture):
        found.append("gdb")
    return [name for name in found if back_end in {None, name}]


def create(
    architecture: str, memory_size: int, counter: CounterSource, back_end: str | BackEnd | None = None
) -> Processor:
    """A processor with ``memory_size`` bytes of RAM; the fastest back end that is installed, or the one given.

    Raises:
        UsageError: the architecture or the back end is not known.
        BackEndMissingError: no back end for it is installed.
    """
    described = architecture_of(architecture)
    if callable(back_end):
        return back_end(described, memory_size, counter)
    if back_end not in {None, *BACK_ENDS}:
        raise UsageError(f"{back_end!r} is not a processor back end", hint=f"one of {', '.join(BACK_ENDS)}")
    candidates = _candidates(architecture, back_end)
    if not candidates:
        hint = "pip install 'cloudboot-uefi-host[unicorn]'" if architecture in UNICORN else "install QEMU"
        raise BackEndMissingError(f"no processor back end for {architecture} is installed", hint=hint)
    if candidates[0] == "gdb":
        return gdb.GdbProcessor(described, memory_size, counter)
    from .unicorn import UnicornProcessor  # here: an optional dependency, 60 ms to import

    return UnicornProcessor(described, memory_size, counter)
