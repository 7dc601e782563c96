"""The variable store of EDK2 firmware: a firmware volume in flash, as OVMF_VARS.fd has it.

Layout: EFI_FIRMWARE_VOLUME_HEADER, VARIABLE_STORE_HEADER, variables at multiples of four bytes, each with a header, its
name and its data; then erased flash (0xFF), and behind the store the area of fault-tolerant writes, which is kept.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from cloudboot_base import RangeError
from cloudboot_base.lightdata import dataclass, replace
from cloudboot_records import Cursor
from cloudboot_uefi_abi.constants import VariableAttribute
from cloudboot_uefi_abi.errors import VariableError
from cloudboot_uefi_abi.guids import GUIDS
from cloudboot_uefi_abi.layout.records import (
    AUTHENTICATED_VARIABLE_HEADER,
    EFI_FIRMWARE_VOLUME_HEADER,
    VARIABLE_HEADER,
    VARIABLE_STORE_HEADER,
)

from .variable import Variable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from typing_extensions import Buffer

__all__ = ["StoredVariable", "VariableStore", "format_store"]

START_ID: Final = 0x55AA
ADDED: Final = 0x3F
_TRANSITION: Final = 0x01  # cleared while a new copy is being written
_FORMATTED, _HEALTHY = 0x5A, 0xFE
_FLASH_ATTRIBUTES: Final = 0x0004FEFF  # readable, writable, erased to ones; aligned to 16 bytes
_GUID_OFFSET: Final = 16  # of FileSystemGuid in the volume's header, 24 bytes before the signature
_EC2: Final = "this is a variable store of EC2, and no flash image: variables_from_ec2 reads it"
_CONTAINERS: Final = {
    b"QFI\xfb": "this is a qcow2 image: qemu-img convert -O raw makes a flash image of it",
    b"\x1f\x8b": "this is a file that gzip compressed",
    b"AMZNUEFI": _EC2,
    b"QU1aTlVFRk": _EC2,  # in base64, as its commands print it
}
_NV_DATA: Final = GUIDS["EFI_SYSTEM_NV_DATA_FV"]
_AUTHENTICATED: Final = GUIDS["EFI_AUTHENTICATED_VARIABLE"]
_PLAIN: Final = GUIDS["EFI_VARIABLE"]


@dataclass(frozen=True, slots=True)
class StoredVariable:
    """A record of the store: ``offset`` of its header in bytes from the start of the flash, and its ``state``."""

    variable: Variable
    offset: int
    state: int

    @property
    def live(self) -> bool:
        """Whether the record counts: written whole and not deleted (bits are cleared as a record ages)."""
        return self.state | _TRANSITION == ADDED


@dataclass(frozen=True)
class VariableStore:
    """A store: all of its records, deleted ones included, and what is needed to write it again.

    ``start`` and ``size`` say where the VARIABLE_STORE_HEADER and the records are in ``flash``, in bytes.
    """

    flash: bytes
    start: int
    size: int
    authenticated: bool
    records: tuple[StoredVariable, ...]

    @classmethod
    def parse(cls, data: Buffer, warn: Callable[[VariableError], None] | None = None) -> VariableStore:
        """Read a firmware volume that starts with a variable store: the first one of the flash that does.

        A record that leaves the store ends the records, as it does for firmware, and ``warn`` is told; without ``warn``
        it is an error.

        Raises:
            VariableError: no firmware volume of variables, a wrong checksum, or a record that leaves the store.
            TruncatedError: the data end inside a header.
        """
        flash = bytes(memoryview(data).cast("B"))
        container = next((hint for magic, hint in _CONTAINERS.items() if flash.startswith(magic)), None)
        # The flash may be in there in one piece, or in several: that cannot be seen from here.
        base = 0 if container else _volume(flash)
        cursor = Cursor(flash[base:], base=base, structure="EFI_FIRMWARE_VOLUME_HEADER")
        volume = cursor.record(EFI_FIRMWARE_VOLUME_HEADER)
        if volume.Signature != b"_FVH":
            raise VariableError(
                "not a firmware volume", structure="EFI_FIRMWARE_VOLUME_HEADER", field="Signature", offset=40,
                expected=b"_FVH", actual=volume.Signature,
                hint=container,
            )  # fmt: skip
        if volume.FileSystemGuid != _NV_DATA:
            raise VariableError(
                "a firmware volume without variables",
                structure="EFI_FIRMWARE_VOLUME_HEADER", field="FileSystemGuid", offset=16,
                expected=_NV_DATA, actual=volume.FileSystemGuid,
            )  # fmt: skip
        head = cursor.at(0, volume.HeaderLength, "EFI_FIRMWARE_VOLUME_HEADER").rest()
        if len(head) % 2 or sum(word[0] for word in struct.iter_unpack("<H", head)) & 0xFFFF:
            raise VariableError(
                "the header's checksum is wrong",
                structure="EFI_FIRMWARE_VOLUME_HEADER", field="Checksum", offset=base + 50, actual=volume.Checksum,
            )  # fmt: skip
        start = volume.HeaderLength
        area = cursor.at(start, structure="VARIABLE_STORE_HEADER")
        store = area.record(VARIABLE_STORE_HEADER)
        if store.Signature not in {_AUTHENTICATED, _PLAIN} or not VARIABLE_STORE_HEADER.SIZE <= store.Size <= len(area):
            raise VariableError(
                "not a variable store, or one that leaves the flash",
                structure="VARIABLE_STORE_HEADER", field="Size", offset=base + start + 16,
                expected=f"at most {len(area)}", actual=store.Size,
            )  # fmt: skip
        if (store.Format, store.State) != (_FORMATTED, _HEALTHY):
            raise VariableError(
                "the store is not formatted, or not healthy",
                structure="VARIABLE_STORE_HEADER", field="State", offset=base + start + 20,
                expected=bytes([_FORMATTED, _HEALTHY]), actual=bytes([store.Format, store.State]),
            )  # fmt: skip
        authenticated = store.Signature == _AUTHENTICATED
        records = _records(area.at(0, store.Size), authenticated, warn)
        return cls(flash, base + start, store.Size, authenticated, tuple(records))

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The variables the firmware sees, in the order of the store.

        A record whose replacement was being written counts only where there is no replacement.
        """
        found: dict[tuple[str, object], StoredVariable] = {}
        for record in self.records:
            if not record.live:
                continue
            key = (record.variable.name, record.variable.vendor)
            known = found.get(key)
            if known is None or record.state == ADDED:
                found[key] = record
        return tuple(record.variable for record in found.values())

    def replace(self, variables: Iterable[Variable]) -> bytes:
        """The flash with ``variables`` as its only records, everything outside the store as it was.

        Raises:
            RangeError: they do not fit the store, or a name contains a null.
        """
        packed = bytearray(self.flash[self.start : self.start + VARIABLE_STORE_HEADER.SIZE])
        for variable in variables:
            packed += bytes(b"\xff" * (-len(packed) % 4)) + _pack(variable, self.authenticated)
        if len(packed) > self.size:
            raise RangeError(
                "the variables do not fit the store", structure="VARIABLE_STORE_HEADER", field="Size",
                expected=self.size, actual=len(packed),
            )  # fmt: skip
        packed += b"\xff" * (self.size - len(packed))
        return self.flash[: self.start] + bytes(packed) + self.flash[self.start + self.size :]


