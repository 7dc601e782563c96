"""Time-based authenticated variables and the keys of Secure Boot (UEFI 2.10 sections 8.2.2 and 32.3), as EDK2 has them.

Without a platform key the firmware is in setup mode: KEK, db and dbx are written without a signature, and PK with one
of its own. With one, PK and KEK take writes that PK signed, db, dbx and dbt those of PK or a key of KEK. Any other
variable is the signer's who wrote it first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from uuid import UUID

from cloudboot_base import FormatError
from cloudboot_uefi_abi.constants import VariableAttribute
from cloudboot_uefi_abi.guids import GUIDS
from cloudboot_uefi_abi.pkcs7 import SignedData
from cloudboot_uefi_abi.status import Status
from cloudboot_uefi_abi.variables import (
    AuthenticatedUpdate,
    SignatureList,
    pack_signature_lists,
    parse_signature_lists,
)
from cloudboot_uefi_abi.variables import Variable as AbiVariable
from cloudboot_uefi_abi.variables.authentication import PKCS7, signed_contents

from .signatures import is_certificate, signer_of, verifies
from .variable import APPEND_WRITE, GLOBAL, NON_VOLATILE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cloudboot_uefi_abi.layout.records import EFI_TIME

    from .variable import Key, Variable

KEY_ATTRIBUTES: Final = 0x27
"""Those of every variable of Secure Boot: non-volatile, of both phases, time-based authenticated."""
IMAGE_SECURITY: Final = GUIDS["EFI_IMAGE_SECURITY_DATABASE"].bytes_le
PK, KEK = (GLOBAL, "PK"), (GLOBAL, "KEK")
DATABASES: Final = frozenset({(IMAGE_SECURITY, name) for name in ("db", "dbx", "dbt")})
KEYS: Final = frozenset({PK, KEK, *DATABASES})
X509: Final = GUIDS["EFI_CERT_X509"]
#: Bytes of a signature behind its owner, by type; any for certificates.
_SIZES: Final = {
    X509: None,
    **{GUIDS[f"EFI_CERT_{name}"]: size for name, size in (
        ("SHA1", 20), ("SHA224", 28), ("SHA256", 32), ("SHA384", 48), ("SHA512", 64), ("RSA2048", 256),
        ("RSA2048_SHA256", 256), ("RSA2048_SHA1", 256), ("X509_SHA256", 48), ("X509_SHA384", 64),
        ("X509_SHA512", 80),
    )},
}  # fmt: skip
_HEAD: Final = 40
"""EFI_VARIABLE_AUTHENTICATION_2 before its certificate's data."""


@dataclass(frozen=True, slots=True)
class Write:
    """An authenticated write: what it writes, when it was signed, by whom."""

    data: bytes
    timestamp: EFI_TIME
    signature: bytes


def parse_write(data: bytes) -> Write | int:
    """The parts of an authenticated write, or why it is refused: EFI_SECURITY_VIOLATION."""
    try:
        update = AuthenticatedUpdate.parse(data)
    except FormatError:
        return Status.SECURITY_VIOLATION
    return Write(update.data, update.timestamp, update.signature if update.certificate_type == PKCS7 else b"")


def moment(time: EFI_TIME) -> tuple[int, ...]:
    """What orders times."""
    return time.Year, time.Month, time.Day, time.Hour, time.Minute, time.Second


def check_lists(key: Key, data: bytes) -> int | None:
    """Why the data of a variable of Secure Boot are refused; ``None`` for others and where nothing is wrong."""
    if key not in KEYS or not data:
        return None
    try:
        lists = parse_signature_lists(data)
    except FormatError:
        return Status.INVALID_PARAMETER
    for each in lists:
        if each.type not in _SIZES or each.header:
            return Status.INVALID_PARAMETER
        size = _SIZES[each.type]
        if size is not None and each.signature_size != 16 + size:
            return Status.INVALID_PARAMETER
        if each.type == X509 and not all(is_certificate(signature.data) for signature in each.signatures):
            return Status.INVALID_PARAMETER
    if key == PK and sum(len(each.signatures) for each in lists) > 1:
        return Status.INVALID_PARAMETER
    return None


