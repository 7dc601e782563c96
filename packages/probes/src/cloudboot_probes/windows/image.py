"""The disk of a Windows: ESP, Microsoft reserved partition, and NTFS.

The GUIDs of the disk and of the partitions follow from a seed, or from the account of everything but the boot
configuration. They are known before anything is written, and the boot configuration names them.
"""

from __future__ import annotations

import hashlib
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import cloudboot_fat as fat
import cloudboot_gpt as gpt
import cloudboot_ntfs as ntfs
from cloudboot_gpt import partition_types
from cloudboot_probes.assemble import Contents
from cloudboot_probes.disk_plan import Plan, esp_options
from cloudboot_probes.errors import RecipeError
from cloudboot_probes.inventory import account_of_file
from cloudboot_probes.manifest import PATH as MANIFEST_PATH
from cloudboot_probes.recipe import MIB

from . import contents
from .paths import BCD
from .store import Partitions, given_store, new_store

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cloudboot_base import WritableStorage
    from cloudboot_ntfs.builder.source import Member
    from cloudboot_probes.recipe import Recipe

#: Windows makes one of 16 MiB on every GPT disk (Microsoft, "UEFI/GPT-based hard drive partitions").
_RESERVED_SIZE = 16 * MIB
#: FAT32 has at least 65,525 clusters (Microsoft's FAT specification, section 3.5); a cluster is at least a sector.
_FAT32_SIZES = {512: 34 * MIB, 4096: 260 * MIB}


@dataclass(frozen=True)
class WindowsPlan(Plan):
    """A plan whose root is NTFS. ``open`` holds what the members are read from."""

    members: Mapping[str, Member] = field(default_factory=dict)
    open: ExitStack = field(default_factory=ExitStack)

    def fill(self, storage: WritableStorage, progress: Callable[[int], None] | None = None) -> gpt.Table:
        """Write the partitions, then the table, into fresh ``storage`` (it reads as zeros) of the planned size."""
        esp, _, root = self.table.partitions
        fat.build(esp.window(storage), self.contents.esp, esp_options(self.recipe, esp.first_lba, fat_type=32))
        ntfs.build(
            root.window(storage), self.members, _ntfs_options(self.recipe, root.first_lba),
            progress=None if progress is None else lambda done, _: progress(done),
        )  # fmt: skip
        self.open.close()
        return gpt.create(storage, self.table)


def plan(recipe: Recipe, say: Callable[[str], None]) -> WindowsPlan:
    """Gather the files and lay out the disk; nothing is written.

    Raises:
        RecipeError: the recipe cannot be met.
        FormatError: a source is damaged, or something in it cannot be stored; the error names the member.
        PackageMissingError: a WIM, and wimlib's programs are not installed.
    """
    least = _FAT32_SIZES.get(recipe.sector_size, 0)
    if recipe.esp.size < least:
        raise RecipeError(
            f"an ESP of {recipe.esp.size} bytes is too small for FAT32 in sectors of {recipe.sector_size} bytes",
            hint=f"give at least --esp-size {least // MIB}M",
        )
    with ExitStack() as stack:
        gathered = contents.gather(recipe, stack, say)
        recipe = replace(recipe, architecture=gathered.manifest.architecture)
        root_size = recipe.root.size
        if root_size is None:
            needed = ntfs.required_size(dict(gathered.files.members), _ntfs_options(recipe, 0))
            root_size = -(-(needed + needed * recipe.root.free // 100) // MIB) * MIB
        specs = (
            gpt.PartitionSpec(partition_types.ESP, recipe.esp.size, "EFI system partition"),
            gpt.PartitionSpec(partition_types.MICROSOFT_RESERVED, _RESERVED_SIZE, "Microsoft reserved partition"),
            gpt.PartitionSpec(partition_types.parse(recipe.root.partition_type), root_size, recipe.root.partition_name),
        )
        seed = recipe.seed if recipe.seed is not None else hashlib.sha256(gathered.manifest.as_bytes()).digest()
        table = gpt.plan(specs, sector_size=recipe.sector_size, seed=seed)
        identified = _with_store(recipe, gathered, table)
        return WindowsPlan(recipe, identified, table, specs, gathered.files.members, stack.pop_all())


def _with_store(recipe: Recipe, gathered: contents.Gathered, table: gpt.Table) -> Contents:
    """The contents with a boot configuration that names the table's GUIDs."""
    disk, (esp, _, windows) = table.disk_guid, (partition.guid for partition in table.partitions)
    partitions = Partitions(disk, esp, windows)
    warnings: list[str] = []
    if recipe.windows.bcd is None:
        store = new_store(partitions, gathered.locale)
    else:
        store, warnings = given_store(recipe.windows.bcd, partitions)
    files = {**gathered.esp, BCD: store}
    manifest = replace(gathered.manifest, esp={**gathered.manifest.esp, BCD: account_of_file(store)})
    files[MANIFEST_PATH] = manifest.as_bytes()
    return Contents(files, {}, None, manifest, (*gathered.warnings, *warnings))


def _ntfs_options(recipe: Recipe, first_lba: int) -> ntfs.Options:
    return ntfs.Options(
        label=recipe.root.label,
        cluster_size=max(recipe.root.block_size, recipe.sector_size),
        sector_size=recipe.sector_size,
        hidden_sectors=first_lba,
        timestamp_ns=recipe.timestamp * 10**9,
        fresh=True,
    )
