"""Which driver held the disk when: the firmware's, then the kernel's.

A virtio disk belongs to the driver that reset and started it. The firmware's driver resets the disk a last time when
the loader ends the firmware's services (ExitBootServices); what comes after that reset and starts the disk anew is a
driver that the loader brought into memory, and everything read from then on was read by it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloudboot_qemu import Negotiation


@dataclass(frozen=True, slots=True)
class Handover:
    """The moments at which the disk changed hands, in seconds since power-on.

    ``released`` is when the firmware's driver gave it up, ``taken`` when the reset by another driver began, ``None``
    while there is none; ``statuses`` are what that driver wrote.
    """

    released: float
    taken: float | None
    statuses: tuple[int, ...]


def find_handover(negotiations: Sequence[Negotiation], loader: float) -> Handover | None:
    """The first time after the loader's first line at which a driver gave up the disk; ``None`` without it.

    The driver that takes the disk is the last one that started it: what runs may hand it on several times.
    """
    released = next((held.end for held in negotiations if held.end is not None and held.end >= loader), None)
    if released is None:
        return None
    later = [held for held in negotiations if held.reset >= released]
    last = later[-1] if later else None
    return Handover(released, last.reset if last else None, last.statuses if last else ())
