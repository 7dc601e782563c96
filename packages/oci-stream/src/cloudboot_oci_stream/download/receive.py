"""The receive path: from a socket into the caller's memory, hashed while it lands, wiped unless it is right.

One thread receives (:mod:`.parallel`; several, where that pays), another hashes (:mod:`.hasher`). The receiver tells
the hasher how far the contiguous, received bytes reach (the *frontier*); the hasher follows. Both leave the interpreter
lock while they work, so the whole takes as long as the slower of the two instead of their sum.
"""

from __future__ import annotations

import contextlib
import mmap
import os
from typing import TYPE_CHECKING

from cloudboot_base import followed, new_file
from cloudboot_oci_stream.deadline import Deadline
from cloudboot_oci_stream.download.destinations import MappedFile, Memory
from cloudboot_oci_stream.download.hasher import Hasher
from cloudboot_oci_stream.download.parallel import Lanes, Terms
from cloudboot_oci_stream.errors import BufferTooSmallError, DescriptorError, DigestMismatchError, about
from cloudboot_oci_stream.retry import RetryPolicy
from cloudboot_oci_stream.spec.descriptor import Descriptor, algorithm_of
from cloudboot_oci_stream.spec.reference import LayoutReference, RegistryReference
from cloudboot_oci_stream.stores.factory import open_store

if TYPE_CHECKING:
    from collections.abc import Mapping

    from typing_extensions import Buffer

    from cloudboot_oci_stream.download.destinations import Place
    from cloudboot_oci_stream.download.parallel import Ranges
    from cloudboot_oci_stream.http.access import Access
    from cloudboot_oci_stream.spec.reference import Reference
    from cloudboot_oci_stream.stores.store import Progress, Store

_NOTHING = bytes(1 << 20)
_FOREIGN = ("application/vnd.oci.image.layer.nondistributable.", "application/vnd.docker.image.rootfs.foreign.")


def fetch_blob_to_buffer(
    descriptor: Descriptor | Mapping[str, object],
    buffer: Buffer,
    source: Store | Reference | str,
    *,
    access: Access | None = None,
    progress: Progress | None = None,
    deadline: float | Deadline | None = None,
    retry: RetryPolicy | None = None,
    ranges: Ranges = "auto",
) -> int:
    """Fetch the blob that ``descriptor`` describes from ``source`` into ``buffer``, and return its size in bytes.

    ``buffer`` is any writable, contiguous buffer of at least that size: a ``bytearray``, a private ``mmap``, a mapped
    memfd. When the call returns, its first ``size`` bytes have the size and digest of the descriptor, and the rest
    of it is as it was. When it raises, whatever the reason, those bytes are zero; only what is found before anything is
    asked for (:class:`DescriptorError`, :class:`BufferTooSmallError`) leaves it alone.

    ``progress`` is called in this thread with the bytes received and the bytes in all; ``deadline`` is in seconds
    from now. ``ranges`` is how many connections may be used at once, up to 16: ``"auto"`` begins with one, and adds
    others while that makes the whole faster.

    Raises:
        ValueError: ``deadline`` or ``ranges`` is no such number.
        DescriptorError: a descriptor nothing can be fetched by, or content that lives elsewhere ("nondistributable").
        BufferTooSmallError: the buffer is too small.
        ContentError: what came is not what the descriptor describes.
        OciError: it did not come; see :mod:`~cloudboot_oci_stream.errors`.
    """
    terms = Terms(progress=progress, deadline=Deadline.of(deadline), retry=retry or RetryPolicy(), ranges=ranges)
    described, store = opened(descriptor, source, access)
    # Views are released on every way out, so that the caller can close a mapping while handling an error.
    with (
        about(reference=store.reference, digest=described.digest),
        memoryview(buffer) as whole,
        whole.cast("B") as view,
    ):
        if view.readonly:
            raise BufferTooSmallError("the buffer is read-only", expected="a writable buffer")
        if len(view) < described.size:
            raise BufferTooSmallError("the buffer is too small", expected=described.size, actual=len(view))
        advise(buffer)
        with view[: described.size] as target:
            try:
                receive(store, described, Memory(target), terms)
            except BaseException:
                wipe(target)
                raise
    return described.size


