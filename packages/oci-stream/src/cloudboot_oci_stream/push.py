"""Push: a disk image as the single layer of an artifact."""

from __future__ import annotations

import contextlib
import os
from typing import IO, TYPE_CHECKING

from cloudboot_oci_stream.deadline import Deadline
from cloudboot_oci_stream.errors import NotAnImageError, about
from cloudboot_oci_stream.signatures.sign import DEFAULT_FORMATS, sign_stored
from cloudboot_oci_stream.spec.descriptor import Descriptor, check_time, digest_of
from cloudboot_oci_stream.spec.manifest import (
    ARTIFACT_TYPE,
    CREATED,
    EMPTY_CONFIG,
    EMPTY_JSON,
    LAYER_TYPE,
    MANIFEST_TYPE,
    TITLE,
    build_manifest,
)
from cloudboot_oci_stream.stores.factory import open_store
from cloudboot_oci_stream.stores.source import Source, Stream, open_source

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from typing_extensions import Buffer

    from cloudboot_oci_stream.http.access import Access
    from cloudboot_oci_stream.retry import RetryPolicy
    from cloudboot_oci_stream.signatures.sign import Format
    from cloudboot_oci_stream.signatures.signers import Signer
    from cloudboot_oci_stream.spec.reference import Reference
    from cloudboot_oci_stream.stores.store import Progress, Store


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
        DescriptorError: ``created`` is no such time, or an annotation is malformed.
        NotAnImageError: ``image`` is empty.
        OciError: the registry or folder does not take it; see :mod:`~cloudboot_oci_stream.errors`.
    """
    if chunk is not None and chunk < 1:
        raise ValueError(f"a chunk of {chunk} bytes")
    if created is not None:
        check_time(created)
    store = open_store(reference, access, retry)
    limit = Deadline.of(deadline)
    title = title if title is not None else _name_of(image)
    with about(reference=store.reference), open_source(image, limit) as source:
        if (source.reach(0, 1) if isinstance(source, Stream) else source.size) == 0:
            raise NotAnImageError("the disk image is empty")
        return write_artifact(
            store,
            [(source, LAYER_TYPE)],
            titles=[title],
            artifact_type=artifact_type,
            annotations=dict(annotations or {}) | ({CREATED: created} if created else {}),
            algorithm=algorithm,
            chunk=chunk,
            progress=progress,
            deadline=limit,
            sign=sign,
            signature_formats=signature_formats,
        )


def write_artifact(
    store: Store,
    layers: Sequence[tuple[str | os.PathLike[str] | bytes | Source | Stream, str]],
    *,
    artifact_type: str,
    titles: Sequence[str | None] = (),
    annotations: Mapping[str, str],
    config: tuple[bytes, str] = (EMPTY_JSON, EMPTY_CONFIG.media_type),
    algorithm: str = "sha256",
    chunk: int | None = None,
    progress: Progress | None = None,
    deadline: Deadline,
    sign: Signer | None = None,
    signature_formats: Collection[Format] = DEFAULT_FORMATS,
) -> Descriptor:
    """Write an artifact's blobs, then its manifest; ``layers`` are contents with media types, as is ``config``.

    ``titles`` are the layers' names; a layer without one that is a path has the name of its file. The manifest is
    signed before anything has its tag.

    Raises:
        OciError: the registry or folder does not take it.
    """
    described: list[Descriptor] = []
    with about(reference=store.reference):
        for number, (content, media_type) in enumerate(layers):
            title = titles[number] if number < len(titles) else _name_of(content)
            with contextlib.ExitStack() as stack:
                source = content if isinstance(content, Stream) else stack.enter_context(open_source(content, deadline))
                digest, size = store.write_blob(
                    source, algorithm=algorithm, progress=progress, chunk=chunk, deadline=deadline
                )
            noted = {TITLE: title} if title else {}
            described.append(Descriptor(media_type=media_type, digest=digest, size=size, annotations=noted))
        with open_source(config[0]) as source:
            digest, size = store.write_blob(source, algorithm="sha256", progress=None, chunk=None, deadline=deadline)
        settings = Descriptor(media_type=config[1], digest=digest, size=size)
        data = build_manifest(*described, annotations=annotations, artifact_type=artifact_type, config=settings)
        if sign is not None:
            subject = Descriptor(media_type=MANIFEST_TYPE, digest=digest_of(data), size=len(data))
            sign_stored(store, subject, sign, formats=signature_formats, deadline=deadline)
        manifest = store.write_manifest(data, media_type=MANIFEST_TYPE, artifact_type=artifact_type, deadline=deadline)
    return Descriptor(media_type=MANIFEST_TYPE, digest=manifest, size=len(data), artifact_type=artifact_type)


def _name_of(content: object) -> str | None:
    """The name of a file; bytes in it that are not UTF-8 have no place in JSON and are replaced."""
    if not isinstance(content, str | os.PathLike):
        return None
    return os.path.basename(os.fspath(content)).encode("utf-8", "replace").decode()
