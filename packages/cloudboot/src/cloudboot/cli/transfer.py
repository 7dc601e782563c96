"""``cloudboot push`` and ``cloudboot pull``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cloudboot.transfer import write_sparse
from cloudboot_layout import new_file
from cloudboot_oci_stream import Policy, fetch_image, parse_reference, push_image

from . import options, signatures
from .manners import Manners, reported


def push(
    image: Annotated[Path, typer.Argument(metavar="IMAGE", help="The disk image.", exists=True, dir_okay=False)],
    reference: options.Reference,
    sign: Annotated[Path | None, typer.Option(metavar="KEY", help="Sign it with this private key (PEM).")] = None,
    key_password_file: signatures.PasswordFile = None,
    form: signatures.FormatOption = "bundle",
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
        signer = signatures.key_signer(sign, key_password_file) if sign is not None else None
        with manners.progress("pushing") as progress:
            manifest = push_image(
                image,
                parsed,
                access=options.access(insecure, ca_file, auth_file),
                progress=progress,
                sign=signer,
                signature_formats=signatures.formats(form),
            )
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
    policy: options.PolicyFile = None,
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
        loaded = Policy.load(policy) if policy is not None else None
        with (
            manners.progress("fetching") as progress,
            fetch_image(reference, access=access, progress=progress, policy=loaded) as image,
        ):
            write_sparse(fd, image.view[: image.descriptor.size])
            facts: dict[str, object] = {
                "image": str(output),
                "manifest": image.digest,
                "digest": image.descriptor.digest,
            }
            if image.verification is not None:
                facts["verification"] = image.verification.as_dict()
            size = image.descriptor.size
        if json:
            manners.result({**facts, "size": size})
        else:
            manners.out.print(f"{output}: {size} bytes, {facts['digest']}", soft_wrap=True)
