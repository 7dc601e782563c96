"""Which keys sign, and how: what kind a key is decides, never the signature nor a hint beside it.

ECDSA on P-256, P-384 and P-521, Ed25519, and RSA (PKCS #1 v1.5) from 2048 bits on. Signing is deterministic (RFC 6979
for ECDSA), so that the same image and key make the same signature.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from cloudboot_oci_stream.errors import KeyFileError
from cloudboot_oci_stream.signatures.cosign_key import NO_PASSWORD, PASSWORD_HINT, unseal

if TYPE_CHECKING:
    from collections.abc import Callable

PublicAlgorithm = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey
PrivateAlgorithm = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey

SMALLEST_RSA = 2048

# cosign signs with SHA-256 whatever the curve; other signers of bundles take the curve's own size.
_CURVES: dict[str, tuple[hashes.HashAlgorithm, ...]] = {
    "secp256r1": (hashes.SHA256(),),
    "secp384r1": (hashes.SHA256(), hashes.SHA384()),
    "secp521r1": (hashes.SHA256(), hashes.SHA512()),
}


def load_public(pem: bytes, name: str) -> bytes:
    """The public key in PEM text, as a DER SubjectPublicKeyInfo.

    Raises:
        KeyFileError: none of a kind and strength that is used here.
    """
    if b"PRIVATE KEY-----" in pem:
        raise KeyFileError("a private key where the public one is wanted", actual=name)
    try:
        key = serialization.load_pem_public_key(pem)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise KeyFileError("no public key in PEM form", actual=name) from None
    return _encoded(_strong(key, name))


def load_private(pem: bytes, name: str, password: bytes | None) -> tuple[PrivateAlgorithm, bytes]:
    """The private key in PEM text (cosign's own form included), and its public one as a DER SubjectPublicKeyInfo.

    Raises:
        KeyFileError: none of a kind and strength that is used here, or not with this password.
    """
    sealed = unseal(pem, name, password)
    try:
        if sealed is None:
            key = serialization.load_pem_private_key(pem, password)
        else:
            key = serialization.load_der_private_key(sealed, None)
    except TypeError:
        if password is None:
            raise KeyFileError(NO_PASSWORD, actual=name, hint=PASSWORD_HINT) from None
        raise KeyFileError("a password for a key that has none", actual=name) from None
    except (ValueError, UnsupportedAlgorithm):
        raise KeyFileError("no private key in PEM form, or the wrong password", actual=name) from None
    if not isinstance(key, PrivateAlgorithm):
        raise KeyFileError("a key of another kind", expected="ECDSA, Ed25519 or RSA", actual=name)
    return key, _encoded(_strong(key.public_key(), name))


def verifies(spki: bytes, signature: bytes, message: bytes) -> bool:
    """Whether the key that :func:`load_public` gave made ``signature`` over ``message``."""
    key = serialization.load_der_public_key(spki)
    if isinstance(key, ec.EllipticCurvePublicKey):
        algorithms = _CURVES[key.curve.name]
        return any(_passes(key.verify, signature, message, ec.ECDSA(algorithm)) for algorithm in algorithms)
    if isinstance(key, ed25519.Ed25519PublicKey):
        return _passes(key.verify, signature, message)
    if isinstance(key, rsa.RSAPublicKey):
        return _passes(key.verify, signature, message, padding.PKCS1v15(), hashes.SHA256())
    return False


def sign(key: PrivateAlgorithm, message: bytes) -> bytes:
    """A signature over ``message``: of ECDSA in DER, and with SHA-256 whatever the curve, as cosign's are."""
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(message, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(message)
    return key.sign(message, padding.PKCS1v15(), hashes.SHA256())


def _strong(key: object, name: str) -> PublicAlgorithm:
    """``key``, if it is of a kind and strength that is used here."""
    if not isinstance(key, PublicAlgorithm):
        raise KeyFileError("a key of another kind", expected="ECDSA, Ed25519 or RSA", actual=name)
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name not in _CURVES:
        curves = ", ".join(_CURVES)
        raise KeyFileError("a key on another curve", expected=curves, actual=f"{name}: {key.curve.name}")
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < SMALLEST_RSA:
        wanted = f"at least {SMALLEST_RSA} bits"
        raise KeyFileError("an RSA key that is too short", expected=wanted, actual=f"{name}: {key.key_size}")
    return key


def _encoded(key: PublicAlgorithm) -> bytes:
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _passes(verify: Callable[..., None], *arguments: object) -> bool:
    try:
        verify(*arguments)
    except InvalidSignature:
        return False
    return True
