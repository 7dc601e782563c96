"""NTFS as a file system of fsspec: ``fsspec.open("ntfs://Windows/win.ini::disk.img")``.

Needs the extra ``cloudboot-ntfs[fsspec]``; nothing else in this package imports this module.

Names that differ in case only are one, unless the volume is opened ``case_sensitive``. A symbolic link or a junction is
followed where it is named, and is listed as a link in its directory (its type is ``other``), as fsspec's own
``LocalFileSystem`` has it; so walking and removing trees stay within them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from cloudboot_vfs.fsspecfs import VolumeFileSystem

from .editor.shared import open_shared
from .reader.volume import NTFS

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloudboot_vfs import FileSystem
    from cloudboot_vfs.shared import SharedVolume

    from .reader.volume import Source


class NTFSFileSystem(VolumeFileSystem):
    """An NTFS volume, for any number of threads. What an operation has changed is in the image when it returns."""

    protocol = "ntfs"

    def __init__(
        self,
        fo: Source | NTFS = "",
        *,
        mode: Literal["r", "r+"] = "r",
        offset: int | None = None,
        size: int | None = None,
        partition: str | int | None = None,
        clock: Callable[[], int] | None = None,
        case_sensitive: bool = False,
        windows_names: bool = False,
        short_names: bool = False,
        **options: Any,
    ) -> None:
        """Open a volume.

        Args:
            fo: the image: a path, a URL that fsspec can open, anything :func:`.open_shared` takes.
            mode: ``r+`` to change it; then it must be a local file, or in memory.
            offset: where the volume starts in the image, in bytes; by default it is looked for.
            size: how long it is; by default, all that follows.
            partition: number, name, GUID or type of its partition.
            clock: the time in nanoseconds, for what is changed; see :class:`.WritableNTFS`.
            case_sensitive: whether names that differ in case only are two.
            windows_names: refuse new names that Windows cannot open.
            short_names: give new names that DOS cannot hold a short name, too.
            options: those of :class:`~cloudboot_vfs.fsspecfs.VolumeFileSystem`.

        Raises:
            ReadOnlyError: the image cannot be changed where or as it is.
            NtfsError: as :class:`.NTFS` has it.
            OSError: the image cannot be opened.
        """

        def opened(source: Source | FileSystem) -> SharedVolume:
            if not isinstance(source, NTFS) and hasattr(source, "iterdir"):
                raise TypeError(f"not an NTFS volume: {source!r}")
            return open_shared(
                source, writable=mode == "r+", offset=offset, size=size, partition=partition, clock=clock,
                case_sensitive=case_sensitive, windows_names=windows_names, short_names=short_names,
            )  # fmt: skip

        super().__init__(fo, open_shared=opened, mode=mode, clock=clock, **options)

    @property
    def fsid(self) -> str:
        """The volume's serial number."""
        volume = self.volume
        assert isinstance(volume, NTFS)  # noqa: S101 -- for type checkers: nothing else is opened above
        return f"ntfs-{volume.geometry.serial:016x}"
