"""Build a bootable disk image, and describe one.

The image is one sparse file: GPT around a FAT ESP and a UFS2 root, each written straight into its partition. The layout
does not depend on the content, so the GUIDs, which do, come last.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cloudboot_fat as fat
import cloudboot_gpt as gpt
import cloudboot_ufs2 as ufs2
from cloudboot_base import new_image
from cloudboot_base.storage import chunks
from cloudboot_gpt import partition_types

from .assemble import Contents, compose
from .readback import read_back
from .recipe import MIB, check

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from cloudboot_base import Storage, WritableStorage
    from cloudboot_ufs2.builder.builder import Source

    from .manifest import Manifest
    from .recipe import Recipe


@dataclass(frozen=True)
class Plan:
    """What a build would write: the table without its content-derived GUIDs, and the contents."""

    recipe: Recipe
    contents: Contents
    table: gpt.Table
    specs: tuple[gpt.PartitionSpec, ...]

    def fill(self, storage: WritableStorage, progress: Callable[[int], None] | None = None) -> gpt.Table:
        """Write the partitions, then the table, into fresh ``storage`` (it reads as zeros) of the planned size."""
        recipe, contents = self.recipe, self.contents
        windows = [partition.window(storage) for partition in self.table.partitions]
        fat.build(windows[0], contents.esp, esp_options(recipe, self.table.partitions[0].first_lba))
        for root in windows[1:]:
            ufs2.build(root, _source(contents), _ufs2_options(recipe), progress=progress)
        table = gpt.plan(self.specs, sector_size=recipe.sector_size, seed=recipe.seed, content=windows)
        return gpt.create(storage, table)

    def read_back(self, storage: Storage) -> list[str]:
        """Check the written disk and compare every file with the manifest; the names of other readers that agreed.

        Raises:
            ReadBackError: the disk does not hold what was planned.
        """
        return read_back(storage, self.contents.manifest)

    def as_dict(self) -> dict[str, object]:
        """The plan, ready for JSON."""
        manifest = self.contents.manifest
        return {
            "system": manifest.system,
            "size": self.table.size,
            "partitions": [
                {"number": part.number, "type": part.type_name, "name": part.name, "first_lba": part.first_lba,
                 "last_lba": part.last_lba, "size": part.size}
                for part in self.table.partitions
            ],
            "esp": {path: size for path, (size, _) in sorted(manifest.esp.items())},
            "root": {path: entry.size for path, entry in sorted(manifest.root.items())},
            "sources": list(manifest.sources),
        }  # fmt: skip


@dataclass(frozen=True)
class Built:
    """A finished image; ``readers`` are the programs of others that read it back, too."""

    table: gpt.Table
    manifest: Manifest
    sha256: str
    readers: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, object]:
        """The image, ready for JSON."""
        return {
            "sha256": self.sha256,
            "size": self.table.size,
            "system": self.manifest.system,
            "files": self.manifest.files,
            "sources": list(self.manifest.sources),
            "read_back_by": ["cloudboot", *self.readers],
            "table": self.table.as_dict(),
        }


def plan(recipe: Recipe, say: Callable[[str], None] = lambda _: None) -> Plan:
    """Gather the contents and lay out the disk; nothing is written.

    Raises:
        RecipeError: the recipe cannot be met.
        FormatError: the contents do not fit, or cannot be stored; the error names the member.
        PackageMissingError: a Debian package cannot be had.
    """
    check(recipe)
    if recipe.system == "windows":
        from .windows.image import plan as plan_windows  # it extends what is in this module

        return plan_windows(recipe, say)
    contents = compose(recipe, say)
    specs = [gpt.PartitionSpec(partition_types.ESP, recipe.esp.size, "EFI system")]
    if not recipe.esp_only:
        specs.append(_root_spec(recipe, contents))
    table = gpt.plan(specs, sector_size=recipe.sector_size, seed=recipe.seed)
    return Plan(recipe, contents, table, tuple(specs))


def _root_spec(recipe: Recipe, contents: Contents) -> gpt.PartitionSpec:
    root = recipe.root
    size = root.size
    if size is None:
        needed = ufs2.required_size(_source(contents), _ufs2_options(recipe))
        size = -(-(needed + needed * root.free // 100) // MIB) * MIB
    return gpt.PartitionSpec(partition_types.parse(root.partition_type), size, root.partition_name)


def build(
    planned: Plan, output: str | os.PathLike[str], *, force: bool = False, progress: Callable[[int], None] | None = None
) -> Built:
    """Write the image and read it back; ``output`` names it once it is whole and every file of it is right.

    Raises:
        ReadBackError: the image does not hold what went into it.
        FileExistsError: ``output`` is there and ``force`` is false.
        FormatError: the contents do not fit, or cannot be stored; the error names the member.
        OSError: the disk is full, a source cannot be read.
    """
    with new_image(output, planned.table.size, force=force) as storage:
        table = planned.fill(storage, progress)
        readers = planned.read_back(storage)
        digest = hashlib.sha256()
        for piece in chunks(storage):
            digest.update(piece)
    return Built(table, planned.contents.manifest, digest.hexdigest(), tuple(readers))


def esp_options(recipe: Recipe, first_lba: int, fat_type: fat.FatType | None = None) -> fat.FormatOptions:
    """How the ESP is formatted: a fresh volume behind ``first_lba`` sectors."""
    return fat.FormatOptions(
        fat_type=fat_type,
        sector_size=recipe.sector_size,
        label=recipe.esp.label,
        timestamp=dt.datetime.fromtimestamp(recipe.timestamp, dt.UTC),
        hidden_sectors=first_lba,
        fresh=True,
    )


def _source(contents: Contents) -> Source:
    return contents.source if contents.source is not None else dict(contents.root)


def _ufs2_options(recipe: Recipe) -> ufs2.Options:
    root = recipe.root
    return ufs2.Options(
        block_size=root.block_size,
        fragment_size=root.fragment_size,
        density=root.density,
        minfree=root.minfree,
        label=root.label,
        sector_size=recipe.sector_size,
        timestamp=recipe.timestamp,
    )
