"""UFS2 as a file system of PyFilesystem2: ``fs.open_fs("ufs2://disk.img")``.

Needs the extra ``cloudboot-ufs2[fs]``; nothing else in this package imports this module.

A symbolic link is followed where it is named, and is listed as a link in its directory, so that walking and
removing trees stay within them. Walks therefore see a link to a directory as a file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudboot_vfs.pyfs import VolumeFS, VolumeOpener

from .builder.builder import format as format_volume
from .editor.shared import open_shared
from .layout.options import Options

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloudboot_vfs.pyfs import Where

    from .editor.shared import Source
    from .reader.reader import UFS2


class UFS2FS(VolumeFS):
    """A UFS2 file system, for any number of threads. What an operation has changed is in the image when it returns."""

    scheme = "ufs2"

    def __init__(
        self,
        source: Source | UFS2,
        *,
        writable: bool = False,
        offset: int | None = None,
        size: int | None = None,
        partition: str | int | None = None,
        verify: bool = True,
        clock: Callable[[], int] | None = None,
    ) -> None:
        """Open a file system, or take over one that is open; the arguments are those of :func:`.open_shared`.

        Raises:
            fs.errors.CreateFailed: it cannot be opened; ``exc`` says why.
        """
        super().__init__(
            lambda: open_shared(
                source, writable=writable, offset=offset, size=size, partition=partition, verify=verify, clock=clock
            ),
            source,
        )


class UFS2Opener(VolumeOpener):
    """``ufs2://disk.img``; :class:`~cloudboot_vfs.pyfs.VolumeOpener` has the parameters."""

    protocols = ["ufs2"]  # noqa: RUF012 -- declared so by the base class

    def open_volume(self, image: str, where: Where, *, writable: bool) -> UFS2FS:
        """Open the file system in the file ``image``."""
        return UFS2FS(
            image,
            writable=writable,
            offset=where.offset,
            size=where.size,
            partition=where.partition,
            clock=where.clock,
        )

    def create_volume(self, image: str, size: int) -> None:
        """Make an empty file system of ``size`` bytes."""
        format_volume(image, Options(snap_directory=False), size=size)
