"""What a build of a disk image would write: contents, table, and the options of its file systems."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cloudboot_fat as fat
import cloudboot_gpt as gpt
import cloudboot_ufs2 as ufs2

from .readback import read_back

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloudboot_base import Storage, WritableStorage
    from cloudboot_ufs2.builder.built import Source

    from .assemble import Contents
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
            ufs2.build(root, source_of(contents), ufs2_options(recipe), progress=progress)
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


def source_of(contents: Contents) -> Source:
    """What the root file system is built from."""
    return contents.source if contents.source is not None else dict(contents.root)


def ufs2_options(recipe: Recipe) -> ufs2.Options:
    """How the root file system is formatted."""
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
