"""Files that the command line names."""

from __future__ import annotations

import os

from cloudboot_base import FileKindError
from cloudboot_base.storage import open_file


def check_file(path: str | os.PathLike[str]) -> None:
    """Refuse what is no ordinary file.

    Raises:
        FileKindError: it is a folder, a pipe or a device.
        OSError: it cannot be opened.
    """
    os.close(open_file(path))


def names_file(image: str) -> bool:
    """Whether ``image`` is a file's path rather than a reference to a registry or a folder of images.

    What looks like a path is one, so that a file that is missing is not looked for in a registry.

    Raises:
        FileKindError: the path of a folder.
        InvalidReferenceError: neither a file nor a reference.
    """
    if os.path.isdir(image):
        raise FileKindError("this is a directory", path=image, hint=f"a folder of images is oci:{image}:TAG")
    if os.path.exists(image) or image.startswith(("/", "./", "../")):
        return True
    # 60 ms of CPU, and the parsers of all commands import this module for check_file.
    from cloudboot_oci_stream import parse_reference
    from cloudboot_oci_stream.errors import InvalidReferenceError

    try:
        parse_reference(image)
    except InvalidReferenceError as error:
        error.hint = f"there is no file of that name, either; {error.hint}" if error.hint else None
        raise
    return False
