"""Copies between places: a registry or a folder to a registry or a folder, digests and all."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from typing import TYPE_CHECKING

from cloudboot_oci_stream.deadline import Deadline
from cloudboot_oci_stream.download.blob_source import BlobSource
from cloudboot_oci_stream.download.receive import check_distributed
from cloudboot_oci_stream.errors import ManifestSyntaxError, NotAnImageError, NotFoundError, OciError, about
from cloudboot_oci_stream.retry import RetryPolicy, retrying
from cloudboot_oci_stream.spec.descriptor import Descriptor, Platform
from cloudboot_oci_stream.spec.manifest import (
    INDEX_TYPES,
    MANIFEST_TYPES,
    Document,
    choose,
    parse_index,
    parse_json,
    parse_manifest,
)
from cloudboot_oci_stream.stores.factory import open_store
from cloudboot_oci_stream.stores.referrers import UNREADABLE, cosign_tags, list_referrers, place_referrer

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloudboot_oci_stream.http.access import Access
    from cloudboot_oci_stream.spec.reference import Reference
    from cloudboot_oci_stream.stores.store import Progress, Store

_DEEPEST_INDEX = 3
_MOST_MANIFESTS = 1024
_OLD_MANIFEST_TYPES = frozenset(
    {
        "application/vnd.oci.artifact.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
    }
)
"""Manifests of forms that are not read; anything else in an index is a blob."""


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
    referrers: int = 0
    """Manifests that refer to what was copied, and were copied with it."""
    left: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    """Digests of those that were not, and why: what they list is not there, or may not be read."""


def copy_image(
    source: Reference | str,
    target: Reference | str,
    *,
    platform: Platform | str | None = None,
    access: Access | None = None,
    target_access: Access | None = None,
    referrers: bool = False,
    chunk: int | None = None,
    progress: Progress | None = None,
    deadline: float | Deadline | None = None,
    retry: RetryPolicy | None = None,
) -> Copied:
    """Copy what ``source`` names, and all it refers to, to ``target``. Manifests stay the bytes they are.

    An index is copied whole, or with ``platform`` only its one manifest for that. With ``referrers``, what refers to
    any of it is copied, too: signatures above all, and what cosign keeps under tags of its own. Blobs pass through,
    verified, without being held; none is stored whose bytes are not its digest's. The name in ``target`` appears at
    the end, so that it never names an image whose signatures are not there yet. ``target_access`` is for the target,
    where that takes other credentials than ``access``.

    Raises:
        NotFoundError: the source has none of that name.
        ContentError: something in the source is not what its descriptor says, or not of an image.
        OciError: it does not come, or the target does not take it; see :mod:`~cloudboot_oci_stream.errors`.
    """
    origin, destination = open_store(source, access), open_store(target, target_access or access, retry)
    wanted = Platform.parse(platform) if isinstance(platform, str) else platform
    limit, policy = Deadline.of(deadline), retry or RetryPolicy()
    with about(reference=origin.reference):
        document = retrying(lambda: origin.read_manifest(None, limit), limit, policy)
        for _ in range(_DEEPEST_INDEX):
            if wanted is None or document.media_type not in INDEX_TYPES:
                break
            entry = choose(parse_index(document), wanted)
            document = retrying(functools.partial(origin.read_manifest, entry, limit), limit, policy)
        copier = Copier(origin, destination, deadline=limit, retry=policy, chunk=chunk, progress=progress)
        return copier.copy(document, referrers=referrers)


class Copier:
    """Copies manifests and what they refer to from one place to another."""

    def __init__(
        self,
        source: Store,
        target: Store,
        *,
        deadline: Deadline,
        retry: RetryPolicy,
        chunk: int | None = None,
        progress: Progress | None = None,
    ) -> None:
        self._source, self._target = source, target
        self._deadline, self._retry = deadline, retry
        self._chunk, self._progress = chunk, progress
        self._problem: OciError | None = None
        """What the last blob could not be read for."""
        self._is_reading = False
        """Whether nothing of the referrer at hand was written yet."""

    def copy(self, document: Document, *, is_named: bool = True, referrers: bool = False) -> Copied:
        """Copy ``document`` and all below it, and name it as the target's reference does, if ``is_named``.

        Raises:
            OciError: as :func:`copy_image`.
        """
        copied = Copied(_described(document))
        documents = self._contents(document, copied)
        # An image that is to be named comes last, by its name.
        for below in documents:
            self._write(below, self._target, is_named=False)
        if referrers:
            self._copy_referrers(documents, copied)
        if is_named:
            self._write(document, self._target, is_named=True)
        return copied

    def _contents(self, document: Document, copied: Copied) -> list[Document]:
        """Copy the blobs of ``document`` and of all below it; the manifests, what is referred to first."""
        tree = _Tree()
        self._gather(document, tree, 0)
        self._is_reading = False
        total = sum(blob.size for blob in tree.blobs.values())
        done = 0
        for blob in tree.blobs.values():
            with about(digest=blob.digest):
                self._blob(blob, copied, done, total)
            done += blob.size
            if self._progress:
                self._progress(done, total)
        return list(tree.documents.values())

    def _copy_referrers(self, documents: list[Document], copied: Copied) -> None:
        """Copy what refers to ``documents``, and what refers to that in turn."""
        # What refers to an image is small; the progress is that of the image.
        self._progress = None
        known = {document.digest for document in documents}
        pending = list(documents)
        while pending:
            subject = pending.pop()
            for entry in list_referrers(self._source, subject.digest, self._deadline, self._retry):
                if entry.digest in known:
                    continue
                known.add(entry.digest)
                if len(known) > _MOST_MANIFESTS:
                    raise ManifestSyntaxError("too many referrers", expected=f"at most {_MOST_MANIFESTS}")
                work = functools.partial(self._copy_referrer, entry, subject, pending, copied)
                if self._has_copied(work, entry.digest, copied):
                    copied.referrers += 1
            for tag in cosign_tags(subject.digest):
                if self._has_copied(functools.partial(self._copy_tag, tag, copied), tag, copied):
                    copied.referrers += 1

    def _copy_referrer(self, entry: Descriptor, subject: Document, pending: list[Document], copied: Copied) -> bool:
        """Copy what a list of referrers names, if that says the same of itself: anybody's list may name anything."""
        found = self._read(self._source, entry)
        if _subject_of(found) != subject.digest:
            raise NotAnImageError("it refers to something else")
        self._contents(found, copied)
        place = functools.partial(
            place_referrer, self._target, found.data, _entry_of(found), _described(subject), self._deadline
        )
        retrying(place, self._deadline, self._retry)
        pending.append(found)
        return True

    def _copy_tag(self, tag: str, copied: Copied) -> bool:
        """Copy what has one of cosign's tags; false where nothing has it."""
        try:
            found = self._read(self._source.sibling(tag), None)
        except NotFoundError:
            return False
        self._contents(found, copied)
        self._write(found, self._target.sibling(tag), is_named=True)
        return True

    def _has_copied(self, copy: Callable[[], bool], name: str, copied: Copied) -> bool:
        """Whether ``copy`` did its work; what cannot be read is left, and noted with the reason."""
        self._problem = None
        self._is_reading = True
        try:
            return copy()
        except UNREADABLE as error:
            if not self._is_reading and error is not self._problem:
                raise  # the target does not take it
            copied.left.append((name, error.message))
            return False

    def _read(self, store: Store, entry: Descriptor | None) -> Document:
        with about(digest=entry.digest if entry else None):
            return retrying(functools.partial(store.read_manifest, entry, self._deadline), self._deadline, self._retry)

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
                    if entry.media_type in MANIFEST_TYPES + INDEX_TYPES:
                        self._gather(self._read(self._source, entry), tree, depth + 1)
                    elif entry.media_type in _OLD_MANIFEST_TYPES:
                        raise NotAnImageError("neither manifest nor index", actual=entry.media_type)
                    else:
                        # "Storing or copying image indexes MUST NOT error on encountering a mediaType that is unknown".
                        tree.blobs[entry.digest] = entry
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

        if retrying(has_blob, self._deadline, self._retry):
            copied.present += blob.size
        elif retrying(mount_blob, self._deadline, self._retry):
            copied.mounted += blob.size
        else:
            progress = self._progress
            with contextlib.closing(BlobSource(self._source, blob, self._deadline, self._retry)) as source:
                try:
                    self._target.write_blob(
                        source,
                        algorithm="sha256",
                        progress=(lambda done, _: progress(before + done, total)) if progress else None,
                        chunk=self._chunk,
                        deadline=self._deadline,
                        expected=blob,
                    )
                finally:
                    self._problem = source.problem
            copied.sent += blob.size

    def _write(self, document: Document, target: Store, *, is_named: bool) -> None:
        artifact_type = None
        if document.media_type in MANIFEST_TYPES:
            artifact_type = parse_manifest(document).artifact_type
        write = functools.partial(
            target.write_manifest,
            document.data,
            media_type=document.media_type,
            artifact_type=artifact_type,
            deadline=self._deadline,
            digest=document.digest,
            is_named=is_named,
        )
        retrying(write, self._deadline, self._retry)


def _described(document: Document) -> Descriptor:
    return Descriptor(media_type=document.media_type, digest=document.digest, size=len(document.data))


def _entry_of(document: Document) -> Descriptor:
    """How a list of referrers describes a manifest: as it describes itself."""
    described = _described(document)
    if document.media_type in INDEX_TYPES:
        return described
    manifest = parse_manifest(document)
    return dataclasses.replace(described, artifact_type=manifest.artifact_type, annotations=manifest.annotations)


def _subject_of(document: Document) -> str | None:
    """The digest a manifest refers to."""
    subject = parse_json(document.data).get("subject")
    digest = subject.get("digest") if isinstance(subject, dict) else None
    return digest if isinstance(digest, str) else None


@dataclasses.dataclass(slots=True)
class _Tree:
    """What is to be copied, by digest."""

    documents: dict[str, Document] = dataclasses.field(default_factory=dict)
    blobs: dict[str, Descriptor] = dataclasses.field(default_factory=dict)
