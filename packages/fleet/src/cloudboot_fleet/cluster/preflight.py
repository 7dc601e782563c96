"""What is checked before a campaign starts: Dask would wait for a missing resource forever, in silence."""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from cloudboot_fleet import hosts
from cloudboot_fleet.errors import ClusterError, RefusedError, ResourceError, ResultError
from cloudboot_fleet.results import refusal
from cloudboot_fleet.worker import SLOT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from distributed import Client

    from cloudboot_fleet.matrix import Matrix
    from cloudboot_fleet.matrix.pins import Gathered
    from cloudboot_fleet.results import Results


def check_needs(matrix: Matrix, workers: Sequence[Mapping[str, float]]) -> None:
    """Raise unless some worker has what each block needs.

    Raises:
        ClusterError: no worker runs cells.
        ResourceError: a resource is missing, or no single worker has enough of all of them.
    """
    if not any(worker.get(SLOT) for worker in workers):
        raise ClusterError(
            "no worker of the scheduler runs cells", hint="start workers with: cloudboot fleet worker ADDRESS"
        )
    for block in matrix.blocks:
        needs = {SLOT: 1.0, **block.resources}
        if any(all(worker.get(name, 0) >= amount for name, amount in needs.items()) for worker in workers):
            continue
        for name, amount in block.resources.items():
            most = max((worker.get(name, 0) for worker in workers), default=0)
            if most < amount:
                told = f"the most that one has is {most:g}" if most else "none has any"
                raise ResourceError(
                    f"[[cells]] {block.number + 1} needs {name} {amount:g} of a worker, and {told}",
                    hint=f"start a worker with --resource {name}={amount:g}",
                )
        raise ResourceError(f"[[cells]] {block.number + 1} needs what no single worker has together")


def check_place(results: Results, client: Client) -> None:
    """Raise unless every worker sees the folder that results go to.

    Raises:
        ClusterError: a worker does not.
    """
    if not results.is_folder:
        return
    folder = Path(results.place.removeprefix("oci:"))
    mark = folder / f".seen-{uuid.uuid4().hex}"
    folder.mkdir(parents=True, exist_ok=True)
    mark.touch()
    try:
        seen = client.run(os.path.exists, str(mark))
    finally:
        mark.unlink()
    for address, there in seen.items():
        if not there:
            raise ClusterError(
                f"the worker {address} does not see the folder {folder}",
                hint="keep results in a registry (--results HOST/REPOSITORY), or in a folder that all machines share",
            )


def check_push(place: str, client: Client) -> None:
    """Raise unless every worker may store results at ``place``; nothing is stored.

    Raises:
        RefusedError: a worker may not.
        ResultError: a worker does not reach it now.
    """
    for address, told in client.run(refusal, place).items():
        if told is not None:
            refused, message, hint = told
            kind = RefusedError if refused else ResultError
            raise kind(f"{message} (on {address})", hint=hint)


def asked_hosts(gathered: Mapping[int, Gathered], client: Client) -> dict[str, dict[str, str]]:
    """What each worker has of everything that cells depend on, under the worker's address."""
    names = sorted(set().union(*(each.depends for each in gathered.values())))
    told: dict[str, dict[str, str]] = client.run(hosts.facts, names)
    return told


def agreed_hosts(
    gathered: Mapping[int, Gathered],
    matrix: Matrix,
    workers: Mapping[str, Mapping[str, float]],
    told: Mapping[str, Mapping[str, str]],
) -> dict[int, Mapping[str, str]]:
    """For each block what its cells depend on beside their inputs, the same on every worker that may run them.

    ``workers`` has the resources of each, ``told`` what :func:`asked_hosts` was told.

    Raises:
        ClusterError: two workers differ, so that a result would depend on where its cell ran.
    """
    found: dict[int, Mapping[str, str]] = {}
    for block in matrix.blocks:
        if block.number not in gathered:
            continue
        needs = {SLOT: 1.0, **block.resources}
        able = [
            address for address, has in workers.items()
            if address in told and all(has.get(name, 0) >= amount for name, amount in needs.items())
        ]  # fmt: skip
        wanted = gathered[block.number].depends
        first = {name: told[able[0]][name] for name in sorted(wanted)} if able else hosts.facts(sorted(wanted))
        for address in able[1:]:
            if other := hosts.difference(first, told[address]):
                raise ClusterError(
                    f"two workers for [[cells]] {block.number + 1} differ: on {address} {other} as on {able[0]}",
                    hint="start one kind of them with --resource NAME, and have the cells need it",
                )
        found[block.number] = first
    return found
