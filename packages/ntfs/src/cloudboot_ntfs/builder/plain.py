"""The record of an ordinary file in one step: one name, content in the record or in one run, and nothing else.

Nearly all files are such. :func:`~cloudboot_ntfs.builder.record.assemble` makes the records of all others, and one
here: what does not differ between ordinary files is taken from it. That way a record takes a third of the time.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from cloudboot_ntfs.layout.attribute import pack_resident
from cloudboot_ntfs.layout.constants import Type
from cloudboot_ntfs.layout.records import AttributeHeader, RecordHeader, ResidentHeader, StandardInformation

from .record import END, Packed, assemble, header_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .plan import Item

#: Where the value of a resident attribute without a name starts.
_VALUE: Final = AttributeHeader.SIZE + ResidentHeader.SIZE
_LENGTH: Final = AttributeHeader.LAYOUT.offsets["length"]
_INSTANCE: Final = AttributeHeader.LAYOUT.offsets["instance"]
_VALUE_LENGTH: Final = AttributeHeader.SIZE + ResidentHeader.LAYOUT.offsets["value_length"]


def is_plain(item: Item) -> bool:
    """Whether a file is an ordinary one."""
    if len(item.keys) != 1 or item.streams or item.reparse or item.node.is_directory:
        return False
    placed = item.placed
    return placed is None or (len(placed.runs) == 1 and placed.runs[0].lcn is not None)


class PlainRecords:
    """Writes the records of ordinary files into a buffer of zeros, without their protection."""

    def __init__(self, record_size: int) -> None:
        self._start = header_size(record_size)
        model = [
            Packed(kind, "", pack_resident(kind, bytes(size), indexed=kind == Type.FILE_NAME))
            for kind, size in (
                (Type.STANDARD_INFORMATION, StandardInformation.SIZE),
                (Type.FILE_NAME, 0),
                (Type.DATA, 0),
            )
        ]
        record = bytes(assemble(0, model, record_size=record_size, links=1))
        information, name = self._start, self._start + len(model[0].data)
        self._key, header, facts = name + _VALUE, RecordHeader.LAYOUT.offsets, StandardInformation.LAYOUT.offsets
        self._head, self._fixed = _around(
            record[: self._key],
            [
                (header["bytes_used"], "I"),
                (header["record_number"], "I"),
                (information + _VALUE + facts["created"], "4Q"),
                (information + _VALUE + facts["attributes"], "I"),
                (information + _VALUE + facts["security_id"], "I"),
                (name + _LENGTH, "I"),
                (name + _VALUE_LENGTH, "I"),
            ],
        )
        data = record[self._key : self._key + _VALUE]
        self._data, self._fixed_data = _around(data, [(_LENGTH, "I"), (_VALUE_LENGTH, "I")])
        self._instance = data[_INSTANCE : _INSTANCE + 2]

    def write(self, buffer: bytearray, at: int, item: Item, attributes: int, security: int) -> None:
        """Put the record of an ordinary file at ``at``."""
        (key,) = item.keys
        size = len(key)
        place = self._key + (size + 7 & ~7)
        end = at + place
        if item.placed is None:
            value = item.value or b""
            length = _VALUE + (len(value) + 7 & ~7)
            first, second, third = self._fixed_data
            self._data.pack_into(buffer, end, first, length, second, len(value), third)
            buffer[end + _VALUE : end + _VALUE + len(value)] = value
        else:
            value = item.placed.attributes(Type.DATA)[0].data
            length = len(value)
            buffer[end : end + length] = value
            buffer[end + _INSTANCE : end + _INSTANCE + 2] = self._instance
        end += length
        buffer[end : end + len(END)] = END
        a, b, c, d, e, f, g, h = self._fixed
        self._head.pack_into(
            buffer, at, a, place + length + len(END), b, item.number, c, *item.node.times, d, attributes & 0xFFFF, e,
            security, f, place - self._key + _VALUE, g, size, h,
        )  # fmt: skip
        buffer[at + self._key : at + self._key + size] = key


def _around(data: bytes, fields: Sequence[tuple[int, str]]) -> tuple[struct.Struct, tuple[bytes, ...]]:
    """What packs the ``fields`` (offset and format) of ``data``, and the bytes before, between and after them."""
    form, fixed, position = "<", [], 0
    for offset, code in fields:
        form += f"{offset - position}s{code}"
        fixed.append(data[position:offset])
        position = offset + struct.calcsize("<" + code)
    return struct.Struct(f"{form}{len(data) - position}s"), (*fixed, data[position:])
