"""Signing through Fulcio, a transparency log and a timestamp authority, all by sigstore's own clients."""

from __future__ import annotations

from typing import TYPE_CHECKING

import requests

# sigstore raises these and exports them nowhere.
from sigstore._internal.fulcio import ExpiredCertificate
from sigstore._internal.fulcio.client import FulcioClientError
from sigstore._internal.rekor import RekorClientError
from sigstore.dsse import Statement
from sigstore.errors import Error as SigstoreFailure
from sigstore.oidc import ExpiredIdentity, IdentityError, IdentityToken, detect_credential
from sigstore.sign import SigningContext

from cloudboot_oci_stream.errors import SigningError, TrustRootError
from cloudboot_oci_stream.signatures.keyless import first_line, load_config

if TYPE_CHECKING:
    from cloudboot_oci_stream.signatures.policy import Trust

_FAILURES = (
    SigstoreFailure, ExpiredCertificate, FulcioClientError, RekorClientError, ExpiredIdentity, IdentityError,
    requests.RequestException, ValueError, TypeError, LookupError, OSError,
)  # fmt: skip


def sign_statement(trust: Trust, token: str | None, statement: bytes) -> bytes:
    """A bundle with ``statement``, signed as whom ``token`` is for, or the machine's ambient identity.

    Raises:
        TrustRootError: the trust configuration cannot be had.
        SigningError: there is no identity, or a service refuses or does not answer.
    """
    try:
        context = SigningContext.from_trust_config(load_config(trust))
    except _FAILURES as error:
        raise TrustRootError(f"the trust configuration cannot be used: {first_line(error)}") from error
    try:
        raw = token or detect_credential()
        if raw is None:
            raise SigningError("this machine has no identity of its own", hint="give an identity token")
        with context.signer(IdentityToken(raw)) as signer:
            return signer.sign_dsse(Statement(statement)).to_json().encode()
    except _FAILURES as error:
        raise SigningError(f"no signature could be made: {first_line(error)}") from error
