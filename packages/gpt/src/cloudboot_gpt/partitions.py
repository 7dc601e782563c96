"""The partitions of any disk: by its GPT, or by its MBR where there is no GPT."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from cloudboot_base import open_storage

from .errors import GPTError, MBRError
from .legacy import MBRTable, read_mbr
from .reader import read

if TYPE_CHECKING:
    from cloudboot_base import Storage

    from .reader import Source
    from .table import Table


def read_partitions(source: Source, *, sector_size: int | None = None) -> Table | MBRTable:
    """The partitions of a disk with a GPT, with a hybrid MBR, or with a plain MBR.

    A damaged primary table gives way to a whole backup, which ``notices`` says. A disk that ends too early is read as
    far as it goes. What is wrong with single partitions is in ``faults``. Of a hybrid MBR the GPT counts, as it does
    for UEFI.

    Raises:
        GPTError: neither a GPT nor a plain MBR with partitions; the first thing wrong with the GPT.
        OSError: the path cannot be opened.
    """
    with open_storage(source) as opened:
        storage = opened.storage
        try:
            return _read_gpt(storage, sector_size)
        except GPTError as error:
            try:
                table = read_mbr(storage, sector_size=sector_size or 512)
            except MBRError:
                raise error from None
            if table.hybrid or not table.partitions:
                raise
            return table


def _read_gpt(storage: Storage, sector_size: int | None) -> Table:
    try:
        return read(storage, sector_size=sector_size, mbr="hybrid", truncated=True)
    except GPTError as error:
        try:
            table = read(storage, sector_size=sector_size, backup="only", mbr="hybrid", truncated=True)
        except GPTError:
            raise error from None
        said = f"the primary partition table is damaged ({error.message}): the backup was read"
        return dataclasses.replace(table, notices=(said,))
