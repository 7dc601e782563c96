"""The cluster that ``--scheduler`` names, as a client's connection and workers that are waited for."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cloudboot_base import UsageError
from cloudboot_fleet.errors import ClusterError, MatrixError

from .local import local_cluster
from .peer import find_scheduler
from .security import Tls, check_address, security_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

    from distributed import Client

    from cloudboot_fleet.campaign import Executor
    from cloudboot_fleet.matrix import Matrix

#: Schedulers that workers are submitted to.
SUBMITTED = frozenset({"slurm", "kubernetes"})
#: Seconds for the first worker: of a cluster that runs, and of a queue.
_WAIT, _QUEUE = 60.0, 7 * 86400.0
_CONNECT = 10.0  # seconds for a scheduler to answer a client


@dataclass(frozen=True)
class Opened:
    """A cluster: how a client connects, where cells have their folders, and how long its first worker may take."""

    connect: Callable[[], Client]
    scratch: str | None
    patience: float = _WAIT

    def wait(self, executor: Executor) -> None:
        """Wait for the first worker.

        Raises:
            ClusterError: none came.
        """
        end = time.monotonic() + self.patience
        while not executor.slots:
            if time.monotonic() > end:
                raise ClusterError(
                    f"no worker came to {executor.place} in {self.patience:.0f} s",
                    hint="start workers with: cloudboot fleet worker ADDRESS",
                )
            time.sleep(0.1)


@contextlib.contextmanager
def opened(options: argparse.Namespace, matrix: Matrix, tls: Tls | None) -> Iterator[Opened]:
    """The cluster of the command line and the matrix's ``[cluster]`` table.

    Raises:
        ClusterError: the scheduler cannot be reached.
    """
    from distributed import Client

    where = options.scheduler
    scratch = None
    if options.scratch is not None:
        options.scratch.mkdir(parents=True, exist_ok=True)
        scratch = str(options.scratch.resolve())
    if where == "local":
        resources = {**_resources(matrix), **dict(options.resource or ())}
        workers = options.workers or matrix.cluster.get("workers") or os.cpu_count() or 1
        with (
            tempfile.TemporaryDirectory(prefix="cloudboot-fleet-dask-", dir=scratch) as folder,
            local_cluster(workers, resources, Path(folder)) as cluster,
        ):
            yield Opened(lambda: Client(cluster, set_as_default=False), scratch)
        return
    if options.resource:
        raise UsageError("--resource is for local workers", hint="workers elsewhere state theirs when they start")
    if where in SUBMITTED:
        from .batch import batch_cluster

        with batch_cluster(where, matrix, tls, options.workers) as batch:
            yield Opened(lambda: Client(batch, set_as_default=False), scratch, _QUEUE)
        return
    check_address(where, tls)
    security = security_of(tls)
    logging.getLogger("distributed").setLevel(logging.CRITICAL)

    def connect() -> Client:
        asyncio.run(find_scheduler(where, security, _CONNECT))
        try:
            return Client(where, security=security, timeout=_CONNECT, set_as_default=False)
        except OSError as error:
            raise ClusterError(f"no scheduler answers at {where}: {error}") from error

    yield Opened(connect, scratch)


def _resources(matrix: Matrix) -> dict[str, float]:
    table = matrix.cluster.get("resources", {})
    if not isinstance(table, dict) or not all(isinstance(amount, int | float) for amount in table.values()):
        raise MatrixError("[cluster] resources is not a table of numbers")
    return {str(name): float(amount) for name, amount in table.items()}


def submission(where: str, matrix: Matrix, tls: Tls | None, workers: int | None) -> str:
    """What would be submitted to SLURM or Kubernetes; see :func:`.batch.submission`."""
    from .batch import submission as text  # its clusters bring modules of their own

    return text(where, matrix, tls, workers)
