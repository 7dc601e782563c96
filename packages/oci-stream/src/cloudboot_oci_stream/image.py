"""A disk image in memory: one memfd, filled, verified, sealed, and only then shown."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import mmap
import os
from typing import TYPE_CHECKING, NamedTuple, Self

from cloudboot_oci_stream.deadline import Deadline
from cloudboot_oci_stream.download.destinations import MappedFile, Memory
from cloudboot_oci_stream.download.parallel import Terms
from cloudboot_oci_stream.download.receive import opened, receive
from cloudboot_oci_stream.errors import NoRoomError, NotAnImageError, about
from cloudboot_oci_stream.retry import RetryPolicy, retrying
from cloudboot_oci_stream.signatures.verify import verify_stored
from cloudboot_oci_stream.spec.descriptor import Descriptor, Platform
from cloudboot_oci_stream.spec.manifest import (
    INDEX_TYPES,
    Document,
    Manifest,
    choose,
    image_layer,
    parse_index,
    parse_manifest,
)
from cloudboot_oci_stream.stores.factory import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cloudboot_oci_stream.download.parallel import Ranges
    from cloudboot_oci_stream.http.access import Access
    from cloudboot_oci_stream.signatures.policy import Policy
    from cloudboot_oci_stream.signatures.verify import Verification
    from cloudboot_oci_stream.spec.reference import Reference
    from cloudboot_oci_stream.stores.store import Progress, Store

SECTOR = 512
"""Block devices have whole sectors: an image is padded with zeros to a multiple of this."""

_DEEPEST_INDEX = 3
_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


class Resolved(NamedTuple):
    """What a reference leads to: the manifest as stored, what it says, and the layer that is the image."""

    document: Document
    manifest: Manifest
    layer: Descriptor


class Image:
    """A verified disk image. Owns its memory: a memfd that is sealed read-only, and mapped read-only.

    ``view`` is the image (a read-only :class:`memoryview` of :attr:`size` bytes), ``fd`` the memfd, opened read-only;
    :attr:`path` is a name under which another process of the same user can open it while this one lives. ``digest`` is
    the manifest's, ``descriptor`` the layer's, ``verification`` what a policy says of it if there was one.
    """

    def __init__(
        self,
        reference: Reference,
        resolved: Resolved,
        fd: int,
        mapping: mmap.mmap,
        *,
        verification: Verification | None = None,
    ) -> None:
        self.reference = reference
        self.digest = resolved.document.digest
        self.manifest = resolved.manifest
        self.descriptor = resolved.layer
        self.verification = verification
        self.fd = fd
        self.size = len(mapping)
        self._mapping = mapping
        self.view = memoryview(mapping)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Image {self.reference} {self.digest} {self.size} bytes>"

    def fileno(self) -> int:
        """The memfd's descriptor."""
        return self.fd

    @property
    def path(self) -> str:
        """``/proc/PID/fd/N``."""
        return f"/proc/{os.getpid()}/fd/{self.fd}"

    def close(self) -> None:
        """Give the memory back; parts of :attr:`view` that are still in use keep it until they go."""
        if self.fd < 0:
            return
        fd, self.fd = self.fd, -1
        os.close(fd)
        with contextlib.suppress(BufferError):
            self.view.release()
            self._mapping.close()


def resolve_manifest(
    store: Store,
    *,
    platform: Platform | None = None,
    deadline: Deadline | None = None,
    retry: RetryPolicy | None = None,
    document: Document | None = None,
) -> tuple[Document, Manifest]:
    """The manifest that the store's reference names, as it was stored and what it says; whatever it describes.

    An index is followed to the entry for ``platform``, or to the only one there is. ``document`` is what the reference
    names, where it was read already: then it is not asked for again.

    Raises:
        NotFoundError: the registry or folder has no image of that name.
        ContentError: what there is, is no manifest.
    """
    limit = deadline or Deadline()
    with about(reference=store.reference):
        document = document or retrying(lambda: store.read_manifest(None, limit), limit, retry)
        depth = 0
        while document.media_type in INDEX_TYPES:
            depth += 1
            if depth > _DEEPEST_INDEX:
                raise NotAnImageError("indexes within indexes", expected=f"at most {_DEEPEST_INDEX}")
            entry = choose(parse_index(document), platform)
            with about(digest=entry.digest):
                document = retrying(functools.partial(store.read_manifest, entry, limit), limit, retry)
        with about(digest=document.digest):
            return document, parse_manifest(document)


def resolve(
    store: Store,
    *,
    platform: Platform | None = None,
    deadline: Deadline | None = None,
    retry: RetryPolicy | None = None,
    document: Document | None = None,
) -> Resolved:
    """The manifest of the image that the store's reference names, and the layer that is the image.

    The arguments are those of :func:`resolve_manifest`.

    Raises:
        NotFoundError: the registry or folder has no image of that name.
        ContentError: what there is, is no disk image.
    """
    document, manifest = resolve_manifest(store, platform=platform, deadline=deadline, retry=retry, document=document)
    with about(reference=store.reference, digest=document.digest):
        return Resolved(document, manifest, image_layer(manifest))