def without_duplicates(old: bytes, new: bytes) -> bytes:
    """The signatures of ``new`` that ``old`` has not, for an append: section 8.2.2 of all databases."""
    try:
        have = {
            (each.type, signature.owner, signature.data) for each in parse_signature_lists(old)
            for signature in each.signatures
        }  # fmt: skip
        lists = parse_signature_lists(new)
    except FormatError:
        return new
    kept = []
    for each in lists:
        fresh = tuple(one for one in each.signatures if (each.type, one.owner, one.data) not in have)
        if fresh:
            kept.append(SignatureList(each.type, fresh, each.header, each.signature_size))
    return pack_signature_lists(kept)


class Authentication:
    """Decides about authenticated writes. ``get`` gives the variable of a key, ``store`` writes one."""

    def __init__(self, get: Callable[[Key], Variable | None], store: Callable[[Key, int, bytes, EFI_TIME, bytes], int]):
        self._get, self._store = get, store

    @property
    def setup_mode(self) -> bool:
        """Whether there is no platform key."""
        return self._get(PK) is None

    def write(self, key: Key, attributes: int, data: bytes) -> int:
        """SetVariable with EFI_VARIABLE_TIME_BASED_AUTHENTICATED_WRITE_ACCESS.

        Raises:
            MissingDependencyError: a signature is to be verified, and cryptography is not installed.
        """
        write = parse_write(data)
        if isinstance(write, int):
            return write
        if key in KEYS and not attributes & NON_VOLATILE:
            return Status.INVALID_PARAMETER
        if key in KEYS and key != PK and self.setup_mode:
            wrong = check_lists(key, write.data)
            return self._store(key, attributes, write.data, write.timestamp, b"") if wrong is None else wrong
        signer, refused = self._verify(key, attributes, write)
        if refused is None:
            refused = check_lists(key, write.data)
        if refused is not None:
            return refused
        return self._store(key, attributes, write.data, write.timestamp, signer)

    def _verify(self, key: Key, attributes: int, write: Write) -> tuple[bytes, int | None]:
        """Who signed a private variable, and why the write is refused."""
        refused = b"", Status.SECURITY_VIOLATION
        time, old = write.timestamp, self._get(key)
        if time.Pad1 or time.Nanosecond or time.TimeZone or time.Daylight or time.Pad2:
            return refused
        before = old.timestamp if old is not None else None
        if before is not None and not attributes & APPEND_WRITE and moment(time) <= moment(before):
            return refused
        try:
            signed = SignedData.parse(write.signature)
        except FormatError:
            return refused
        if "sha256" not in signed.digests:
            return refused
        content = signed_contents(_described(key, attributes, write))
        if key in KEYS:
            certificates = self._certificates(key, write, signed)
            return (b"", None) if any(verifies(signed, content, each) for each in certificates) else refused
        # The specification wants the highest certificate of the signer's chain; EDK2 takes the signer's own.
        signer = signer_of(signed)
        if not signer or (old is not None and old.signer != signer):
            return refused
        return (signer, None) if verifies(signed, content, signer) else refused

    def _certificates(self, key: Key, write: Write, signed: SignedData) -> list[bytes]:
        """The certificates one of which has to verify a write of a variable of Secure Boot."""
        if self.setup_mode:
            return _certificates_in(write.data)[:1]
        # The platform key signs itself: no chain leads to it.
        found = [each for each in _certificates_in(self._data(PK))[:1] if signer_of(signed) == each]
        return found + (_certificates_in(self._data(KEK)) if key in DATABASES else [])

    def _data(self, key: Key) -> bytes:
        found = self._get(key)
        return b"" if found is None else found.data


def _certificates_in(data: bytes) -> list[bytes]:
    try:
        lists = parse_signature_lists(data)
    except FormatError:
        return []
    return [signature.data for each in lists if each.type == X509 for signature in each.signatures]


def _described(key: Key, attributes: int, write: Write) -> AbiVariable:
    vendor = UUID(bytes_le=key[0])
    return AbiVariable(key[1], vendor, write.data, VariableAttribute(attributes), write.timestamp)


def modes(get: Callable[[Key], Variable | None]) -> Mapping[str, bytes]:
    """SetupMode and SecureBoot as they follow from the platform key."""
    setup = get(PK) is None
    return {"SetupMode": bytes([setup]), "SecureBoot": bytes([not setup])}
