"""EFI_SIGNATURE_LIST: the contents of PK, KEK, db, dbx and dbt (UEFI 2.10 section 32.4.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from cloudboot_base import RangeError
from cloudboot_base.lightdata import dataclass
from cloudboot_records import Cursor
from cloudboot_uefi_abi.errors import VariableError
from cloudboot_uefi_abi.layout.records import EFI_SIGNATURE_LIST

if TYPE_CHECKING:
    from collections.abc import Iterable

    from typing_extensions import Buffer

__all__ = ["Signature", "SignatureList", "pack_signature_lists", "parse_signature_lists"]


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature: who put it there, and the certificate or digest."""

    owner: UUID
    data: bytes


@dataclass(frozen=True, slots=True)
class SignatureList:
    """Signatures of one type and one size; ``header`` is empty for every type the specification defines."""

    type: UUID
    signatures: tuple[Signature, ...]
    header: bytes = b""
    signature_size: int = 0

    def pack(self) -> bytes:
        """The list's bytes.

        Raises:
            RangeError: the signatures are not of one size.
        """
        sizes = {16 + len(signature.data) for signature in self.signatures} or {self.signature_size}
        if len(sizes) != 1:
            raise RangeError(
                "the signatures of a list have one size", structure="EFI_SIGNATURE_LIST", field="SignatureSize",
                actual=sorted(sizes),
            )  # fmt: skip
        body = b"".join(signature.owner.bytes_le + signature.data for signature in self.signatures)
        size = EFI_SIGNATURE_LIST.SIZE + len(self.header) + len(body)
        return EFI_SIGNATURE_LIST(self.type, size, len(self.header), sizes.pop()).pack() + self.header + body


def parse_signature_lists(data: Buffer) -> tuple[SignatureList, ...]:
    """The lists that fill ``data``.

    Raises:
        VariableError: a list leaves the data, or its sizes contradict each other.
        TruncatedError: a list's head leaves the data.
    """
    cursor = Cursor(data, structure="EFI_SIGNATURE_LIST")
    found = []
    while cursor.remaining:
        start = cursor.offset
        head = cursor.record(EFI_SIGNATURE_LIST)
        size = head.SignatureListSize - EFI_SIGNATURE_LIST.SIZE - head.SignatureHeaderSize
        room = cursor.remaining - head.SignatureHeaderSize
        if not 0 <= size <= room:
            raise VariableError(
                "a signature list leaves the data, or is shorter than its head",
                structure="EFI_SIGNATURE_LIST", field="SignatureListSize", offset=start + 16,
                expected=f"at most {room}", actual=size,
            )  # fmt: skip
        if size and (head.SignatureSize < 16 or size % head.SignatureSize):
            raise VariableError(
                "a signature list is not a whole number of signatures",
                structure="EFI_SIGNATURE_LIST", field="SignatureSize", offset=start + 24,
                expected="at least 16, and a divisor of the rest", actual=head.SignatureSize,
            )  # fmt: skip
        header = cursor.take(head.SignatureHeaderSize)
        count = size // head.SignatureSize if size else 0
        signatures = tuple(
            Signature(UUID(bytes_le=cursor.take(16)), cursor.take(head.SignatureSize - 16)) for _ in range(count)
        )
        found.append(SignatureList(head.SignatureType, signatures, header, head.SignatureSize))
    return tuple(found)


def pack_signature_lists(lists: Iterable[SignatureList]) -> bytes:
    """The bytes of lists one behind the other; raises as :meth:`SignatureList.pack`."""
    return b"".join(each.pack() for each in lists)
