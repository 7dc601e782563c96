"""An image of a WIM, applied with wimlib's programs to a scratch volume."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Final

import cloudboot_ntfs as ntfs
from cloudboot_base.command import printable
from cloudboot_probes.errors import PackageMissingError, RecipeError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import ExitStack
    from pathlib import Path

MAGIC: Final = b"MSWIM\0\0\0"


def apply(
    path: Path, title: str, index: int, folder: Path, *, stack: ExitStack, say: Callable[[str], None]
) -> ntfs.NTFS:
    """Apply the image ``index`` of the WIM at ``path`` to a volume in ``folder``, which is closed with ``stack``.

    ``title`` is what a user knows the WIM by.

    Raises:
        RecipeError: there is no such image, it has no Windows in it, or wimlib refuses the file.
        PackageMissingError: wimlib's programs are not installed.
        OSError: the host refuses.
    """
    program = shutil.which("wimapply")
    if program is None:
        raise PackageMissingError("a WIM needs wimlib's wimapply", hint="apt-get install wimtools")
    images = _images(path, title)
    if index not in images:
        raise RecipeError(f"{title} has no image {index}", hint=f"--index chooses one of {_listed(images)}")
    size = _size(path, title, index)
    scratch = folder / "volume.img"
    if len(images) > 1:
        say(f"cloudboot: {title} has the images {_listed(images)}; --index chooses one")
    say(f"cloudboot: applying image {index} of {title} to a scratch volume of {size >> 20} MiB")
    ntfs.format(scratch, ntfs.Options(label="scratch"), size=size)
    _run([program, path, str(index), scratch], title)
    volume = ntfs.NTFS(scratch)
    stack.callback(volume.close)
    if not volume.exists("/Windows/System32"):
        raise RecipeError(
            f"image {index} of {title} has no folder Windows/System32", hint="choose another with --index"
        )
    return volume


def _images(path: Path, title: str) -> dict[int, str]:
    """The images of a WIM: names by index."""
    program = shutil.which("wiminfo")
    if program is None:
        raise PackageMissingError("a WIM needs wimlib's wiminfo", hint="apt-get install wimtools")
    found: dict[int, str] = {}
    index = 0
    for line in _run([program, path], title).splitlines():
        key, _, value = (part.strip() for part in line.partition(":"))
        if key == "Index" and value.isdigit():
            index = int(value)
            found[index] = ""
        elif key == "Name" and index:
            found[index] = value
    return found


def _listed(images: Mapping[int, str]) -> str:
    return ", ".join(f"{index} ({printable(name)})" if name else str(index) for index, name in images.items())


def _size(path: Path, title: str, index: int) -> int:
    """Bytes of a volume with room for the image: what its files take, and a part for the file system."""
    facts = _run(["wiminfo", path, str(index)], title)
    found = {
        key.strip(): value.strip() for key, _, value in (line.partition(":") for line in facts.splitlines()) if value
    }
    try:
        total, files = int(found["Total Bytes"]), int(found["File Count"]) + int(found["Directory Count"])
    except (KeyError, ValueError):
        raise RecipeError(f"{title}: wiminfo does not tell the size of image {index}") from None
    needed = total + files * (4096 + 1536) + (64 << 20)
    return -(-(needed + needed // 10) >> 20) << 20


def _run(command: Sequence[str | Path], title: str) -> str:
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
            f"{os.path.basename(command[0])} refuses {title}: {reason[-1].strip() if reason else done.returncode}"
        )
    return done.stdout
