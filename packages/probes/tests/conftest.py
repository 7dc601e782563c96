"""Images are built, and Debian's packages looked up, once for all tests of this package."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from cloudboot_base.testing import judge_file, ovmf
from cloudboot_probes import image, linux, recipe
from cloudboot_uefi_abi.variables import Variable, VariableStore


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


BootManager = Callable[..., dict[str, list[str]]]


@pytest.fixture
def boot_manager(tmp_path: Path) -> BootManager:
    """OVMF's boot manager with a disk and variables: its lines about every Boot####, in order.

    ``change``, where it is given, makes another flash image of the one with the variables.
    It ends where no line comes any more. The programs it starts have to return an error, so that it goes on.
    """
    empty = judge_file(Path("/usr/share/OVMF/OVMF_VARS_4M.fd"), "ovmf").read_bytes()

    def run(
        disk: Path, variables: Iterable[Variable], change: Callable[[bytes], bytes] | None = None
    ) -> dict[str, list[str]]:
        data = VariableStore.parse(empty).replace(variables)

        def is_over(text: str) -> bool:
            return "UEFI Interactive Shell" in text or "No bootable option" in text

        seen = ovmf(tmp_path, disk, is_over, variables=change(data) if change else data)
        lines: dict[str, list[str]] = defaultdict(list)
        for found in re.finditer(r"BdsDxe: ([a-z ]+) (Boot[0-9A-F]{4})(.*)", seen):
            lines[found[2]].append(f"{found[1]}{found[3]}".strip())
        return lines

    return run
