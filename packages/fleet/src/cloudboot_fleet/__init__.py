"""Matrices of probes, builds, checks, fuzzing and harvests, run on many machines by Dask.

These modules are public:

- :mod:`.matrix`: a TOML file with axes, expanded lazily into cells that are pinned to digests;
- :mod:`.campaign`: what runs next, retries, the campaign's folder;
- :mod:`.results`: results under the digest of a cell's inputs, in a folder or a registry;
- :mod:`.tasks.result`: how a cell ended;
- :mod:`.errors`: the exceptions, all of them a :class:`.FleetError`.

Beside them are :mod:`.forkserver` and :mod:`.worker` (a process for each cell, with limits, which ends whatever
happens), :mod:`.cluster` (workers on this machine, a scheduler elsewhere, SLURM, Kubernetes), :mod:`.tasks` (what cells
do) and :mod:`.render` (the report, JUnit XML, lines for a terminal).
"""

# No more than this: ``cloudboot --help`` imports this package for the names of its commands, and all of the public
# modules take three times as long as the rest of that command.
from .errors import FleetError

__all__ = ["FleetError"]
