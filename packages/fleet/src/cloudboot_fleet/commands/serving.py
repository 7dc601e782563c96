"""``cloudboot fleet worker`` and ``scheduler``: the two long-running parts of a cluster that is not local."""

from __future__ import annotations

import asyncio
import logging
import signal
import tempfile
from typing import TYPE_CHECKING, Any

from cloudboot_base.command import OK
from cloudboot_fleet.cluster import check_address, security_of
from cloudboot_fleet.cluster.local import CONFIG, has_dashboard
from cloudboot_fleet.cluster.peer import find_scheduler
from cloudboot_fleet.cluster.security import is_loopback
from cloudboot_fleet.errors import ClusterError
from cloudboot_fleet.worker import SLOT

from .running import tls_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from cloudboot_probes.cli.console import Console

#: Seconds: for workers to run on a busy machine, beyond the patience; for those that do not to end.
_START, _CLOSE = 60.0, 10.0


def worker(options: argparse.Namespace, console: Console) -> int:
    """Be workers of a scheduler; when it is gone, wait for it.

    Raises:
        ClusterError: there is no scheduler, or what listens at the address is not one.
    """
    tls = tls_of(options)
    check_address(options.scheduler, tls)
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    asyncio.run(_work(options, console, security_of(tls)))
    return OK


async def _work(options: argparse.Namespace, console: Console, security: Any) -> None:
    import dask
    from distributed import Nanny

    stopped = _stop_on_signals()
    scheme, _, rest = options.scheduler.partition("://")
    host = rest.rpartition(":")[0].strip("[]")
    # Left to itself a worker listens on all interfaces, also where only this machine's scheduler needs it.
    place = {"host": host} if is_loopback(host) else {}
    with dask.config.set(CONFIG), tempfile.TemporaryDirectory(prefix="cloudboot-fleet-dask-") as folder:
        loop = asyncio.get_running_loop()
        failing: float | None = None
        while await _found(options.scheduler, security, options.patience, stopped):
            nannies = [
                Nanny(
                    options.scheduler, nthreads=1, memory_limit=0, security=security, protocol=scheme,
                    resources={SLOT: 1, **dict(options.resource or ())},
                    local_directory=str(options.scratch or folder), dashboard_address="127.0.0.1:0",
                    silence_logs=logging.CRITICAL, **place,
                )
                for _ in range(options.workers)
            ]  # fmt: skip
            try:
                await _started(nannies, stopped, options.patience + _START)
            except (OSError, TimeoutError, RuntimeError, AssertionError) as error:
                # A nanny whose scheduler goes while it starts may fail an assertion of its own.
                console.say(f"cloudboot: the scheduler was lost during the start: {error}")
                await asyncio.gather(*(nanny.close() for nanny in nannies), return_exceptions=True)
                failing = failing or loop.time()
                if loop.time() - failing > options.patience:
                    raise ClusterError(f"what answers at {options.scheduler} takes no workers: {error}") from None
                continue
            failing = None
            if not stopped.is_set():
                console.say(f"cloudboot: {len(nannies)} workers at {options.scheduler}")
            ended = [asyncio.create_task(nanny.finished()) for nanny in nannies]
            stop = asyncio.create_task(stopped.wait())
            await asyncio.wait([*ended, stop], return_when=asyncio.FIRST_COMPLETED)
            stop.cancel()
            await asyncio.gather(*(nanny.close() for nanny in nannies), return_exceptions=True)


async def _started(nannies: Sequence[Any], stopped: asyncio.Event, seconds: float) -> None:
    """Wait until all workers run, or the process is to stop.

    Raises:
        TimeoutError: they do not come to run; what answers at the address is not a scheduler, say.
    """
    starting: asyncio.Future[Any] = asyncio.gather(*nannies)
    stop: asyncio.Future[Any] = asyncio.create_task(stopped.wait())
    try:
        done, _ = await asyncio.wait([starting, stop], timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if starting in done:
            await starting
        elif not done:
            raise TimeoutError(f"no worker runs after {seconds:.0f} s")
    finally:
        stop.cancel()
        starting.cancel()
        await asyncio.wait([starting], timeout=_CLOSE)


async def _found(address: str, security: Any, patience: float, stopped: asyncio.Event) -> bool:
    """Whether a scheduler answers at the address, waiting for it; false once the process is to stop.

    Raises:
        ClusterError: none did in time.
    """
    looking: asyncio.Future[Any] = asyncio.create_task(find_scheduler(address, security, patience))
    stop: asyncio.Future[Any] = asyncio.create_task(stopped.wait())
    try:
        await asyncio.wait([looking, stop], return_when=asyncio.FIRST_COMPLETED)
        if not stopped.is_set():
            await looking
    finally:
        stop.cancel()
        looking.cancel()
        await asyncio.wait([looking])
    return not stopped.is_set()


def scheduler(options: argparse.Namespace, console: Console) -> int:
    """Be a scheduler until a signal comes."""
    tls = tls_of(options)
    check_address(options.address, tls)
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    asyncio.run(_schedule(options.address, console, security_of(tls)))
    return OK


async def _schedule(address: str, console: Console, security: Any) -> None:
    import dask
    from distributed import Scheduler

    stopped = _stop_on_signals()
    scheme, _, rest = address.partition("://")
    host, _, port = rest.rpartition(":")
    with dask.config.set(CONFIG):
        running = Scheduler(
            host=host,
            port=int(port),
            protocol=f"{scheme}://",
            security=security,
            dashboard=has_dashboard(),
            dashboard_address="127.0.0.1:0",
        )
        try:
            await running
        except RuntimeError as error:  # Dask's own, whose cause says what is wrong
            raise ClusterError(f"cannot listen at {address}: {error.__cause__ or error}") from None
        try:
            console.print(str(running.address))
            await stopped.wait()
        finally:
            await running.close()


def _stop_on_signals() -> asyncio.Event:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    return stopped
