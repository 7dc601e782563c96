"""``cloudboot push``, ``pull``, ``copy`` and ``inspect``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cloudboot_base import new_file
from cloudboot_base.command import printable
from cloudboot_oci_stream import (
    Platform,
    Policy,
    copy_image,
    fetch_image,
    open_store,
    parse_reference,
    push_image,
    resolve,
)
from cloudboot_probes.transfer import write_sparse

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
    platform: options.Platform = None,
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
            fetch_image(reference, platform=platform, access=access, progress=progress, policy=loaded) as image,
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


def copy(
    source: options.Reference,
    target: Annotated[str, typer.Argument(metavar="TARGET", help="Where to, written like a reference.")],
    platform: options.Platform = None,
    referrers: Annotated[
        bool, typer.Option("--referrers", help="Signatures and whatever else refers to it, too.")
    ] = False,
    insecure: options.Insecure = False,
    ca_file: options.CaFile = None,
    auth_file: options.AuthFile = None,
    json: options.Json = False,
    verbose: options.Verbose = False,
) -> None:
    """Copy an image to another registry or folder, manifests and digests unchanged."""
    manners = Manners(json, verbose)
    access = options.access(insecure, ca_file, auth_file)
    with reported(manners):
        with manners.progress("copying") as progress:
            copied = copy_image(
                source, target, platform=platform, access=access, referrers=referrers, progress=progress
            )
        digest = copied.descriptor.digest
        facts = {
            "sent": copied.sent,
            "mounted": copied.mounted,
            "present": copied.present,
            "referrers": copied.referrers,
        }
        if json:
            manners.result({"source": source, "target": target, "digest": digest, **facts})
        else:
            story = f"{copied.sent} bytes sent, {copied.mounted} mounted, {copied.present} there already"
            if referrers:
                story += f", {copied.referrers} referrers"
            manners.out.print(f"{target}@{digest}: {story}", soft_wrap=True, markup=False)


def inspect(
    reference: options.Reference,
    platform: options.Platform = None,
    insecure: options.Insecure = False,
    ca_file: options.CaFile = None,
    auth_file: options.AuthFile = None,
    json: options.Json = False,
    verbose: options.Verbose = False,
) -> None:
    """Describe an artifact without fetching its image; ``image inspect`` looks into the image."""
    manners = Manners(json, verbose)
    with reported(manners):
        wanted = Platform.parse(platform) if platform else None
        document, manifest, layer = resolve(
            open_store(reference, options.access(insecure, ca_file, auth_file)), platform=wanted
        )
        if json:
            facts = {"manifest": document.digest, "artifact_type": manifest.artifact_type, "layer": layer.as_json()}
            manners.result({"reference": reference, **facts, "annotations": dict(manifest.annotations)})
            return
        lines = [f"manifest  {document.digest}", f"artifact  {manifest.artifact_type}"]
        lines += [f"layer     {layer.digest}", f"size      {layer.size}"]
        lines += [f"{name} = {value}" for name, value in sorted(manifest.annotations.items())]
        for line in lines:
            manners.out.print(printable(line), soft_wrap=True, markup=False)
