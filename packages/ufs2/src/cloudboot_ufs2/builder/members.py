"""What a mapping of paths in a program may hold: the members of a tree."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from cloudboot_base.lightdata import dataclass, field

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What every member has."""

    uid: int = 0
    gid: int = 0
    mtime_ns: int = 0
    #: extended attributes by name, which begins with their namespace: ``user.`` or ``system.``
    xattrs: Mapping[str, bytes] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class File(Facts):
    """A regular file: its bytes, or the host's file that holds them."""

    data: bytes | os.PathLike[str]
    mode: int = 0o644


@dataclass(frozen=True, slots=True)
class Directory(Facts):
    """A directory; what it holds is in the mapping under longer paths."""

    mode: int = 0o755


@dataclass(frozen=True, slots=True)
class Symlink(Facts):
    """A symbolic link."""

    target: str | bytes
    mode: int = 0o777


@dataclass(frozen=True, slots=True)
class Special(Facts):
    """A device, a pipe or a socket: ``kind`` is ``char``, ``block``, ``fifo`` or ``socket``."""

    kind: str
    major: int = 0
    minor: int = 0
    mode: int = 0o600


@dataclass(frozen=True, slots=True)
class HardLink:
    """Another name of a file that is in the mapping under ``path``."""

    path: str | bytes


Stored = bytes | os.PathLike[str] | File | Directory | Symlink | Special
Member = Stored | HardLink
