"""Checking a file system: everything that can be recomputed is, and every difference is a finding.

The passes are those of fsck_ffs, in its order: superblocks and groups, inodes and their blocks, directories, links,
and the maps and counters last, compared with what the other passes saw. Nothing is repaired.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudboot_base import Finding, Window, open_storage
from cloudboot_ufs2.layout.options import link_max

if TYPE_CHECKING:
    import os
    from typing import BinaryIO

    from typing_extensions import Buffer

    from cloudboot_base import Storage


def check(
    source: str | os.PathLike[str] | BinaryIO | Buffer | Storage,
    *,
    offset: int = 0,
    size: int | None = None,
    superblock: int | None = None,
    freebsd: int = 14,
) -> list[Finding]:
    """Every invariant of the file system in ``source`` that does not hold; nothing for a clean one.

    Of each kind at most fifty findings are listed, then one that counts the rest. Findings name the group, inode, path
    and byte offset where they can. A damaged superblock is reported, and a backup replaces it in what follows.

    Args:
        source: what holds the file system.
        offset: where it starts, in bytes.
        size: how long it is, in bytes.
        superblock: the byte of the file system at which its superblock is to be read.
        freebsd: the oldest FreeBSD that is to read it, which limits links.

    Raises:
        SuperblockError: no superblock is at ``superblock``.
        OSError: the source cannot be read. Other damage is never raised.
    """
    from .passes import survey  # 5 ms, which a reader is spared
    from .survey import Findings

    with open_storage(source) as opened:
        storage = opened.storage
        findings = Findings()
        available = storage.size - offset
        if offset < 0 or available < 0 or (size is not None and not 0 <= size <= available):
            findings.add(
                Finding("image-truncated", "the image ends before the file system", expected=size, actual=available)
            )
            return findings.result()
        window = Window(storage, offset, available if size is None else size)
        survey(window, findings, superblock=superblock, link_max=link_max(freebsd))
        return findings.result()
