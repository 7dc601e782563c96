"""Images on their way: bytes from memory to a file without the zeros, and whether a file is a disk image at all."""

from __future__ import annotations

import os

from cloudboot_base.containers import container_problem

#: Where an MBR has its four records, each with its type at byte 4, and the type of an EFI system partition.
_RECORDS, _MBR_ESP = 446, 0xEF
_STEP = 64 << 10


def write_sparse(fd: int, data: memoryview) -> None:
    """Write ``data`` to an empty file; runs of zeros become holes.

    Raises:
        OSError: the disk is full.
    """
    os.ftruncate(fd, len(data))
    zeros = bytes(_STEP)
    start = None
    for offset in range(0, len(data) + _STEP, _STEP):
        piece = data[offset : offset + _STEP]
        blank = not piece or piece == zeros[: len(piece)]
        if start is None and not blank:
            start = offset
        elif start is not None and blank:
            _write(fd, data[start:offset], start)
            start = None


def _write(fd: int, data: memoryview, offset: int) -> None:
    while data:
        count = os.pwrite(fd, data, offset)
        data, offset = data[count:], offset + count


def image_problem(path: os.PathLike[str]) -> str | None:
    """Why a file is not a disk image that a machine could boot from, as the end of a sentence; ``None`` if it may be.

    Raises:
        OSError: the file cannot be read.
    """
    with open(path, "rb") as file:
        head = file.read(2 * 4096)
    if problem := container_problem(head):
        return problem
    if head[510:512] != b"\x55\xaa":
        return "is no disk image: it has no partition table"
    types = {head[_RECORDS + 16 * index + 4] for index in range(4)}
    if b"EFI PART" not in {head[512:520], head[4096:4104]} and _MBR_ESP not in types:
        return "has no GPT, and its MBR no EFI system partition; UEFI firmware may not find a loader"
    return None
