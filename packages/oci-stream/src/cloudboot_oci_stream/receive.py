"""The receive path: from a socket into the caller's memory, hashed while it lands, wiped unless it is right.

One thread receives, another hashes. The receiver tells the hasher how far the contiguous, received bytes reach (the
*frontier*); the hasher follows. Both leave the interpreter lock while they work, so the whole takes as long as the
slower of the two instead of their sum.
"""

from __future__ import annotations

import contextlib
import hashlib
import mmap
import os
import queue
import threading
from typing import TYPE_CHECKING, Self

from .descriptor import Descriptor, algorithm_of
from .errors import (
    BufferTooSmallError,
    ContentRangeError,
    DescriptorError,
    DigestMismatchError,
    OciError,
    ShortBodyError,
    about,
)
from .files import check_target, new_file
from .reference import LayoutReference, RegistryReference
from .retry import Resume
from .store import Store, open_store
from .timing import Deadline

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from typing_extensions import Buffer

    from .reference import Reference
    from .store import Part, Progress
    from .transport import Access

STEP = 1 << 18
"""Bytes asked of the socket at once: small enough that the hasher starts early, large enough not to count."""

_HASH_STEP = 1 << 20
_NOTHING = bytes(1 << 20)
_FOREIGN = ("application/vnd.oci.image.layer.nondistributable.", "application/vnd.docker.image.rootfs.foreign.")


class Hasher:
    """A thread that hashes a buffer as far as it has been filled."""

    def __init__(self, algorithm: str, view: memoryview) -> None:
        self._hash = hashlib.new(algorithm)
        self._view = view
        self._frontiers: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="cloudboot-oci-hash", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped = True
        self._frontiers.put(None)
        while self._thread.is_alive():
            # Only on the way out of another exception: a second interrupt must not let the thread outlive the view.
            with contextlib.suppress(KeyboardInterrupt):
                self._thread.join()

    def advance(self, frontier: int) -> None:
        """Say that every byte below ``frontier`` is final."""
        self._frontiers.put(frontier)

    def hexdigest(self) -> str:
        """The hash of everything advanced over, once the thread is there."""
        self._frontiers.put(None)
        self._thread.join()
        return self._hash.hexdigest()

    def _run(self) -> None:
        done = 0
        while (frontier := self._frontiers.get()) is not None:
            while done < frontier and not self._stopped:
                end = min(frontier, done + _HASH_STEP)
                self._hash.update(self._view[done:end])
                done = end


def fetch_blob_to_buffer(
    descriptor: Descriptor | Mapping[str, object],
    buffer: Buffer,
    source: Store | Reference | str,
    *,
    access: Access | None = None,
    progress: Progress | None = None,
    deadline: float | None = None,
    resume: Resume | None = None,
) -> int:
    """Fetch the blob that ``descriptor`` describes from ``source`` into ``buffer``, and return its size in bytes.

    ``buffer`` is any writable, contiguous buffer of at least that size: a ``bytearray``, a private ``mmap``, a mapped
    memfd. When the call returns, its first ``size`` bytes have the size and digest of the descriptor, and the rest
    of it is as it was. When it raises, whatever the reason, those bytes are zero; only what is found before anything is
    asked for (:class:`DescriptorError`, :class:`BufferTooSmallError`) leaves it alone.

    ``progress`` is called in this thread with the bytes received and the bytes in all; ``deadline`` is in seconds
    from now.

    Raises:
        DescriptorError: a descriptor nothing can be fetched by, or content that lives elsewhere ("nondistributable").
        BufferTooSmallError: the buffer is too small.
        ContentError: what came is not what the descriptor describes.
        OciError: it did not come; see :mod:`.errors`.
    """
    described = descriptor if isinstance(descriptor, Descriptor) else Descriptor.from_json(descriptor)
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
                    receive(store, described, target, progress=progress, deadline=Deadline(deadline), resume=resume)
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
                )
        new.name = target
    return described.size


def receive(
    store: Store,
    descriptor: Descriptor,
    view: memoryview,
    *,
    progress: Progress | None,
    deadline: Deadline,
    resume: Resume | None,
) -> None:
    """Fill ``view`` with a verified blob. On an exception the content of ``view`` is undefined."""
    algorithm = algorithm_of(descriptor.digest)
    with Hasher(algorithm, view) as hasher:
        _fill(store, descriptor, view, hasher, progress=progress, deadline=deadline, resume=resume or Resume())
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


def _fill(
    store: Store,
    descriptor: Descriptor,
    view: memoryview,
    hasher: Hasher,
    *,
    progress: Progress | None,
    deadline: Deadline,
    resume: Resume,
) -> None:
    """Receive all of the blob, from the frontier again each time the connection breaks."""
    size = descriptor.size
    frontier = mark = failures = 0

    def advance(position: int) -> None:
        nonlocal frontier
        frontier = position
        hasher.advance(position)
        if progress:
            progress(position, size)

    while frontier < size:
        try:
            with contextlib.closing(store.open_blob(descriptor, frontier, size, deadline)) as part:
                _skip(part, frontier)
                _receive_part(part, view, frontier, size, advance)
        except OciError as error:
            if frontier - mark >= min(resume.progress, size):
                failures = 0
            mark = frontier
            failures += 1
            if not error.retryable or failures > resume.attempts:
                error.offset = frontier if error.offset is None else error.offset
                raise
            deadline.sleep(resume.seconds(failures - 1, error))


def _receive_part(part: Part, view: memoryview, frontier: int, size: int, advance: Callable[[int], None]) -> None:
    while frontier < size:
        with view[frontier : min(size, frontier + STEP)] as target:
            count = part.readinto(target)
        if count == 0:
            raise ShortBodyError("the body ended early", offset=frontier, expected=size, actual=frontier)
        frontier += count
        advance(frontier)
    # What follows the last byte must be the end.
    part.readinto(memoryview(bytearray(1)))


def _skip(part: Part, frontier: int) -> None:
    """Pass over what is here already, where the registry sends everything again."""
    if part.start > frontier:
        raise ContentRangeError("the body starts too late", expected=frontier, actual=part.start)
    position = part.start
    scratch = memoryview(bytearray(min(STEP, max(0, frontier - position))))
    while position < frontier:
        count = part.readinto(scratch[: frontier - position])
        if count == 0:
            raise ShortBodyError("the body ended early", offset=position, expected=frontier)
        position += count
