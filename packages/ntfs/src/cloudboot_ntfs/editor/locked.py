"""A volume whose readers wait for one another, so that one thread may change it."""

from __future__ import annotations

import functools
import threading
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from cloudboot_ntfs.reader.volume import NTFS

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
R = TypeVar("R")


def _locked(method: Callable[Concatenate[NTFS, P], R]) -> Callable[Concatenate[LockedNTFS, P], R]:
    """``method`` of :class:`NTFS`, one thread at a time."""

    @functools.wraps(method)
    def wrapper(self: LockedNTFS, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with self.lock:
            return method(self, *args, **kwargs)

    return wrapper


class LockedNTFS(NTFS):
    """A volume that is read by one thread at a time; ``lock`` is held during each use."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.lock = threading.RLock()
        super().__init__(*args, **kwargs)

    find = _locked(NTFS.find)
    exists = _locked(NTFS.exists)
    stat = _locked(NTFS.stat)
    stat_inode = _locked(NTFS.stat_inode)
    listdir = _locked(NTFS.listdir)
    readlink = _locked(NTFS.readlink)
    link_target = _locked(NTFS.link_target)
    reparse_point = _locked(NTFS.reparse_point)
    security_descriptor = _locked(NTFS.security_descriptor)
    security_id = _locked(NTFS.security_id)
    streams = _locked(NTFS.streams)
    names_of = _locked(NTFS.names_of)
    stream_names = _locked(NTFS.stream_names)
    read_file = _locked(NTFS.read_file)
    extents = _locked(NTFS.extents)
