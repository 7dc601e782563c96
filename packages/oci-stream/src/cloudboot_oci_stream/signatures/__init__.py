"""Signatures of images: found, verified, made.

Import from :mod:`cloudboot_oci_stream`. What needs cryptography (:mod:`.algorithms`) and sigstore (:mod:`.keyless`,
:mod:`.services`) is imported where a key or an identity asks for it: a fetch without a policy does not pay for them.
"""
