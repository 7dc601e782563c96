"""From a recipe to what goes into the image: the files of the ESP, the tree of the root, and an account of both.

The account (:mod:`.manifest`) is made here from the sources themselves, by walking folders and reading archives with
the standard library, so it can disagree with what the file-system writers made of them.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tarfile
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING

from cloudboot_ufs2 import File

from . import linux, systems
from .errors import RecipeError
from .manifest import PATH as MANIFEST_PATH
from .manifest import Manifest, ManifestEntry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from .recipe import Recipe

EspFile = bytes | Path


@dataclass(frozen=True)
class Contents:
    """What the writers are given: ``esp`` for FAT, ``source`` (a tar) or else ``root`` for UFS2, and the account."""

    esp: Mapping[str, EspFile]
    root: Mapping[str, File | Path]
    source: Path | None
    manifest: Manifest


def compose(recipe: Recipe, say: Callable[[str], None] = lambda _: None) -> Contents:
    """Gather everything an image is made of; nothing is written yet.

    Raises:
        RecipeError: the recipe asks for what cannot be combined, or a file is not there.
        PackageMissingError: a Debian package cannot be had.
    """
    esp: dict[str, EspFile] = {}
    root: dict[str, File | Path] = {}
    sources: tuple[dict[str, str], ...] = ()
    if recipe.system == "linux":
        parts = linux.gather(recipe.linux, say)
        sources = parts.sources
        loader = systems.load("linux").loader(recipe.architecture)
        esp[loader] = linux.make_loader(parts.grub_modules, recipe.root.label)
        configuration = linux.grub_configuration(recipe.root.partition_name, recipe.linux.arguments)
        made = {"boot/vmlinuz": parts.kernel, "boot/initrd.img": parts.initrd, "boot/grub/grub.cfg": configuration}
        root |= {path: _stamped(recipe, data) for path, data in made.items()}
    esp |= _present(recipe.esp.files)
    root |= {path.strip("/"): source for path, source in _present(recipe.root.files).items()}
    tree = recipe.root.source
    tar = None
    if tree is not None and not tree.is_dir():
        if root:
            raise RecipeError(
                f"{tree} is not a folder, and an archive cannot be combined with other files of the root",
                hint="unpack the archive and give the folder",
            )
        tar = tree
    elif tree is not None:
        root["."] = tree
    entries = list(_tar_entries(tar) if tar else _root_entries(root))
    manifest = Manifest(
        system=recipe.system,
        architecture=recipe.architecture,
        root_label=recipe.root.label,
        root_partition=recipe.root.partition_name,
        root={entry.path: entry for entry in entries},
        esp={path: _esp_entry(data) for path, data in esp.items()},
        sources=sources,
        recipe=recipe.as_dict(),
    )
    esp[MANIFEST_PATH] = manifest.as_bytes()
    return Contents(esp, root, tar, manifest)


def _stamped(recipe: Recipe, data: bytes) -> File:
    return File(data, mtime_ns=recipe.timestamp * 10**9)


def _present(files: Mapping[str, Path]) -> dict[str, Path]:
    for path in files.values():
        if not path.exists():
            raise RecipeError(f"{path} is not there")
    return dict(files)


def _esp_entry(data: EspFile) -> tuple[int, str]:
    if isinstance(data, bytes):
        return len(data), hashlib.sha256(data).hexdigest()
    with data.open("rb") as file:
        return data.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest()


def _root_entries(root: Mapping[str, File | Path]) -> Iterator[ManifestEntry]:
    """The entries of a mapping of single files and at most one folder, ``"."``; the folder on top is not among them."""
    for path, source in root.items():
        if isinstance(source, Path) and source.is_dir():
            yield from _tree_entries(source)
        elif isinstance(source, Path):
            yield _host_entry(f"/{path}", source, source.stat(), Counter())
        else:
            data = source.data if isinstance(source.data, bytes) else Path(source.data).read_bytes()
            yield ManifestEntry(
                f"/{path}", stat.S_IFREG | source.mode, source.uid, source.gid, source.mtime_ns // 10**9,
                size=len(data), links=1, sha256=hashlib.sha256(data).hexdigest(),
            )  # fmt: skip


def _tree_entries(top: Path) -> Iterator[ManifestEntry]:
    found: list[tuple[str, Path, os.stat_result]] = []
    for folder, folders, files in os.walk(top):
        for name in (*folders, *files):
            host = Path(folder) / name
            found.append((f"/{host.relative_to(top)}", host, host.lstat()))
    names = Counter((status.st_dev, status.st_ino) for _, _, status in found if not stat.S_ISDIR(status.st_mode))
    for path, host, status in found:
        yield _host_entry(path, host, status, names)


def _host_entry(path: str, host: Path, status: os.stat_result, names: Counter[tuple[int, int]]) -> ManifestEntry:
    """``names`` counts how often an inode stands in the tree: a file's other names may lie outside it."""
    size = links = sha256 = target = None
    if stat.S_ISREG(status.st_mode):
        with host.open("rb") as file:
            size, sha256 = status.st_size, hashlib.file_digest(file, "sha256").hexdigest()
        links = names[status.st_dev, status.st_ino] or 1
    elif stat.S_ISLNK(status.st_mode):
        target = os.readlink(host)
    return ManifestEntry(
        path, status.st_mode, status.st_uid, status.st_gid, int(status.st_mtime_ns // 10**9),
        size=size, links=links, sha256=sha256, target=target,
    )  # fmt: skip


def _tar_entries(path: Path) -> Iterator[ManifestEntry]:
    """What an archive holds; what is wrong with it is the writer's to say, with the member's name."""
    entries: dict[str, ManifestEntry] = {}
    linked: list[tuple[str, str]] = []
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                name = _member_path(member.name)
                if member.islnk():
                    linked.append((name, _member_path(member.linkname)))
                elif name != "/":
                    entries[name] = _member_entry(name, member, archive.extractfile(member) if member.isreg() else None)
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise RecipeError(f"{path} is neither a folder nor a tar archive: {error}") from None
    for name, target in linked:
        if target in entries:
            entries[name] = replace(entries[target], path=name)
    groups: dict[str, list[str]] = {}
    for name, target in linked:
        groups.setdefault(target, [target]).append(name)
    for names in groups.values():
        for name in names:
            if name in entries:
                entries[name] = replace(entries[name], links=len(names))
    yield from entries.values()


def _member_path(name: str) -> str:
    return "/" + "/".join(part for part in name.split("/") if part not in {"", "."})


def _member_entry(path: str, member: tarfile.TarInfo, content: IO[bytes] | None) -> ManifestEntry:
    kind = stat.S_IFDIR if member.isdir() else stat.S_IFLNK if member.issym() else stat.S_IFREG
    sha256 = None
    if content is not None:
        digest = hashlib.sha256()
        while piece := content.read(1 << 20):
            digest.update(piece)
        sha256 = digest.hexdigest()
    return ManifestEntry(
        path, kind | member.mode & 0o7777, member.uid, member.gid, int(member.mtime),
        size=member.size if content is not None else None, links=1 if content is not None else None,
        sha256=sha256, target=member.linkname if member.issym() else None,
    )  # fmt: skip
