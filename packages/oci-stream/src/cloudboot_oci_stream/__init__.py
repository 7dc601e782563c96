"""Push disk images to OCI registries and fetch them back, verified, into one buffer.

- :func:`push_image` makes an image file the single layer of an artifact, in a registry or in a folder;
- :func:`fetch_image` brings it back as sealed memory that a machine can open as its disk;
- :func:`fetch_blob_to_buffer` fills the caller's own buffer, :func:`fetch_blob_to_file` a file;
  :func:`iter_blob` gives it in pieces once all of it is verified;
- :func:`copy_image` takes it, or anything else a manifest describes, from one place to another;
- every failure is an :class:`OciError` of a type of its own (:mod:`.errors`).
"""

from .copy import Copied, copy_image
from .descriptor import Descriptor, Platform
from .errors import OciError
from .image import Image, Resolved, fetch_image, iter_blob, resolve
from .manifest import ARTIFACT_TYPE, LAYER_TYPE, Document, Manifest
from .push import push_image
from .receive import fetch_blob_to_buffer, fetch_blob_to_file
from .reference import LayoutReference, Reference, RegistryReference, parse_reference
from .retry import Resume
from .source import Source
from .store import Store, open_store
from .transport import Access

__all__ = [
    "ARTIFACT_TYPE",
    "LAYER_TYPE",
    "Access",
    "Copied",
    "Descriptor",
    "Document",
    "Image",
    "LayoutReference",
    "Manifest",
    "OciError",
    "Platform",
    "Reference",
    "RegistryReference",
    "Resolved",
    "Resume",
    "Source",
    "Store",
    "copy_image",
    "fetch_blob_to_buffer",
    "fetch_blob_to_file",
    "fetch_image",
    "iter_blob",
    "open_store",
    "parse_reference",
    "push_image",
    "resolve",
]
