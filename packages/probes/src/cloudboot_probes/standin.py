"""The parts of the ``demo`` recipe: the stand-in loader that cloudboot_uefi_host ships, and its configuration."""

from __future__ import annotations

from typing import Final

from cloudboot_uefi_host.programs import standin

LOADER_CONF: Final = 'autoboot_delay="3"\nvfs.root.mountfrom="ufs:/dev/gpt/cloudboot-root"\n'
#: Where the loader looks for its configuration in the root.
LOADER_CONF_PATH: Final = "boot/loader.conf"


def loader(architecture: str) -> bytes:
    """The stand-in loader for an architecture."""
    return standin(architecture)
