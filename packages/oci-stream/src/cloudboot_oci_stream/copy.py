"""Copies between places: a registry or a folder to a registry or a folder, digests and all."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from typing import TYPE_CHECKING

from .descriptor import Descriptor, Platform
from .errors import ManifestSyntaxError, NotAnImageError, about
from .manifest import INDEX_TYPES, MANIFEST_TYPES, Document, choose, parse_index, parse_manifest
from .parts import BlobSource
from .receive import check_distributed
from .retry import Resume, persist
from .store import Store, open_store
from .timing import Deadline

if TYPE_CHECKING:
    from .reference import Reference
    from .store import Progress
    from .transport import Access

_DEEPEST_INDEX = 3
_MOST_MANIFESTS = 1024


@dataclasses.dataclass(slots=True)
class Copied:
    """What a copy was: the descriptor of what was named, and bytes of blobs by how they came to the target."""

    descriptor: Descriptor
    sent: int = 0
    """Fetched from the source, and stored."""
    mounted: int = 0
    """Taken over by the registry itself from another of its repositories."""
    present: int = 0
    """There already."""


def copy_image(
    source: Reference | str,
    target: Reference | str,
    *,
    platform: Platform | str | None = None,
    access: Access | None = None,
    target_access: Access | None = None,
    chunk: int | None = None,
    progress: Progress | None = None,
    deadline: float | None = None,
    resume: Resume | None = None,
) -> Copied:
    """Copy what ``source`` names, and all it refers to, to ``target``. Manifests stay the bytes they are.

    An index is copied whole, or with ``platform`` only its one manifest for that. Blobs pass through, verified, without
    being held; none is stored whose bytes are not its digest's. The name in ``target`` appears at the end.
    ``target_access`` is for the target, where that takes other credentials than ``access``.

    Raises:
        NotFoundError: the source has none of that name.
        ContentError: something in the source is not what its descriptor says, or not of an image.
        OciError: it does not come, or the target does not take it; see :mod:`.errors`.
    """
    origin, destination = open_store(source, access), open_store(target, target_access or access)
    wanted = Platform.parse(platform) if isinstance(platform, str) else platform
    limit, patience = Deadline(deadline), resume or Resume()
    with about(reference=origin.reference):
        document = persist(lambda: origin.read_manifest(None, limit), limit, patience)
        for _ in range(_DEEPEST_INDEX):
            if wanted is None or document.media_type not in INDEX_TYPES:
                break
            entry = choose(parse_index(document), wanted)
            document = persist(functools.partial(origin.read_manifest, entry, limit), limit, patience)
        copier = Copier(origin, destination, deadline=limit, resume=patience, chunk=chunk, progress=progress)
        return copier.copy(document)


class Copier:
    """Copies manifests and what they refer to from one place to another."""

    def __init__(
        self,
        source: Store,
        target: Store,
        *,
        deadline: Deadline,
        resume: Resume,
        chunk: int | None = None,
        progress: Progress | None = None,
    ) -> None:
        self._source, self._target = source, target
        self._deadline, self._resume = deadline, resume
        self._chunk, self._progress = chunk, progress

    def copy(self, document: Document, *, is_named: bool = True) -> Copied:
        """Copy ``document`` and all below it, and name it as the target's reference does, if ``is_named``.

        Raises:
            OciError: as :func:`copy_image`.
        """
        tree = _Tree()
        self._gather(document, tree, 0)
        copied = Copied(Descriptor(media_type=document.media_type, digest=document.digest, size=len(document.data)))
        total = sum(blob.size for blob in tree.blobs.values())
        done = 0
        for blob in tree.blobs.values():
            with about(digest=blob.digest):
                self._blob(blob, copied, done, total)
            done += blob.size
            if self._progress:
                self._progress(done, total)
        for below in tree.documents.values():
            named = is_named and below is document
            persist(functools.partial(self._write, below, is_named=named), self._deadline, self._resume)
        return copied

    def _gather(self, document: Document, tree: _Tree, depth: int) -> None:
        """Everything ``document`` refers to, what is referred to before what refers."""
        if document.digest in tree.documents:
            return
        if len(tree.documents) >= _MOST_MANIFESTS:
            raise ManifestSyntaxError("an index of too many manifests", expected=f"at most {_MOST_MANIFESTS}")
        with about(digest=document.digest):
            if document.media_type in INDEX_TYPES:
                if depth >= _DEEPEST_INDEX:
                    raise NotAnImageError("indexes within indexes", expected=f"at most {_DEEPEST_INDEX}")
                for entry in parse_index(document):
                    if entry.media_type not in MANIFEST_TYPES + INDEX_TYPES:
                        raise NotAnImageError("neither manifest nor index", actual=entry.media_type)
                    read = functools.partial(self._source.read_manifest, entry, self._deadline)
                    self._gather(persist(read, self._deadline, self._resume), tree, depth + 1)
            else:
                manifest = parse_manifest(document)
                for blob in (manifest.config, *manifest.layers):
                    check_distributed(blob)
                    tree.blobs[blob.digest] = blob
        tree.documents[document.digest] = document

    def _blob(self, blob: Descriptor, copied: Copied, before: int, total: int) -> None:
        def has_blob() -> bool:
            return self._target.has_blob(blob.digest, self._deadline)

        def mount_blob() -> bool:
            return self._target.mount_blob(blob.digest, self._source, self._deadline)

        if persist(has_blob, self._deadline, self._resume):
            copied.present += blob.size
        elif persist(mount_blob, self._deadline, self._resume):
            copied.mounted += blob.size
        else:
            progress = self._progress
            with contextlib.closing(BlobSource(self._source, blob, self._deadline, self._resume)) as source:
                self._target.write_blob(
                    source,
                    algorithm="sha256",
                    progress=(lambda done, _: progress(before + done, total)) if progress else None,
                    chunk=self._chunk,
                    deadline=self._deadline,
                    expected=blob,
                )
            copied.sent += blob.size

    def _write(self, document: Document, *, is_named: bool) -> None:
        artifact_type = None
        if document.media_type in MANIFEST_TYPES:
            artifact_type = parse_manifest(document).artifact_type
        self._target.write_manifest(
            document.data,
            media_type=document.media_type,
            artifact_type=artifact_type,
            deadline=self._deadline,
            digest=document.digest,
            is_named=is_named,
        )


@dataclasses.dataclass(slots=True)
class _Tree:
    """What is to be copied, by digest."""

    documents: dict[str, Document] = dataclasses.field(default_factory=dict)
    blobs: dict[str, Descriptor] = dataclasses.field(default_factory=dict)
