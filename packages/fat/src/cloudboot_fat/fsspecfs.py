"""FAT as a file system of fsspec: ``fsspec.open("fat://EFI/BOOT/BOOTX64.EFI::disk.img")``.

Needs the extra ``cloudboot-fat[fsspec]``; nothing else in this package imports this module.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from cloudboot_vfs.fsspecfs import VolumeFileSystem

from .shared import open_shared
from .volume import FatVolume

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloudboot_vfs import FileSystem
    from cloudboot_vfs.shared import SharedVolume

    from .shared import Source


class FatVolumeFileSystem(VolumeFileSystem):
    """A FAT volume, for any number of threads. What an operation has changed is in the image when it returns."""

    protocol = "fat"

    def __init__(
        self,
        fo: Source | FatVolume = "",
        *,
        mode: Literal["r", "r+"] = "r",
        offset: int | None = None,
        size: int | None = None,
        partition: str | int | None = None,
        codepage: str = "cp437",
        clock: Callable[[], int] | None = None,
        **options: Any,
    ) -> None:
        """Open a volume.

        Args:
            fo: the image: a path, a URL that fsspec can open, anything :func:`.open_shared` takes.
            mode: ``r+`` to change it; then it must be a local file, or in memory.
            offset: where the volume starts in the image, in bytes; by default it is looked for.
            size: how long it is; by default, all that follows.
            partition: number, name, GUID or type of its partition.
            codepage: the code page of short names.
            clock: the time in nanoseconds since 1970, for what is changed; see :class:`.WritableFatVolume`.
            options: those of :class:`~cloudboot_vfs.fsspecfs.VolumeFileSystem`.

        Raises:
            ReadOnlyError: the image cannot be changed where or as it is.
            FatError: the volume is damaged.
            OSError: the image cannot be opened.
        """

        def opened(source: Source | FileSystem) -> SharedVolume:
            if not isinstance(source, FatVolume) and hasattr(source, "iterdir"):
                raise TypeError(f"not a FAT volume: {source!r}")
            return open_shared(
                source,
                writable=mode == "r+",
                offset=offset,
                size=size,
                partition=partition,
                codepage=codepage,
                clock=clock,
            )

        super().__init__(fo, open_shared=opened, mode=mode, clock=clock, **options)

    @property
    def fsid(self) -> str:
        """The volume's serial number."""
        volume = self.volume
        assert isinstance(volume, FatVolume)  # noqa: S101 -- for type checkers: nothing else is opened above
        return f"fat-{volume.reader.serial or 0:08x}"
