"""Images are built, and Debian's packages looked up, once for all tests of this package."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cloudboot_probes import image, linux, recipe


@pytest.fixture(scope="session")
def linux_parts() -> linux.LinuxParts:
    """What the ``linux`` recipe takes out of Debian's packages."""
    return linux.gather(recipe.load("linux").linux)


@pytest.fixture(scope="session")
def linux_recipe(linux_parts: linux.LinuxParts, tmp_path_factory: pytest.TempPathFactory) -> recipe.Recipe:
    """The ``linux`` recipe with these parts as files of its own, so that nobody looks them up again."""
    folder = tmp_path_factory.mktemp("parts")
    (folder / "vmlinuz").write_bytes(linux_parts.kernel)
    (folder / "initrd").write_bytes(linux_parts.initrd)
    made = recipe.load("linux")
    own = replace(
        made.linux, kernel=folder / "vmlinuz", initrd=folder / "initrd", grub_modules=linux_parts.grub_modules
    )
    return replace(made, linux=own)


@pytest.fixture(scope="session")
def linux_image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ``linux`` recipe's image, from Debian's own packages."""
    path = tmp_path_factory.mktemp("linux") / "linux.img"
    image.build(image.plan(recipe.load("linux")), path)
    return path