def fetch_image(
    reference: Reference | str,
    *,
    platform: Platform | str | None = None,
    access: Access | None = None,
    progress: Progress | None = None,
    deadline: float | Deadline | None = None,
    retry: RetryPolicy | None = None,
    ranges: Ranges = "auto",
    max_size: int | None = None,
    policy: Policy | None = None,
) -> Image:
    """Fetch the disk image that ``reference`` names into memory of its own.

    The image is handed out once its size and digest are verified, in memory that is sealed read-only.
    ``deadline`` is in seconds from now; ``max_size`` in bytes, by default what this machine has of memory to spare.
    With a ``policy``, the manifest's signatures are verified before a byte of the image is asked for, and the manifest
    that was verified is the one that is used.

    Raises:
        InvalidReferenceError: ``reference`` names no image.
        SignatureError: its signatures do not satisfy the policy.
        NoRoomError: the image is larger than ``max_size``, or memory ran out.
        OciError: it did not come, or not as described; see :mod:`~cloudboot_oci_stream.errors`.
    """
    store = open_store(reference, access)
    wanted = Platform.parse(platform) if isinstance(platform, str) else platform
    limit = Deadline.of(deadline)
    terms = Terms(progress=progress, deadline=limit, retry=retry or RetryPolicy(), ranges=ranges)
    document, verification = verify_stored(store, policy, limit, retry) if policy is not None else (None, None)
    resolved = resolve(store, platform=wanted, deadline=limit, retry=retry, document=document)
    with about(reference=store.reference, digest=resolved.layer.digest):
        _check_room(resolved.layer.size, max_size)
        fd, mapping = filled(store, resolved.layer, terms)
        return Image(store.reference, resolved, fd, mapping, verification=verification)


def iter_blob(
    descriptor: Descriptor | Mapping[str, object],
    source: Store | Reference | str,
    *,
    size: int = 1 << 20,
    access: Access | None = None,
    progress: Progress | None = None,
    deadline: float | Deadline | None = None,
    retry: RetryPolicy | None = None,
    ranges: Ranges = "auto",
    max_size: int | None = None,
) -> Iterator[memoryview]:
    """Fetch the blob that ``descriptor`` describes, and then give it in read-only pieces of ``size`` bytes.

    The first piece comes when the last byte is verified: bytes handed out as they arrive would not have been
    verified. All of it is in memory meanwhile, which lasts as long as the iterator and the pieces.

    Raises:
        NoRoomError: the blob is larger than ``max_size``, or memory ran out.
        OciError: as :func:`fetch_blob_to_buffer`.
    """
    terms = Terms(progress=progress, deadline=Deadline.of(deadline), retry=retry or RetryPolicy(), ranges=ranges)
    described, store = opened(descriptor, source, access)
    with about(reference=store.reference, digest=described.digest):
        _check_room(described.size, max_size)
        if not described.size:
            receive(store, described, Memory(memoryview(b"")), terms)
            return
        fd, mapping = filled(store, described, terms)
    os.close(fd)
    whole = memoryview(mapping)
    try:
        for offset in range(0, described.size, size):
            yield whole[offset : min(offset + size, described.size)]
    finally:
        # Pieces that are still in use keep the memory until they go.
        with contextlib.suppress(BufferError):
            whole.release()
            mapping.close()


def _check_room(size: int, max_size: int | None) -> None:
    most = available_memory() if max_size is None else max_size
    if size > most:
        raise NoRoomError("the image is too large", expected=f"at most {most}", actual=size)


def available_memory() -> int:
    """Bytes this machine can give without swapping, as far as the kernel can tell (``MemAvailable``, proc(5))."""
    with open("/proc/meminfo", encoding="ascii") as lines:
        for line in lines:
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def filled(store: Store, layer: Descriptor, terms: Terms) -> tuple[int, mmap.mmap]:
    """A sealed memfd with the verified blob, padded to whole sectors: its descriptor, read-only, and a mapping.

    Raises:
        NoRoomError: there is no memory for it.
    """
    name = "cloudboot-" + layer.digest.partition(":")[2][:16]
    size = -(-layer.size // SECTOR) * SECTOR
    writable = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    readable = -1
    try:
        readable = os.open(f"/proc/self/fd/{writable}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.ftruncate(writable, size)
            # Of a descriptor that is itself read-only, since F_SEAL_WRITE fails while a writable mapping exists.
            mapping = mmap.mmap(readable, size, prot=mmap.PROT_READ)
        except (OSError, OverflowError) as error:
            raise NoRoomError("no memory for the image", actual=size) from error
        try:
            with memoryview(mapping) as view, view[: layer.size] as target:
                receive(store, layer, MappedFile(writable, mapping, target), terms)
            fcntl.fcntl(writable, fcntl.F_ADD_SEALS, _SEALS)
        except BaseException:
            mapping.close()
            raise
    except BaseException:
        if readable >= 0:
            os.close(readable)
        raise
    finally:
        os.close(writable)
    return readable, mapping
