"""Matrices of probes, builds, checks, fuzzing and harvests, run on many machines by Dask.

- :mod:`.matrix`: a TOML file with axes, expanded lazily into cells that are pinned to digests;
- :mod:`.campaign`: what runs next, retries, the campaign's folder;
- :mod:`.results`: results under the digest of a cell's inputs, in a folder or a registry;
- :mod:`.forkserver`, :mod:`.worker`: a process for each cell, with limits, which ends whatever happens;
- :mod:`.cluster`: workers on this machine, a scheduler elsewhere, SLURM, Kubernetes;
- :mod:`.tasks`: what cells do; :mod:`.render`: the report, JUnit XML, lines for a terminal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import FleetError

if TYPE_CHECKING:
    from .campaign import Campaign, CampaignFolder, Choice, Executor, Finished, Handed, Lost, Tally
    from .matrix import KINDS, Cell, Limits, Matrix, Pinned, Pins, expanded, load, parse
    from .results import FolderResults, RegistryResults, Results, open_results
    from .tasks.result import Outcome, Status

__all__ = [
    "KINDS",
    "Campaign",
    "CampaignFolder",
    "Cell",
    "Choice",
    "Executor",
    "Finished",
    "FleetError",
    "FolderResults",
    "Handed",
    "Limits",
    "Lost",
    "Matrix",
    "Outcome",
    "Pinned",
    "Pins",
    "RegistryResults",
    "Results",
    "Status",
    "Tally",
    "expanded",
    "load",
    "open_results",
    "parse",
]

# What is imported when it is first asked for (PEP 562): `cloudboot --help` imports this package for the names of its
# commands, and with all of it would take three times as long.
_LATER = {
    "campaign": ("Campaign", "CampaignFolder", "Choice", "Executor", "Finished", "Handed", "Lost", "Tally"),
    "matrix": ("KINDS", "Cell", "Limits", "Matrix", "Pinned", "Pins", "expanded", "load", "parse"),
    "results": ("FolderResults", "RegistryResults", "Results", "open_results"),
    "tasks.result": ("Outcome", "Status"),
}

if not TYPE_CHECKING:  # a type checker knows the names from above, and that there are no others

    def __getattr__(name: str) -> object:
        for module, names in _LATER.items():
            if name in names:
                from importlib import import_module

                found = globals()[name] = getattr(import_module(f".{module}", __name__), name)
                return found
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
