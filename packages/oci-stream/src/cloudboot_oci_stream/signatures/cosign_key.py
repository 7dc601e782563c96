"""Private keys in cosign's own encryption: scrypt for the password, NaCl's secret box for the key (PKCS #8 inside).

NaCl comes with the extra ``cosign`` of this package.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re

from cloudboot_oci_stream.errors import KeyFileError, SignatureFormatError
from cloudboot_oci_stream.signatures.payloads import decode_base64, member, parse_object

_PEM = re.compile(
    rb"-----BEGIN ENCRYPTED (COSIGN|SIGSTORE) PRIVATE KEY-----([A-Za-z0-9+/=\s]+)"
    rb"-----END ENCRYPTED \1 PRIVATE KEY-----\s*"
)
NO_PASSWORD = "an encrypted key needs its password"
PASSWORD_HINT = "give a file with the password: --key-password-file FILE (password=)"

_LARGEST = 1 << 16
# What cosign has ever used, and four times that.
_MOST_COST, _BLOCK_SIZE, _PARALLEL = 1 << 18, 8, 1


def unseal(pem: bytes, name: str, password: bytes | None) -> bytes | None:
    """The DER PKCS #8 key in ``pem``; ``None`` if it is no key of cosign's.

    Raises:
        KeyFileError: the wrong password, a damaged key, or NaCl is not installed.
    """
    found = _PEM.fullmatch(pem)
    if found is None:
        return None
    try:
        from nacl.exceptions import CryptoError
        from nacl.secret import SecretBox
    except ImportError:
        hint = "pip install 'cloudboot-oci-stream[cosign]'"
        raise KeyFileError("a key in cosign's own encryption", actual=name, hint=hint) from None
    if password is None:
        raise KeyFileError(NO_PASSWORD, actual=name, hint=PASSWORD_HINT)
    try:
        value = parse_object(base64.b64decode(b"".join(found[2].split()), validate=True), _LARGEST)
        salt, nonce, cost = _parameters(value)
        sealed = decode_base64(value.get("ciphertext"), "the key")
        key = hashlib.scrypt(
            password, salt=salt, n=cost, r=_BLOCK_SIZE, p=_PARALLEL, dklen=32, maxmem=256 * cost * _BLOCK_SIZE
        )
        return SecretBox(key).decrypt(sealed, nonce)
    except (SignatureFormatError, binascii.Error, ValueError, CryptoError):
        raise KeyFileError("a damaged key, or the wrong password", actual=name) from None


def _parameters(value: dict[str, object]) -> tuple[bytes, bytes, int]:
    """Salt, nonce, and scrypt's cost.

    Raises:
        SignatureFormatError, ValueError: other algorithms, or a cost that is too high.
    """
    kdf, cipher = member(value, "kdf"), member(value, "cipher")
    if (kdf.get("name"), cipher.get("name")) != ("scrypt", "nacl/secretbox"):
        raise ValueError("other algorithms")
    parameters = member(kdf, "params")
    cost = parameters.get("N")
    if not isinstance(cost, int) or not 2 <= cost <= _MOST_COST:
        raise ValueError("another cost")
    if (parameters.get("r"), parameters.get("p")) != (_BLOCK_SIZE, _PARALLEL):
        raise ValueError("another cost")
    return decode_base64(kdf.get("salt"), "the salt"), decode_base64(cipher.get("nonce"), "the nonce"), cost