def format_store(flash_size: int = 0x84000, store_size: int = 0x40000, *, block_size: int = 0x1000) -> bytes:
    """An empty, authenticated store as EDK2 firmware expects it in flash; the default sizes are OVMF's 4 MiB build's.

    Args:
        flash_size: bytes of the flash, which becomes one firmware volume.
        store_size: bytes of the volume's header and the store; what follows is erased, for fault-tolerant writes.
        block_size: bytes of a block of the flash, of which both sizes are multiples.

    Raises:
        RangeError: the sizes are not such multiples, or the store does not fit.
    """
    if flash_size % block_size or store_size % block_size or not 0 < store_size <= flash_size:
        raise RangeError(
            "the sizes are not multiples of a block, or the store does not fit the flash",
            structure="EFI_FIRMWARE_VOLUME_HEADER", field="FvLength", expected=f"a multiple of {block_size}",
            actual=flash_size,
        )  # fmt: skip
    blocks = struct.pack("<4I", flash_size // block_size, block_size, 0, 0)
    size = EFI_FIRMWARE_VOLUME_HEADER.SIZE + len(blocks)
    volume = EFI_FIRMWARE_VOLUME_HEADER(
        FileSystemGuid=_NV_DATA, FvLength=flash_size, Signature=b"_FVH", Attributes=_FLASH_ATTRIBUTES,
        HeaderLength=size, Revision=2,
    )  # fmt: skip
    total = sum(word[0] for word in struct.iter_unpack("<H", volume.pack() + blocks))
    volume.Checksum = -total & 0xFFFF
    store = VARIABLE_STORE_HEADER(_AUTHENTICATED, store_size - size, _FORMATTED, _HEALTHY)
    return (volume.pack() + blocks + store.pack()).ljust(flash_size, b"\xff")


def _volume(flash: bytes) -> int:
    """Where the first firmware volume of variables starts; 0 where there is none."""
    guid = _NV_DATA.bytes_le
    place = flash.find(guid)
    while place >= 0:
        if place >= _GUID_OFFSET and flash[place + 24 : place + 28] == b"_FVH":
            return place - _GUID_OFFSET
        place = flash.find(guid, place + 1)
    return 0


def _records(area: Cursor, authenticated: bool, warn: Callable[[VariableError], None] | None) -> list[StoredVariable]:
    area.skip(VARIABLE_STORE_HEADER.SIZE)
    size = AUTHENTICATED_VARIABLE_HEADER.SIZE if authenticated else VARIABLE_HEADER.SIZE
    found = []
    while area.remaining >= size:
        offset = area.offset
        if area.at(area.position, 2).u16() != START_ID:
            break  # erased flash: the end of what was written
        head: AUTHENTICATED_VARIABLE_HEADER | VARIABLE_HEADER
        head = area.record(AUTHENTICATED_VARIABLE_HEADER) if authenticated else area.record(VARIABLE_HEADER)
        if head.State == 0xFF or 0xFFFFFFFF in {head.NameSize, head.DataSize, head.Attributes}:
            continue  # power was lost while the head was written: its sizes do not count, and nothing belongs to it
        if head.NameSize < 2 or head.NameSize % 2 or head.NameSize + head.DataSize > area.remaining:
            error = VariableError(
                "a variable leaves the store, or has no name",
                structure=type(head).__name__, field="NameSize", offset=offset,
                expected=f"at most {area.remaining} with DataSize", actual=head.NameSize + head.DataSize,
            )  # fmt: skip
            if warn is None:
                raise error
            warn(error)
            break
        name = area.take(head.NameSize).decode("utf-16-le", "surrogatepass").removesuffix("\0")
        variable = Variable(name, head.VendorGuid, area.take(head.DataSize), VariableAttribute(head.Attributes))
        if isinstance(head, AUTHENTICATED_VARIABLE_HEADER):
            variable = replace(variable, timestamp=head.TimeStamp)
        found.append(StoredVariable(variable, offset, head.State))
        area.skip(min(-area.position % 4, area.remaining))
    return found


def _pack(variable: Variable, authenticated: bool) -> bytes:
    if "\0" in variable.name:
        raise RangeError("a variable's name has no null", structure="VARIABLE_HEADER", actual=variable.name)
    name = variable.name.encode("utf-16-le", "surrogatepass") + b"\0\0"
    sizes = {"NameSize": len(name), "DataSize": len(variable.data)}
    attributes = int(variable.attributes)
    if authenticated:
        head = AUTHENTICATED_VARIABLE_HEADER(
            START_ID, ADDED, Attributes=attributes, TimeStamp=variable.timestamp, VendorGuid=variable.vendor, **sizes
        ).pack()
    else:
        head = VARIABLE_HEADER(START_ID, ADDED, Attributes=attributes, VendorGuid=variable.vendor, **sizes).pack()
    return head + name + variable.data
