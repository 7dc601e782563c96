"""Modules of an installed firmware image: firmware volumes, files and sections (PI 1.8 volume 3).

The drivers of EDK2 that a distribution ships inside its firmware package can be taken out and run in this firmware.
Only what leads to them is read: volumes, files, GUID-defined sections (LZMA or not compressed), PE32 and name sections.
"""

from __future__ import annotations

import lzma
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from uuid import UUID

from cloudboot_base import BudgetError, FormatError
from cloudboot_uefi_abi.layout.records import EFI_FIRMWARE_VOLUME_HEADER as VOLUME

if TYPE_CHECKING:
    from collections.abc import Iterator

_SIGNATURE: Final = b"_FVH"
_SIGNATURE_OFFSET: Final = VOLUME.LAYOUT.offsets["Signature"]
_FILE_HEADER, _FILE_HEADER2 = 24, 32
_LARGE_FILE: Final = 0x01
_PAD_FILE: Final = 0xF0
_ERASED: Final = b"\xff" * _FILE_HEADER
_GUID_DEFINED, _PE32, _USER_INTERFACE, _VOLUME_IMAGE = 0x02, 0x10, 0x15, 0x17
_LZMA: Final = UUID("ee4e5898-3914-4259-9d6e-dc7bd79403cf")
_CRC32: Final = UUID("fc1bcdb0-7d31-49aa-936a-a4600d9dd083")
_MAX_UNPACKED: Final = 256 << 20
_MAX_DEPTH: Final = 8


class FirmwareVolumeError(FormatError):
    """A firmware image cannot be read."""


@dataclass(frozen=True, slots=True)
class Module:
    """A file of a firmware volume with a PE image: its GUID, its name (empty without a name section), and the image."""

    guid: UUID
    name: str
    image: bytes


class _Reader:
    """Reads one image; counts what it unpacks."""

    def __init__(self) -> None:
        self.unpacked = 0

    def volumes(self, data: bytes, depth: int = 0) -> Iterator[Module]:
        """The modules of every volume in ``data``."""
        at = 0
        while (found := data.find(_SIGNATURE, at)) >= 0:
            start, at = found - _SIGNATURE_OFFSET, found + 4
            if start < 0 or start + VOLUME.SIZE > len(data):
                continue
            header = VOLUME.unpack_from(data, start)
            end = start + header.FvLength
            if header.HeaderLength < VOLUME.SIZE or end > len(data) or end <= start:
                continue  # four bytes that look like a signature
            yield from self._files(data[start:end], header, depth)
            at = end

    def _files(self, volume: bytes, header: VOLUME, depth: int) -> Iterator[Module]:
        at = header.HeaderLength
        if header.ExtHeaderOffset:
            size = int.from_bytes(volume[header.ExtHeaderOffset + 16 : header.ExtHeaderOffset + 20], "little")
            at = -(-(header.ExtHeaderOffset + size) // 8) * 8
        while at + _FILE_HEADER <= len(volume):
            head = volume[at : at + _FILE_HEADER]
            if head == _ERASED:
                return
            size, start = int.from_bytes(head[20:23], "little"), _FILE_HEADER
            if head[19] & _LARGE_FILE:
                size, start = int.from_bytes(volume[at + 24 : at + 32], "little"), _FILE_HEADER2
            if size < start or at + size > len(volume):
                raise FirmwareVolumeError(
                    "a file leaves its volume", structure="EFI_FFS_FILE_HEADER", field="Size", offset=at, actual=size
                )
            if head[18] != _PAD_FILE:
                yield from self._module(UUID(bytes_le=head[:16]), volume[at + start : at + size], depth)
            at += -(-size // 8) * 8

    def _module(self, guid: UUID, content: bytes, depth: int) -> Iterator[Module]:
        image, name = b"", ""
        for kind, body in self._sections(content, depth):
            if kind == _PE32 and not image:
                image = body
            elif kind == _USER_INTERFACE:
                name = body.decode("utf-16-le", "replace").rstrip("\0")
            elif kind == _VOLUME_IMAGE:
                yield from self.volumes(body, depth + 1)
        if image:
            yield Module(guid, name, image)

    def _sections(self, data: bytes, depth: int) -> Iterator[tuple[int, bytes]]:
        if depth > _MAX_DEPTH:
            raise BudgetError("sections nest too deeply", structure="EFI_COMMON_SECTION_HEADER", expected=_MAX_DEPTH)
        at = 0
        while at + 4 <= len(data):
            size, kind, start = int.from_bytes(data[at : at + 3], "little"), data[at + 3], 4
            if size == 0xFFFFFF:
                size, start = int.from_bytes(data[at + 4 : at + 8], "little"), 8
            if size < start or at + size > len(data):
                return  # raw data: some files have no sections
            body = data[at + start : at + size]
            if kind == _GUID_DEFINED:
                yield from self._sections(self._defined(body, start), depth + 1)
            else:
                yield kind, body
            at += -(-size // 4) * 4

    def _defined(self, body: bytes, header: int) -> bytes:
        """What a GUID-defined section holds; ``header`` is the size of the section's common header."""
        guid, offset = UUID(bytes_le=body[:16]), int.from_bytes(body[16:18], "little") - header
        if guid not in {_LZMA, _CRC32} or not 0 <= offset <= len(body):
            return b""
        if guid == _CRC32:
            return body[offset:]
        left = _MAX_UNPACKED - self.unpacked
        try:
            data = lzma.LZMADecompressor(format=lzma.FORMAT_ALONE).decompress(body[offset:], left)
        except lzma.LZMAError as error:
            raise FirmwareVolumeError(f"a compressed section is damaged: {error}") from error
        self.unpacked += len(data)
        if self.unpacked >= _MAX_UNPACKED:
            raise BudgetError("the sections unpack to too much", expected=f"below {_MAX_UNPACKED} bytes")
        return data


def read_modules(image: bytes) -> dict[str, Module]:
    """The modules of a firmware image by name; those without one by the text of their GUID.

    Raises:
        FormatError: the image is damaged, or unpacks to more than 256 MiB.
    """
    found: dict[str, Module] = {}
    for module in _Reader().volumes(image):
        found.setdefault(module.name or str(module.guid), module)
    return found
