"""Paths inside a volume: names with ``/`` between them."""

from __future__ import annotations

from .errors import InvalidNameError, PathTooLongError

#: Characters of the longest path that is followed: PATH_MAX of Linux. Windows and the specification stop at 260.
MAX_PATH = 4096


def require_length(path: str) -> None:
    """Refuse a path that no reader would follow.

    Raises:
        PathTooLongError: it has more than :data:`MAX_PATH` characters.
    """
    length = len("/" + "/".join(split(path)))
    if length > MAX_PATH:
        raise PathTooLongError(
            "the path is too long", field=path[:40] + "...", expected=f"at most {MAX_PATH} characters", actual=length
        )


def split(path: str) -> list[str]:
    """The names in a path; ``.`` and a slash at the start, at the end or doubled do not count."""
    return [name for name in path.split("/") if name not in ("", ".")]


def split_new(path: str) -> list[str]:
    """The names in the path of something that is made, moved or removed; none for the root directory.

    Raises:
        InvalidNameError: the last one is ``.`` or ``..``.
    """
    if path.rstrip("/").rpartition("/")[2] in (".", ".."):
        raise InvalidNameError("the path names nothing that can be made, moved or removed", field=path)
    return split(path)


def absolute(path: str) -> str:
    """``path`` from the root directory, without ``.`` and ``..``: FAT has no links, so ``..`` is the name before."""
    names: list[str] = []
    for name in split(path):
        if name == "..":
            del names[-1:]
        else:
            names.append(name)
    return "/" + "/".join(names)


def join(above: str, name: str) -> str:
    """The absolute path of a name in the directory at the absolute path ``above``."""
    return f"{above.rstrip('/')}/{name}"
