"""What pushing and fetching need of a place that holds images; a registry and a folder are the two there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloudboot_oci_stream.deadline import Deadline
    from cloudboot_oci_stream.spec.descriptor import Descriptor
    from cloudboot_oci_stream.spec.manifest import Document
    from cloudboot_oci_stream.spec.reference import Reference
    from cloudboot_oci_stream.stores.source import Source, Stream

    Progress = Callable[[int, int], None]
    """Called with the bytes done and the bytes in all."""


class Part(Protocol):
    """Bytes of a blob from ``start`` on, as a place hands them out."""

    @property
    def start(self) -> int:
        """Where the bytes begin; 0 where a range was asked for and the place sends everything."""

    @property
    def stop(self) -> int:
        """Where they end."""

    def readinto(self, view: memoryview) -> int:
        """Read what there is into ``view``; 0 at the end."""

    def close(self) -> None:
        """Close the connection and discard unread data."""


class Store(Protocol):
    """A repository of a registry, or a folder."""

    @property
    def reference(self) -> Reference:
        """The image that was named."""

    @property
    def real_folder(self) -> str | None:
        """The path of the folder that everything is read from; ``None`` for a registry."""

    @property
    def is_remote(self) -> bool:
        """Whether several connections can be faster than one."""

    def read_manifest(self, entry: Descriptor | None, deadline: Deadline) -> Document:
        """The manifest or index that ``entry`` of an index (else the reference) names; its bytes hash to its digest."""

    def open_blob(self, descriptor: Descriptor, start: int, stop: int, deadline: Deadline) -> Part:
        """Bytes ``start`` to ``stop`` of a blob, unverified."""

    def has_blob(self, digest: str, deadline: Deadline) -> bool:
        """Whether a blob is there."""

    def mount_blob(self, digest: str, origin: Store, deadline: Deadline) -> bool:
        """Take a blob over from another repository of the same registry; false if the registry does not."""

    def write_blob(
        self,
        source: Source | Stream,
        *,
        algorithm: str,
        progress: Progress | None,
        chunk: int | None,
        deadline: Deadline,
        expected: Descriptor | None = None,
    ) -> tuple[str, int]:
        """Store ``source`` unless it is there (who ``expected`` that has asked before); its digest and size."""

    def check_push(self, deadline: Deadline) -> None:
        """Begin an upload and cancel it, to find out whether a push is accepted; raises the error of a refused push."""

    def write_manifest(
        self,
        data: bytes,
        *,
        media_type: str,
        artifact_type: str | None,
        deadline: Deadline,
        digest: str | None = None,
        is_named: bool = True,
    ) -> str:
        """Store a manifest, under the reference's tag if ``is_named``; its digest."""

    def sibling(self, tag: str) -> Store:
        """What has another tag in the same place."""

    def read_tags(self, deadline: Deadline) -> list[str]:
        """Every tag in the same place, sorted."""

    def read_referrers(self, digest: str, deadline: Deadline) -> list[Descriptor] | None:
        """The manifests that say they refer to ``digest``; ``None`` where the place keeps no such list."""

    def write_referrer(self, data: bytes, entry: Descriptor, subject: Descriptor, deadline: Deadline) -> bool:
        """Store a manifest, described by ``entry``, that refers to ``subject``; whether the place lists it as such."""
