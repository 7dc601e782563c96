"""``cloudboot push``, ``pull``, ``copy`` and ``inspect``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudboot_base import new_file
from cloudboot_base.command import OK, counted, printable
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
from cloudboot_probes.transfer import image_problem, write_sparse

from . import signatures
from .registry import reach

if TYPE_CHECKING:
    import argparse

    from .console import Console


def push(options: argparse.Namespace, console: Console) -> int:
    """Push a disk image."""
    parsed = parse_reference(options.reference)
    if (problem := image_problem(options.image)) is not None:
        console.warn(f"{options.image} {problem}; it is pushed as it is")
    signer = signatures.key_signer(options.sign, options.key_password_file) if options.sign is not None else None
    access, deadline, retry = reach(options)
    with console.progress("pushing") as progress:
        manifest = push_image(
            options.image,
            parsed,
            access=access,
            progress=progress,
            deadline=deadline,
            retry=retry,
            sign=signer,
            signature_formats=signatures.formats(options.format),
        )
    if console.json:
        console.result({"reference": str(parsed), "digest": manifest.digest, "size": options.image.stat().st_size})
    else:
        console.print(printable(f"{parsed}@{manifest.digest}"))
    return OK


def pull(options: argparse.Namespace, console: Console) -> int:
    """Fetch a disk image into a file."""
    access, deadline, retry = reach(options)
    with new_file(options.output, force=options.force) as fd:
        loaded = Policy.load(options.policy) if options.policy is not None else None
        with (
            console.progress("fetching") as progress,
            fetch_image(
                options.reference,
                platform=options.platform,
                access=access,
                progress=progress,
                deadline=deadline,
                retry=retry,
                policy=loaded,
            ) as image,
        ):
            write_sparse(fd, image.view[: image.descriptor.size])
            facts: dict[str, object] = {
                "image": str(options.output),
                "manifest": image.digest,
                "digest": image.descriptor.digest,
                "size": image.descriptor.size,
            }
            if image.verification is not None:
                facts["verification"] = image.verification.as_dict()
    if console.json:
        console.result(facts)
    else:
        console.print(printable(f"{options.output}: {facts['size']} bytes, {facts['digest']}"))
    return OK


def copy(options: argparse.Namespace, console: Console) -> int:
    """Copy an image to another place."""
    access, deadline, retry = reach(options)
    with console.progress("copying") as progress:
        copied = copy_image(
            options.reference,
            options.target,
            platform=options.platform,
            access=access,
            referrers=options.referrers,
            progress=progress,
            deadline=deadline,
            retry=retry,
        )
    digest = copied.descriptor.digest
    for left, reason in copied.left:
        console.warn(f"left behind: {left}: {reason}")
    if console.json:
        facts = {
            "sent": copied.sent,
            "mounted": copied.mounted,
            "present": copied.present,
            "referrers": copied.referrers,
            "left": [{"digest": digest, "reason": reason} for digest, reason in copied.left],
        }
        console.result({"source": options.reference, "target": options.target, "digest": digest, **facts})
    else:
        text = f"{copied.sent} bytes sent, {copied.mounted} mounted, {copied.present} there already"
        text += f", {counted(copied.referrers, 'referrer')}" if options.referrers else ""
        console.print(printable(f"{options.target}@{digest}: {text}"))
    return OK


def inspect(options: argparse.Namespace, console: Console) -> int:
    """Describe an artifact."""
    wanted = Platform.parse(options.platform) if options.platform else None
    access, deadline, retry = reach(options)
    store = open_store(options.reference, access)
    document, manifest, layer = resolve(store, platform=wanted, deadline=deadline, retry=retry)
    if console.json:
        facts = {"manifest": document.digest, "artifact_type": manifest.artifact_type, "layer": layer.as_json()}
        console.result({"reference": options.reference, **facts, "annotations": dict(manifest.annotations)})
        return OK
    lines = [f"manifest  {document.digest}", f"artifact  {manifest.artifact_type}"]
    lines += [f"layer     {layer.digest}", f"size      {layer.size}"]
    lines += [f"{name} = {value}" for name, value in sorted(manifest.annotations.items())]
    console.lines(printable(line) for line in lines)
    return OK
