"""What a build takes, and what it gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from cloudboot_base.lightdata import dataclass

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping
    from typing import BinaryIO

    from cloudboot_ufs2.layout.geometry import Geometry
    from cloudboot_ufs2.layout.records import Fs

    from .members import Member

    Source = str | os.PathLike[str] | BinaryIO | Mapping[str, Member]

Times = Literal["keep", "clamp", "set"]


@dataclass(frozen=True, slots=True)
class Built:
    """What was made: its superblock, the numbers it follows from, and what it holds (the root included)."""

    superblock: Fs
    geometry: Geometry
    size: int  #: bytes of the volume
    directories: int
    files: int  #: everything else, a hard link counted once
    notices: tuple[str, ...] = ()  #: what was left out of the source, or done otherwise than it says

    @property
    def backups(self) -> list[int]:
        """Byte offsets of the backup superblocks within the volume, one in each group."""
        geometry = self.geometry
        groups = range(geometry.group_count)
        return [(geometry.group_start(group) + geometry.sblkno) * geometry.fragment_size for group in groups]
