"""The partitions of any disk: by its GPT, or else by its MBR, or else by its BSD disklabel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudboot_base import open_storage
from cloudboot_base.lightdata import replace
from cloudboot_base.storage import logical_block_size

from .disklabel import DisklabelTable, is_labelled, read_disklabel
from .errors import GPTError, MBRError
from .legacy import MBRTable, read_mbr
from .reader import read

if TYPE_CHECKING:
    from cloudboot_base import Storage

    from .reader import Source
    from .table import Table


def read_partitions(source: Source, *, sector_size: int | None = None) -> Table | MBRTable | DisklabelTable:
    """The partitions of a disk with a GPT, with a hybrid MBR, with a plain MBR, or with a BSD disklabel alone.

    A damaged primary table gives way to a whole backup, which ``notices`` says. A disk that ends too early is read as
    far as it goes. What is wrong with single partitions is in ``faults``. Of a hybrid MBR the GPT counts, as it does
    for UEFI. The partitions in the BSD slices of a plain MBR follow those of the MBR.

    Raises:
        GPTError: neither a GPT nor a plain MBR with partitions nor a disklabel; the first thing wrong with the GPT.
        DisklabelError: no partitions but those of a disklabel, which is damaged.
        OSError: the path cannot be opened.
    """
    with open_storage(source) as opened:
        storage = opened.storage
        try:
            return _read_gpt(storage, sector_size)
        except GPTError as error:
            table = read_without_gpt(storage, sector_size or logical_block_size(storage) or 512)
            if table is None:
                raise error from None
            return table


def read_without_gpt(storage: Storage, sector_size: int) -> MBRTable | DisklabelTable | None:
    """The partitions of a plain MBR, or else of a disklabel; ``None`` where there is neither.

    Raises:
        DisklabelError: no partitions but those of a disklabel, which is damaged.
    """
    try:
        table = read_mbr(storage, sector_size=sector_size)
    except MBRError:
        table = None
    if table is not None and table.partitions:
        return None if table.hybrid else table
    return read_disklabel(storage, sector_size=sector_size) if is_labelled(storage, sector_size) else None


def _read_gpt(storage: Storage, sector_size: int | None) -> Table:
    try:
        return read(storage, sector_size=sector_size, mbr="hybrid", truncated=True)
    except GPTError as error:
        try:
            table = read(storage, sector_size=sector_size, backup="only", mbr="hybrid", truncated=True)
        except GPTError:
            raise error from None
        said = f"the primary partition table is damaged ({error.message}): the backup was read"
        return replace(table, notices=(said,))
