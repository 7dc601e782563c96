"""Cells in processes of their own, forked from one process per worker that has the tasks' modules loaded.

A worker's threads cannot be killed and its process is not to be: a cell has a process with limits, a session and a
scratch folder apart from it. The fork server outlives neither its worker nor leaves anything behind when that is
killed. A process that a cell left as it was runs the next one as well.
"""

from .client import Ending, ForkServer

__all__ = ["Ending", "ForkServer"]