def fetch_blob_to_file(
    descriptor: Descriptor | Mapping[str, object],
    path: str | os.PathLike[str],
    source: Store | Reference | str,
    *,
    force: bool = False,
    access: Access | None = None,
    progress: Progress | None = None,
    deadline: float | Deadline | None = None,
    retry: RetryPolicy | None = None,
    ranges: Ranges = "auto",
) -> int:
    """Fetch the blob that ``descriptor`` describes into a file, and return its size in bytes.

    The file takes its name once its content is verified and on the device; until then, and after a failure, there is
    none of that name. An existing file is replaced, in one step, only if ``force`` is true.

    Raises:
        FileExistsError: ``path`` exists and ``force`` is false, or is no file.
        OciError: as :func:`fetch_blob_to_buffer`.
    """
    terms = Terms(progress=progress, deadline=Deadline.of(deadline), retry=retry or RetryPolicy(), ranges=ranges)
    described, store = opened(descriptor, source, access)
    target = os.fspath(path)
    with (
        about(reference=store.reference, digest=described.digest),
        new_file(followed(target), force=force, durable=True) as fd,
    ):
        fill_file(store, described, fd, terms)
    return described.size


def fill_file(store: Store, descriptor: Descriptor, fd: int, terms: Terms) -> None:
    """Fill an empty file with a verified blob. On an exception its content is undefined."""
    if not descriptor.size:
        receive(store, descriptor, Memory(memoryview(b"")), terms)
        return
    # Real blocks: a full disk is an error here, before anything is fetched.
    os.posix_fallocate(fd, 0, descriptor.size)
    with mmap.mmap(fd, descriptor.size, prot=mmap.PROT_READ) as mapping, memoryview(mapping) as view:
        receive(store, descriptor, MappedFile(fd, mapping, view), terms)


def check_distributed(descriptor: Descriptor) -> None:
    """Refuse content that is described by a registry but kept elsewhere ("nondistributable").

    Raises:
        DescriptorError: it is.
    """
    if descriptor.media_type.startswith(_FOREIGN):
        raise DescriptorError("content that no registry distributes", actual=descriptor.media_type)


def opened(
    descriptor: Descriptor | Mapping[str, object], source: Store | Reference | str, access: Access | None
) -> tuple[Descriptor, Store]:
    """What to fetch and where from, before anything is asked for."""
    described = descriptor if isinstance(descriptor, Descriptor) else Descriptor.from_json(descriptor)
    store = open_store(source, access) if isinstance(source, str | RegistryReference | LayoutReference) else source
    with about(reference=store.reference, digest=described.digest):
        check_distributed(described)
    return described, store


def receive(store: Store, descriptor: Descriptor, place: Place, terms: Terms) -> None:
    """Fill ``place`` with a verified blob. On an exception its content is undefined."""
    algorithm = algorithm_of(descriptor.digest)
    with Hasher(algorithm, place.view) as hasher:
        with Lanes(store, descriptor, place, hasher, terms) as lanes:
            lanes.run()
        actual = f"{algorithm}:{hasher.hexdigest()}"
    if actual != descriptor.digest:
        raise DigestMismatchError("the bytes are not the ones described", expected=descriptor.digest, actual=actual)


def advise(buffer: Buffer) -> None:
    """Ask for huge pages for a mapping: the page faults of fresh memory cost as much as half of the hashing."""
    if isinstance(buffer, mmap.mmap):
        # A kernel without them, or a mapping of a file: both go on without.
        with contextlib.suppress(OSError):
            buffer.madvise(mmap.MADV_HUGEPAGE)


def wipe(view: memoryview) -> None:
    """Fill ``view`` with zeros, and do not let an interrupt stop it half-way."""
    done = 0
    while done < len(view):
        with contextlib.suppress(KeyboardInterrupt):
            end = min(len(view), done + len(_NOTHING))
            view[done:end] = _NOTHING[: end - done]
            done = end
