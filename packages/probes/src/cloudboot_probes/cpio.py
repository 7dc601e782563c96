"""Initial RAM file systems: a deterministic writer of cpio archives in the "new ASCII" format.

Format: Linux, Documentation/driver-api/early-userspace/buffer-format.rst. Owners are root, times zero, inode numbers
count up, so equal contents give equal bytes.
"""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

MAGIC = b"070701"
TRAILER = "TRAILER!!!"


def initramfs(files: Mapping[str, tuple[int, bytes]]) -> bytes:
    """An archive of regular files, with the folders they need.

    ``files`` maps a path without a leading slash to its permission bits and contents.
    """
    folders = {path.rsplit("/", depth)[0] for path in files for depth in range(1, path.count("/") + 1)}
    entries = [(folder, stat.S_IFDIR | 0o755, b"") for folder in folders]
    entries += [(path, stat.S_IFREG | mode, data) for path, (mode, data) in files.items()]
    parts = [_member(number, *entry) for number, entry in enumerate(sorted(entries), start=1)]
    parts.append(_member(0, TRAILER, 0, b""))
    archive = b"".join(parts)
    return archive + bytes(-len(archive) % 512)


def _member(inode: int, path: str, mode: int, data: bytes) -> bytes:
    name = path.encode() + b"\0"
    links = 2 if stat.S_ISDIR(mode) else 1
    # ino, mode, uid, gid, nlink, mtime, filesize, devmajor, devminor, rdevmajor, rdevminor, namesize, check
    fields = (inode, mode, 0, 0, links, 0, len(data), 0, 0, 0, 0, len(name), 0)
    header = MAGIC + b"".join(b"%08x" % value for value in fields)
    return _padded(header + name) + _padded(data)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
