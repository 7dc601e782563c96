"""Images are built, and Debian's packages looked up, once for all tests of this package."""

from __future__ import annotations

import os
import re
import subprocess
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from cloudboot_base.testing import judge
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
    folder = Path("/usr/share/OVMF")
    if not folder.is_dir():
        judge("OVMF", "ovmf")

    def run(
        disk: Path, variables: Iterable[Variable], change: Callable[[bytes], bytes] | None = None
    ) -> dict[str, list[str]]:
        flash = tmp_path / "vars.fd"
        data = VariableStore.parse((folder / "OVMF_VARS_4M.fd").read_bytes()).replace(variables)
        flash.write_bytes(change(data) if change else data)
        command = [
            judge("qemu-system-x86_64", "qemu-system-x86"), "-M", "q35", "-m", "256", "-display", "none",
            "-net", "none", "-serial", "stdio", "-no-reboot",
            "-drive", f"if=pflash,format=raw,readonly=on,file={folder / 'OVMF_CODE_4M.fd'}",
            "-drive", f"if=pflash,format=raw,file={flash}",
            "-drive", f"if=virtio,format=raw,readonly=on,file={disk}",
        ]  # fmt: skip
        seen = b""
        with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as machine:
            assert machine.stdout is not None
            try:
                while b"UEFI Interactive Shell" not in seen and b"No bootable option" not in seen:
                    part = os.read(machine.stdout.fileno(), 4096)
                    if not part:
                        break
                    seen += part
            finally:
                machine.kill()
        lines: dict[str, list[str]] = defaultdict(list)
        for found in re.finditer(r"BdsDxe: ([a-z ]+) (Boot[0-9A-F]{4})(.*)", seen.decode("utf-8", "replace")):
            lines[found[2]].append(f"{found[1]}{found[3]}".strip())
        return lines

    return run
