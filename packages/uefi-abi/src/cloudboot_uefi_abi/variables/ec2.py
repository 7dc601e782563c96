"""The variable store of an EC2 instance, as ``aws ec2 get-instance-uefi-data`` prints it: version 0, read.

The format is that of uefivars, Amazon's program for it: in base64 a head, then a zlib stream with a preset dictionary
(RFC 1950 section 2.2), in which all sizes and counts are of 64 bits.
"""

from __future__ import annotations

import base64
import binascii
import functools
import zlib
from importlib import resources
from typing import TYPE_CHECKING, Final
from uuid import UUID

from cloudboot_records import Cursor
from cloudboot_uefi_abi.constants import VariableAttribute
from cloudboot_uefi_abi.errors import VariableError
from cloudboot_uefi_abi.layout.records import EC2_VARIABLE_STORE, EFI_TIME

from .variable import Variable

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["EC2_MAGIC", "variables_from_ec2"]

EC2_MAGIC: Final = b"AMZNUEFI"
_BASE64_MAGIC: Final = b"QU1aTlVFRk"
_STRUCTURE: Final = "EC2_VARIABLE_STORE"
_VERSION: Final = 0
_MAX_STORE: Final = 1 << 20
"""Bytes in base64; EC2 takes 64 KiB."""
_MAX_CONTENT: Final = 8 << 20
_CRC_AT: Final = 12
"""Where the bytes begin that the checksum covers."""


def is_ec2(data: bytes) -> bool:
    """Whether bytes begin as such a store, in base64 or out of it."""
    return data.startswith(EC2_MAGIC) or data.lstrip().startswith(_BASE64_MAGIC)


def variables_from_ec2(data: Buffer) -> tuple[Variable, ...]:
    """The variables of a store, in base64 or out of it; who may write an authenticated one is not kept.

    Raises:
        VariableError: it is not such a store, its checksum is wrong, its version is not 0, or it is malformed.
        TruncatedError: it ends before its content does.
    """
    raw = bytes(memoryview(data).cast("B"))
    if len(raw) > _MAX_STORE:
        raise VariableError(
            "the store is too large", structure=_STRUCTURE, expected=f"at most {_MAX_STORE} bytes", actual=len(raw)
        )
    if not raw.startswith(EC2_MAGIC):
        try:
            raw = base64.b64decode(b"".join(raw.split()), validate=True)
        except binascii.Error as error:
            raise VariableError(f"not base64: {error}", structure=_STRUCTURE) from None
    cursor = Cursor(raw, structure=_STRUCTURE)
    head = cursor.record(EC2_VARIABLE_STORE)
    checksum = _crc32c(raw[_CRC_AT:])
    for field, offset, expected, actual in (
        ("Magic", 0, EC2_MAGIC, head.Magic),
        ("Checksum", 8, f"{checksum:#010x}", f"{head.Checksum:#010x}"),
        ("Version", _CRC_AT, _VERSION, head.Version),
    ):
        if expected != actual:
            raise VariableError(
                "not a variable store of EC2 that can be read", structure=_STRUCTURE, field=field, offset=offset,
                expected=expected, actual=actual,
            )  # fmt: skip
    return tuple(_variables(Cursor(_inflated(cursor.rest()), structure="the content of EC2_VARIABLE_STORE")))


def _inflated(data: bytes) -> bytes:
    stream = zlib.decompressobj(zdict=resources.files(__package__).joinpath("ec2_v0.bin").read_bytes())
    try:
        content = stream.decompress(data, _MAX_CONTENT)
    except zlib.error as error:
        raise VariableError(f"the content cannot be decompressed: {error}", structure=_STRUCTURE, offset=16) from None
    if not stream.eof:
        raise VariableError(
            "the content is cut short, or too large", structure=_STRUCTURE, offset=16,
            expected=f"at most {_MAX_CONTENT} bytes", actual=len(content),
        )  # fmt: skip
    return content


def _variables(cursor: Cursor) -> list[Variable]:
    found = []
    for _ in range(_number(cursor)):
        start = cursor.offset
        name = cursor.take(_number(cursor))
        data = cursor.take(_number(cursor))
        vendor = UUID(bytes_le=cursor.take(16))
        attributes = VariableAttribute(int.from_bytes(cursor.take(4), "little"))
        time = EFI_TIME()
        if VariableAttribute.TIME_BASED_AUTHENTICATED_WRITE_ACCESS in attributes:
            time = cursor.record(EFI_TIME)
            cursor.take(_number(cursor))  # a digest of the certificate of who may write it
        try:
            found.append(Variable(name.decode(), vendor, data, attributes, time))
        except UnicodeDecodeError:
            raise VariableError(
                "a name is not UTF-8", structure="a variable of EC2_VARIABLE_STORE", field="name", offset=start,
                actual=name,
            ) from None  # fmt: skip
    return found


def _number(cursor: Cursor) -> int:
    return int.from_bytes(cursor.take(8), "little")


@functools.cache
def _table() -> tuple[int, ...]:
    """CRC-32C, polynomial 0x1EDC6F41 reflected (RFC 3720 appendix B.4)."""
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)  # noqa: PLW2901 -- the register
        table.append(value)
    return tuple(table)


def _crc32c(data: bytes) -> int:
    table, value = _table(), 0xFFFFFFFF
    for byte in data:
        value = value >> 8 ^ table[(value ^ byte) & 0xFF]
    return value ^ 0xFFFFFFFF
