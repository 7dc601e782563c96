"""Push disk images to OCI registries and fetch them back, verified, into one buffer.

- :func:`push_image` makes an image file the single layer of an artifact, in a registry or in a folder;
- :func:`fetch_image` brings it back as sealed memory that a machine can open as its disk;
- :func:`fetch_blob_to_buffer` fills the caller's own buffer, :func:`fetch_blob_to_file` a file;
  :func:`iter_blob` gives it in pieces once all of it is verified;
- :func:`copy_image` takes it, or anything else a manifest describes, from one place to another;
- :func:`verify_signature` holds an image against a :class:`Policy` before it is used, :func:`sign_image` signs one;
- every failure is an :class:`OciError` of a type of its own (:mod:`.errors`).
"""

from .access import Access
from .copy import Copied, copy_image
from .descriptor import Descriptor, Platform
from .errors import OciError
from .factory import open_store
from .image import Image, Resolved, fetch_image, iter_blob, resolve
from .login import login, logout
from .manifest import ARTIFACT_TYPE, LAYER_TYPE, Document, Manifest
from .policy import Identity, Policy, Rule, Trust
from .push import push_image
from .receive import fetch_blob_to_buffer, fetch_blob_to_file
from .reference import LayoutReference, Reference, RegistryReference, parse_reference
from .retry import Resume
from .signatures.keys import PublicKey
from .signatures.sign import Signed, sign_image
from .signatures.signers import IdentitySigner, KeySigner, Signer
from .signatures.verify import Signature, Verification, verify_signature
from .source import Source
from .store import Store

__all__ = [
    "ARTIFACT_TYPE",
    "LAYER_TYPE",
    "Access",
    "Copied",
    "Descriptor",
    "Document",
    "Identity",
    "IdentitySigner",
    "Image",
    "KeySigner",
    "LayoutReference",
    "Manifest",
    "OciError",
    "Platform",
    "Policy",
    "PublicKey",
    "Reference",
    "RegistryReference",
    "Resolved",
    "Resume",
    "Rule",
    "Signature",
    "Signed",
    "Signer",
    "Source",
    "Store",
    "Trust",
    "Verification",
    "copy_image",
    "fetch_blob_to_buffer",
    "fetch_blob_to_file",
    "fetch_image",
    "iter_blob",
    "login",
    "logout",
    "open_store",
    "parse_reference",
    "push_image",
    "resolve",
    "sign_image",
    "verify_signature",
]
