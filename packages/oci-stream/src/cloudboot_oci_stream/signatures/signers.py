"""Whoever signs: a key of one's own, or an identity that Sigstore's services vouch for.

cryptography and sigstore are imported when they are asked to.
"""

from __future__ import annotations

import dataclasses
import os
from typing import TYPE_CHECKING, Protocol, Self

from cloudboot_oci_stream.errors import SigningError
from cloudboot_oci_stream.signatures.bundle import build_key_bundle
from cloudboot_oci_stream.signatures.keys import PublicKey, read_key_file
from cloudboot_oci_stream.signatures.payloads import IN_TOTO_TYPE, pre_authentication_encoding

if TYPE_CHECKING:
    from cloudboot_oci_stream.deadline import Deadline
    from cloudboot_oci_stream.signatures.algorithms import PrivateAlgorithm
    from cloudboot_oci_stream.signatures.policy import Trust


class Signer(Protocol):
    """Makes signatures: :class:`KeySigner` and :class:`IdentitySigner` do."""

    def bundle(self, statement: bytes) -> bytes:
        """A Sigstore bundle with the in-toto statement, signed."""

    def detached(self, payload: bytes) -> bytes:
        """A signature over ``payload``, for cosign's tag."""


@dataclasses.dataclass(frozen=True, slots=True)
class KeySigner:
    """Signs with a private key; no service is asked and nothing is logged. ``public`` verifies what it signs."""

    public: PublicKey
    _key: PrivateAlgorithm = dataclasses.field(repr=False, compare=False)

    @classmethod
    def load(
        cls, path: str | os.PathLike[str], password: bytes | None = None, *, deadline: Deadline | None = None
    ) -> Self:
        """Sign with the key in a PEM file (PKCS #8, the older forms of OpenSSL, or cosign's own), encrypted or not.

        Raises:
            KeyFileError: none of a kind and strength that is used here, or not with this password.
            OSError: the file cannot be read.
        """
        return cls.from_pem(read_key_file(path, deadline), os.fspath(path), password)

    @classmethod
    def from_pem(cls, pem: bytes, name: str = "key", password: bytes | None = None) -> Self:
        """Sign with the key in PEM text; the same errors as :meth:`load`."""
        from cloudboot_oci_stream.signatures.algorithms import load_private

        key, spki = load_private(pem, name, password)
        return cls(PublicKey(name, spki), key)

    def bundle(self, statement: bytes) -> bytes:
        """A bundle that names the key by its hint."""
        signature = self.detached(pre_authentication_encoding(IN_TOTO_TYPE, statement))
        return build_key_bundle(statement, signature, self.public.hint)

    def detached(self, payload: bytes) -> bytes:
        """The signature alone."""
        from cloudboot_oci_stream.signatures.algorithms import sign

        return sign(self._key, payload)


@dataclasses.dataclass(frozen=True, slots=True)
class IdentitySigner:
    """Signs as whom ``token`` (an OpenID Connect identity token) is for; without one, as whom this machine runs for.

    Fulcio certifies a key that lives for one signature, and the signature is logged and time-stamped. ``trust`` has to
    name services to sign with: a client's trust configuration, or a TUF repository that has one.
    """

    trust: Trust
    token: str | None = dataclasses.field(default=None, repr=False)

    def bundle(self, statement: bytes) -> bytes:
        """A bundle with a certificate and a log entry.

        Raises:
            TrustRootError: the trust configuration cannot be had.
            SigningError: there is no identity, or a service refuses or does not answer.
        """
        from cloudboot_oci_stream.signatures.services import sign_statement

        return sign_statement(self.trust, self.token, statement)

    def detached(self, payload: bytes) -> bytes:
        """Refused: cosign's tag is for keys.

        Raises:
            SigningError: always.
        """
        del payload
        raise SigningError("cosign's tag is for signatures of keys", actual="an identity")
