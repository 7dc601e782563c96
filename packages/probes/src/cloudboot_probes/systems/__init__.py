"""Operating systems are data: what a probe has to know of each one, in a TOML file beside this module."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cloudboot_base.parser import suggestion
from cloudboot_probes.errors import RecipeError

if TYPE_CHECKING:
    from cloudboot_qemu.drives import Interface


@dataclass(frozen=True, slots=True)
class System:
    """What an operating system's boot looks like from outside.

    ``loaders`` maps an architecture to the loader's paths on the ESP, the system's own first, that of removable media
    last; ``medium_loaders`` the paths in an installed system or on its installation medium. The patterns are regular
    expressions for the serial line, with a group named ``evidence`` around what a report should show; one that is
    ``None`` has no counterpart in this system. ``mounted``, ``finished`` and ``failed`` are matched with whole lines.
    ``gates`` are those that follow ``loader-banner``; ``kernel`` is the kernel's path in the root file system.
    ``keys`` are typed by the firmwares that are driven from this process: pairs of a pattern at the end of the
    console's text and the keys that answer it. ``tolerated_findings`` are kinds of findings of the checkers that this
    system does not mind. ``text_console`` says that the machine is to have no display, ``text_loader`` that it has none
    while the loader runs: a loader that draws its text itself calls no service that prints.
    """

    name: str
    title: str
    firmware: str
    loaders: dict[str, tuple[str, ...]]
    medium_loaders: dict[str, tuple[str, ...]]
    partition_types: tuple[str, ...]
    root_file_system: str
    kernel: str
    gates: tuple[str, ...]
    tolerated_findings: frozenset[str]
    prompts: tuple[str, ...]
    keys: tuple[tuple[str, str], ...]
    loader_files: tuple[str, ...]
    loader_pattern: str
    banner_pattern: str | None
    mounted_pattern: str | None
    finished_pattern: str | None
    failed_pattern: str | None
    panic_pattern: str | None
    loader_failed_pattern: str | None
    text_console: bool = False
    text_loader: bool = False
    silent: bool = False
    drive: Interface = "virtio"

    def loader_paths(self, architecture: str) -> tuple[str, ...]:
        """The paths of the loader on the ESP, the system's own first.

        Raises:
            RecipeError: this system is not known on that architecture.
        """
        if architecture not in self.loaders:
            raise RecipeError(
                f"no {self.name} loader is known for {architecture}", hint=f"known: {', '.join(self.loaders)}"
            )
        return self.loaders[architecture]

    def medium_loader_paths(self, architecture: str) -> tuple[str, ...]:
        """The paths of the loader in an installed system's root, or in an installation medium's tree."""
        return self.medium_loaders.get(architecture, ())

    def loader(self, architecture: str) -> str:
        """The path at which firmware without a boot entry looks for the loader.

        Raises:
            RecipeError: this system is not known on that architecture.
        """
        return self.loader_paths(architecture)[-1]


@functools.cache
def names() -> tuple[str, ...]:
    """The systems there are."""
    return tuple(sorted(path.stem for path in Path(__file__).parent.glob("*.toml")))


def load(name: str) -> System:
    """The system called ``name``.

    Raises:
        RecipeError: there is no such system.
    """
    if name not in names():
        raise RecipeError(
            f"no operating system is called {name!r}",
            hint=suggestion(name, names()) or f"there are: {', '.join(names())}",
        )
    import tomllib  # 20 ms, and names() needs none

    data = tomllib.loads((Path(__file__).parent / f"{name}.toml").read_text(encoding="utf-8"))
    serial = data["serial"]
    return System(
        name=name,
        title=data["title"],
        firmware=data["firmware"],
        loaders={architecture: tuple(paths) for architecture, paths in data["loaders"].items()},
        medium_loaders={architecture: tuple(paths) for architecture, paths in data.get("medium-loaders", {}).items()},
        partition_types=tuple(data["partition-types"]),
        root_file_system=data["root-file-system"],
        kernel=data["kernel"],
        gates=tuple(data.get("gates", ())),
        tolerated_findings=frozenset(data.get("tolerated-findings", ())),
        prompts=tuple(data.get("prompts", ())),
        keys=tuple((expect, typed) for expect, typed in data.get("keys", ())),
        loader_files=tuple(data.get("loader-reads", ())),
        loader_pattern=serial["loader"],
        banner_pattern=serial.get("banner"),
        mounted_pattern=serial.get("mounted"),
        finished_pattern=serial.get("finished"),
        failed_pattern=serial.get("failed"),
        panic_pattern=serial.get("panic"),
        loader_failed_pattern=serial.get("loader-failed"),
        text_console=data.get("text-console", False),
        text_loader=data.get("text-loader", False),
        silent=data.get("silent", False),
        drive=data.get("drive", "virtio"),
    )
