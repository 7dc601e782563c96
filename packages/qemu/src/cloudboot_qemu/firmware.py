"""Finding UEFI firmware: QEMU's descriptors first, well-known paths after them.

The descriptors are JSON files after QEMU's docs/interop/firmware.json, in ``$XDG_CONFIG_HOME/qemu/firmware``,
``/etc/qemu/firmware`` and ``/usr/share/qemu/firmware``. A file in an earlier folder hides its namesakes in later ones
(an empty one hides them all), and lower names have precedence.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from .architectures import ARCHITECTURES, Architecture
from .errors import FirmwareMissingError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# Features that need more than a plain machine: System Management Mode, or keys that refuse unsigned loaders.
_UNFIT = frozenset({"requires-smm", "enrolled-keys"})

_DESCRIPTOR_LIMIT = 1 << 20


@dataclasses.dataclass(frozen=True, slots=True)
class Firmware:
    """A firmware image: flash with a separate variable store, or (``variables`` is ``None``) one file.

    ``source`` is the descriptor it was found by, or ``"well-known path"``.
    """

    architecture: str
    executable: Path
    variables: Path | None
    description: str
    source: str
    features: tuple[str, ...] = ()

    @property
    def plain(self) -> bool:
        """Whether it starts unsigned programs on a machine without System Management Mode."""
        return _UNFIT.isdisjoint(self.features)

    def as_dict(self) -> dict[str, object]:
        """The facts, ready for JSON."""
        return {
            "architecture": self.architecture,
            "executable": str(self.executable),
            "variables": None if self.variables is None else str(self.variables),
            "description": self.description,
            "source": self.source,
            "features": list(self.features),
            "plain": self.plain,
        }


def descriptor_folders() -> list[Path]:
    """The folders that hold descriptors, the most important first."""
    config = os.environ.get("XDG_CONFIG_HOME") or os.path.join(os.path.expanduser("~"), ".config")
    return [Path(config, "qemu/firmware"), Path("/etc/qemu/firmware"), Path("/usr/share/qemu/firmware")]


def parse_descriptor(text: str, source: str) -> list[Firmware]:
    """The firmware a descriptor offers this package's machines; empty when it is of another kind, or no descriptor."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return []
    mapping = _mapping(document, "mapping")
    executable = _mapping(mapping, "executable")
    filename = executable.get("filename")
    if (
        "uefi" not in _strings(document, "interface-types")
        or mapping.get("device") != "flash"
        or not isinstance(filename, str)
        or executable.get("format") != "raw"
    ):
        return []
    template = _mapping(mapping, "nvram-template")
    variables = template.get("filename")
    mode = mapping.get("mode", "split")
    if mode == "split" and (not isinstance(variables, str) or template.get("format") != "raw"):
        return []
    description = document.get("description")
    return [
        Firmware(
            architecture.name,
            Path(filename),
            Path(variables) if mode == "split" and isinstance(variables, str) else None,
            description if isinstance(description, str) else "",
            source,
            tuple(_strings(document, "features")),
        )
        for architecture in ARCHITECTURES.values()
        if _fits(document, architecture)
    ]


def _mapping(value: object, name: str) -> dict[str, object]:
    part = value.get(name) if isinstance(value, dict) else None
    return part if isinstance(part, dict) else {}


def _strings(value: object, name: str) -> list[str]:
    part = value.get(name) if isinstance(value, dict) else None
    return [item for item in part if isinstance(item, str)] if isinstance(part, list) else []


def _fits(document: dict[str, object], architecture: Architecture) -> bool:
    targets = document.get("targets")
    return any(
        isinstance(target, dict)
        and target.get("architecture") == architecture.firmware_name
        and any(
            fnmatch.fnmatchcase(machine, pattern)
            for machine in architecture.machine_types
            for pattern in _strings(target, "machines")
        )
        for target in (targets if isinstance(targets, list) else [])
    )


def _descriptors(folders: Sequence[Path]) -> Iterator[tuple[str, str]]:
    chosen: dict[str, Path] = {}
    for folder in folders:
        try:
            names = [name for name in os.listdir(folder) if name.endswith(".json")]
        except OSError:
            continue
        for name in names:
            chosen.setdefault(name, folder / name)
    for _, path in sorted(chosen.items()):
        try:
            with path.open(encoding="utf-8", errors="replace") as file:
                yield str(path), file.read(_DESCRIPTOR_LIMIT)
        except OSError:
            continue


def _well_known(row: Architecture) -> Iterator[Firmware]:
    for executable, variables in row.firmware:
        store = Path(variables) if variables else None
        yield Firmware(row.name, Path(executable), store, f"UEFI firmware for {row.firmware_name}", "well-known path")


def list_firmware(architecture: str | None = None, *, folders: Sequence[Path] | None = None) -> list[Firmware]:
    """Every firmware whose files exist, the preferred ones first; of all architectures or of one.

    Raises:
        ValueError: no such architecture.
    """
    rows = list(ARCHITECTURES.values()) if architecture is None else [architecture_named(architecture)]
    found: dict[tuple[str, Path, Path | None], Firmware] = {}
    for source, text in _descriptors(descriptor_folders() if folders is None else folders):
        for firmware in parse_descriptor(text, source):
            found.setdefault((firmware.architecture, firmware.executable, firmware.variables), firmware)
    for row in rows:
        for firmware in _well_known(row):
            found.setdefault((firmware.architecture, firmware.executable, firmware.variables), firmware)
    names = {row.name for row in rows}
    return [
        firmware
        for firmware in found.values()
        if firmware.architecture in names
        and firmware.executable.is_file()
        and (firmware.variables is None or firmware.variables.is_file())
    ]


def find_firmware(architecture: str, *, folders: Sequence[Path] | None = None) -> Firmware:
    """The firmware a machine of ``architecture`` starts with when none is named.

    Raises:
        FirmwareMissingError: there is no firmware that starts unsigned programs on a plain machine.
        ValueError: no such architecture.
    """
    row = architecture_named(architecture)
    for firmware in list_firmware(architecture, folders=folders):
        if firmware.plain:
            return firmware
    raise FirmwareMissingError(architecture, package=row.firmware_package)


def architecture_named(name: str) -> Architecture:
    """The table's row.

    Raises:
        ValueError: no such architecture.
    """
    try:
        return ARCHITECTURES[name]
    except KeyError:
        raise ValueError(f"{name!r} is not an architecture this package knows: {', '.join(ARCHITECTURES)}") from None
