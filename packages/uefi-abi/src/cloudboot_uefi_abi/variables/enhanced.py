"""EFI_VARIABLE_AUTHENTICATION_3: enhanced authenticated variables (UEFI 2.10 sections 8.2.1 to 8.2.3).

The structures are packed: the head has ten bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cloudboot_base.lightdata import dataclass
from cloudboot_records import Cursor
from cloudboot_uefi_abi.errors import VariableError
from cloudboot_uefi_abi.layout.records import (
    EFI_TIME,
    EFI_VARIABLE_AUTHENTICATION_3,
    EFI_VARIABLE_AUTHENTICATION_3_CERT_ID,
)

from .authentication import Certificate

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["EnhancedUpdate", "EnhancedValue"]

_VERSION: Final = 1
_TIMESTAMP, _NONCE = 1, 2
_UPDATE_CERTIFICATE: Final = 0x1
_STRUCTURE: Final = "EFI_VARIABLE_AUTHENTICATION_3"
CERT_ID_SHA256: Final = 1
"""The identifier is the SHA-256 of the certificate's tbsCertificate."""


def _read_head(cursor: Cursor) -> tuple[EFI_VARIABLE_AUTHENTICATION_3, EFI_TIME | bytes]:
    """The head, and what makes a write fresh: a time, or a nonce."""
    head = cursor.record(EFI_VARIABLE_AUTHENTICATION_3)
    if head.Version != _VERSION or head.Type not in {_TIMESTAMP, _NONCE}:
        raise VariableError(
            "not a version and type of the specification",
            structure=_STRUCTURE, field="Version, Type", offset=0,
            expected=f"version {_VERSION}, type {_TIMESTAMP} or {_NONCE}",
            actual=f"version {head.Version}, type {head.Type}",
        )  # fmt: skip
    if head.Type == _TIMESTAMP:
        return head, cursor.record(EFI_TIME)
    return head, cursor.take(cursor.u32())


def _check_size(head: EFI_VARIABLE_AUTHENTICATION_3, size: int) -> None:
    if head.MetadataSize != size:
        raise VariableError(
            "not the size of the metadata that follow",
            structure=_STRUCTURE, field="MetadataSize", offset=2, expected=size, actual=head.MetadataSize,
        )  # fmt: skip


def _pack(fresh: EFI_TIME | bytes, flags: int, metadata: bytes, data: bytes) -> bytes:
    nonce = isinstance(fresh, bytes)
    body = (len(fresh).to_bytes(4, "little") + fresh if isinstance(fresh, bytes) else fresh.pack()) + metadata
    size = EFI_VARIABLE_AUTHENTICATION_3.SIZE + len(body)
    return EFI_VARIABLE_AUTHENTICATION_3(_VERSION, _NONCE if nonce else _TIMESTAMP, size, flags).pack() + body + data


@dataclass(frozen=True, slots=True)
class EnhancedUpdate:
    """What SetVariable takes for an enhanced authenticated variable.

    ``fresh`` is a time, or a nonce of any length. ``new_certificate`` replaces the certificate that the variable is
    bound to. ``flags`` are the bits that the specification does not define.
    """

    fresh: EFI_TIME | bytes
    signing_certificate: Certificate
    data: bytes
    new_certificate: Certificate | None = None
    flags: int = 0

    @classmethod
    def parse(cls, data: Buffer) -> EnhancedUpdate:
        """Read a write, which fills ``data``.

        Raises:
            VariableError: the version or the type is unknown, a certificate is not one of UEFI's GUID types or leaves
                the data, or the metadata have another size than the head says.
            TruncatedError: the data end inside the metadata.
        """
        cursor = Cursor(data, structure=_STRUCTURE)
        head, fresh = _read_head(cursor)
        new = Certificate.read(cursor) if head.Flags & _UPDATE_CERTIFICATE else None
        signing = Certificate.read(cursor)
        _check_size(head, cursor.offset)
        return cls(fresh, signing, cursor.rest(), new, head.Flags & ~_UPDATE_CERTIFICATE)

    def pack(self) -> bytes:
        """The write's bytes."""
        new = b"" if self.new_certificate is None else self.new_certificate.pack()
        flags = self.flags | (_UPDATE_CERTIFICATE if new else 0)
        return _pack(self.fresh, flags, new + self.signing_certificate.pack(), self.data)


@dataclass(frozen=True, slots=True)
class EnhancedValue:
    """What GetVariable gives for an enhanced authenticated variable.

    ``identifier`` names the certificate that the variable is bound to, in the way of ``identifier_type``.
    """

    fresh: EFI_TIME | bytes
    identifier: bytes
    data: bytes
    identifier_type: int = CERT_ID_SHA256
    flags: int = 0

    @classmethod
    def parse(cls, data: Buffer) -> EnhancedValue:
        """Read a value, which fills ``data``.

        Raises:
            VariableError: the version or the type is unknown, or the metadata have another size than the head says.
            TruncatedError: the data end inside the metadata.
        """
        cursor = Cursor(data, structure=_STRUCTURE)
        head, fresh = _read_head(cursor)
        named = cursor.record(EFI_VARIABLE_AUTHENTICATION_3_CERT_ID)
        identifier = cursor.take(named.IdSize)
        _check_size(head, cursor.offset)
        return cls(fresh, identifier, cursor.rest(), named.Type, head.Flags)

    def pack(self) -> bytes:
        """The value's bytes."""
        named = EFI_VARIABLE_AUTHENTICATION_3_CERT_ID(self.identifier_type, len(self.identifier)).pack()
        return _pack(self.fresh, self.flags, named + self.identifier, self.data)
