"""Compute the PCRs of an event log (TCG PFP 1.05 section 10.1, TPM 2.0 part 1 section 17)."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from cloudboot_uefi_abi.constants import EventType, HashAlgorithm

from .log import SIZES

if TYPE_CHECKING:
    from .log import Event, EventLog

__all__ = ["HASHES", "replay", "startup_locality"]

HASHES: Final = {
    HashAlgorithm.SHA1: "sha1",
    HashAlgorithm.SHA256: "sha256",
    HashAlgorithm.SHA384: "sha384",
    HashAlgorithm.SHA512: "sha512",
    HashAlgorithm.SM3_256: "sm3",
    HashAlgorithm.SHA3_256: "sha3_256",
    HashAlgorithm.SHA3_384: "sha3_384",
    HashAlgorithm.SHA3_512: "sha3_512",
}
"""The names :mod:`hashlib` has for the algorithms; SM3 only where OpenSSL has it."""

_LOCALITY: Final = b"StartupLocality\0"
_DYNAMIC: Final = range(17, 23)  # PCRs of a dynamic launch start with all ones


def startup_locality(events: tuple[Event, ...]) -> int:
    """The locality from which TPM2_Startup was sent, as an EV_NO_ACTION event states it, or 0."""
    for event in events:
        is_statement = event.type is EventType.NO_ACTION and event.data.startswith(_LOCALITY)
        if is_statement and len(event.data) > len(_LOCALITY):
            return event.data[len(_LOCALITY)]
    return 0


def replay(log: EventLog) -> dict[HashAlgorithm, dict[int, bytes]]:
    """Extend the digests of the log's events, in order, into PCRs; those that no event extends are left out.

    EV_NO_ACTION events extend nothing. PCR 0 starts with the locality of TPM2_Startup in its last byte, PCRs 17 to 22
    with all ones, the others with zeros. Algorithms that this Python cannot compute are left out.
    """
    locality = startup_locality(log.events)
    banks: dict[HashAlgorithm, dict[int, bytes]] = {}
    for algorithm in log.algorithms:
        name = HASHES.get(algorithm)
        if name is None or name not in hashlib.algorithms_available:
            continue
        bank: dict[int, bytes] = {}
        for event in log.events:
            digest = event.digests.get(algorithm)
            if event.type is EventType.NO_ACTION or digest is None:
                continue
            before = bank.get(event.pcr)
            if before is None:
                before = _initial(event.pcr, SIZES[algorithm], locality)
            bank[event.pcr] = hashlib.new(name, before + digest).digest()
        banks[algorithm] = bank
    return banks


def _initial(pcr: int, size: int, locality: int) -> bytes:
    if pcr in _DYNAMIC:
        return b"\xff" * size
    return bytes(size - 1) + bytes([locality if pcr == 0 else 0])
