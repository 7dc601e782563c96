"""Where a FAT volume is in a disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudboot_base import FormatError

from . import geometry

if TYPE_CHECKING:
    from cloudboot_base import Storage

#: Partition types that hold FAT, as a rule: the ESP, Microsoft's basic data, and their types in an MBR.
TYPES = frozenset({
    "c12a7328-f81f-11d2-ba4b-00a0c93ec93b", "ebd0a0a2-b9e5-4433-87c0-68b6b72699c7",
    "0xef", "0x01", "0x04", "0x06", "0x0b", "0x0c", "0x0e",
})  # fmt: skip


def is_volume(storage: Storage) -> bool:
    """Whether a storage starts with the boot sector of a FAT volume."""
    try:
        geometry.parse(storage.read_at(0, 512))
    except FormatError:
        return False
    return True
