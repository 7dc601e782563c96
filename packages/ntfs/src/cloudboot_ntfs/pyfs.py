"""NTFS as a file system of PyFilesystem2: ``fs.open_fs("ntfs://disk.img")``.

Needs the extra ``cloudboot-ntfs[fs]``; nothing else in this package imports this module.

Names that differ in case only are one, unless the volume is opened ``case_sensitive``. A symbolic link or a junction is
followed where it is named, and is listed as a link in its directory, so that walking and removing trees stay
within them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudboot_vfs.pyfs import VolumeFS, VolumeOpener

from .builder.build import format as make_volume
from .editor.shared import open_shared

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloudboot_vfs.pyfs import Where

    from .reader.volume import NTFS, Source


class NTFSFS(VolumeFS):
    """An NTFS volume, for any number of threads. What an operation has changed is in the image when it returns."""

    scheme = "ntfs"

    def __init__(
        self,
        source: Source | NTFS,
        *,
        writable: bool = False,
        offset: int | None = None,
        size: int | None = None,
        partition: str | int | None = None,
        clock: Callable[[], int] | None = None,
        case_sensitive: bool = False,
        windows_names: bool = False,
        short_names: bool = False,
    ) -> None:
        """Open a volume, or take over one that is open; the arguments are those of :func:`.open_shared`.

        Raises:
            fs.errors.CreateFailed: it cannot be opened; ``exc`` says why.
        """
        self.case_insensitive = not case_sensitive
        super().__init__(
            lambda: open_shared(
                source, writable=writable, offset=offset, size=size, partition=partition, clock=clock,
                case_sensitive=case_sensitive, windows_names=windows_names, short_names=short_names,
            ),
            source,
        )  # fmt: skip


class NTFSOpener(VolumeOpener):
    """``ntfs://disk.img``; :class:`~cloudboot_vfs.pyfs.VolumeOpener` has the parameters."""

    protocols = ["ntfs"]  # noqa: RUF012 -- declared so by the base class

    def open_volume(self, image: str, where: Where, *, writable: bool) -> NTFSFS:
        """Open the volume in the file ``image``."""
        return NTFSFS(
            image,
            writable=writable,
            offset=where.offset,
            size=where.size,
            partition=where.partition,
            clock=where.clock,
        )

    def create_volume(self, image: str, size: int) -> None:
        """Make an empty volume of ``size`` bytes."""
        make_volume(image, size=size)
