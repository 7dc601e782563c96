"""Compute the PCRs of an event log (TCG PFP 1.05 section 10.1, TPM 2.0 part 1 section 17)."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from cloudboot_uefi_abi.constants import EventType, HashAlgorithm

from .log import NO_PCR, SIZES

if TYPE_CHECKING:
    from .log import Event, EventLog

__all__ = ["HASHES", "is_locality", "replay", "startup_locality"]

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
_HCRTM: Final = 4  # the locality of the sequence of hash commands by which a TPM is told of an H-CRTM


def startup_locality(events: tuple[Event, ...]) -> int:
    """The locality from which TPM2_Startup was sent, as an EV_NO_ACTION event of PCR 0 states it, or 0."""
    return next((event.data[-1] for event in events if is_locality(event)), 0)


def is_locality(event: Event) -> bool:
    """Whether the event states the locality from which TPM2_Startup was sent (TCG PFP 1.05 section 10.4.5.3)."""
    is_statement = event.type is EventType.NO_ACTION and event.pcr == 0 and event.data.startswith(_LOCALITY)
    return is_statement and len(event.data) == len(_LOCALITY) + 1


def replay(log: EventLog) -> dict[HashAlgorithm, dict[int, bytes]]:
    """Extend the digests of the log's events, in order, into PCRs; those that no event extends are left out.

    EV_NO_ACTION events and those of no PCR extend nothing. PCR 0 starts with the locality of TPM2_Startup in its last
    byte, or with 4 there if an H-CRTM was measured before that (TPM 2.0 part 1 section 34.3). The others start with
    zeros: a dynamic launch, without which nothing extends PCRs 17 to 22, resets these to zeros. Algorithms that this
    Python cannot compute are left out.
    """
    has_hcrtm = any(event.type is EventType.EFI_HCRTM_EVENT and event.pcr == 0 for event in log.events)
    locality = _HCRTM if has_hcrtm else startup_locality(log.events)
    banks: dict[HashAlgorithm, dict[int, bytes]] = {}
    for algorithm in log.algorithms:
        name = HASHES.get(algorithm)
        if name is None or name not in hashlib.algorithms_available:
            continue
        bank: dict[int, bytes] = {}
        for event in log.events:
            digest = event.digests.get(algorithm)
            if event.type is EventType.NO_ACTION or event.pcr == NO_PCR or digest is None:
                continue
            before = bank.get(event.pcr)
            if before is None:
                before = _initial(event.pcr, SIZES[algorithm], locality)
            bank[event.pcr] = hashlib.new(name, before + digest).digest()
        banks[algorithm] = bank
    return banks


def _initial(pcr: int, size: int, locality: int) -> bytes:
    return bytes(size - 1) + bytes([locality if pcr == 0 else 0])
