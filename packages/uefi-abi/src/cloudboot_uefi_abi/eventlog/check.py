"""What can be verified of an event log without the measured objects: digests of data that the events carry.

For some types the profile says that what was hashed is the event's data, or a part of it (TCG PFP 1.05 table 27).
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from cloudboot_base import Error, Finding
from cloudboot_uefi_abi.constants import EventType

from .description import event_variable, read_event
from .replay import HASHES

if TYPE_CHECKING:
    from .log import Event, EventLog

__all__ = ["check", "measured_data"]

_WHOLE: Final = {
    EventType.SEPARATOR,
    EventType.ACTION,
    EventType.EFI_ACTION,
    EventType.S_CRTM_VERSION,
    EventType.EFI_VARIABLE_DRIVER_CONFIG,
    EventType.EFI_VARIABLE_AUTHORITY,
    EventType.EFI_VARIABLE_BOOT2,
    EventType.EFI_GPT_EVENT,
}


def measured_data(event: Event) -> bytes | None:
    """What the event's digest is of, or ``None`` where the event does not carry it.

    Raises:
        EventLogError: a variable's sizes contradict the event's.
    """
    if event.type in _WHOLE:
        return event.data
    if event.type is EventType.EFI_VARIABLE_BOOT:
        return event_variable(event).data
    return None


def _is_whole(event: Event) -> bool:
    """Whether the digest is of the event's whole data, which firmware measures in place of the variable's data."""
    return any(
        hashlib.new(name, event.data).digest() == digest
        for algorithm, digest in event.digests.items()
        if (name := HASHES.get(algorithm)) in hashlib.algorithms_available and name is not None
    )


def check(log: EventLog) -> list[Finding]:
    """Every event whose digest is not that of the data it carries, or whose data are malformed."""
    findings: list[Finding] = []
    for number, event in enumerate(log.events):
        try:
            read_event(event)
            measured = measured_data(event)
        except Error as error:
            findings.append(Finding.from_error(error, event=number))
            continue
        if measured is None:
            continue
        if event.type is EventType.EFI_VARIABLE_BOOT and _is_whole(event):
            measured = event.data
        for algorithm, digest in event.digests.items():
            name = HASHES.get(algorithm)
            if name is None or name not in hashlib.algorithms_available:
                continue
            expected = hashlib.new(name, measured).digest()
            if digest != expected:
                findings.append(
                    Finding(
                        "event-digest", "the digest is not that of the event's data", event.type.tcg_name, name,
                        event.offset, expected, digest, {"event": number, "pcr": event.pcr},
                    )
                )  # fmt: skip
    return findings
