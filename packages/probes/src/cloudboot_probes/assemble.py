"""From a recipe to what goes into the image: the files of the ESP, the tree of the root, and an account of both."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cloudboot_base.storage import read_file
from cloudboot_ufs2 import File, HardLink, Symlink

from . import linux, standin, systems
from .errors import RecipeError
from .inputs import check_file
from .inventory import account_of_archive, account_of_file, account_of_mapping
from .loader import REMOVABLE, pe_problems
from .manifest import PATH as MANIFEST_PATH
from .manifest import Manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from .inventory import RootMember
    from .recipe import Recipe

EspFile = bytes | Path
MAX_LOADER = 64 << 20
_WORD = re.compile(r"[A-Za-z0-9._-]+")

_FIRST_FAT_TIME = 315_532_800  # 1980-01-01 in UTC


@dataclass(frozen=True)
class Contents:
    """What the writers are given: ``esp`` for FAT, ``source`` (a tar) or else ``root`` for UFS2, and the account."""

    esp: Mapping[str, EspFile]
    root: Mapping[str, RootMember]
    source: Path | None
    manifest: Manifest
    warnings: tuple[str, ...] = ()


def compose(recipe: Recipe, say: Callable[[str], None] = lambda _: None) -> Contents:
    """Gather everything an image is made of; nothing is written yet.

    Raises:
        RecipeError: the recipe asks for what cannot be combined, or a file does not exist.
        PackageMissingError: a Debian package cannot be had.
    """
    esp: dict[str, EspFile] = {}
    root: dict[str, RootMember] = {}
    sources: tuple[Mapping[str, str], ...] = recipe.sources
    if recipe.system == "linux":
        if not _WORD.fullmatch(recipe.root.partition_name):
            raise RecipeError(
                f"the partition's name {recipe.root.partition_name!r} is on the kernel's command line",
                hint="use letters, digits, dashes, dots and underscores",
            )
        parts = linux.gather(recipe.linux, say)
        sources = parts.sources
        loader = systems.load("linux").loader(recipe.architecture)
        esp[loader] = linux.make_loader(parts.grub_modules, recipe.root.label)
        configuration = linux.grub_configuration(recipe.root.partition_name, recipe.linux.arguments)
        made = {"boot/vmlinuz": parts.kernel, "boot/initrd.img": parts.initrd, "boot/grub/grub.cfg": configuration}
        root |= {path: _stamped(recipe, data) for path, data in (*made.items(), *parts.files.items())}
        # Debian's own names for what is booted, and the release the kernel states.
        moment = recipe.timestamp * 10**9
        root |= {path: Symlink(f"boot/{path}", mtime_ns=moment) for path in ("vmlinuz", "initrd.img")}
        root[f"boot/vmlinuz-{parts.release}"] = HardLink("boot/vmlinuz")
    elif recipe.system == "demo":
        esp[systems.load("demo").loader(recipe.architecture)] = standin.loader(recipe.architecture)
        if not recipe.esp_only:
            root[standin.LOADER_CONF_PATH] = _stamped(recipe, standin.LOADER_CONF.encode())
    esp |= _present(recipe.esp.files)
    root |= {path.strip("/"): source for path, source in _present(recipe.root.files).items()}
    tree = recipe.root.source
    if recipe.esp_only and (root or tree is not None):
        raise RecipeError(
            "a disk with an ESP alone has no root for files", hint="leave out esp-only, or the root's files"
        )
    tar = None
    if tree is not None and not tree.exists():
        raise RecipeError(f"{tree} does not exist")
    if tree is not None and not tree.is_dir():
        _regular(tree)
        if root:
            raise RecipeError(
                f"{tree} is not a folder, and an archive cannot be combined with other files of the root",
                hint="unpack the archive and give the folder",
            )
        tar = tree
    elif tree is not None:
        for path in recipe.root.files:
            if os.path.lexists(tree / path.strip("/")):
                raise RecipeError(f"{path} is in {tree} as well", hint="leave out one of the two")
        root["."] = tree
    entries = [] if recipe.esp_only else list(account_of_archive(tar) if tar else account_of_mapping(root))
    manifest = Manifest(
        system=recipe.system,
        architecture=recipe.architecture,
        root_label="" if recipe.esp_only else recipe.root.label,
        root_partition="" if recipe.esp_only else recipe.root.partition_name,
        root={entry.path: entry for entry in entries},
        esp={path: account_of_file(data) for path, data in esp.items()},
        sources=sources,
        recipe=recipe.as_dict(),
    )
    esp[MANIFEST_PATH] = manifest.as_bytes()
    return Contents(esp, root, tar, manifest, (*_loader_warnings(recipe, esp), *_time_warnings(recipe)))


def _time_warnings(recipe: Recipe) -> Iterator[str]:
    if recipe.timestamp < _FIRST_FAT_TIME:
        yield f"FAT stores no time before 1980: the timestamp {recipe.timestamp} becomes 1980-01-01 in the ESP"


def _loader_warnings(recipe: Recipe, esp: Mapping[str, EspFile]) -> Iterator[str]:
    """Why firmware may not start the image."""
    path = REMOVABLE[recipe.architecture]
    # FAT does not tell upper case from lower.
    found = next((data for name, data in esp.items() if name.casefold() == path.casefold()), None)
    if found is None:
        yield f"the ESP has no {path}: firmware starts nothing from this disk unless a boot entry names another loader"
    else:
        data = found if isinstance(found, bytes) else read_file(found, MAX_LOADER)
        yield from (f"{path} {problem}" for problem in pe_problems(data, recipe.architecture))


def _stamped(recipe: Recipe, data: bytes) -> File:
    return File(data, mtime_ns=recipe.timestamp * 10**9)


def _present(files: Mapping[str, Path]) -> dict[str, Path]:
    for path in files.values():
        if not path.exists():
            raise RecipeError(f"{path} does not exist")
        if not path.is_dir():
            _regular(path)
    return dict(files)


def _regular(path: Path) -> None:
    try:
        check_file(path)
    except OSError as error:
        raise RecipeError(f"{path}: {error.strerror}") from None
