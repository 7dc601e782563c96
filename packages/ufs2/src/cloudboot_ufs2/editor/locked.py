"""A file system whose readers wait for one another, so that one thread may change it."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from cloudboot_ufs2.errors import NestedOperationError
from cloudboot_ufs2.reader.reader import UFS2
from cloudboot_vfs.exclusive import Operations

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloudboot_base import Storage

P = ParamSpec("P")
R = TypeVar("R")


def _locked(method: Callable[Concatenate[UFS2, P], R]) -> Callable[Concatenate[LockedUFS2, P], R]:
    """``method`` of :class:`UFS2`, one thread at a time."""

    @functools.wraps(method)
    def wrapper(self: LockedUFS2, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with self.lock:
            return method(self, *args, **kwargs)

    return wrapper


class LockedUFS2(UFS2):
    """A file system that is read by one thread at a time; ``lock`` is held during each use."""

    def __init__(self, storage: Storage, *, verify: bool = True) -> None:
        super().__init__(storage, verify=verify)
        self._operations = Operations(NestedOperationError)
        self.lock = self._operations.lock

    read_inode = _locked(UFS2.read_inode)
    find = _locked(UFS2.find)
    exists = _locked(UFS2.exists)
    stat = _locked(UFS2.stat)
    stat_inode = _locked(UFS2.stat_inode)
    listdir = _locked(UFS2.listdir)
    readlink = _locked(UFS2.readlink)
    link_target = _locked(UFS2.link_target)
    read_file = _locked(UFS2.read_file)
    block_for_lbn = _locked(UFS2.block_for_lbn)
    extents = _locked(UFS2.extents)
    pointer_blocks = _locked(UFS2.pointer_blocks)
    attributes = _locked(UFS2.attributes)
    inode_attributes = _locked(UFS2.inode_attributes)
    listxattr = _locked(UFS2.listxattr)
    getxattr = _locked(UFS2.getxattr)
