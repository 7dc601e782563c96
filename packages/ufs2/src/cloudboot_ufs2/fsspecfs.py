"""UFS2 as a file system of fsspec: ``fsspec.open("ufs2://boot/loader.conf::disk.img")``.

Needs the extra ``cloudboot-ufs2[fsspec]``; nothing else in this package imports this module.

A symbolic link is followed where it is named, and is listed as a link in its directory (its type is ``other``),
as fsspec's own ``LocalFileSystem`` has it; so walking and removing trees stay within them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from cloudboot_vfs.fsspecfs import VolumeFileSystem

from .editor.shared import open_shared
from .reader.reader import UFS2

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloudboot_vfs import FileSystem
    from cloudboot_vfs.shared import SharedVolume

    from .editor.shared import Source


class UFS2FileSystem(VolumeFileSystem):
    """A UFS2 file system, for any number of threads. What an operation has changed is in the image when it returns."""

    protocol = "ufs2"

    def __init__(
        self,
        fo: Source | UFS2 = "",
        *,
        mode: Literal["r", "r+"] = "r",
        offset: int | None = None,
        size: int | None = None,
        partition: str | int | None = None,
        verify: bool = True,
        clock: Callable[[], int] | None = None,
        **options: Any,
    ) -> None:
        """Open a file system.

        Args:
            fo: the image: a path, a URL that fsspec can open, anything :func:`.open_shared` takes.
            mode: ``r+`` to change it; then it must be a local file, or in memory.
            offset: where the file system starts in the image, in bytes; by default it is looked for.
            size: how long it is; by default, all that follows.
            partition: number, name, GUID or type of its partition.
            verify: whether check-hashes are compared.
            clock: the time in nanoseconds, for what is changed; see :meth:`.WritableUFS2.open`.
            options: those of :class:`~cloudboot_vfs.fsspecfs.VolumeFileSystem`.

        Raises:
            ReadOnlyError: the image cannot be changed where or as it is.
            Ufs2Error: as :meth:`.UFS2.open` has it.
            OSError: the image cannot be opened.
        """

        def opened(source: Source | FileSystem) -> SharedVolume:
            if not isinstance(source, UFS2) and hasattr(source, "iterdir"):
                raise TypeError(f"not a UFS2 file system: {source!r}")
            return open_shared(
                source,
                writable=mode == "r+",
                offset=offset,
                size=size,
                partition=partition,
                verify=verify,
                clock=clock,
            )

        super().__init__(fo, open_shared=opened, mode=mode, clock=clock, **options)

    @property
    def fsid(self) -> str:
        """The file system's own identification."""
        volume = self.volume
        assert isinstance(volume, UFS2)  # noqa: S101 -- for type checkers: nothing else is opened above
        return "ufs2-{:08x}{:08x}".format(*(number & 0xFFFF_FFFF for number in volume.superblock.fs_id))
