"""$Secure: every security descriptor once, with the indexes that find it by id and by hash."""

from __future__ import annotations

import struct
from typing import Final

from cloudboot_ntfs.layout.index import pack_entry
from cloudboot_ntfs.layout.records import SdsEntry
from cloudboot_ntfs.reader.secure import descriptor_hash
from cloudboot_ntfs.security import from_sddl

FIRST_ID: Final = 0x100
#: $SDS has blocks of this size, and each is followed by its copy.
_BLOCK: Final = 0x40000
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
            DescriptorError: the text breaks the grammar.
        """
        known = self._by_text.get(sddl)
        if known is None:
            descriptor = from_sddl(sddl)
            known = self._ids.setdefault(descriptor, FIRST_ID + len(self._ids))
            self._by_text[sddl] = known
        return known

    def _entries(self) -> list[tuple[SdsEntry, bytes]]:
        found, position = [], 0
        for descriptor, security_id in self._ids.items():
            size = SdsEntry.SIZE + len(descriptor)
            # An entry does not cross the end of its block.
            if position % _BLOCK + size > _BLOCK:
                position = (position // (2 * _BLOCK) + 1) * 2 * _BLOCK
            found.append((SdsEntry(descriptor_hash(descriptor), security_id, position, size), descriptor))
            position += -(-size // 16) * 16
        return found

    def stream(self) -> bytes:
        """$SDS: the blocks, each with its copy."""
        entries = self._entries()
        blocks = entries[-1][0].offset // (2 * _BLOCK) + 1
        last = entries[-1][0]
        data = bytearray((2 * blocks - 1) * _BLOCK + last.offset % _BLOCK + last.size)
        for head, descriptor in entries:
            for start in (head.offset, head.offset + _BLOCK):
                data[start : start + head.size] = head.pack() + descriptor
        return bytes(data)

    def by_id(self) -> list[bytes]:
        """The entries of $SII."""
        return [pack_entry(struct.pack("<I", head.security_id), data=head.pack()) for head, _ in self._entries()]

    def by_hash(self) -> list[bytes]:
        """The entries of $SDH."""
        ordered = sorted((head for head, _ in self._entries()), key=lambda head: (head.hash, head.security_id))
        packed = []
        for head in ordered:
            entry = bytearray(pack_entry(struct.pack("<II", head.hash, head.security_id), data=head.pack() + b"I\0I\0"))
            struct.pack_into("<H", entry, 2, SdsEntry.SIZE)  # the two letters after it do not count
            packed.append(bytes(entry))
        return packed
