"""A kernel with its initial RAM disk and its command line as the layers of one artifact.

The artifact's type is :data:`KERNEL_ARTIFACT_TYPE`, its config (:data:`KERNEL_CONFIG_TYPE`) the JSON object
``{"architecture":"amd64","os":"linux"}``, and its layers, each at most once and in this order: the kernel as an EFI
program (:data:`KERNEL_LAYER_TYPE`), the initial RAM disk (:data:`INITRD_LAYER_TYPE`), the command line in UTF-8
(:data:`CMDLINE_LAYER_TYPE`). Only the kernel has to be there.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Self

from cloudboot_oci_stream.deadline import Deadline
from cloudboot_oci_stream.download.parallel import Terms
from cloudboot_oci_stream.errors import NoRoomError, NotAnImageError, about
from cloudboot_oci_stream.image import available_memory, filled, resolve_manifest
from cloudboot_oci_stream.push import write_artifact
from cloudboot_oci_stream.retry import RetryPolicy
from cloudboot_oci_stream.signatures.sign import DEFAULT_FORMATS
from cloudboot_oci_stream.spec.manifest import canonical, parse_json
from cloudboot_oci_stream.stores.factory import open_store

if TYPE_CHECKING:
    import mmap
    from collections.abc import Collection, Mapping

    from cloudboot_oci_stream.http.access import Access
    from cloudboot_oci_stream.signatures.sign import Format
    from cloudboot_oci_stream.signatures.signers import Signer
    from cloudboot_oci_stream.spec.descriptor import Descriptor
    from cloudboot_oci_stream.spec.manifest import Manifest
    from cloudboot_oci_stream.spec.reference import Reference
    from cloudboot_oci_stream.stores.store import Progress, Store

KERNEL_ARTIFACT_TYPE: Final = "application/vnd.cloud-boot.kernel.v1"
KERNEL_CONFIG_TYPE: Final = "application/vnd.cloud-boot.kernel.config.v1+json"
KERNEL_LAYER_TYPE: Final = "application/vnd.cloud-boot.kernel.efi.v1"
INITRD_LAYER_TYPE: Final = "application/vnd.cloud-boot.initrd.v1"
CMDLINE_LAYER_TYPE: Final = "application/vnd.cloud-boot.cmdline.v1"
MAX_CMDLINE: Final = 64 << 10
_MAX_CONFIG: Final = 64 << 10
_ORDER: Final = (KERNEL_LAYER_TYPE, INITRD_LAYER_TYPE, CMDLINE_LAYER_TYPE)


@dataclass(frozen=True, slots=True)
class KernelLayers:
    """The layers of a kernel's manifest; those that are not there are ``None``."""

    kernel: Descriptor
    initrd: Descriptor | None = None
    cmdline: Descriptor | None = None


def is_kernel(manifest: Manifest) -> bool:
    """Whether a manifest calls itself a kernel's."""
    return manifest.artifact_type == KERNEL_ARTIFACT_TYPE or manifest.config.media_type == KERNEL_CONFIG_TYPE


def kernel_layers(manifest: Manifest) -> KernelLayers:
    """The layers of a kernel's manifest.

    Raises:
        NotAnImageError: it is not one: another layer, one twice, none with a kernel, an empty kernel, a command line
            that is too long.
    """
    found: dict[str, Descriptor] = {}
    for layer in manifest.layers:
        if layer.media_type not in _ORDER or layer.media_type in found:
            raise NotAnImageError(
                "a kernel's artifact has no such layer, or not twice",
                expected=", ".join(_ORDER), actual=layer.media_type,
            )  # fmt: skip
        found[layer.media_type] = layer
    kernel, cmdline = found.get(KERNEL_LAYER_TYPE), found.get(CMDLINE_LAYER_TYPE)
    if not is_kernel(manifest) or kernel is None:
        raise NotAnImageError(
            "the artifact is no kernel", expected=KERNEL_ARTIFACT_TYPE, actual=str(manifest.artifact_type)
        )
    if kernel.size == 0:
        raise NotAnImageError("the kernel is empty", digest=kernel.digest)
    if cmdline is not None and cmdline.size > MAX_CMDLINE:
        raise NotAnImageError(
            "the command line is too long", expected=f"at most {MAX_CMDLINE} bytes", actual=cmdline.size
        )
    return KernelLayers(kernel, found.get(INITRD_LAYER_TYPE), cmdline)


