"""From a recipe and a medium to a recipe whose files are on this machine."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
import os
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cloudboot_base.storage import read_file
from cloudboot_probes import systems
from cloudboot_probes.errors import RecipeError

from .choice import find_loader, find_root
from .errors import MediumError
from .medium import Medium, open_medium
from .volume import parts_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from cloudboot_probes.recipe import Recipe

#: The systems whose loader and root come from a medium.
SYSTEMS: Final = ("freebsd", "netbsd", "openbsd")
_MAX_ROOT_FILE: Final = 1 << 30


@contextlib.contextmanager
def prepared(
    recipe: Recipe, path: Path, *, sha256: str | None = None, say: Callable[[str], None] = lambda _: None
) -> Iterator[Recipe]:
    """``recipe`` with the loader and the root of the medium at ``path``, which stay where they are within the block.

    A loader that the recipe has already is kept, and so is a source of the root. ``sha256`` is the medium's, where it
    is known.

    Raises:
        RecipeError: the recipe's system takes nothing from a medium.
        MediumError: the medium has no loader for the architecture, or no tree for the root.
        MissingDependencyError: it is an ISO image, and pycdlib is not installed.
        FormatError: the medium is damaged.
        OSError: it cannot be read, or there is no room for the root's archive.
    """
    if recipe.system not in SYSTEMS:
        raise RecipeError(
            f"the system {recipe.system} takes nothing from a medium", hint=f"systems that do: {', '.join(SYSTEMS)}"
        )
    system = systems.load(recipe.system)
    target = system.loader(recipe.architecture)
    with tempfile.TemporaryDirectory(prefix="cloudboot-medium-") as name, open_medium(path, say) as medium:
        folder = Path(name)
        esp, found = recipe.esp, None
        if not any(each.casefold() == target.casefold() for each in esp.files):
            found = find_loader(medium, system, recipe.architecture)
            say(f"loader: {found.path} of {found.volume.title}, {len(found.data)} bytes")
            (folder / "loader.efi").write_bytes(found.data)
            esp = dataclasses.replace(esp, files={**esp.files, target: folder / "loader.efi"})
        root = recipe.root
        if not recipe.esp_only and root.source is None:
            volume = find_root(medium, system, found.volume if found is not None else None)
            if volume.export is None:
                raise AssertionError("find_root gives a volume with a tree")
            say(f"root: {volume.title}")
            source = volume.export(folder)
            if source.is_dir() and any(os.path.lexists(source / each.strip("/")) for each in root.files):
                source = _archived(source, folder / "folder.tar")
            if source.is_file() and root.files:
                source = _merged(source, folder / "merged.tar", root.files, recipe.timestamp)
                root = dataclasses.replace(root, files={})
            root = dataclasses.replace(root, source=source)
        yield dataclasses.replace(recipe, esp=esp, root=root, sources=(_source(recipe, medium, path, sha256),))


def _source(recipe: Recipe, medium: Medium, path: Path, sha256: str | None) -> Mapping[str, str]:
    """What the manifest records of the medium."""
    facts = {"package": f"{recipe.system} medium", "version": medium.format}
    if sha256 is None and path.is_file():
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return facts if sha256 is None else {**facts, "sha256": sha256}


def _archived(top: Path, target: Path) -> Path:
    """Write a folder as a pax archive, in the order of its names."""
    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as archive:
        archive.add(top, ".")
    return target


def _merged(archive: Path, target: Path, files: Mapping[str, Path], timestamp: int) -> Path:
    """Write ``archive`` to ``target`` with ``files`` in the place of what it has under their names.

    Raises:
        MediumError: the archive is damaged.
    """
    given = {path.strip("/"): read_file(source, _MAX_ROOT_FILE) for path, source in files.items()}
    try:
        with tarfile.open(archive) as before, tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as after:
            for member in before:
                if "/".join(parts_of(member.name)) in given:
                    continue
                after.addfile(member, before.extractfile(member) if member.isreg() else None)
            for path, data in given.items():
                info = tarfile.TarInfo(path)
                info.size, info.mode, info.mtime = len(data), 0o644, timestamp
                after.addfile(info, io.BytesIO(data))
    except (tarfile.TarError, EOFError, ValueError, OverflowError) as error:
        raise MediumError(f"{archive} is a damaged tar archive: {error}") from None
    return target
