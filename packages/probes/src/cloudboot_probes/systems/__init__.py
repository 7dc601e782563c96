"""Operating systems are data: what a probe has to know of each one, in a TOML file beside this module."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib import resources

from cloudboot_probes.errors import RecipeError


@dataclass(frozen=True, slots=True)
class System:
    """What an operating system's boot looks like from outside.

    ``loaders`` maps an architecture to the loader's path on the ESP; the patterns are regular expressions for the
    serial line, with a group named ``evidence`` around what a report should show.
    """

    name: str
    title: str
    loaders: dict[str, str]
    loader_pattern: str
    banner_pattern: str
    mounted_pattern: str
    finished_pattern: str
    failed_pattern: str
    loader_files: tuple[str, ...]

    def loader(self, architecture: str) -> str:
        """The path of the loader on the ESP.

        Raises:
            RecipeError: this system is not known on that architecture.
        """
        if architecture not in self.loaders:
            raise RecipeError(
                f"no {self.name} loader is known for {architecture}", hint=f"known: {', '.join(self.loaders)}"
            )
        return self.loaders[architecture]


def names() -> list[str]:
    """The systems there are."""
    files = resources.files(__package__).iterdir()
    return sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml"))


def load(name: str) -> System:
    """The system called ``name``.

    Raises:
        RecipeError: there is none.
    """
    if name not in names():
        raise RecipeError(f"no operating system is called {name!r}", hint=f"there are: {', '.join(names())}")
    data = tomllib.loads(resources.files(__package__).joinpath(f"{name}.toml").read_text(encoding="utf-8"))
    return System(
        name=name,
        title=data["title"],
        loaders=data["loaders"],
        loader_pattern=data["serial"]["loader"],
        banner_pattern=data["serial"]["banner"],
        mounted_pattern=data["serial"]["mounted"],
        finished_pattern=data["serial"]["finished"],
        failed_pattern=data["serial"]["failed"],
        loader_files=tuple(data["loader_reads"]),
    )
