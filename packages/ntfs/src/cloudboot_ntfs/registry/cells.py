"""The base block, the hive bins and the cells in them, with every offset checked."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from cloudboot_base import TruncatedError
from cloudboot_ntfs.errors import HiveError, HiveTruncatedError

from .constants import BASE_BLOCK_SIZE, BIN_ALIGNMENT, FILE_TYPE_PRIMARY, NO_CELL
from .records import BaseBlock, HiveBin

if TYPE_CHECKING:
    from collections.abc import Iterator

_SIZE = struct.Struct("<i")


def checksum(block: bytes | memoryview) -> int:
    """The checksum of the first 508 bytes of a base block: an XOR of dwords that is never 0 or -1."""
    total = 0
    for dword in struct.unpack_from("<127I", block):
        total ^= dword
    return {0: 1, 0xFFFFFFFF: 0xFFFFFFFE}.get(total, total)


def read_base_block(data: bytes | memoryview, *, what: str = "BaseBlock") -> BaseBlock:
    """The base block of a hive or of a log.

    Raises:
        HiveTruncatedError: fewer than 512 bytes.
        HiveError: no registry file, or a checksum or version that is wrong.
    """
    try:
        block = BaseBlock.unpack_from(data)
    except TruncatedError as error:
        raise HiveTruncatedError(
            "the file is too short for a hive", structure=what, offset=0, expected=error.expected, actual=error.actual
        ) from None
    if block.signature != b"regf":
        raise HiveError(
            "not a registry hive", structure=what, field="signature", offset=0, expected=b"regf", actual=block.signature
        )
    expected = checksum(data)
    if block.checksum != expected:
        raise HiveError(
            "the checksum is wrong",
            structure=what,
            field="checksum",
            offset=508,
            expected=expected,
            actual=block.checksum,
        )
    if block.major_version != 1 or not 3 <= block.minor_version <= 6:
        raise HiveError(
            "the version is not supported",
            structure=what,
            field="minor_version",
            offset=20,
            expected="1.3 to 1.6",
            actual=f"{block.major_version}.{block.minor_version}",
        )
    return block


class Cells:
    """The cells of a hive. Offsets are from the start of the hive bins, as in the hive itself."""

    def __init__(self, data: bytes) -> None:
        self.base = read_base_block(data)
        if self.base.file_type != FILE_TYPE_PRIMARY:
            raise HiveError(
                "not the primary file of a hive",
                structure="BaseBlock",
                field="file_type",
                offset=28,
                expected=FILE_TYPE_PRIMARY,
                actual=self.base.file_type,
                hint="this is a transaction log; give the hive itself",
            )
        size = self.base.hive_bins_size
        if size == 0 or size % BIN_ALIGNMENT or BASE_BLOCK_SIZE + size > len(data):
            raise HiveTruncatedError(
                "the hive bins do not fit the file",
                structure="BaseBlock",
                field="hive_bins_size",
                offset=40,
                expected=f"a multiple of {BIN_ALIGNMENT}, at most {len(data) - BASE_BLOCK_SIZE}",
                actual=size,
            )
        self.data = data
        self.end = BASE_BLOCK_SIZE + size

    def bins(self) -> Iterator[tuple[int, HiveBin]]:
        """Every hive bin: where it starts in the file, and its head.

        Raises:
            HiveError: a bin whose signature, offset or size cannot be.
        """
        position = BASE_BLOCK_SIZE
        while position < self.end:
            head = HiveBin.unpack_from(self.data, position)
            for field, expected, actual in (
                ("signature", b"hbin", head.signature),
                ("offset", position - BASE_BLOCK_SIZE, head.offset),
            ):
                if expected != actual:
                    raise HiveError(
                        "not a hive bin",
                        structure="HiveBin",
                        field=field,
                        offset=position,
                        expected=expected,
                        actual=actual,
                    )
            if head.size == 0 or head.size % BIN_ALIGNMENT or position + head.size > self.end:
                raise HiveError(
                    "the size of the hive bin cannot be",
                    structure="HiveBin",
                    field="size",
                    offset=position + 8,
                    expected=f"a multiple of {BIN_ALIGNMENT} up to {self.end - position}",
                    actual=head.size,
                )
            yield position, head
            position += head.size

    def each(self) -> Iterator[tuple[int, int]]:
        """Every cell as ``(offset, size)``; the size is negative when the cell is allocated.

        Raises:
            HiveError: a cell whose size cannot be.
        """
        for start, head in self.bins():
            position, end = start + HiveBin.SIZE, start + head.size
            while position < end:
                size: int = _SIZE.unpack_from(self.data, position)[0]
                length = abs(size)
                if length < 8 or length % 8 or position + length > end:
                    raise HiveError(
                        "the size of the cell cannot be",
                        structure="CellHead",
                        field="size",
                        offset=position,
                        expected=f"a multiple of 8 up to {end - position}",
                        actual=size,
                    )
                yield position - BASE_BLOCK_SIZE, size
                position += length

    def place(self, offset: int, what: str) -> tuple[int, int]:
        """Where the content of an allocated cell starts in the file, and its length in bytes.

        Raises:
            HiveError: the offset is not one of a cell, or the cell is free.
        """
        position = offset + BASE_BLOCK_SIZE
        if offset == NO_CELL or offset % 8 or offset < HiveBin.SIZE or position + 8 > self.end:
            raise HiveError(
                "a reference to what is not a cell",
                structure=what,
                expected=f"a multiple of 8 below {self.end - BASE_BLOCK_SIZE}",
                actual=offset,
            )
        size: int = _SIZE.unpack_from(self.data, position)[0]
        if size >= 0 or position - size > self.end or size > -8:
            raise HiveError(
                "a reference to a cell that is free or has no size that can be",
                structure=what,
                field="size",
                offset=position,
                expected="a negative size within the hive bins",
                actual=size,
            )
        return position + 4, -size - 4

    def content(self, offset: int, count: int, what: str) -> bytes:
        """The first ``count`` bytes of a cell.

        Raises:
            HiveError: there is no such cell, or it is smaller.
        """
        start, length = self.place(offset, what)
        if count > length:
            raise HiveTruncatedError(
                "the cell is too small for what it holds", structure=what, offset=start, expected=count, actual=length
            )
        return self.data[start : start + count]
