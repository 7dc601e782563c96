"""From a recipe to what goes onto the disk of a Windows: its files, those of the ESP, and an account of both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloudboot_base import FormatError
from cloudboot_base.storage import read_file
from cloudboot_probes.errors import RecipeError
from cloudboot_probes.inventory import account_of_file
from cloudboot_probes.loader import MACHINES, REMOVABLE, pe_problems
from cloudboot_probes.manifest import Manifest
from cloudboot_uefi_abi.pe import PEImage
from cloudboot_uefi_host.programs import boot_manager

from . import demonstration, paths
from .files import with_files
from .source import open_source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import ExitStack
    from pathlib import Path

    from cloudboot_probes.recipe import Recipe

    from .files import WindowsFiles

_MAX_LOADER = 64 << 20


@dataclass(frozen=True)
class Gathered:
    """What an image is made of, without its boot configuration, which needs the GUIDs that follow from this."""

    files: WindowsFiles
    esp: Mapping[str, bytes | Path]
    locale: str
    manifest: Manifest
    warnings: tuple[str, ...]


def gather(recipe: Recipe, stack: ExitStack, say: Callable[[str], None]) -> Gathered:
    """Gather everything; nothing is written yet. The sources stay open until ``stack`` is closed.

    Raises:
        RecipeError: there are no files, no boot manager, or a file does not exist.
        FormatError: a source is damaged.
        PackageMissingError: a WIM, and wimlib's programs are not installed.
        OSError: the host refuses.
    """
    files = with_files(
        _files(recipe, stack, say), {f"/{path.strip('/')}": each for path, each in recipe.root.files.items()}
    )
    loader, origin = _loader(recipe, files)
    architecture = _architecture(loader, recipe.architecture)
    esp = _Esp()
    for folder, below in paths.BOOT_FOLDERS.items():
        for name, path in files.below(folder):
            esp.put(f"{paths.ESP_BOOT}{below}/{name}", files.read(path) or b"")
    esp.put(paths.BOOT_MANAGER, loader)
    esp.put(REMOVABLE[architecture], loader)
    for path, host in recipe.esp.files.items():
        if path.casefold() == paths.BCD.casefold():
            raise RecipeError(f"{path} is made by the windows system itself", hint="give the store with --bcd")
        if path.casefold() != REMOVABLE[recipe.architecture].casefold():
            esp.put(path, _present(host))
    manifest = Manifest(
        system="windows",
        architecture=architecture,
        root_label=recipe.root.label,
        root_partition=recipe.root.partition_name,
        root=dict(files.entries),
        esp={path: account_of_file(data) for path, data in esp.files.items()},
        recipe=recipe.as_dict(),
    )
    warnings = (*(f"{origin} {problem}" for problem in pe_problems(loader, architecture)), *_missing(files))
    return Gathered(files, esp.files, _locale(recipe, files), manifest, warnings)


def _files(recipe: Recipe, stack: ExitStack, say: Callable[[str], None]) -> WindowsFiles:
    source = recipe.windows.source or recipe.root.source
    if source is not None:
        return open_source(source, recipe.windows.index, stack, say)
    if recipe.windows.stand_in:
        return demonstration.files(recipe.architecture)
    raise RecipeError(
        "no Windows files are given",
        hint="give a folder, a WIM, an ISO image or a disk image with --from; --stand-in makes a demonstration",
    )


def _loader(recipe: Recipe, files: WindowsFiles) -> tuple[bytes, str]:
    """The boot manager, and where it is from: the recipe, the tree, or the stand-in."""
    given = next(
        (host for path, host in recipe.esp.files.items()
         if path.casefold() in {paths.BOOT_MANAGER.casefold(), REMOVABLE[recipe.architecture].casefold()}),
        None,
    )  # fmt: skip
    if given is not None:
        return read_file(_present(given), _MAX_LOADER), str(given)
    for path in (paths.TREE_BOOT_MANAGER, paths.BOOT_MANAGER, REMOVABLE[recipe.architecture]):
        found = files.read(path)
        if found is not None:
            return found, path
    if recipe.windows.stand_in:
        return boot_manager(recipe.architecture), "the stand-in"
    raise RecipeError(
        f"the source has no {paths.TREE_BOOT_MANAGER}",
        hint="give the boot manager with --loader; --stand-in takes cloudboot's stand-in for it",
    )


def _architecture(loader: bytes, default: str) -> str:
    """The architecture that the boot manager is for: a Windows has one."""
    try:
        machine = PEImage.parse(loader).machine
    except FormatError:
        return default
    return next((name for name, each in MACHINES.items() if each is machine and name in REMOVABLE), default)


def _locale(recipe: Recipe, files: WindowsFiles) -> str:
    if recipe.windows.locale is not None:
        return recipe.windows.locale
    names = [name.partition("/")[0] for name, _ in files.below("/Windows/Boot/EFI") if name.endswith(".mui")]
    return "en-US" if not names or "en-US" in names else names[0]


def _missing(files: WindowsFiles) -> Iterator[str]:
    for path in (paths.WINLOAD, paths.KERNEL, paths.SYSTEM_HIVE):
        if files.find(path) is None:
            yield f"the source has no {path}: Windows cannot start from this disk"


def _present(host: Path) -> Path:
    if not host.exists():
        raise RecipeError(f"{host} does not exist")
    return host


class _Esp:
    """Files of the ESP by path; FAT does not tell upper case from lower, so a later one replaces an earlier."""

    def __init__(self) -> None:
        self.files: dict[str, bytes | Path] = {}
        self._folded: dict[str, str] = {}

    def put(self, path: str, data: bytes | Path) -> None:
        before = self._folded.get(path.casefold())
        if before is not None:
            del self.files[before]
        self._folded[path.casefold()] = path
        self.files[path] = data
