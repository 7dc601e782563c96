"""$Secure: every security descriptor once, with the indexes that find it by id and by hash."""

from __future__ import annotations

from typing import Final

from cloudboot_ntfs.layout.records import SdsEntry
from cloudboot_ntfs.layout.secure import (
    BLOCK,
    FIRST_ID,
    descriptor_hash,
    entry_by_hash,
    entry_by_id,
    entry_size,
    place_after,
)
from cloudboot_ntfs.security import from_sddl

#: What Windows gives the files of the volume: the system and administrators read, or read and write.
SYSTEM_READ: Final = "O:SYG:BAD:(A;;FR;;;SY)(A;;FR;;;BA)"
SYSTEM_WRITE: Final = "O:SYG:BAD:(A;;0x12019f;;;SY)(A;;0x12019f;;;BA)"


class Descriptors:
    """The descriptors of a volume; equal ones share an id."""

    def __init__(self) -> None:
        self._ids: dict[bytes, int] = {}
        self._by_text: dict[str, int] = {}

    def id_of(self, sddl: str) -> int:
        """The id of the descriptor of a text.

        Raises:
            DescriptorError: the text breaks the grammar, or the descriptor is too large.
        """
        known = self._by_text.get(sddl)
        if known is None:
            descriptor = from_sddl(sddl)
            entry_size(descriptor)  # refuses what is too large
            known = self._ids.setdefault(descriptor, FIRST_ID + len(self._ids))
            self._by_text[sddl] = known
        return known

    def _entries(self) -> list[tuple[SdsEntry, bytes]]:
        found, end = [], 0
        for descriptor, security_id in self._ids.items():
            size = entry_size(descriptor)
            place = place_after(end, size)
            found.append((SdsEntry(descriptor_hash(descriptor), security_id, place, size), descriptor))
            end = place + size
        return found

    def stream(self) -> bytes:
        """$SDS: the blocks, each with its copy."""
        entries = self._entries()
        last = entries[-1][0]
        data = bytearray(last.offset + BLOCK + last.size)
        for head, descriptor in entries:
            for start in (head.offset, head.offset + BLOCK):
                data[start : start + head.size] = head.pack() + descriptor
        return bytes(data)

    def by_id(self) -> list[bytes]:
        """The entries of $SII."""
        return [entry_by_id(head) for head, _ in self._entries()]

    def by_hash(self) -> list[bytes]:
        """The entries of $SDH."""
        ordered = sorted((head for head, _ in self._entries()), key=lambda head: (head.hash, head.security_id))
        return [entry_by_hash(head) for head in ordered]
