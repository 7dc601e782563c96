"""The facts of NTFS files and streams that other file systems do not have."""

from __future__ import annotations

from cloudboot_base.lightdata import NamedTuple


class StreamInfo(NamedTuple):
    """A data stream of a file; the unnamed one is its content. Sizes in bytes."""

    name: str
    size: int
    allocated: int


class UsnRecord(NamedTuple):
    """A change recorded in $UsnJrnl. ``reason`` has the bits of MS-FSCC 2.3.63; the time is in ns since 1970."""

    usn: int
    inode: int
    parent: int
    name: str
    reason: int
    time_ns: int
    attributes: int


class Reparse(NamedTuple):
    """A reparse point. ``target`` is that of a link, with the separators and prefixes it has on the disk."""

    tag: int
    data: bytes
    target: str | None
    is_relative: bool
