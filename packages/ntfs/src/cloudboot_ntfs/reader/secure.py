"""$Secure: the security descriptors of a volume by their id."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudboot_ntfs.errors import AttributeMissingError, RecordError
from cloudboot_ntfs.layout.constants import Number, Type
from cloudboot_ntfs.layout.records import SdsEntry, StandardInformation
from cloudboot_ntfs.layout.secure import MAX_ENTRY, descriptor_hash

from .index import Index

if TYPE_CHECKING:
    from .mft import Mft, Record
    from .stream import Stream


class Secure:
    """The descriptors in $Secure:$SDS, found through $SII."""

    def __init__(self, mft: Mft) -> None:
        record = mft.file(Number.SECURE)
        self._stream = mft.stream(record, Type.DATA, "$SDS")
        self._places: dict[int, SdsEntry] = {}
        for entry in Index(mft, record, "$SII").entries():
            if len(entry.data) >= SdsEntry.SIZE:
                place = SdsEntry.unpack_from(entry.data)
                self._places[place.security_id] = place

    def ids(self) -> list[int]:
        """The ids that there are."""
        return list(self._places)

    def find(self, descriptor: bytes) -> int | None:
        """The id of a descriptor; ``None`` where $Secure does not have it.

        Raises:
            RecordError: $SDS has another descriptor at the place of one with this hash.
        """
        hashed = descriptor_hash(descriptor)
        for security_id, place in self._places.items():
            if place.hash == hashed and self.get(security_id) == descriptor:
                return security_id
        return None

    def get(self, security_id: int) -> bytes:
        """The descriptor with this id.

        Raises:
            RecordError: there is none, or $SDS has another one at its place.
        """
        place = self._places.get(security_id)
        if place is None:
            raise RecordError(
                "there is no security descriptor of this id", structure="$Secure:$SII", actual=security_id
            )
        return descriptor_of(self._stream, place)


def descriptor_of(stream: Stream, place: SdsEntry) -> bytes:
    """The descriptor that $SDS has where an index says.

    Raises:
        RecordError: $SDS has another one there, or none can have that size.
    """
    size, security_id = place.size, place.security_id
    if not SdsEntry.SIZE < size <= MAX_ENTRY:
        raise RecordError(
            "the size of a security descriptor cannot be", structure="$Secure:$SII", field="size", actual=size,
            where={"security id": security_id},
        )  # fmt: skip
    data = stream.read_at(place.offset, size)
    if len(data) < size or SdsEntry.unpack_from(data).security_id != security_id:
        raise RecordError(
            "$SDS has no descriptor of this id at its place", structure="$Secure:$SDS", field="security_id",
            offset=place.offset, expected=security_id,
        )  # fmt: skip
    return data[SdsEntry.SIZE :]


def standard_information(mft: Mft, record: Record) -> StandardInformation:
    """The $STANDARD_INFORMATION of a file; what the short form of NTFS 1.2 lacks is 0.

    Raises:
        AttributeMissingError: the file has none, or one that is too short.
    """
    stream = mft.stream(record, Type.STANDARD_INFORMATION)
    data = stream.read_at(0, StandardInformation.SIZE)
    if len(data) < 48:
        raise AttributeMissingError(
            "$STANDARD_INFORMATION is too short", structure="StandardInformation", expected=48, actual=len(data),
            where={"record": record.number},
        )  # fmt: skip
    return StandardInformation.unpack_from(data.ljust(StandardInformation.SIZE, b"\0"))
