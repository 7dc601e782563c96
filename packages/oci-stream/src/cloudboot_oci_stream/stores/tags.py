"""The tags that a place has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudboot_oci_stream.deadline import Deadline
from cloudboot_oci_stream.retry import RetryPolicy, retrying

from .factory import open_store

if TYPE_CHECKING:
    from cloudboot_oci_stream.http.access import Access
    from cloudboot_oci_stream.spec.reference import Reference


def list_tags(
    reference: Reference | str,
    *,
    access: Access | None = None,
    deadline: Deadline | None = None,
    retry: RetryPolicy | None = None,
) -> list[str]:
    """The tags in the repository, or the names in the folder, that ``reference`` points into, sorted.

    Raises:
        InvalidReferenceError: ``reference`` names no place.
        NotFoundError: there is no such repository.
        OciError: the registry could not be asked.
    """
    store = open_store(reference, access)
    limit = deadline or Deadline()
    return retrying(lambda: store.read_tags(limit), limit, retry or RetryPolicy())
