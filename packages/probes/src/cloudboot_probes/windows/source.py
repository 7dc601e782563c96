"""Where a user's Windows files are: a folder, a WIM, or a disk image with an NTFS partition.

A WIM is applied with wimlib to a scratch volume that this project formats. So it ends as the third kind: a volume of
NTFS, read with its streams, attributes, reparse points and security descriptors.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from typing import TYPE_CHECKING, Final

import cloudboot_ntfs as ntfs
from cloudboot_base.command import printable
from cloudboot_disk_image import open_disk
from cloudboot_probes.errors import PackageMissingError, RecipeError

from .files import WindowsFiles, of_host
from .volumes import find_volume, of_volume

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import ExitStack
    from pathlib import Path

_WIM_MAGIC: Final = b"MSWIM\0\0\0"


def open_source(path: Path, index: int, stack: ExitStack, say: Callable[[str], None]) -> WindowsFiles:
    """The Windows files at ``path``, which stay open until ``stack`` is closed. ``index`` chooses an image of a WIM.

    Raises:
        RecipeError: it is no folder, WIM or disk image, or has no Windows in it.
        PackageMissingError: a WIM, and wimlib's programs are not installed.
        FormatError: a damaged disk image or volume.
        OSError: the host refuses.
    """
    if path.is_dir():
        return of_host({"/": path})
    if not path.exists():
        raise RecipeError(f"{path} does not exist")
    with open(path, "rb") as file:
        is_wim = file.read(len(_WIM_MAGIC)) == _WIM_MAGIC
    if is_wim:
        return of_volume(_applied(path, index, stack, say))
    disk = stack.enter_context(open_disk(path))
    return of_volume(stack.enter_context(find_volume(disk.storage, path)))


def _applied(path: Path, index: int, stack: ExitStack, say: Callable[[str], None]) -> ntfs.NTFS:
    """The image ``index`` of a WIM, applied to a scratch volume."""
    program = shutil.which("wimapply")
    if program is None:
        raise PackageMissingError("a WIM needs wimlib's wimapply", hint="apt-get install wimtools")
    images = _wim_images(path)
    if index not in images:
        raise RecipeError(f"{path} has no image {index}", hint=f"--index chooses one of {_listed(images)}")
    size = _wim_size(path, index)
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="cloudboot-wim-"))
    scratch = os.path.join(folder, "volume.img")
    if len(images) > 1:
        say(f"cloudboot: {path} has the images {_listed(images)}; --index chooses one")
    say(f"cloudboot: applying image {index} of {path} to a scratch volume of {size >> 20} MiB")
    ntfs.format(scratch, ntfs.Options(label="scratch"), size=size)
    _run([program, os.fspath(path), str(index), scratch], path)
    volume = ntfs.NTFS(scratch)
    stack.callback(volume.close)
    if not volume.exists("/Windows/System32"):
        raise RecipeError(f"image {index} of {path} has no folder Windows/System32", hint="choose another with --index")
    return volume


def _wim_images(path: Path) -> dict[int, str]:
    """The images of a WIM: names by index."""
    program = shutil.which("wiminfo")
    if program is None:
        raise PackageMissingError("a WIM needs wimlib's wiminfo", hint="apt-get install wimtools")
    found: dict[int, str] = {}
    index = 0
    for line in _run([program, os.fspath(path)], path).splitlines():
        key, _, value = (part.strip() for part in line.partition(":"))
        if key == "Index" and value.isdigit():
            index = int(value)
            found[index] = ""
        elif key == "Name" and index:
            found[index] = value
    return found


def _listed(images: Mapping[int, str]) -> str:
    return ", ".join(f"{index} ({printable(name)})" if name else str(index) for index, name in images.items())


def _wim_size(path: Path, index: int) -> int:
    """Bytes of a volume with room for the image: what its files take, and a part for the file system."""
    facts = _run(["wiminfo", os.fspath(path), str(index)], path)
    found = {
        key.strip(): value.strip() for key, _, value in (line.partition(":") for line in facts.splitlines()) if value
    }
    try:
        total, files = int(found["Total Bytes"]), int(found["File Count"]) + int(found["Directory Count"])
    except (KeyError, ValueError):
        raise RecipeError(f"{path}: wiminfo does not tell the size of image {index}") from None
    needed = total + files * (4096 + 1536) + (64 << 20)
    return -(-(needed + needed // 10) >> 20) << 20


def _run(command: list[str], path: Path) -> str:
    done = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "LC_ALL": "C"},
        stdin=subprocess.DEVNULL,
    )
    if done.returncode:
        reason = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise RecipeError(
            f"{os.path.basename(command[0])} refuses {path}: {reason[-1].strip() if reason else done.returncode}"
        )
    return done.stdout
