"""Finding a volume in a disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from cloudboot_base import Storage

#: Partition types that hold NTFS: Microsoft basic data, Windows recovery, and MBR type 7.
TYPES: Final = frozenset({"ebd0a0a2-b9e5-4433-87c0-68b6b72699c7", "de94bba4-06d1-4d40-a16a-bfd50179d6ac", "0x7"})


def is_volume(storage: Storage) -> bool:
    """Whether the boot sector names NTFS."""
    return storage.size >= 512 and storage.read_at(3, 8) == b"NTFS    "
