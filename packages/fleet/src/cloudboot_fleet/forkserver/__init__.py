"""Cells in processes of their own, forked from one process per worker that has the tasks' modules loaded.

A worker's threads cannot be killed and its process is not to be: each cell is a process with limits, a session and a
scratch folder of its own. The fork server outlives neither its worker nor leaves anything behind when that is killed.
"""

from .client import Ending, ForkServer

__all__ = ["Ending", "ForkServer"]
