"""Reading a TCG event log, crypto-agile or SHA-1 (TCG PFP 1.05 sections 10.2.1, 10.2.2, 10.4.5.1).

The first event is always in the SHA-1 format. Where it is a "Spec ID Event03" the others are crypto-agile, with a
digest for each of the algorithms it lists; otherwise they are in the SHA-1 format, too.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from cloudboot_base import FormatError
from cloudboot_base.lightdata import dataclass
from cloudboot_records import Cursor
from cloudboot_uefi_abi.constants import EventType, HashAlgorithm
from cloudboot_uefi_abi.errors import EventLogError
from cloudboot_uefi_abi.layout.records import TCG_PCR_EVENT, TCG_PCR_EVENT2, TCG_EfiSpecIDEvent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from typing_extensions import Buffer

__all__ = ["AGILE_SIGNATURE", "NO_PCR", "PCR_COUNT", "SIZES", "Event", "EventLog", "SpecId"]

AGILE_SIGNATURE: Final = b"Spec ID Event03\0"
PCR_COUNT: Final = 24
NO_PCR: Final = 0xFFFFFFFF
"""The PCR of events that are in no PCR, as in Windows' logs."""

SIZES: Final[Mapping[HashAlgorithm, int]] = MappingProxyType(
    {
        HashAlgorithm.SHA1: 20,
        HashAlgorithm.SHA256: 32,
        HashAlgorithm.SHA384: 48,
        HashAlgorithm.SHA512: 64,
        HashAlgorithm.SM3_256: 32,
        HashAlgorithm.SHA3_256: 32,
        HashAlgorithm.SHA3_384: 48,
        HashAlgorithm.SHA3_512: 64,
    }
)
"""Bytes of a digest of each algorithm."""

_HEAD: Final = 8  # PCRIndex and EventType
_MOST_ALGORITHMS: Final = 64
_MOST_EVENT_BYTES: Final = 1 << 24  # a firmware blob's description; EDK2's whole log area is 64 KiB


@dataclass(frozen=True, slots=True)
class Event:
    """One event: the PCR it was extended into, its type, a digest per algorithm, its data.

    ``offset`` is where it starts in the log, in bytes.
    """

    pcr: int
    type: EventType
    digests: Mapping[HashAlgorithm, bytes]
    data: bytes
    offset: int = 0


@dataclass(frozen=True, slots=True)
class SpecId:
    """The contents of a Spec ID Event03: platform class, version of the specification, algorithms with digest sizes."""

    platform_class: int
    version: tuple[int, int, int]
    uintn_size: int
    algorithms: Mapping[HashAlgorithm, int]
    vendor_info: bytes = b""


@dataclass(frozen=True, slots=True)
class EventLog:
    """A log. ``spec`` is ``None`` for a log in the SHA-1 format; its Spec ID event is the first of ``events``.

    ``size`` is how many bytes of the input the events take.
    """

    spec: SpecId | None
    events: tuple[Event, ...]
    size: int

    @property
    def algorithms(self) -> tuple[HashAlgorithm, ...]:
        """The algorithms whose digests the events have."""
        return tuple(self.spec.algorithms) if self.spec else (HashAlgorithm.SHA1,)

    @classmethod
    def parse(cls, data: Buffer, *, padded: bool = False) -> EventLog:
        """Read a log that fills ``data``, but for erased memory behind it: zeros or ones up to the end.

        Args:
            data: the log.
            padded: other data follow the erased memory: the log ends at the first event of PCR 0, type 0, without
                digests or data, or whose head is all ones.

        Raises:
            EventLogError: an event names a PCR or an algorithm that does not exist, or has more data than any event.
            TruncatedError: an event leaves the data.
        """
        log, problem = cls.parse_prefix(data, padded=padded)
        if problem is not None:
            raise problem
        return log

    @classmethod
    def parse_prefix(cls, data: Buffer, *, padded: bool = False) -> tuple[EventLog, FormatError | None]:
        """The events up to the first malformed one, and its error: what there is of a log that was cut short.

        ``padded`` is as for :meth:`parse`.
        """
        cursor = Cursor(data, structure="TCG_PCR_EVENT")
        spec: SpecId | None = None
        events: list[Event] = []
        end, problem = 0, None
        try:
            while cursor.remaining and not _is_erased(cursor, everything=not padded):
                if spec is None:
                    event = _sha1_event(cursor)
                    if not events:
                        spec = _spec_id(event)
                else:
                    event = _agile_event(cursor, spec)
                events.append(event)
                end = cursor.position
        except FormatError as error:
            problem = error
        return cls(spec, tuple(events), end), problem


