"""The stages before a machine runs, and the list of all of them."""

from __future__ import annotations

import fcntl
import hashlib
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from cloudboot_base import GateFailedError, MemoryStorage
from cloudboot_oci_stream import (
    Kernel,
    fetch_image,
    fetch_kernel,
    is_kernel,
    kernel_layers,
    open_store,
    resolve,
    resolve_manifest,
    verify_signature,
)
from cloudboot_oci_stream.errors import DigestMismatchError
from cloudboot_probes.disk import AnyPartition, Disk
from cloudboot_probes.systems import load

from . import kernel
from .firmware import firmware_named
from .staging import stage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cloudboot_base.gates import Stage
    from cloudboot_oci_stream import Image, Signature
    from cloudboot_probes.systems import System

    from .context import Probe

_SEALS = {
    fcntl.F_SEAL_SEAL: "seal",
    fcntl.F_SEAL_SHRINK: "shrink",
    fcntl.F_SEAL_GROW: "grow",
    fcntl.F_SEAL_WRITE: "write",
}
_SHOWN_FINDINGS = 20
#: Findings that keep no firmware from starting a disk; images of others often have them, ours never.
_FOREIGN = frozenset({"mbr-hybrid", "mbr-protective-record", "header-alternate-lba", "truncated"})
#: Findings that say that a volume was in use when its image was taken: of FAT, UFS2 and NTFS. Firmware and loaders
#: ignore them; a system looks at them when it mounts the volume.
_IN_USE = frozenset({"dirty", "unclean", "volume-dirty", "log-file-dirty"})


def resolve_reference(probe: Probe) -> Mapping[str, object]:
    """The reference names one manifest, whose bytes hash to its digest, with one disk image in it, or one kernel.

    Leaves open: Without a policy, who made the image.
    """
    options = probe.options
    store = open_store(probe.reference, options.access)
    signed: Mapping[str, object] = {}
    if options.policy is not None:
        # From here on the image has the name that was verified.
        found = verify_signature(
            store.reference, options.policy, access=options.access, deadline=options.deadline, retry=options.retry
        )
        store = open_store(found.reference, options.access)
        signed = {"rule": found.rule, "signed_by": [_signer(signature) for signature in found.signatures]}
    document, manifest = resolve_manifest(store, deadline=options.deadline, retry=options.retry)
    evidence = {
        "reference": probe.shown,
        **signed,
        "manifest": document.digest,
        "artifact_type": manifest.artifact_type,
    }
    if is_kernel(manifest):
        probe.kernel_layers = kernel_layers(manifest)
        probe.pinned = str(replace(store.reference, digest=document.digest))
        return {**evidence, **kernel.describe_layers(probe)}
    layer = resolve(store, deadline=options.deadline, retry=options.retry, document=document).layer
    probe.pinned = str(replace(store.reference, digest=document.digest))
    return {
        **evidence,
        "layer": layer.digest,
        "media_type": layer.media_type,
        "size": layer.size,
    }


def _signer(signature: Signature) -> str:
    return f"{signature.signer} by {signature.issuer}" if signature.issuer else signature.signer


def fetch(probe: Probe) -> Mapping[str, object]:
    """The image's bytes arrive in one buffer that was allocated before the first of them.

    Leaves open: Whether they are the right bytes; that is for verify.
    """
    start = time.monotonic()
    options = probe.options
    fetched: Callable[..., Image | Kernel] = fetch_image if probe.kernel_layers is None else fetch_kernel
    try:
        got = fetched(
            probe.pinned,
            access=options.access,
            progress=options.progress,
            deadline=options.deadline,
            retry=options.retry,
        )
    except DigestMismatchError as error:
        probe.damage = error  # they came; that they are the wrong ones is the next gate's to say
        return {"bytes": "all of them"}
    seconds = time.monotonic() - start
    if isinstance(got, Kernel):
        probe.kernel = got
        size = len(got.kernel) + (len(got.initrd) if got.initrd is not None else 0)
        return {"bytes": size, "mib_per_second": round(size / 2**20 / max(seconds, 1e-6), 1)}
    probe.image = got
    size = got.descriptor.size
    return {"bytes": size, "buffer": got.size, "mib_per_second": round(size / 2**20 / max(seconds, 1e-6), 1)}


