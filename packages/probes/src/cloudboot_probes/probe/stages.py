"""The stages before a machine runs, and the list of all of them."""

from __future__ import annotations

import fcntl
import hashlib
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from cloudboot_base import GateFailedError, MemoryStorage
from cloudboot_base.gates import Stage
from cloudboot_oci_stream import fetch_image, open_store, resolve, verify_signature
from cloudboot_oci_stream.errors import DigestMismatchError
from cloudboot_probes.disk import Disk

from . import qemu

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloudboot_oci_stream import Signature

    from .context import Probe

_SEALS = {
    fcntl.F_SEAL_SEAL: "seal",
    fcntl.F_SEAL_SHRINK: "shrink",
    fcntl.F_SEAL_GROW: "grow",
    fcntl.F_SEAL_WRITE: "write",
}
_SHOWN_FINDINGS = 20


def resolve_reference(probe: Probe) -> Mapping[str, object]:
    """The reference names one manifest, whose bytes hash to its digest, with one disk image in it."""
    store = open_store(probe.reference, probe.options.access)
    signed: Mapping[str, object] = {}
    if probe.options.policy is not None:
        # From here on the image has the name that was verified.
        found = verify_signature(store.reference, probe.options.policy, access=probe.options.access)
        store = open_store(found.reference, probe.options.access)
        signed = {"rule": found.rule, "signed_by": [_signer(signature) for signature in found.signatures]}
    document, manifest, layer = resolve(store)
    probe.pinned = str(replace(store.reference, digest=document.digest))
    return {
        "reference": probe.reference,
        **signed,
        "manifest": document.digest,
        "artifact_type": manifest.artifact_type,
        "layer": layer.digest,
        "media_type": layer.media_type,
        "size": layer.size,
    }


def _signer(signature: Signature) -> str:
    return f"{signature.signer} by {signature.issuer}" if signature.issuer else signature.signer


def fetch(probe: Probe) -> Mapping[str, object]:
    """The image's bytes arrive in one buffer that was allocated before the first of them."""
    start = time.monotonic()
    try:
        probe.image = fetch_image(probe.pinned, access=probe.options.access, progress=probe.options.progress)
    except DigestMismatchError as error:
        probe.damage = error  # they came; that they are the wrong ones is the next gate's to say
        return {"bytes": "all of them"}
    seconds = time.monotonic() - start
    size = probe.image.descriptor.size
    return {"bytes": size, "buffer": probe.image.size, "mib_per_second": round(size / 2**20 / max(seconds, 1e-6), 1)}


def verify(probe: Probe) -> Mapping[str, object]:
    """The buffer hashes to the layer's digest, and nobody can change it any more."""
    if probe.damage is not None:
        raise probe.damage
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
    """MBR, both GPT copies and both file systems pass every check; the loader and the build's manifest are there."""
    disk = Disk.open(MemoryStorage(probe.image.view))
    loader = disk.loader(probe.system.loader(probe.options.architecture))
    evidence: dict[str, object] = {
        "disk_guid": str(disk.table.disk_guid),
        "partitions": [
            f"{part.number} {part.type_name or part.type} LBA {part.first_lba}-{part.last_lba} {part.guid}"
            for part in disk.table.partitions
        ],
        "loader": loader,
    }
    if disk.root is not None:
        evidence["root"] = {"label": disk.root.label, "block_size": disk.root.geometry.block_size}
    findings = [f"{where}: {finding}" for where, finding in disk.findings()]
    evidence["findings"] = len(findings)
    if findings:
        evidence["found"] = findings[:_SHOWN_FINDINGS]
        raise GateFailedError(f"the checks found {len(findings)} defects, the first: {findings[0]}", evidence=evidence)
    if disk.manifest is None:
        raise GateFailedError(
            "the image has no manifest to hold the kernel's account against",
            evidence=evidence, hint="build it with cloudboot image build",
        )  # fmt: skip
    evidence["manifest"] = {"files": disk.manifest.files, "sources": list(disk.manifest.sources)}
    for path, (size, digest) in disk.manifest.esp.items():
        data = disk.esp.read_file(path) if disk.esp.exists(path) else b""
        if (len(data), hashlib.sha256(data).hexdigest()) != (size, digest):
            raise GateFailedError(f"{path} on the ESP is not what the manifest says", evidence=evidence)
    probe.disk = disk
    return evidence


#: What happens before anything boots, whatever the firmware.
IMAGE_STAGES = {"resolve": resolve_reference, "fetch": fetch, "verify": verify, "header": header}
#: How each firmware goes on from there.
FIRMWARE = {"qemu": qemu.STAGES}


def stages(firmware: str) -> list[Stage[Probe]]:
    """The stages of a probe, in order; a stage's docstring is the claim its gate proves."""
    functions = {**IMAGE_STAGES, **FIRMWARE[firmware]}
    return [Stage(name, (function.__doc__ or "").strip(), function) for name, function in functions.items()]
