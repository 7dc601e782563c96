"""Push disk images to OCI registries and fetch them back, verified, into one buffer.

- :func:`push_image` makes an image file the single layer of an artifact, in a registry or in a folder;
- :func:`fetch_image` brings it back as sealed memory that a machine can open as its disk;
- :func:`push_kernel` and :func:`fetch_kernel` do the same with a kernel, its initial RAM disk and its command line;
- :func:`fetch_blob_to_buffer` fills the caller's own buffer, :func:`fetch_blob_to_file` a file;
  :func:`iter_blob` gives it in pieces once all of it is verified;
- :func:`copy_image` takes it, or anything else a manifest describes, from one place to another;
- :func:`verify_signature` holds an image against a :class:`Policy` before it is used, :func:`sign_image` signs one;
- every failure is an :class:`OciError` of a type of its own (:mod:`~cloudboot_oci_stream.errors`).
"""

from cloudboot_oci_stream.download.copy import Copied, copy_image
from cloudboot_oci_stream.download.receive import fetch_blob_to_buffer, fetch_blob_to_file
from cloudboot_oci_stream.errors import OciError
from cloudboot_oci_stream.http.access import Access
from cloudboot_oci_stream.http.accounts import login, logout
from cloudboot_oci_stream.image import Image, Resolved, fetch_image, iter_blob, resolve, resolve_manifest
from cloudboot_oci_stream.kernel import Kernel, KernelLayers, fetch_kernel, is_kernel, kernel_layers, push_kernel
from cloudboot_oci_stream.push import push_image
from cloudboot_oci_stream.retry import RetryPolicy
from cloudboot_oci_stream.signatures.keys import PublicKey
from cloudboot_oci_stream.signatures.policy import Identity, Policy, Rule, Trust
from cloudboot_oci_stream.signatures.sign import Signed, sign_image
from cloudboot_oci_stream.signatures.signers import IdentitySigner, KeySigner, Signer
from cloudboot_oci_stream.signatures.verify import Signature, Verification, verify_signature
from cloudboot_oci_stream.spec.descriptor import Descriptor, Platform
from cloudboot_oci_stream.spec.manifest import ARTIFACT_TYPE, LAYER_TYPE, Document, Manifest
from cloudboot_oci_stream.spec.reference import LayoutReference, Reference, RegistryReference, parse_reference
from cloudboot_oci_stream.stores.factory import open_store
from cloudboot_oci_stream.stores.source import Source
from cloudboot_oci_stream.stores.store import Store
from cloudboot_oci_stream.stores.tags import list_tags

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
    "Kernel",
    "KernelLayers",
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
    "RetryPolicy",
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
    "fetch_kernel",
    "is_kernel",
    "iter_blob",
    "kernel_layers",
    "list_tags",
    "login",
    "logout",
    "open_store",
    "parse_reference",
    "push_image",
    "push_kernel",
    "resolve",
    "resolve_manifest",
    "sign_image",
    "verify_signature",
]
