"""The partitions of any disk: by its GPT, or by its MBR where there is no GPT."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudboot_base import open_storage

from .errors import GPTError, MBRError
from .legacy import MBRTable, read_mbr
from .reader import read

if TYPE_CHECKING:
    from .reader import Source
    from .table import Table


def read_partitions(source: Source, *, sector_size: int | None = None) -> Table | MBRTable:
    """The partitions of a disk with a GPT, with a hybrid MBR, or with a plain MBR.

    A damaged primary table gives way to a whole backup, and a disk that ends too early is read as far as it goes; what
    is wrong with single partitions is in ``faults``. Of a hybrid MBR the GPT counts, as it does for UEFI.

    Raises:
        GPTError: neither a GPT nor a plain MBR with partitions; the first thing wrong with the GPT.
        OSError: the path cannot be opened.
    """
    with open_storage(source) as opened:
        storage = opened.storage
        try:
            return read(storage, sector_size=sector_size, backup="allow", mbr="hybrid", truncated=True)
        except GPTError as error:
            try:
                table = read_mbr(storage, sector_size=sector_size or 512)
            except MBRError:
                raise error from None
            if table.hybrid or not table.partitions:
                raise
            return table
