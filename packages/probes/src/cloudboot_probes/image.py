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
from .recipe import MIB, check

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from cloudboot_base import WritableStorage
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
        esp, root = (partition.window(storage) for partition in self.table.partitions)
        fat.build(esp, contents.esp, esp_options(recipe, self.table.partitions[0].first_lba))
        ufs2.build(root, _source(contents), _ufs2_options(recipe), progress=progress)
        table = gpt.plan(self.specs, sector_size=recipe.sector_size, seed=recipe.seed, content=(esp, root))
        return gpt.create(storage, table)

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
    """A finished image."""

    table: gpt.Table
    manifest: Manifest
    sha256: str

    def as_dict(self) -> dict[str, object]:
        """The image, ready for JSON."""
        return {
            "sha256": self.sha256,
            "size": self.table.size,
            "system": self.manifest.system,
            "files": self.manifest.files,
            "sources": list(self.manifest.sources),
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
    root_size = recipe.root.size
    if root_size is None:
        needed = ufs2.required_size(_source(contents), _ufs2_options(recipe))
        root_size = -(-(needed + needed * recipe.root.free // 100) // MIB) * MIB
    esp = gpt.PartitionSpec(partition_types.ESP, recipe.esp.size, "EFI system")
    root = gpt.PartitionSpec(partition_types.parse(recipe.root.partition_type), root_size, recipe.root.partition_name)
    table = gpt.plan((esp, root), sector_size=recipe.sector_size, seed=recipe.seed)
    return Plan(recipe, contents, table, (esp, root))


def build(
    planned: Plan, output: str | os.PathLike[str], *, force: bool = False, progress: Callable[[int], None] | None = None
) -> Built:
    """Write the image; ``output`` names it once it is whole.

    Raises:
        FileExistsError: ``output`` is there and ``force`` is false.
        FormatError: the contents do not fit, or cannot be stored; the error names the member.
        OSError: the disk is full, a source cannot be read.
    """
    with new_image(output, planned.table.size, force=force) as storage:
        table = planned.fill(storage, progress)
        digest = hashlib.sha256()
        for piece in chunks(storage):
            digest.update(piece)
    return Built(table, planned.contents.manifest, digest.hexdigest())


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
