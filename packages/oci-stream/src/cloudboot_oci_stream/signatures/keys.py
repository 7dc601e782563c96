"""Public keys as policies name them. cryptography, which does the work, is imported when the first one is loaded."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import os
import re
from typing import TYPE_CHECKING, Self

from cloudboot_oci_stream.errors import KeyFileError
from cloudboot_oci_stream.inputs import read_input

if TYPE_CHECKING:
    from cloudboot_oci_stream.deadline import Deadline

LARGEST_FILE = 1 << 16

_SERVICE = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*://|pkcs11:)")
"""How a name begins that cosign takes for a key in a management service, a token, a cluster, or on a web server."""


@dataclasses.dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that signatures are verified with: ECDSA (P-256, P-384, P-521), Ed25519, or RSA from 2048 bits on.

    ``name`` is where it came from, ``spki`` its DER SubjectPublicKeyInfo.
    """

    name: str
    spki: bytes = dataclasses.field(repr=False)

    @classmethod
    def load(cls, path: str | os.PathLike[str], deadline: Deadline | None = None) -> Self:
        """The key in a PEM file or pipe.

        Raises:
            KeyFileError: none of a kind and strength that is used here.
            OSError: the file cannot be read.
        """
        return cls.from_pem(read_key_file(path, deadline), os.fspath(path))

    @classmethod
    def from_pem(cls, pem: bytes, name: str = "key") -> Self:
        """The key in PEM text; the same errors as :meth:`load`."""
        from cloudboot_oci_stream.signatures.algorithms import load_public

        return cls(name, load_public(pem, name))

    @property
    def fingerprint(self) -> str:
        """``sha256:`` and the digest of the SubjectPublicKeyInfo in hexadecimal."""
        return f"sha256:{hashlib.sha256(self.spki).hexdigest()}"

    @property
    def hint(self) -> str:
        """What cosign writes beside a signature to say which key made it. It is not verified."""
        return base64.b64encode(hashlib.sha256(self.spki).digest()).decode()

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Whether this key made ``signature`` over ``message``."""
        from cloudboot_oci_stream.signatures.algorithms import verifies

        return verifies(self.spki, signature, message)


def check_key_name(name: str) -> None:
    """Refuse the name of a key that is not in a file.

    Raises:
        KeyFileError: it is one of those that cosign knows besides, such as ``awskms:///alias/release``.
    """
    if _SERVICE.match(name) is not None and not os.path.lexists(name):
        raise KeyFileError(
            "keys are read from files only",
            actual=name,
            hint="put the key into a PEM file; 'cosign public-key --key NAME' prints the public key of a service's key",
        )


def read_key_file(path: str | os.PathLike[str], deadline: Deadline | None = None) -> bytes:
    """The bytes of a file or pipe that is small enough for a key.

    Raises:
        KeyFileError: it is larger, or the name is not that of a file.
        TransferTimeoutError: nothing came out of a pipe for half a minute, or until the deadline.
    """
    check_key_name(os.fspath(path))
    data = read_input(path, LARGEST_FILE, deadline)
    if len(data) > LARGEST_FILE:
        raise KeyFileError("too large for a key", expected=f"at most {LARGEST_FILE}", actual=os.fspath(path))
    return data
