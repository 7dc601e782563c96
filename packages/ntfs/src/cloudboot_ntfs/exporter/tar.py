"""A tree of a volume as a tar archive: data streams are extended attributes, as ntfs-3g shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cloudboot_ntfs.reader.reparse import WOF_STREAM
from cloudboot_vfs import tar

if TYPE_CHECKING:
    from typing import BinaryIO

    from cloudboot_ntfs.reader.volume import NTFS
    from cloudboot_vfs import DirEntry
    from cloudboot_vfs.notices import Notices

#: Bytes of the data streams of one file: Linux sets no longer extended attribute.
MAX_STREAMS: Final = 1 << 16


def write_tar(volume: NTFS, target: BinaryIO, path: str, notices: Notices) -> int:
    """Write the tree at ``path`` as a pax archive; gives the number of members. ``notices`` is told what is left out.

    Raises:
        SourceError: a name or a target that is not Unicode.
        NtfsError: the volume is damaged, or a file is encrypted.
        OSError: the host refuses.
    """

    def attributes(entry: DirEntry) -> dict[str, bytes]:
        """The data streams beside the content, by the names of extended attributes."""
        found: dict[str, bytes] = {}
        room = MAX_STREAMS
        for name in volume.stream_names(entry.inode):
            if not name or (name == WOF_STREAM and volume.reparse_point_of(volume.mft.file(entry.inode)) is not None):
                continue
            place = f"{entry.path}:{ascii(name)[1:-1]}"
            try:
                name.encode()
            except UnicodeEncodeError:
                notices.add("a data stream whose name is not Unicode is left out", place)
                continue
            stream = volume.open_inode(entry.inode, stream=name)
            if stream.size > room:
                notices.add(f"the data streams of a file are left out after {MAX_STREAMS} bytes", place)
                continue
            room -= stream.size
            found[f"user.{name}"] = stream.read_at(0, stream.size)
        return found

    return tar.write_tar(volume, target, path, attributes=attributes)
