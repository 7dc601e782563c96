"""The store that a reference points into."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudboot_oci_stream.http.access import Access
from cloudboot_oci_stream.spec.reference import LayoutReference, Reference, parse_reference
from cloudboot_oci_stream.stores.folder import FolderStore
from cloudboot_oci_stream.stores.registry import RegistryStore

if TYPE_CHECKING:
    from cloudboot_oci_stream.retry import RetryPolicy
    from cloudboot_oci_stream.stores.store import Store


def open_store(reference: Reference | str, access: Access | None = None, retry: RetryPolicy | None = None) -> Store:
    """The place that ``reference`` points into. Nothing is asked yet. ``retry`` is for uploads to it.

    Raises:
        InvalidReferenceError: ``reference`` names no image.
    """
    parsed = parse_reference(reference) if isinstance(reference, str) else reference
    if isinstance(parsed, LayoutReference):
        return FolderStore(parsed)
    return RegistryStore(parsed, access or Access(), retry=retry)