def push_kernel(
    kernel: str | os.PathLike[str],
    reference: Reference | str,
    *,
    initrd: str | os.PathLike[str] | None = None,
    cmdline: str | None = None,
    architecture: str = "amd64",
    annotations: Mapping[str, str] | None = None,
    access: Access | None = None,
    progress: Progress | None = None,
    deadline: float | Deadline | None = None,
    retry: RetryPolicy | None = None,
    sign: Signer | None = None,
    signature_formats: Collection[Format] = DEFAULT_FORMATS,
) -> Descriptor:
    """Push a kernel with what it is started with, and return the descriptor of the manifest.

    The same files and arguments make the same manifest. ``sign`` is as for :func:`push_image`.

    Raises:
        NotAnImageError: the kernel is empty, or the command line is longer than 64 KiB.
        OciError: the registry or folder does not take it.
    """
    store, limit = open_store(reference, access, retry), Deadline.of(deadline)
    line = None if cmdline is None else cmdline.encode("utf-8", "surrogateescape")
    if line is not None and len(line) > MAX_CMDLINE:
        raise NotAnImageError("the command line is too long", expected=f"at most {MAX_CMDLINE} bytes", actual=len(line))
    layers: list[tuple[str | os.PathLike[str] | bytes, str]] = [(kernel, KERNEL_LAYER_TYPE)]
    layers += [(initrd, INITRD_LAYER_TYPE)] if initrd is not None else []
    layers += [(line, CMDLINE_LAYER_TYPE)] if line is not None else []
    if os.stat(kernel).st_size == 0:
        raise NotAnImageError("the kernel is empty")
    return write_artifact(
        store,
        layers,
        config=(canonical({"architecture": architecture, "os": "linux"}), KERNEL_CONFIG_TYPE),
        artifact_type=KERNEL_ARTIFACT_TYPE,
        annotations=annotations or {},
        progress=progress,
        deadline=limit,
        sign=sign,
        signature_formats=signature_formats,
    )


@dataclass
class Kernel:
    """A verified kernel, in memory that is sealed read-only.

    ``kernel`` and ``initrd`` are the bytes, ``cmdline`` is the command line (``None``: the artifact has none).
    ``layers`` are the descriptors, ``digest`` is the manifest's, ``architecture`` what the config says. ``fds`` are the
    memfds behind the bytes and ``mappings`` their mappings.
    """

    digest: str
    layers: KernelLayers
    architecture: str | None
    kernel: memoryview
    initrd: memoryview | None
    cmdline: str | None
    fds: tuple[int, ...]
    mappings: tuple[mmap.mmap, ...] = field(repr=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the memory back; parts that are still in use keep it until they go."""
        fds, self.fds = self.fds, ()
        for fd in fds:
            os.close(fd)
        with contextlib.suppress(BufferError):
            for view in (self.kernel, self.initrd):
                if view is not None:
                    view.release()
            for mapping in self.mappings:
                mapping.close()


def fetch_kernel(
    reference: Reference | str,
    *,
    access: Access | None = None,
    progress: Progress | None = None,
    deadline: float | Deadline | None = None,
    retry: RetryPolicy | None = None,
    max_size: int | None = None,
) -> Kernel:
    """Fetch a kernel's artifact; every layer is verified before any of it is shown.

    ``max_size`` bounds the bytes of all layers, by default by what this machine has of memory to spare.

    Raises:
        NotAnImageError: what there is, is no kernel's artifact.
        NoRoomError: it is larger than ``max_size``, or memory ran out.
        OciError: it did not come, or not as described.
    """
    store, limit = open_store(reference, access), Deadline.of(deadline)
    document, manifest = resolve_manifest(store, deadline=limit, retry=retry)
    layers = kernel_layers(manifest)
    present = [layer for layer in (layers.kernel, layers.initrd) if layer is not None]
    most = available_memory() if max_size is None else max_size
    if (total := sum(layer.size for layer in present)) > most:
        raise NoRoomError("the kernel's artifact is too large", expected=f"at most {most}", actual=total)
    terms = Terms(progress=progress, deadline=limit, retry=retry or RetryPolicy(), ranges="auto")
    filled_in: list[tuple[int, mmap.mmap]] = []
    try:
        for layer in present:
            with about(reference=store.reference, digest=layer.digest):
                filled_in.append(filled(store, layer, terms))
        cmdline = None
        if layers.cmdline is not None:
            cmdline = _small(store, layers.cmdline, MAX_CMDLINE, terms).decode("utf-8", "surrogateescape")
        architecture = _architecture(_small(store, manifest.config, _MAX_CONFIG, terms))
    except BaseException:
        for fd, mapping in filled_in:
            os.close(fd)
            mapping.close()
        raise
    views = [memoryview(mapping)[: layer.size] for layer, (_, mapping) in zip(present, filled_in, strict=True)]
    return Kernel(
        document.digest,
        layers,
        architecture,
        views[0],
        views[1] if layers.initrd is not None else None,
        cmdline,
        tuple(fd for fd, _ in filled_in),
        tuple(mapping for _, mapping in filled_in),
    )


def _small(store: Store, layer: Descriptor, limit: int, terms: Terms) -> bytes:
    """The verified bytes of a small blob."""
    if layer.size > limit:
        raise NotAnImageError("the blob is too large", expected=f"at most {limit}", actual=layer.size)
    if not layer.size:
        return b""
    with about(reference=store.reference, digest=layer.digest):
        fd, mapping = filled(store, layer, terms)
    os.close(fd)
    with mapping:
        return mapping[: layer.size]


def _architecture(config: bytes) -> str | None:
    """The architecture that a config states."""
    found = parse_json(config).get("architecture")
    return found if isinstance(found, str) else None
