"""Writing an event log, as a firmware does (TCG EFI Protocol Specification 1.0 section 5)."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from cloudboot_base import RangeError
from cloudboot_uefi_abi.constants import EventType, HashAlgorithm
from cloudboot_uefi_abi.layout.records import TCG_PCR_EVENT, TCG_PCR_EVENT2, TCG_EfiSpecIDEvent

from .log import AGILE_SIGNATURE, PCR_COUNT, SIZES
from .replay import HASHES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["EventLogBuilder"]


class EventLogBuilder:
    """A log that grows by events; crypto-agile with the ``algorithms`` given, or SHA-1 where there are none.

    ``pack`` gives the log at any time; ``last_event`` is where its last event starts, in bytes.
    """

    def __init__(self, algorithms: Sequence[HashAlgorithm] = (HashAlgorithm.SHA256,)) -> None:
        self._agile = bool(algorithms)
        self.algorithms: tuple[HashAlgorithm, ...] = tuple(algorithms) or (HashAlgorithm.SHA1,)
        self._packed = bytearray()
        self.last_event = 0
        if self._agile:
            head = TCG_EfiSpecIDEvent(
                AGILE_SIGNATURE, specVersionMajor=2, uintnSize=2, numberOfAlgorithms=len(self.algorithms)
            )
            sizes = b"".join(_pair(int(algorithm), SIZES[algorithm]) for algorithm in self.algorithms)
            self._packed += _sha1_event(0, EventType.NO_ACTION, bytes(20), head.pack() + sizes + b"\0")

    def measure(self, pcr: int, kind: EventType, measured: bytes, data: bytes) -> dict[HashAlgorithm, bytes]:
        """Add an event whose digests are those of ``measured``, and give the digests to extend.

        Raises:
            RangeError: no such PCR.
        """
        digests = {each: hashlib.new(HASHES[each], measured).digest() for each in self.algorithms}
        self.add(pcr, kind, digests, data)
        return digests

    def add(self, pcr: int, kind: EventType, digests: Mapping[HashAlgorithm, bytes], data: bytes) -> None:
        """Add an event with digests that were computed elsewhere, one for each of the log's algorithms.

        Raises:
            RangeError: no such PCR, or a digest is missing or of another size.
        """
        if not 0 <= pcr < PCR_COUNT:
            raise RangeError("no such PCR", structure="TCG_PCR_EVENT2", field="PCRIndex", actual=pcr)
        for algorithm in self.algorithms:
            if len(digests.get(algorithm, b"")) != SIZES[algorithm]:
                raise RangeError(
                    "a digest is missing, or of another size", structure="TPMT_HA", field=algorithm.name,
                    expected=SIZES[algorithm], actual=len(digests.get(algorithm, b"")),
                )  # fmt: skip
        self.last_event = len(self._packed)
        if not self._agile:
            self._packed += _sha1_event(pcr, kind, digests[HashAlgorithm.SHA1], data)
            return
        self._packed += TCG_PCR_EVENT2(pcr, kind, len(self.algorithms)).pack()
        for algorithm in self.algorithms:
            self._packed += int(algorithm).to_bytes(2, "little") + digests[algorithm]
        self._packed += len(data).to_bytes(4, "little") + data

    def pack(self) -> bytes:
        """The log so far."""
        return bytes(self._packed)


def _pair(first: int, second: int) -> bytes:
    return first.to_bytes(2, "little") + second.to_bytes(2, "little")


def _sha1_event(pcr: int, kind: EventType, digest: bytes, data: bytes) -> bytes:
    return TCG_PCR_EVENT(pcr, kind, digest, len(data)).pack() + data
