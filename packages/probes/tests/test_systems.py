"""The data of the systems against text that their loaders printed elsewhere."""

import re

import pytest

from cloudboot_probes.systems import load

#: System -> a line of its loader, and a line in which that loader gives up.
PRINTED = {
    "freebsd": ("FreeBSD/amd64 EFI loader, Revision 3.0\n", "Failed to find bootable partition\n"),
    "netbsd": (
        "   \\\\        __,---`  NetBSD/x86 EFI Boot (x64)\n",
        "boot: NAME=EFI System:netbsd: No such file or directory\n",
    ),
    "openbsd": (">> OpenBSD/amd64 BOOTX64 3.67\n", "open(hd0a:/etc/boot.conf): Invalid argument\n"),
}


@pytest.mark.parametrize("name", PRINTED)
def test_the_patterns_match_what_the_loaders_print(name: str) -> None:
    system = load(name)
    banner, failure = PRINTED[name]
    found = re.search(system.loader_pattern, banner)
    assert found is not None
    assert found["evidence"].startswith((system.title, f">> {system.title}"))
    assert system.loader_failed_pattern is not None
    assert re.search(system.loader_failed_pattern, failure)
    assert not re.search(system.loader_failed_pattern, banner)


@pytest.mark.parametrize("name", PRINTED)
@pytest.mark.parametrize("architecture", ["amd64", "arm64", "riscv64"])
def test_every_architecture_has_a_loader_on_the_esp_and_on_the_medium(name: str, architecture: str) -> None:
    system = load(name)
    assert system.loader(architecture).startswith("/EFI/BOOT/BOOT")
    assert system.medium_loader_paths(architecture)
