"""Virtqueues, driver side: chains and their owners, split and packed rings behind one API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudboot_virtio.layout.constants import Feature

from .base import Ring
from .chain import Chain, Completion, InFlight
from .packed import PackedRing
from .queue import Virtqueue
from .split import SplitRing

if TYPE_CHECKING:
    from cloudboot_virtio.memory import DmaMemory

__all__ = ["Chain", "Completion", "InFlight", "PackedRing", "Ring", "SplitRing", "Virtqueue", "make_ring"]


def make_ring(memory: DmaMemory, size: int, features: int) -> SplitRing | PackedRing:
    """A ring of the kind that the negotiated ``features`` ask for.

    Raises:
        ValueError: such a ring cannot have ``size`` descriptors.
        DmaMemoryError: there is no room.
    """
    kind = PackedRing if features & Feature.RING_PACKED else SplitRing
    event_idx, indirect = bool(features & Feature.EVENT_IDX), bool(features & Feature.INDIRECT_DESC)
    return kind(memory, size, event_idx=event_idx, indirect=indirect)
