"""The gates of Windows: the components of its boot on the disk, and what the boot manager made of them.

They follow the loader's banner under every firmware, so that a component that is not as it must be can be held against
the screen that the boot manager shows.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

from cloudboot_base import Error, GateFailedError
from cloudboot_probes.errors import WindowsBootError
from cloudboot_probes.windows import components, paths
from cloudboot_probes.windows.examination import Examination
from cloudboot_probes.windows.status import screens

from .staging import stage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cloudboot_base.gates import Stage
    from cloudboot_probes.windows.status import Screen

    from .context import Probe

VERDICT = "boot-verdict"
_LAST_LINES = 25


def stages(settle: Callable[[Probe], None]) -> dict[str, Stage[Probe]]:
    """The stage of each gate by name. ``settle`` waits until the boot manager has come to an end under a firmware."""
    found = {
        name: stage(
            name,
            _component(name, settle),
            headline=components.HEADLINES[name],
            not_applicable=_within_a_file if name in components.OF_FILES else None,
        )
        for name in components.NAMES
    }

    def verdict(probe: Probe) -> Mapping[str, object]:
        settle(probe)
        return _verdict(probe)

    verdict.__doc__ = inspect.getdoc(_verdict)
    return {**found, VERDICT: stage(VERDICT, verdict, headline="{loader}")}


def _component(name: str, settle: Callable[[Probe], None]) -> Callable[[Probe], Mapping[str, object]]:
    """The stage function of a component; its docstring is the component's."""
    examine = components.RUNS[name]

    def run(probe: Probe) -> Mapping[str, object]:
        try:
            evidence = examine(_examination(probe))
            return evidence if name != "requirements" else {**evidence, **_machine(probe)}
        except GateFailedError as error:
            settle(probe)
            shown = [str(screen) for screen in _screens(probe)]
            error.evidence |= {"screens": shown} if shown else {}
            raise

    run.__doc__ = inspect.getdoc(examine)
    return run


def _machine(probe: Probe) -> dict[str, object]:
    """What the machine of this probe has of what Windows may demand."""
    facts = probe.session.facts()
    return {f"machine_{name}": facts.get(name) for name in ("secure_boot", "tpm", "memory")}


def _examination(probe: Probe) -> Examination:
    return Examination(probe.disk, probe.options.architecture)


def _within_a_file(probe: Probe) -> str | None:
    return _examination(probe).container_reason


def _screens(probe: Probe) -> list[Screen]:
    return list(screens(probe.boot().console))


def _verdict(probe: Probe) -> Mapping[str, object]:
    """The boot manager shows no error screen, and the machine read the whole of the loader from the volume.

    Leaves open: What the loader does then; its own complaints are screens of the same form.
    """
    examination, boot = _examination(probe), probe.boot()
    path = examination.container or examination.loader_path
    try:
        owner = examination.owner(path.replace("\\", "/"))
    except Error:
        owner = path
    coverage = boot.block_map.coverage(boot.reads) if boot.block_map is not None else {}
    wanted = {
        "store": (probe.disk.esp_partition.number, paths.BCD),
        "loader": (examination.partition.number, owner),
    }
    read = {name: coverage.get(key) for name, key in wanted.items()}
    evidence: dict[str, object] = {
        name: "nothing was read" if part is None else f"{wanted[name][1]}, {part.read} of {part.size} bytes read"
        for name, part in read.items()
    }
    evidence["console"] = [line.rstrip() for line in boot.console.splitlines() if line.strip()][-_LAST_LINES:]
    shown = _screens(probe)
    if shown:
        evidence["screens"] = [str(screen) for screen in shown]
        first = shown[0]
        raise WindowsBootError(
            f"an error screen: {first}", status=first.status, file=first.file, evidence=evidence,
            hint=first.cause.try_next if first.cause is not None else None,
        )  # fmt: skip
    loader = read["loader"]
    if loader is None or not loader.complete:
        raise WindowsBootError(
            f"nothing read the whole of {path}: the boot manager did not come to it",
            evidence=evidence, file=path, hint="the console says how far it came",
        )  # fmt: skip
    return evidence
