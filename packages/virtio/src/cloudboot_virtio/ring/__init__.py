"""Virtqueues, driver side: chains and their owners, split and packed rings behind one API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudboot_virtio.layout.constants import MAX_PACKED_SIZE, MAX_SPLIT_SIZE, Feature

from .base import Ring
from .chain import Chain, Completion, InFlight
from .packed import PackedRing
from .queue import Virtqueue
from .split import SplitRing

if TYPE_CHECKING:
    from cloudboot_virtio.memory import DmaMemory

__all__ = ["Chain", "Completion", "InFlight", "PackedRing", "Ring", "SplitRing", "Virtqueue", "make_ring", "ring_size"]


def ring_size(limit: int, features: int) -> int:
    """The largest size of at most ``limit`` descriptors that a ring of the negotiated kind can have.

    A packed ring can have any size (2.8.10.1) and a split ring powers of two (2.7), whatever the device allows.
    """
    if features & Feature.RING_PACKED:
        return min(limit, MAX_PACKED_SIZE)
    return min(1 << limit.bit_length() - 1, MAX_SPLIT_SIZE)


def make_ring(memory: DmaMemory, size: int, features: int) -> SplitRing | PackedRing:
    """A ring of the kind that the negotiated ``features`` ask for.

    Raises:
        ValueError: such a ring cannot have ``size`` descriptors.
        DmaMemoryError: there is no room.
    """
    kind = PackedRing if features & Feature.RING_PACKED else SplitRing
    event_idx, indirect = bool(features & Feature.EVENT_IDX), bool(features & Feature.INDIRECT_DESC)
    return kind(memory, size, event_idx=event_idx, indirect=indirect)