def _is_erased(cursor: Cursor, *, everything: bool) -> bool:
    """Whether the head of an event is erased memory, and with ``everything`` all that follows, too.

    PCR 0 alone is four zeros; PCR and type have eight bytes.
    """
    size = min(12, cursor.remaining)
    head = cursor.at(cursor.position, size).rest()
    if size < _HEAD or head not in {bytes(size), b"\xff" * size}:
        return False
    return not everything or not cursor.at(cursor.position).rest().strip(head[:1])


def _event_data(cursor: Cursor, offset: int) -> bytes:
    size = cursor.u32()
    if size > _MOST_EVENT_BYTES:
        raise EventLogError(
            "an event is larger than any", structure="TCG_PCR_EVENT", field="EventSize", offset=offset,
            expected=f"at most {_MOST_EVENT_BYTES}", actual=size,
        )  # fmt: skip
    return cursor.take(size)


def _pcr(number: int, offset: int) -> int:
    if number >= PCR_COUNT and number != NO_PCR:
        raise EventLogError(
            "no such PCR", structure="TCG_PCR_EVENT", field="PCRIndex", offset=offset,
            expected=f"below {PCR_COUNT}", actual=number,
        )  # fmt: skip
    return number


def _sha1_event(cursor: Cursor) -> Event:
    offset = cursor.offset
    size_offset = TCG_PCR_EVENT.SIZE - 4
    head = cursor.at(cursor.position, structure="TCG_PCR_EVENT").record(TCG_PCR_EVENT)
    cursor.skip(size_offset)
    pcr = _pcr(head.PCRIndex, offset)
    data = _event_data(cursor, offset + size_offset)
    return Event(pcr, EventType(head.EventType), {HashAlgorithm.SHA1: head.Digest}, data, offset)


def _agile_event(cursor: Cursor, spec: SpecId) -> Event:
    offset = cursor.offset
    head = cursor.record(TCG_PCR_EVENT2)
    pcr = _pcr(head.PCRIndex, offset)
    if head.DigestCount > len(spec.algorithms):
        raise EventLogError(
            "an event has more digests than the log has algorithms",
            structure="TCG_PCR_EVENT2", field="DigestCount", offset=offset + 8,
            expected=f"at most {len(spec.algorithms)}", actual=head.DigestCount,
        )  # fmt: skip
    digests = {}
    for _ in range(head.DigestCount):
        place, algorithm = cursor.offset, HashAlgorithm(cursor.u16())
        if algorithm not in spec.algorithms:
            raise EventLogError(
                "a digest of an algorithm that the log does not list",
                structure="TPMT_HA", field="hashAlg", offset=place,
                expected=sorted(int(each) for each in spec.algorithms), actual=int(algorithm),
            )  # fmt: skip
        digests[algorithm] = cursor.take(spec.algorithms[algorithm])
    return Event(pcr, EventType(head.EventType), digests, _event_data(cursor, cursor.offset), offset)


def _spec_id(event: Event) -> SpecId | None:
    """The contents of the first event, where that is a Spec ID Event03."""
    if event.type is not EventType.NO_ACTION or not event.data.startswith(AGILE_SIGNATURE):
        return None
    cursor = Cursor(event.data, base=event.offset + TCG_PCR_EVENT.SIZE, structure="TCG_EfiSpecIDEvent")
    head = cursor.record(TCG_EfiSpecIDEvent)
    if not 0 < head.numberOfAlgorithms <= _MOST_ALGORITHMS:
        raise EventLogError(
            "no algorithm, or more than there are",
            structure="TCG_EfiSpecIDEvent", field="numberOfAlgorithms", offset=cursor.base + 24,
            expected=f"1 to {_MOST_ALGORITHMS}", actual=head.numberOfAlgorithms,
        )  # fmt: skip
    algorithms = {}
    for _ in range(head.numberOfAlgorithms):
        place, algorithm, size = cursor.offset, HashAlgorithm(cursor.u16()), cursor.u16()
        if size != SIZES.get(algorithm, size) or size > 128:
            raise EventLogError(
                "a digest size that is not the algorithm's",
                structure="TCG_EfiSpecIDEvent", field="digestSize", offset=place + 2,
                expected=SIZES.get(algorithm, "at most 128"), actual=size,
            )  # fmt: skip
        algorithms[algorithm] = size
    version = (head.specVersionMajor, head.specVersionMinor, head.specErrata)
    return SpecId(head.platformClass, version, head.uintnSize, algorithms, cursor.take(cursor.u8()))
