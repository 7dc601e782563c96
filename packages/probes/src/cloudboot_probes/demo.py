"""The demonstration's disk: a loader that is shipped with cloudboot_uefi_host, and a root with its configuration."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from cloudboot_uefi_host.programs import program_path

from . import image, recipe, systems

if TYPE_CHECKING:
    from pathlib import Path

LOADER_CONF = 'autoboot_delay="3"\nvfs.root.mountfrom="ufs:/dev/gpt/cloudboot-root"\n'


def build(architecture: str, folder: Path) -> Path:
    """Build the disk in ``folder``; its path.

    Raises:
        RecipeError: there is no stand-in loader for the architecture.
    """
    configuration, disk = folder / "loader.conf", folder / "demo.img"
    configuration.write_text(LOADER_CONF)
    loader = systems.load("demo").loader(architecture)
    made = recipe.load("custom")
    made = replace(
        made,
        name="demo",
        architecture=architecture,
        esp=replace(made.esp, files={loader: program_path("standin", architecture)}),
        root=replace(made.root, files={"boot/loader.conf": configuration}, size=4 * recipe.MIB),
    )
    image.build(image.plan(made), disk, force=True)
    return disk
