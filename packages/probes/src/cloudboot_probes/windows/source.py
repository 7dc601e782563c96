"""Where a user's Windows files are: a folder, a WIM, an installation medium, or a disk image with an NTFS partition.

A WIM is applied to a scratch volume that this project formats. So it ends as the last kind: a volume of NTFS, read with
its streams, attributes, reparse points and security descriptors. An installation medium has a WIM.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cloudboot_base.command import amount, printable
from cloudboot_disk_image import open_disk
from cloudboot_probes.errors import RecipeError
from cloudboot_probes.media.errors import IsoError
from cloudboot_probes.media.iso import IsoTree, has_udf
from cloudboot_probes.media.medium import MAX_MEDIUM
from cloudboot_probes.media.udf import UdfVolume
from cloudboot_uefi_host.drivers.el_torito import is_iso9660

from . import wim
from .files import WindowsFiles, of_host
from .volumes import find_volume, of_volume

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack

    from cloudboot_base import Storage

#: Where an installation medium has its WIM; the second is compressed as a whole.
_ON_A_MEDIUM: Final = ("/sources/install.wim", "/sources/install.esd")
_PIECE: Final = 4 << 20


def open_source(path: Path, index: int, stack: ExitStack, say: Callable[[str], None]) -> WindowsFiles:
    """The Windows files at ``path``, which stay open until ``stack`` is closed. ``index`` chooses an image of a WIM.

    Raises:
        RecipeError: it is no folder, WIM, installation medium or disk image, or has no Windows in it.
        PackageMissingError: a WIM, and wimlib's programs are not installed.
        MissingDependencyError: an installation medium, and pycdlib is not installed.
        FormatError: a damaged disk image, medium or volume.
        OSError: the host refuses.
    """
    if path.is_dir():
        return of_host({"/": path})
    if not path.exists():
        raise RecipeError(f"{path} does not exist")
    with open(path, "rb") as file:
        is_wim = file.read(len(wim.MAGIC)) == wim.MAGIC
    if is_wim:
        return of_volume(wim.apply(path, printable(str(path)), index, _scratch(stack), stack=stack, say=say))
    disk = stack.enter_context(open_disk(path, limit=MAX_MEDIUM))
    if is_iso9660(disk.storage):
        folder = _scratch(stack)
        copied, title = _copied(disk.storage, path, folder, say)
        volume = wim.apply(copied, title, index, folder, stack=stack, say=say)
        copied.unlink()
        return of_volume(volume)
    return of_volume(stack.enter_context(find_volume(disk.storage, path)))


def _scratch(stack: ExitStack) -> Path:
    return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cloudboot-wim-")))


def _copied(storage: Storage, path: Path, folder: Path, say: Callable[[str], None]) -> tuple[Path, str]:
    """The WIM of an installation medium as a file, which wimlib needs, and what a user knows it by."""
    # Where there are both, a file of 4 GiB may be short in ISO 9660.
    for read in (UdfVolume, IsoTree) if has_udf(storage) else (IsoTree,):
        volume = read(storage)
        try:
            found = next((each for each in map(volume.locate, _ON_A_MEDIUM) if each is not None), None)
            if found is not None:
                title = f"{found} of {printable(str(path))}"
                return _copy(volume, found, title, folder, say), title
        finally:
            volume.close()
    raise RecipeError(
        f"{path} has no {' and no '.join(_ON_A_MEDIUM)}",
        hint="give an installation medium of Windows, a WIM, a folder, or a disk image",
    )


def _copy(volume: UdfVolume | IsoTree, found: str, title: str, folder: Path, say: Callable[[str], None]) -> Path:
    size, room = volume.size(found), shutil.disk_usage(folder).free
    if size > room:
        raise RecipeError(
            f"{title} has {amount(size)}, and {folder.parent} has room for {amount(room)}",
            hint="name a folder with more room in the environment variable TMPDIR",
        )
    say(f"cloudboot: copying {title}, {amount(size)}")
    copied = folder / "install.wim"
    with open(copied, "xb") as target, volume.open(found) as file:
        shutil.copyfileobj(file, target, _PIECE)
        if target.tell() != size:
            raise IsoError(f"{found} is cut short", expected=size, actual=target.tell())
    return copied
