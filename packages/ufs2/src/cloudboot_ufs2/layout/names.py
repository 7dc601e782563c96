"""Paths and names: text for programs, bytes on the disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudboot_ufs2.errors import PathError

if TYPE_CHECKING:
    from collections.abc import Collection


def encoded(text: str) -> bytes:
    """A path or a link's target as the directory holds it.

    Raises:
        PathError: half a character, which no byte stands for.
    """
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise PathError("not a path that could be encoded", actual=ascii(text)) from None


def split(path: bytes) -> list[bytes]:
    """The names in a path; empty ones and ``.`` say nothing."""
    return [name for name in path.split(b"/") if name not in (b"", b".")]


def decoded(name: bytes) -> str:
    """A name of a directory as text; bytes that are not UTF-8 become surrogate escapes."""
    return name.decode("utf-8", "surrogateescape")


def decoded_all(names: Collection[bytes]) -> list[str]:
    """:func:`decoded` of each. No name holds a NUL, and none that is added changes what is before or after it."""
    return b"\0".join(names).decode("utf-8", "surrogateescape").split("\0") if names else []
