"""``cloudboot demo``: build, push and probe an image without anything but Python packages."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from cloudboot_base import MissingDependencyError
from cloudboot_oci_stream import push_image
from cloudboot_probes import demo as demos
from cloudboot_uefi_host import available

from . import probing

if TYPE_CHECKING:
    import argparse

    from .console import Console


def main(options: argparse.Namespace, console: Console) -> int:
    """Build the demonstration's disk, push it to a folder, and probe it from there."""
    if not available(options.architecture):
        raise MissingDependencyError(
            f"no processor back end for {options.architecture} is installed",
            hint="pip install 'cloudboot-probes[unicorn]'",
        )
    with tempfile.TemporaryDirectory(prefix="cloudboot-demo-") as name:
        folder = Path(name)
        console.say("cloudboot: building a disk: GPT, a FAT ESP with a loader, a UFS2 root")
        disk = demos.build(options.architecture, folder)
        options.reference = f"oci:{folder / 'registry'}:demo"
        pushed = push_image(disk, options.reference)
        console.say(f"cloudboot: pushed {disk.stat().st_size} bytes as {pushed.digest}")
        return probing.main(options, console)
