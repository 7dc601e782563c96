"""Workers on this machine: a scheduler and worker processes that listen on loopback and end with this process."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
from typing import TYPE_CHECKING

from cloudboot_fleet.worker import SLOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from distributed import LocalCluster

#: One death of a worker is one attempt; the engine counts them.
CONFIG = {
    "distributed.scheduler.allowed-failures": 0,
    "distributed.admin.system-monitor.gil.enabled": False,
    "distributed.worker.profile.enabled": False,
    # How late its loop is Dask measures fifty times a second in each process, which takes 4 % of two processors.
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.system-monitor.interval": "2s",
    # Whatever a lost connection means for a cell is in its history.
    "logging.distributed": "critical",
}


def has_dashboard() -> bool:
    """Whether Dask can show its page; it needs bokeh."""
    return importlib.util.find_spec("bokeh") is not None


@contextlib.contextmanager
def local_cluster(workers: int, resources: Mapping[str, float], folder: Path) -> Iterator[LocalCluster]:
    """So many worker processes, each of which runs one cell at a time; ``folder`` is for Dask's own files."""
    import dask
    from distributed import LocalCluster

    start = {
        # A nanny whose new worker does not reach the scheduler in time starts no other one; a busy machine is slow.
        "distributed.comm.timeouts.connect": "180s",
        # So long after the loss of a worker Dask ends its nanny for good if no worker has its name then: also if the
        # next worker has been lost meanwhile, and its successor is starting. A cell that kills workers does that.
        "distributed.deploy.lost-worker-timeout": "7 days",
    }
    level = logging.ERROR if os.environ.get("CLOUDBOOT_FLEET_LOG") else logging.CRITICAL
    with (
        dask.config.set({**CONFIG, **start}),
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            # Without an address of its own, each process answers HTTP on all interfaces.
            dashboard_address="127.0.0.1:0",
            worker_dashboard_address="127.0.0.1:0",
            scheduler_kwargs={"dashboard": has_dashboard()},
            resources={SLOT: 1, **resources},
            memory_limit=0,
            local_directory=str(folder),
            silence_logs=level,
        ) as cluster,
    ):
        yield cluster
