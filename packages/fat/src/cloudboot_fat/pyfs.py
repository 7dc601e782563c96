"""FAT as a file system of PyFilesystem2: ``fs.open_fs("fat://disk.img")``.

Needs the extra ``cloudboot-fat[fs]``; nothing else in this package imports this module.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudboot_base import Window, new_image
from cloudboot_vfs.pyfs import VolumeFS, VolumeOpener

from .builder import format as make_volume
from .shared import open_shared

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloudboot_vfs.pyfs import Where

    from .shared import Source
    from .volume import FatVolume


class FatFS(VolumeFS):
    """A FAT volume, for any number of threads. What an operation has changed is in the image when it returns.

    Times are stored as coarsely as FAT has them: access to a day, change to two seconds.
    """

    scheme = "fat"
    case_insensitive = True
    invalid_path_chars = "\0" + "".join(map(chr, range(1, 32))) + '"*:<>?\\|'

    def __init__(
        self,
        source: Source | FatVolume,
        *,
        writable: bool = False,
        offset: int | None = None,
        size: int | None = None,
        partition: str | int | None = None,
        codepage: str = "cp437",
        clock: Callable[[], int] | None = None,
    ) -> None:
        """Open a volume, or take over one that is open; the arguments are those of :func:`.open_shared`.

        Raises:
            fs.errors.CreateFailed: it cannot be opened; ``exc`` says why.
        """
        super().__init__(
            lambda: open_shared(
                source, writable=writable, offset=offset, size=size, partition=partition, codepage=codepage, clock=clock
            ),
            source,
        )


class FatOpener(VolumeOpener):
    """``fat://disk.img``; :class:`~cloudboot_vfs.pyfs.VolumeOpener` has the parameters."""

    protocols = ["fat"]  # noqa: RUF012 -- declared so by the base class

    def open_volume(self, image: str, where: Where, *, writable: bool) -> FatFS:
        """Open the volume in the file ``image``."""
        return FatFS(
            image,
            writable=writable,
            offset=where.offset,
            size=where.size,
            partition=where.partition,
            clock=where.clock,
        )

    def create_volume(self, image: str, size: int) -> None:
        """Make an empty volume of ``size`` bytes."""
        with new_image(image, size) as made:
            make_volume(Window(made, 0, size))
