"""Images are built once for all tests of this package."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloudboot_probes import image, recipe


@pytest.fixture(scope="session")
def linux_image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ``linux`` recipe's image, from Debian's own packages."""
    path = tmp_path_factory.mktemp("linux") / "linux.img"
    image.build(image.plan(recipe.load("linux")), path)
    return path
