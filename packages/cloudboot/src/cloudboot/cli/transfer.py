"""``cloudboot push`` and ``cloudboot pull``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cloudboot.transfer import write_sparse
from cloudboot_layout import new_file
from cloudboot_oci_stream import fetch_image, parse_reference, push_image

from . import options
from .manners import Manners, reported


def push(
    image: Annotated[Path, typer.Argument(metavar="IMAGE", help="The disk image.", exists=True, dir_okay=False)],
    reference: options.Reference,
    insecure: options.Insecure = False,
    ca_file: options.CaFile = None,
    auth_file: options.AuthFile = None,
    json: options.Json = False,
    verbose: options.Verbose = False,
) -> None:
    """Push a disk image as the single layer of an OCI artifact."""
    manners = Manners(json, verbose)
    with reported(manners):
        parsed = parse_reference(reference)
        with manners.progress("pushing") as progress:
            manifest = push_image(image, parsed, access=options.access(insecure, ca_file, auth_file), progress=progress)
        if json:
            manners.result({"reference": str(parsed), "digest": manifest.digest, "size": image.stat().st_size})
        else:
            manners.out.print(f"{parsed}@{manifest.digest}", soft_wrap=True)


def pull(
    reference: options.Reference,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="IMAGE", help="The file to write.")] = Path(
        "disk.img"
    ),
    force: options.Force = False,
    insecure: options.Insecure = False,
    ca_file: options.CaFile = None,
    auth_file: options.AuthFile = None,
    json: options.Json = False,
    verbose: options.Verbose = False,
) -> None:
    """Fetch a disk image, verify it, and only then give it its name."""
    manners = Manners(json, verbose)
    access = options.access(insecure, ca_file, auth_file)
    with reported(manners), new_file(output, force=force) as fd:
        with (
            manners.progress("fetching") as progress,
            fetch_image(reference, access=access, progress=progress) as image,
        ):
            write_sparse(fd, image.view[: image.descriptor.size])
            facts = {"image": str(output), "manifest": image.digest, "digest": image.descriptor.digest}
            size = image.descriptor.size
        if json:
            manners.result({**facts, "size": size})
        else:
            manners.out.print(f"{output}: {size} bytes, {facts['digest']}", soft_wrap=True)
