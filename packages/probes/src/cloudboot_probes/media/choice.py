"""Which file of a medium is the boot loader: a system's own paths first, then that of removable media."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cloudboot_base import FormatError
from cloudboot_probes.loader import pe_problems

from .errors import MediumError, NoLoaderError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cloudboot_probes.systems import System

    from .medium import Medium
    from .volume import Volume

MAX_LOADER: Final = 64 << 20


@dataclass(frozen=True)
class Found:
    """A loader: its bytes, its path on ``volume``."""

    data: bytes
    path: str
    volume: Volume

    def as_dict(self) -> dict[str, object]:
        """The loader, ready for JSON."""
        digest = hashlib.sha256(self.data).hexdigest()
        return {"path": self.path, "volume": self.volume.title, "size": len(self.data), "sha256": digest}


def find_loader(medium: Medium, system: System, architecture: str) -> Found:
    """The first file at one of the system's loader paths that is an EFI application for the architecture.

    Every path is looked for in every volume before the next path.

    Raises:
        NoLoaderError: there is no loader; the error says what was there and why it was refused.
        RecipeError: no path of a loader is known for the architecture.
    """
    paths = (*system.medium_loader_paths(architecture), *system.loader_paths(architecture))
    refused: list[str] = []
    for path in dict.fromkeys(paths):
        for volume in medium.volumes:
            try:
                spelled = volume.files.locate(path)
                if spelled is None:
                    continue
                data = volume.files.read(spelled, MAX_LOADER)
            except (FormatError, MediumError) as error:
                refused.append(f"{path} on {volume.title} cannot be read: {error}")
                continue
            problems = pe_problems(data, architecture)
            if not problems:
                return Found(data, spelled, volume)
            refused.append(f"{spelled} on {volume.title} {problems[0]}")
    raise _nothing(medium, system, architecture, refused, paths)


def _nothing(
    medium: Medium, system: System, architecture: str, refused: list[str], paths: Iterable[str]
) -> NoLoaderError:
    wanted = " and no ".join(dict.fromkeys(paths))
    if refused:
        return NoLoaderError(f"{medium.name} has no {system.title} loader for {architecture}: {'; '.join(refused)}")
    if medium.bios is not None:
        return NoLoaderError(
            f"{medium.name} starts on a BIOS only ({medium.bios}): it has no {wanted} in {medium.described()}",
            hint="take a medium that starts under UEFI, or give an EFI loader with --loader",
        )
    problems = f"; not read: {'; '.join(medium.problems)}" if medium.problems else ""
    return NoLoaderError(
        f"{medium.name} has no {wanted} in {medium.described()}{problems}", hint="give an EFI loader with --loader"
    )


def find_root(medium: Medium, system: System, loader: Volume | None) -> Volume:
    """The volume whose tree becomes the root: one with the system's kernel or ``/boot``, or else the first with a tree.

    Raises:
        MediumError: no volume has a tree that can be read.
    """
    trees = [volume for volume in medium.volumes if volume.export is not None]
    for volume in trees:
        if volume.files.locate(system.kernel) is not None:
            return volume
    if loader in trees and loader is not None:
        return loader
    if trees:
        return trees[0]
    problems = f" ({'; '.join(medium.problems)})" if medium.problems else ""
    raise MediumError(
        f"{medium.name} has no tree for the root: no ISO 9660 volume and no UFS that can be read{problems}",
        hint="give the root's files with --root, or build the ESP alone with --esp-only",
    )
