"""The receive path: from a socket into the caller's memory, hashed while it lands, wiped unless it is right.

One thread receives (:mod:`.lanes`; several, where that pays), another hashes (:mod:`.hasher`). The receiver tells the
hasher how far the contiguous, received bytes reach (the *frontier*); the hasher follows. Both leave the interpreter
lock while they work, so the whole takes as long as the slower of the two instead of their sum.
"""

from __future__ import annotations

import contextlib
import mmap
import os
from typing import TYPE_CHECKING

from .descriptor import Descriptor, algorithm_of
from .errors import BufferTooSmallError, DescriptorError, DigestMismatchError, about
from .files import check_target, new_file
from .hasher import Hasher
from .lanes import Lanes, Terms
from .reference import LayoutReference, RegistryReference
from .retry import Resume
from .store import Store, open_store
from .timing import Deadline

if TYPE_CHECKING:
    from collections.abc import Mapping

    from typing_extensions import Buffer

    from .lanes import Ranges
    from .reference import Reference
    from .store import Progress
    from .transport import Access

_NOTHING = bytes(1 << 20)
_FOREIGN = ("application/vnd.oci.image.layer.nondistributable.", "application/vnd.docker.image.rootfs.foreign.")


def fetch_blob_to_buffer(
    descriptor: Descriptor | Mapping[str, object],
    buffer: Buffer,
    source: Store | Reference | str,
    *,
    access: Access | None = None,
    progress: Progress | None = None,
    deadline: float | None = None,
    resume: Resume | None = None,
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
        OciError: it did not come; see :mod:`.errors`.
    """
    described = descriptor if isinstance(descriptor, Descriptor) else Descriptor.from_json(descriptor)
    terms = Terms(progress=progress, deadline=Deadline(deadline), resume=resume or Resume(), ranges=ranges)
    store = open_store(source, access) if isinstance(source, str | RegistryReference | LayoutReference) else source
    with about(reference=store.reference, digest=described.digest):
        if described.media_type.startswith(_FOREIGN):
            raise DescriptorError("content that no registry distributes", actual=described.media_type)
        # Views are released on every way out, so that the caller can close a mapping while handling an error.
        with memoryview(buffer) as whole, whole.cast("B") as view:
            if view.readonly:
                raise BufferTooSmallError("the buffer is read-only", expected="a writable buffer")
            if len(view) < described.size:
                raise BufferTooSmallError("the buffer is too small", expected=described.size, actual=len(view))
            advise(buffer)
            with view[: described.size] as target:
                try:
                    receive(store, described, target, terms)
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
    deadline: float | None = None,
    resume: Resume | None = None,
    ranges: Ranges = "auto",
) -> int:
    """Fetch the blob that ``descriptor`` describes into a file, and return its size in bytes.

    The file takes its name once its content is verified and on the device; until then, and after a failure, there is
    none of that name. An existing file is replaced, in one step, only if ``force`` is true.

    Raises:
        FileExistsError: ``path`` exists and ``force`` is false, or is no file.
        OciError: as :func:`fetch_blob_to_buffer`.
    """
    described = descriptor if isinstance(descriptor, Descriptor) else Descriptor.from_json(descriptor)
    target = os.fspath(path)
    check_target(target, force=force)
    with new_file(os.path.dirname(target) or ".", durable=True, replace=force) as new:
        # Real blocks: a full disk must be an error here, not a signal while the mapping is written to.
        if described.size:
            os.posix_fallocate(new.fd, 0, described.size)
            with mmap.mmap(new.fd, described.size) as mapping:
                fetch_blob_to_buffer(
                    described,
                    mapping,
                    source,
                    access=access,
                    progress=progress,
                    deadline=deadline,
                    resume=resume,
                    ranges=ranges,
                )
        new.name = target
    return described.size


def receive(store: Store, descriptor: Descriptor, view: memoryview, terms: Terms) -> None:
    """Fill ``view`` with a verified blob. On an exception the content of ``view`` is undefined."""
    algorithm = algorithm_of(descriptor.digest)
    with Hasher(algorithm, view) as hasher:
        with Lanes(store, descriptor, view, hasher, terms) as lanes:
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
