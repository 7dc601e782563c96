"""What the commands read: files of a bounded size."""

from __future__ import annotations

import os
from typing import Final

from cloudboot_base import BudgetError

__all__ = ["read_file"]

_MOST: Final = 256 << 20


def read_file(path: str) -> bytes:
    """All of a file.

    Raises:
        BudgetError: the file has more than 256 MiB, which nothing that these commands read has.
        OSError: the file cannot be read.
    """
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size > _MOST:
            raise BudgetError("the file is too large", path=path, expected=f"at most {_MOST}", actual=size)
        return file.read(_MOST)