def verify(probe: Probe) -> Mapping[str, object]:
    """The buffer hashes to the layer's digest, and the kernel of this host refuses every change of it.

    Leaves open: SHA-256 itself, and the manifest; see resolve.
    """
    if probe.damage is not None:
        raise probe.damage
    if probe.kernel_layers is not None:
        return kernel.verify(probe)
    image = probe.image
    algorithm, _, expected = image.descriptor.digest.partition(":")
    actual = hashlib.new(algorithm, image.view[: image.descriptor.size]).hexdigest()
    seals = fcntl.fcntl(image.fd, fcntl.F_GET_SEALS)
    missing = [name for seal, name in _SEALS.items() if not seals & seal]
    evidence = {
        "digest": f"{algorithm}:{actual}",
        "padding": image.size - image.descriptor.size,
        "sealed_against": [name for seal, name in _SEALS.items() if seals & seal],
    }
    if actual != expected:
        raise GateFailedError("the buffer changed after it was verified", evidence=evidence)
    if missing:
        raise GateFailedError(f"the buffer is not sealed against {', '.join(missing)}", evidence=evidence)
    if any(image.view[image.descriptor.size :]):
        raise GateFailedError("the padding behind the image is not zero", evidence=evidence)
    return evidence


def header(probe: Probe) -> Mapping[str, object]:
    """The disk's tables and file systems, or the kernel's header, pass every check; the loader is as the manifest says.

    That a volume was in use when the image was taken is a warning.

    Leaves open: Whether the rules are the right ones: reader, writer and checker come from the same people. Contents of
    files have no checksum in FAT or UFS2.
    """
    if probe.kernel_layers is not None:
        return kernel.header(probe)
    disk = Disk.open(MemoryStorage(probe.image.view))
    found = disk.find_loader(probe.system.loader_paths(probe.options.architecture), probe.options.architecture)
    evidence: dict[str, object] = {
        "disk_guid": disk.identity,
        "partitions": [
            f"{part.number} {part.type_name or part.type} LBA {part.first_lba}-{part.last_lba} {_name(part)}"
            for part in disk.table.partitions
        ],
        "loader": found.as_dict(),
    }
    if disk.root is not None:
        evidence["root"] = {"label": disk.root.label, "block_size": disk.root.geometry.block_size}
    # NTFS has a gate of its own in the systems that boot from it.
    checked = disk.findings(with_ntfs="windows-volume" not in probe.system.gates)
    tolerated = probe.system.tolerated_findings
    found_wrong = [(where, finding) for where, finding in checked if finding.kind not in tolerated]
    warnings = list(found.warnings)
    warnings += [
        f"{where}: {finding}: the loader ignores this, and the system checks the volume when it mounts it"
        for where, finding in found_wrong
        if finding.kind in _IN_USE
    ]
    found_wrong = [(where, finding) for where, finding in found_wrong if finding.kind not in _IN_USE]
    if disk.manifest is None:
        warnings.append("the image has no manifest: it was built by other means, and only its structure is checked")
        warnings += [f"{where}: {finding}" for where, finding in found_wrong if finding.kind in _FOREIGN]
        found_wrong = [(where, finding) for where, finding in found_wrong if finding.kind not in _FOREIGN]
    findings = [f"{where}: {finding}" for where, finding in found_wrong]
    evidence["findings"] = len(findings)
    if findings:
        evidence["found"] = findings[:_SHOWN_FINDINGS]
        raise GateFailedError(f"the checks found {len(findings)} defects, the first: {findings[0]}", evidence=evidence)
    if disk.manifest is not None:
        evidence["manifest"] = {"files": disk.manifest.files, "sources": list(disk.manifest.sources)}
        _compare_esp(disk, evidence)
    if warnings:
        evidence["warnings"] = warnings
    probe.disk = disk
    return evidence


def _name(partition: AnyPartition) -> str:
    return str(partition.guid or partition.name or "without a name")


def _compare_esp(disk: Disk, evidence: Mapping[str, object]) -> None:
    manifest = disk.manifest
    for path, (size, digest) in manifest.esp.items() if manifest is not None else ():
        data = disk.esp.read_file(path) if disk.esp.exists(path) else b""
        if (len(data), hashlib.sha256(data).hexdigest()) != (size, digest):
            raise GateFailedError(f"{path} on the ESP is not what the manifest says", evidence=evidence)


def stages(firmware: str = "qemu", system: System | None = None) -> list[Stage[Probe]]:
    """The stages of a probe of ``system`` (Linux, if none is given) under a firmware, in order.

    Raises:
        UsageError: no firmware has that name.
    """
    image = [
        stage("resolve", resolve_reference, headline="{manifest}"),
        stage("fetch", fetch, headline="{bytes} bytes, {mib_per_second} MiB/s"),
        stage("verify", verify, headline="{digest}"),
        stage("header", header, headline="disk {disk_guid}, {findings} findings"),
    ]
    return image + firmware_named(firmware).stages(system or load("linux"))
