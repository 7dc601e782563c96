"""Paths inside a volume: names with ``/`` between them."""

from __future__ import annotations

from .errors import PathTooLongError

#: Characters of the longest path that is followed: PATH_MAX of Linux. Windows and the specification stop at 260.
MAX_PATH = 4096


def require_length(path: str) -> None:
    """Refuse a path that no reader would follow.

    Raises:
        PathTooLongError: it has more than :data:`MAX_PATH` characters.
    """
    length = len(join("/", "/".join(split(path))))
    if length > MAX_PATH:
        raise PathTooLongError(
            "the path is too long", field=path[:40] + "...", expected=f"at most {MAX_PATH} characters", actual=length
        )


def split(path: str) -> list[str]:
    """The names in a path; a slash at the start, at the end or doubled does not count."""
    return [name for name in path.split("/") if name]


def join(above: str, name: str) -> str:
    """The absolute path of a name in the directory at the absolute path ``above``."""
    return f"{above.rstrip('/')}/{name}"
