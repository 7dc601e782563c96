"""Matrices of probes, builds, checks, fuzzing and harvests, run on many machines by Dask.

- :mod:`.matrix`: a TOML file with axes, expanded lazily into cells that are pinned to digests;
- :mod:`.campaign`: what runs next, retries, the campaign's folder;
- :mod:`.results`: results under the digest of a cell's inputs, in a folder or a registry;
- :mod:`.forkserver`, :mod:`.worker`: a process for each cell, with limits, which ends whatever happens;
- :mod:`.cluster`: workers on this machine, a scheduler elsewhere, SLURM, Kubernetes;
- :mod:`.tasks`: what cells do; :mod:`.render`: the report, JUnit XML, lines for a terminal.
"""

from .campaign import Campaign, CampaignFolder, Choice, Executor, Finished, Lost, Tally
from .errors import FleetError
from .matrix import KINDS, Cell, Limits, Matrix, Pinned, Pins, load, parse
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
    "load",
    "open_results",
    "parse",
]
