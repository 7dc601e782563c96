"""Push: a disk image as the single layer of an artifact."""

from __future__ import annotations

import os
from typing import IO, TYPE_CHECKING

from cloudboot_oci_stream.deadline import Deadline
from cloudboot_oci_stream.errors import NotAnImageError, about
from cloudboot_oci_stream.signatures.sign import DEFAULT_FORMATS, sign_stored
from cloudboot_oci_stream.spec.descriptor import Descriptor, digest_of
from cloudboot_oci_stream.spec.manifest import (
    ARTIFACT_TYPE,
    CREATED,
    EMPTY_JSON,
    LAYER_TYPE,
    MANIFEST_TYPE,
    TITLE,
    build_manifest,
)
from cloudboot_oci_stream.stores.factory import open_store
from cloudboot_oci_stream.stores.source import Source, Stream, open_source

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from typing_extensions import Buffer

    from cloudboot_oci_stream.http.access import Access
    from cloudboot_oci_stream.retry import RetryPolicy
    from cloudboot_oci_stream.signatures.sign import Format
    from cloudboot_oci_stream.signatures.signers import Signer
    from cloudboot_oci_stream.spec.reference import Reference
    from cloudboot_oci_stream.stores.store import Progress


def push_image(
    image: str | os.PathLike[str] | int | IO[bytes] | Buffer | Source | Iterable[Buffer],
    reference: Reference | str,
    *,
    title: str | None = None,
    annotations: Mapping[str, str] | None = None,
    created: str | None = None,
    artifact_type: str = ARTIFACT_TYPE,
    algorithm: str = "sha256",
    chunk: int | None = None,
    access: Access | None = None,
    progress: Progress | None = None,
    deadline: float | Deadline | None = None,
    retry: RetryPolicy | None = None,
    sign: Signer | None = None,
    signature_formats: Collection[Format] = DEFAULT_FORMATS,
) -> Descriptor:
    """Push ``image`` to ``reference`` and return the descriptor of its manifest.

    ``image`` is a path, a file descriptor (a memfd, say), a binary file, a buffer, or anything with ``size`` and
    ``readinto_at``; it is streamed, never held in memory. An iterator of buffers, or a pipe, is uploaded as it comes,
    in chunks of 8 MiB unless ``chunk`` says otherwise, each held until the registry has it.

    The same image and arguments make the same manifest: the time of creation is in it only as ``created`` (RFC 3339),
    a name only as ``title`` (by default that of the path). ``chunk`` uploads in requests of so many bytes; without it,
    the upload is one request. A blob the registry has is not sent again. With ``sign`` the manifest is signed before
    anything has its tag, as :func:`sign_image` does in the ``signature_formats``: there is no moment at which the tag
    names an image without a signature.

    Raises:
        ValueError: ``chunk`` is less than 1.
        NotAnImageError: ``image`` is empty.
        OciError: the registry or folder does not take it; see :mod:`~cloudboot_oci_stream.errors`.
    """
    if chunk is not None and chunk < 1:
        raise ValueError(f"a chunk of {chunk} bytes")
    store = open_store(reference, access, retry)
    limit = Deadline.of(deadline)
    if title is None and isinstance(image, str | os.PathLike):
        # A name that is not UTF-8 has no place in JSON; its bytes that are not are replaced.
        title = os.path.basename(os.fspath(image)).encode("utf-8", "replace").decode()
    with about(reference=store.reference), open_source(image, limit) as source, open_source(EMPTY_JSON) as config:
        if (source.reach(0, 1) if isinstance(source, Stream) else source.size) == 0:
            raise NotAnImageError("the disk image is empty")
        digest, size = store.write_blob(source, algorithm=algorithm, progress=progress, chunk=chunk, deadline=limit)
        store.write_blob(config, algorithm="sha256", progress=None, chunk=None, deadline=limit)
        layer = Descriptor(media_type=LAYER_TYPE, digest=digest, size=size, annotations={TITLE: title} if title else {})
        noted = dict(annotations or {}) | ({CREATED: created} if created else {})
        data = build_manifest(layer, annotations=noted, artifact_type=artifact_type)
        if sign is not None:
            subject = Descriptor(media_type=MANIFEST_TYPE, digest=digest_of(data), size=len(data))
            sign_stored(store, subject, sign, formats=signature_formats, deadline=limit)
        manifest = store.write_manifest(data, media_type=MANIFEST_TYPE, artifact_type=artifact_type, deadline=limit)
    return Descriptor(media_type=MANIFEST_TYPE, digest=manifest, size=len(data), artifact_type=artifact_type)
