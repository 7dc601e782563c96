"""Build a bootable disk image, and describe one.

The image is one sparse file: GPT around a FAT ESP and a UFS2 root, each written straight into its partition. The layout
does not depend on the content, so the GUIDs, which do, come last.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cloudboot_gpt as gpt
import cloudboot_ufs2 as ufs2
from cloudboot_base import new_image
from cloudboot_base.storage import chunks
from cloudboot_gpt import partition_types

from .assemble import compose
from .disk_plan import Plan, source_of, ufs2_options
from .recipe import MIB, check

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from .assemble import Contents
    from .manifest import Manifest
    from .recipe import Recipe


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
        from .windows.image import plan as plan_windows  # which needs NTFS, and no other system does

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
        needed = ufs2.required_size(source_of(contents), ufs2_options(recipe))
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
