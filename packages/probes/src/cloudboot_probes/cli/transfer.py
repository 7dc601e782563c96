"""``cloudboot push``, ``pull``, ``copy`` and ``inspect``."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

from cloudboot_base import UsageError, followed, new_file, refuse_existing
from cloudboot_base.command import OK, counted, printable
from cloudboot_base.storage import read_file
from cloudboot_oci_stream import (
    Platform,
    Policy,
    copy_image,
    fetch_image,
    fetch_kernel,
    is_kernel,
    kernel_layers,
    open_store,
    parse_reference,
    push_image,
    push_kernel,
    resolve,
    resolve_manifest,
    verify_signature,
)
from cloudboot_probes.loader import architecture_of, pe_problems
from cloudboot_probes.transfer import image_problem, write_sparse

from . import signatures
from .registry import reach

#: A kernel is smaller.
MAX_KERNEL = 1 << 30

if TYPE_CHECKING:
    import argparse

    from cloudboot_oci_stream import Document, Manifest, Reference

    from .console import Console


def push(options: argparse.Namespace, console: Console) -> int:
    """Push a disk image, or a kernel."""
    parsed = parse_reference(options.reference)
    if options.kernel is not None:
        return _push_kernel(options, parsed, console)
    if options.image is None:
        raise UsageError("there is nothing to push", hint="name a disk image before the reference, or --kernel FILE")
    for name in ("initrd", "cmdline", "architecture"):
        if getattr(options, name) is not None:
            raise UsageError(f"--{name} is a kernel's, and there is no --kernel")
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


def _push_kernel(options: argparse.Namespace, reference: Reference, console: Console) -> int:
    if options.image is not None:
        raise UsageError("a disk image or a kernel is pushed, not both", hint="leave out IMAGE, or --kernel")
    data = read_file(options.kernel, MAX_KERNEL)
    architecture = options.architecture or architecture_of(data)
    for problem in pe_problems(data, architecture or "amd64"):
        console.warn(f"{options.kernel} {problem}; it is pushed as it is")
    signer = signatures.key_signer(options.sign, options.key_password_file) if options.sign is not None else None
    access, deadline, retry = reach(options)
    with console.progress("pushing") as progress:
        manifest = push_kernel(
            options.kernel,
            reference,
            initrd=options.initrd,
            cmdline=options.cmdline,
            architecture=architecture or "amd64",
            access=access,
            progress=progress,
            deadline=deadline,
            retry=retry,
            sign=signer,
            signature_formats=signatures.formats(options.format),
        )
    if console.json:
        console.result({"reference": str(reference), "digest": manifest.digest, "architecture": architecture})
    else:
        console.print(printable(f"{reference}@{manifest.digest}"))
    return OK


def pull(options: argparse.Namespace, console: Console) -> int:
    """Fetch a disk image into a file, or a kernel, its RAM disk and its command line into files beside each other."""
    access, deadline, retry = reach(options)
    store = open_store(options.reference, access)
    document, manifest = resolve_manifest(store, platform=options.platform, deadline=deadline, retry=retry)
    if is_kernel(manifest):
        return _pull_kernel(options, str(replace(store.reference, digest=document.digest)), console)
    with new_file(followed(options.output), force=options.force) as fd:
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


def _pull_kernel(options: argparse.Namespace, pinned: str, console: Console) -> int:
    access, deadline, retry = reach(options)
    refuse_existing(followed(options.output), force=options.force)  # before anything is fetched
    facts: dict[str, object] = {}
    if options.policy is not None:
        policy = Policy.load(options.policy)
        found = verify_signature(options.reference, policy, access=access, deadline=deadline, retry=retry)
        pinned, facts["verification"] = str(found.reference), found.as_dict()
    with (
        console.progress("fetching") as progress,
        fetch_kernel(pinned, access=access, progress=progress, deadline=deadline, retry=retry) as kernel,
        ExitStack() as files,
    ):
        line = None if kernel.cmdline is None else kernel.cmdline.encode("utf-8", "surrogateescape")
        parts = {"": kernel.kernel, ".initrd": kernel.initrd, ".cmdline": line}
        written: dict[str, int] = {}
        for suffix, content in parts.items():
            if content is None:
                continue
            path = f"{options.output}{suffix}"
            write_sparse(files.enter_context(new_file(followed(path), force=options.force)), memoryview(content))
            written[path] = len(content)
        facts |= {"manifest": kernel.digest, "architecture": kernel.architecture, "files": written}
    if console.json:
        console.result(facts)
    else:
        for path, size in written.items():
            console.print(printable(f"{path}: {size} bytes"))
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
    document, manifest = resolve_manifest(store, platform=wanted, deadline=deadline, retry=retry)
    if is_kernel(manifest):
        return _inspect_kernel(options.reference, document, manifest, console)
    layer = resolve(store, platform=wanted, deadline=deadline, retry=retry, document=document).layer
    if console.json:
        facts = {"manifest": document.digest, "artifact_type": manifest.artifact_type, "layer": layer.as_json()}
        console.result({"reference": options.reference, **facts, "annotations": dict(manifest.annotations)})
        return OK
    lines = [f"manifest  {document.digest}", f"artifact  {manifest.artifact_type}"]
    lines += [f"layer     {layer.digest}", f"size      {layer.size}"]
    lines += [f"{name} = {value}" for name, value in sorted(manifest.annotations.items())]
    console.lines(printable(line) for line in lines)
    return OK


def _inspect_kernel(reference: str, document: Document, manifest: Manifest, console: Console) -> int:
    kernel_layers(manifest)
    if console.json:
        facts = {"manifest": document.digest, "artifact_type": manifest.artifact_type}
        layers = [layer.as_json() for layer in manifest.layers]
        console.result({"reference": reference, **facts, "layers": layers, "annotations": dict(manifest.annotations)})
        return OK
    lines = [f"manifest  {document.digest}", f"artifact  {manifest.artifact_type}"]
    for layer in manifest.layers:
        lines += [f"layer     {layer.digest}", f"type      {layer.media_type}", f"size      {layer.size}"]
    lines += [f"{name} = {value}" for name, value in sorted(manifest.annotations.items())]
    console.lines(printable(line) for line in lines)
    return OK
